"""Which runs there are already, and which is next: nothing is overwritten, and every attempt is kept and linked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiment.events import events_path, rows_shown
from experiment.run_journal import read_run
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError

# done: shown to its end, with events. recovered: cut off, its events made from what was shown. recorded: shown to its
# end, its events still to be made. aborted: ended before its end, nothing made of it yet. pending: not begun.
RunStatus = Literal["done", "recovered", "recorded", "aborted", "pending"]


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run, as its journal tells.

    complete : whether it came to its planned end.
    reason   : why not (empty when it did); ``cut off`` when nothing could be written any more.
    seen     : whether a person has seen a trial of it, and thereby a part of its order (the emulated observer of a
               rehearsal learns nothing: a rehearsal that was interrupted ends like one that was not).
    """

    journal: Path
    complete: bool
    reason: str
    seen: bool


@dataclass(frozen=True)
class NextRun:
    """What a visit goes on with.

    continues   : the attempt that is started again; None when the run is a new one.
    to_recover  : journals of earlier runs that were shown to their end and lack their events.
    """

    run: RunId
    continues: Attempt | None
    to_recover: tuple[Path, ...]


def is_done(folder: StudyFolder, run_id: RunId) -> bool:
    """Whether a run has its events already."""
    return any(events_path(folder, run_id, scanner=scanner).exists() for scanner in (True, False))


def status_of(folder: StudyFolder, run_id: RunId, attempts: Sequence[Attempt] | None = None) -> RunStatus:
    """How a run stands.

    attempts : of this run, where they have been read already.
    """
    attempts = attempts_of(folder, run_id) if attempts is None else attempts
    if is_done(folder, run_id):
        return "done" if not attempts or attempts[-1].complete else "recovered"
    if not attempts:
        return "pending"
    return "recorded" if attempts[-1].complete else "aborted"


def attempts_of(folder: StudyFolder, run_id: RunId) -> tuple[Attempt, ...]:
    """All attempts of a run, the first first."""
    set_aside = sorted(
        (number, path)
        for path in folder.journals.glob(f"{run_id.stem}_aborted-*_journal.jsonl")
        if (number := _number_of(path)) is not None
    )
    last = folder.journal(run_id)
    paths = [path for _, path in set_aside] + ([last] if last.exists() else [])
    return tuple(_attempt(path) for path in paths)


def order_number(folder: StudyFolder, run_id: RunId) -> int:
    """Which of its orders a run has: 1, and one more for each earlier attempt of which a person saw a trial.

    A person who has seen the begin of an order would meet it a second time: learnt, and with answers ready. An attempt
    that ended before its first trial costs nothing, and its order is used.
    """
    last = folder.journal(run_id)
    return 1 + sum(attempt.seen for attempt in attempts_of(folder, run_id) if attempt.journal != last)


def next_run(folder: StudyFolder, run_ids: Sequence[RunId]) -> NextRun:
    """With which run a visit goes on: the first, in the order of the design, that was not shown to its end.

    run_ids : the runs of the visit, in the order of the design.

    Runs that were recovered after having been cut off count as shown: their events are data by decision of the
    operator. Raises FoolscanError when all of them have been shown.
    """
    recorded = []
    for run_id in run_ids:
        attempts = attempts_of(folder, run_id)
        status = status_of(folder, run_id, attempts)
        if status == "recorded":
            recorded.append(folder.journal(run_id))
        elif status == "aborted":
            return NextRun(run_id, attempts[-1], tuple(recorded))
        elif status == "pending":
            return NextRun(run_id, None, tuple(recorded))
    visit = f"sub-{run_ids[0].sub}, ses-{run_ids[0].ses}" if run_ids else "the visit"
    without = ", ".join(path.name for path in recorded)
    remedy = f"; without events yet: {without} (foolscan experiment recover {folder.root})" if recorded else ""
    raise FoolscanError(f"--continue: all {len(run_ids)} runs of {visit} have been shown{remedy}. Use a new --ses")


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
    if _attempt(journal).complete:
        raise FoolscanError(
            f"{name} was recorded ({journal}) but has no events yet: foolscan experiment recover {folder.root}"
        )
    return set_aside_journal(journal)


def set_aside_journal(journal: Path) -> Path:
    """Rename the journal of an unfinished attempt: ``…_aborted-01_journal.jsonl``, or the next free number.

    Its plan goes with it, as ``…_aborted-01_timeline.tsv``, so that the next attempt's stands beside it.
    """
    stem = journal.name.removesuffix("_journal.jsonl")
    number = 1
    while (kept := journal.with_name(f"{stem}_aborted-{number:02d}_journal.jsonl")).exists():
        number += 1
    plans = StudyFolder(journal.parents[2]).derived("timeline")
    for path in sorted(plans.glob(f"{stem}_*")):
        aside = path.with_name(path.name.replace(stem, f"{stem}_aborted-{number:02d}", 1))
        if "_aborted-" not in path.name and not aside.exists():
            path.rename(aside)
    journal.rename(kept)  # last: a cut before it is mended by the next attempt
    return kept


def _number_of(path: Path) -> int | None:
    form = re.search(r"_aborted-([0-9]+)_journal\.jsonl$", path.name)
    return int(form[1]) if form else None


def _attempt(path: Path) -> Attempt:
    try:
        journal = read_run(path)
    except FoolscanError:
        # Cut off in its header, before anything was shown; or damaged, and then nobody knows what was seen.
        return Attempt(path, False, "cut off", seen=b"\n" in path.read_bytes())
    person = journal.header.get("responses", {}).get("kind") != "emulated"
    seen = person and any(item.row.trial is not None for item in rows_shown(journal))
    end = journal.end
    reason = "cut off" if end is None else str(end.get("reason", ""))
    return Attempt(path, journal.complete, "" if journal.complete else reason, seen)
