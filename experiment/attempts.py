"""Which runs there are already: nothing is overwritten, and unfinished attempts are kept under a name that says so."""

from __future__ import annotations

from pathlib import Path

from experiment.events import events_path
from experiment.journal import read_journal
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError


def is_done(folder: StudyFolder, run_id: RunId) -> bool:
    """Whether a run has its events already."""
    return any(events_path(folder, run_id, scanner=scanner).exists() for scanner in (True, False))


def free_run(folder: StudyFolder, run_id: RunId) -> Path | None:
    """Make sure that nothing of this run exists; the journal of an attempt that was cut off is set aside.

    Returns that journal's new path, or None. Raises FoolscanError when the run is complete.
    """
    name = f"run {run_id.run} of sub-{run_id.sub}, ses-{run_id.ses}"
    for scanner in (True, False):
        path = events_path(folder, run_id, scanner=scanner)
        if path.exists():
            raise FoolscanError(f"{name} exists already ({path}); nothing was changed. Use the next --run")
    journal = folder.journal(run_id)
    if not journal.exists():
        return None
    try:
        complete = read_journal(journal).complete
    except FoolscanError:
        complete = False  # cut off before its header was written
    if complete:
        raise FoolscanError(
            f"{name} was recorded ({journal}) but has no events yet: foolscan experiment recover {folder.root}"
        )
    return set_aside_journal(journal)


def set_aside_journal(journal: Path) -> Path:
    """Rename the journal of an unfinished attempt: ``…_aborted-01_journal.jsonl``, or the next free number."""
    number = 1
    while (kept := journal.with_name(journal.name.replace("_journal", f"_aborted-{number:02d}_journal"))).exists():
        number += 1
    journal.rename(kept)
    return kept
