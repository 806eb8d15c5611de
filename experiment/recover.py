"""Finishes runs that were cut off: events, participant and certificate are made again from the journal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from experiment.bids import NOT_ASKED
from experiment.certificate_files import verdict_with, write_certificate
from experiment.events import events_of, events_path, events_path_of, events_text, run_of, write_events
from experiment.journal import Journal
from experiment.participants import enrol
from experiment.run_journal import read_run
from protocols.folder import RunId, StudyFolder, exclusive
from protocols.problems import FoolscanError
from protocols.provenance import read_provenance, sidecar_path


@dataclass(frozen=True)
class Recovered:
    """One journal of a folder, and what came of it.

    events : the events file that was written, or finished; None when nothing had to be, or could be, recovered.
    note   : why, in a few words.
    """

    journal: Path
    events: Path | None
    note: str


def recover(root: Path, journal: Path | None = None, *, validated: bool = True) -> list[Recovered]:
    """Write what every run that was cut off still lacks: events, sidecar, participant, certificate.

    root      : the study folder.
    journal   : one journal to recover, such as that of an aborted attempt: those are left alone unless they are named.
    validated : whether certificates shall say if the folder is valid BIDS (once, when all else is written).

    Nothing that exists is overwritten; the events of an aborted attempt whose run was repeated meanwhile go to
    ``derivatives/foolscan/attempts/``. Raises FoolscanError when there are no journals, the one named has its events,
    or is no journal.
    """
    folder = StudyFolder(root)
    paths = [journal] if journal is not None else sorted(folder.journals.glob("*_journal.jsonl"))
    if not paths:
        raise FoolscanError(f"{folder.journals}: found no journals; is {root} the study folder?")
    if journal is not None:
        found = [_recover_named(folder, journal)]
    else:
        _sweep(folder)
        found = [_recover(folder, path) for path in paths]
    _certify(folder, [(item.journal, item.events) for item in found if item.events is not None], validated=validated)
    return found


def finish_recorded(folder: StudyFolder, runs: Iterable[RunId]) -> None:
    """Write what runs that were shown to their end still lack: their process died while it wrote what came of them."""
    for run in runs:
        events, certificate = _events_there(folder, run), _certificate_of(folder, run)
        if events is not None and sidecar_path(events).exists() and certificate.exists():
            continue
        if folder.journal(run).exists():
            with suppress(FoolscanError), exclusive(folder.journal(run), run.stem):
                journal = read_run(folder.journal(run))
                if journal.complete:
                    _finish(folder, journal)
            events = _events_there(folder, run)
            _certify(folder, [(folder.journal(run), events)] if events is not None else [])


def _recover(folder: StudyFolder, path: Path) -> Recovered:
    """Finish one run of a folder, unless somebody aborted it."""
    kept = "an aborted attempt, kept (recover it with --journal)"
    if "_aborted-" in path.name:
        return Recovered(path, None, kept)
    try:
        journal = read_run(path)
        run = run_of(journal)
        with exclusive(folder.journal(run), run.stem):
            journal = read_run(path)
            if journal.end is not None and not journal.complete:
                return Recovered(path, None, kept)  # the process died between its last word and the new name
            return _finish(folder, journal)
    except FoolscanError as error:
        return Recovered(path, None, str(error))


def _recover_named(folder: StudyFolder, path: Path) -> Recovered:
    """Recover one journal on request; its run may have been repeated meanwhile."""
    journal = read_run(path)
    run = run_of(journal)
    with exclusive(folder.journal(run), run.stem):
        existing = _events_there(folder, run)
        if existing is None:
            return _finish(folder, journal)
        events = folder.derived("attempts") / path.name.replace("_journal.jsonl", "_events.tsv")
        if events.exists() or "_aborted-" not in path.name or _is_from(existing, path):
            raise FoolscanError(f"{events if events.exists() else existing}: exists already; nothing is overwritten")
        if not events_of(journal):
            return Recovered(path, None, "no trial was shown: nothing to recover")
        return Recovered(path, write_events(folder, journal, events), "the run was repeated; kept apart from it")


def _finish(folder: StudyFolder, journal: Journal) -> Recovered:
    """Write what a run lacks, but for its certificate; what there is stays as it is."""
    run = run_of(journal)
    existing = _events_there(folder, run)
    certificate = _certificate_of(folder, run)
    shown = events_of(journal)
    if existing is None and not shown:
        return Recovered(journal.path, None, "no trial was shown: nothing to recover")
    if existing is not None and sidecar_path(existing).exists() and certificate.exists():
        return Recovered(journal.path, None, "has its events")
    enrol(folder, run.sub, simulated=bool(journal.header["rehearsal"]))
    note = f"cut off: {len(shown)} trials shown"
    if journal.complete:
        note = (
            "complete"
            if journal.end is not None
            else "complete: all was shown, only the journal's last word is lacking"
        )
    events = existing or events_path_of(folder, journal)
    if existing is None:
        write_events(folder, journal)
    elif not sidecar_path(events).exists():
        if events.read_text(encoding="utf-8") != events_text(shown):
            return Recovered(journal.path, None, f"{events}: does not say what the journal says; it is left as it is")
        write_events(folder, journal)  # the same bytes, and the sidecar
    return Recovered(journal.path, events, note)


def _certify(folder: StudyFolder, written: Iterable[tuple[Path, Path]], *, validated: bool = True) -> None:
    """Write the certificates that runs lack, once their folder is whole: only then can it be valid.

    written : journal and events of each run.
    """
    lacking = []
    for path, events in written:
        journal = read_run(path)
        run = run_of(journal)
        if events == _events_there(folder, run) and not _certificate_of(folder, run).exists():
            lacking.append((journal, events))
    bids = verdict_with(folder, [journal for journal, _ in lacking]) if validated else NOT_ASKED
    for journal, events in lacking:
        with exclusive(folder.journal(run_of(journal)), run_of(journal).stem):
            write_certificate(folder, journal, events, bids)


def _events_there(folder: StudyFolder, run: RunId) -> Path | None:
    paths = (events_path(folder, run, scanner=scanner) for scanner in (True, False))
    return next((path for path in paths if path.exists()), None)


def _certificate_of(folder: StudyFolder, run: RunId) -> Path:
    return folder.derived("certificates") / f"{run.stem}_certificate.json"


def _is_from(events: Path, journal: Path) -> bool:
    """Whether events were made from this journal."""
    try:
        inputs = read_provenance(events)["inputs"]
    except FoolscanError:
        return True  # nobody knows
    return any(Path(name).name == journal.name for name in inputs)


def _sweep(folder: StudyFolder) -> None:
    """Remove the half-written temporary files that killed processes left of runs; those of a run that lasts stay."""
    for path in folder.root.rglob(".sub-*_task-*_run-*.tmp*"):
        form = re.match(
            r"\.sub-([^_]+)_ses-([^_]+)_task-([^_]+)_run-([0-9]+)_(?:events|timeline|design|certificate)\b", path.name
        )
        if form is None:
            continue
        run = RunId(form[1], form[2], form[3], int(form[4]))
        with suppress(FoolscanError), exclusive(folder.journal(run), run.stem):
            path.unlink(missing_ok=True)
