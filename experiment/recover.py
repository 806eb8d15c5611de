"""Rebuilds events from journals, for runs that were cut off before theirs were written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiment.certificate import write_certificate
from experiment.events import events_of, events_path, run_of, write_events
from experiment.journal import read_journal
from experiment.participants import enrol
from protocols.folder import StudyFolder, exclusive
from protocols.problems import FoolscanError


@dataclass(frozen=True)
class Recovered:
    """One journal of a folder, and what came of it.

    events : the events file that was written; None when nothing had to be, or could be, recovered.
    note   : why, in a few words.
    """

    journal: Path
    events: Path | None
    note: str


def recover(root: Path, journal: Path | None = None) -> list[Recovered]:
    """Write the events of every journal that has none yet; aborted attempts are left alone unless one is named.

    root    : the study folder.
    journal : one journal to recover, such as that of an aborted attempt.

    Nothing that exists is overwritten. Raises FoolscanError when there are no journals, or the one named has its events.
    """
    folder = StudyFolder(root)
    paths = [journal] if journal is not None else sorted(folder.journals.glob("*_journal.jsonl"))
    if not paths:
        raise FoolscanError(f"{folder.journals}: found no journals; is {root} the study folder?")
    return [_recover(folder, path, named=journal is not None) for path in paths]


def _recover(folder: StudyFolder, path: Path, *, named: bool) -> Recovered:
    if "_aborted-" in path.name and not named:
        return Recovered(path, None, "an aborted attempt, kept (recover it with --journal)")
    try:
        journal = read_journal(path)
    except FoolscanError as error:
        if named:
            raise
        return Recovered(path, None, str(error))
    run = run_of(journal)
    with exclusive(folder.journal(run), run.stem):
        for scanner in (True, False):
            existing = events_path(folder, run, scanner=scanner)
            if existing.exists() and named:
                raise FoolscanError(f"{existing}: exists already; nothing is overwritten")
            if existing.exists():
                return Recovered(path, None, "has its events")
        shown = events_of(journal)
        if not shown:
            return Recovered(path, None, "no trial was shown: nothing to recover")
        enrol(folder, run.sub, simulated=bool(journal.header["rehearsal"]))
        events = write_events(folder, journal)
        write_certificate(folder, journal, events)
    whole = "complete" if journal.complete else f"cut off: {len(shown)} trials shown"
    return Recovered(path, events, whole)
