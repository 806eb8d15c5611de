"""Brings runs from one copy of a study folder into another: by hash, each run whole or not at all, nothing overwritten."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from protocols.folder import StudyFolder, atomic_path, exclusive, open_folder, read_json, write_bytes, write_text
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of
from stimulus_pc.run_files import RunFiles, runs_in

WAIT_S = 10.0


@dataclass(frozen=True)
class Copy:
    """A file that is to come, and where it will stand."""

    source: Path
    target: Path


@dataclass(frozen=True)
class RunPlan:
    """What a merge does for one run.

    copies    : files that the target lacks; none: the run is there already.
    conflicts : files that both have, with other contents.
    """

    files: RunFiles
    copies: tuple[Copy, ...]
    conflicts: tuple[Path, ...]


@dataclass(frozen=True)
class Merged:
    """What a merge did (or, asked only, would do), one line for each run and for the list of participants."""

    lines: tuple[str, ...]
    files_copied: int


def merge(source: Path, to: Path, *, dry_run: bool = False) -> Merged:
    """Copy what runs left in one study folder into another.

    source  : the folder from the stimulus PC; it is only read.
    to      : the study folder. A file that is there with the same content is left alone.
    dry_run : say what would be done.

    Each run is copied under its own lock, whole or not at all; interrupted, the same command goes on. Of shared files only
    the list of participants changes: it gains the rows that it lacks. Raises FoolscanError, before anything is written,
    with a list of everything that differs; and when one folder is a rehearsal and the other is not, the images are not
    the same, or a run is still being recorded.
    """
    theirs, ours = StudyFolder(source), StudyFolder(to)
    simulated = _refuse_strangers(theirs, ours)
    plans = [_planned(theirs, ours, files) for files in runs_in(theirs)]
    if not plans:
        raise FoolscanError(f"{source}: found no runs; is it the folder that the stimulus PC wrote into?")
    _refuse_conflicts(plans)
    lines = [_line(plan, dry_run=dry_run) for plan in plans]
    rows = _rows_lacking(theirs, ours, {plan.files.run.sub for plan in plans})
    lines += [f"participants.tsv: {'would gain' if dry_run else 'gained'} {row['participant_id']}" for row in rows]
    left_out = _columns_left_out(theirs, ours) if rows else []
    if left_out:
        lines.append(f"participants.tsv: {', '.join(left_out)} of {source} is no column here, and stays there")
    if dry_run:
        return Merged(tuple(lines), 0)
    if simulated is not None:
        open_folder(to, str(read_json(to / "dataset_description.json")["Name"]), rehearsal=simulated)
    for plan in plans:
        if plan.copies:
            _bring(theirs, ours, plan.files)
    _enrol(theirs, ours, {plan.files.run.sub for plan in plans})
    return Merged(tuple(lines), sum(len(plan.copies) for plan in plans))


def _refuse_strangers(theirs: StudyFolder, ours: StudyFolder) -> bool | None:
    """Whether what comes is simulated, when the target holds no recordings yet; FoolscanError when the two do not fit."""
    for folder in (theirs, ours):
        if not (folder.root / "dataset_description.json").is_file():
            raise FoolscanError(f"{folder.root}: found no dataset_description.json; give a study folder")
    if theirs.root.resolve() == ours.root.resolve():
        raise FoolscanError(f"{theirs.root}: is both the source and the target; give two folders")
    comes, stands = (read_json(folder.root / "dataset_description.json").get("Simulated") for folder in (theirs, ours))
    if comes is not None and stands is not None and comes != stands:
        kinds = {True: "a rehearsal (simulated)", False: "people's data"}
        raise FoolscanError(
            f"{theirs.root} holds {kinds[bool(comes)]}, {ours.root} {kinds[bool(stands)]}; the two are never mixed, nothing was "
            "written. Give the other folder with --to"
        )
    if theirs.manifest.exists() and ours.manifest.exists() and sha256_of(theirs.manifest) != sha256_of(ours.manifest):
        raise FoolscanError(
            f"{theirs.manifest} and {ours.manifest} differ: the runs showed other images than these; nothing was written. Give "
            "the study folder that the bundle was made from"
        )
    return bool(comes) if stands is None and comes is not None else None


def _planned(theirs: StudyFolder, ours: StudyFolder, files: RunFiles) -> RunPlan:
    copies, conflicts = [], []
    corrections = (ours.root / "sourcedata" / "corrections").glob(f"{files.run.stem}_*")
    corrected_here = {sha256_of(path) for path in corrections}  # the events as they were are kept there
    for path in (*([files.session] if files.session else []), *files.files):
        target = ours.root / theirs.relative(path)
        if not target.exists():
            copies.append(Copy(path, target))
        elif (sent := sha256_of(path)) != sha256_of(target) and sent not in corrected_here:
            conflicts.append(target)
    return RunPlan(files, tuple(copies), tuple(conflicts))


def _refuse_conflicts(plans: Sequence[RunPlan]) -> None:
    conflicts = list(dict.fromkeys(path for plan in plans for path in plan.conflicts))
    if conflicts:
        listed = "\n  ".join(map(str, conflicts))
        raise FoolscanError(
            f"{len(conflicts)} files are there already with other contents; nothing of these runs was written. Were two "
            f"different runs given the same number? Compare, and move one of each pair aside:\n  {listed}"
        )


def _line(plan: RunPlan, *, dry_run: bool) -> str:
    if not plan.copies:
        return f"{plan.files.run.stem}: is there already"
    return f"{plan.files.run.stem}: {len(plan.copies)} files {'would come' if dry_run else 'came'}"


def _bring(theirs: StudyFolder, ours: StudyFolder, files: RunFiles) -> None:
    """Copy one run under its lock; when anything fails, what had come of it goes again."""
    run = files.run
    what = f"run {run.run} of sub-{run.sub}, ses-{run.ses}"
    with ExitStack() as locks:
        locks.enter_context(_not_being_recorded(theirs.journal(run), what))
        locks.enter_context(exclusive(ours.journal(run), what))
        locks.enter_context(
            exclusive(ours.session_record(run.sub, run.ses), f"sub-{run.sub}, ses-{run.ses}", wait_s=WAIT_S)
        )
        plan = _planned(theirs, ours, files)  # somebody may have been here since
        _refuse_conflicts([plan])
        came: list[Path] = []
        try:
            for copy in plan.copies:
                _copied(copy)
                came.append(copy.target)
        except BaseException:
            for path in reversed(came):
                path.unlink(missing_ok=True)
            raise


def _copied(copy: Copy) -> None:
    with atomic_path(copy.target) as temporary:
        shutil.copyfile(copy.source, temporary)
        if sha256_of(temporary) != sha256_of(copy.source):
            raise FoolscanError(f"{copy.source}: was not read the same twice; is the disk or stick all right?")


@contextmanager
def _not_being_recorded(journal: Path, what: str) -> Iterator[None]:
    """Nobody records the run in the source meanwhile; a stick that cannot be written has nobody who does."""
    lock = journal.with_name(journal.name + ".lock")
    if not lock.exists():
        yield
        return
    with exclusive(journal, f"{what} in {journal.parents[2]}"):
        yield


def _table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    if not path.exists():
        return [], []
    text = path.read_text(encoding="utf-8")
    reader = csv.DictReader(io.StringIO(text), delimiter="\t")
    columns, rows = list(reader.fieldnames or ()), list(reader)
    if "participant_id" not in columns or any(None in row or None in row.values() for row in rows):
        raise FoolscanError(f"{path}: found columns {', '.join(columns)}, or a row of another length; mend it")
    return columns, rows


def _rows_lacking(theirs: StudyFolder, ours: StudyFolder, subs: set[str]) -> list[dict[str, str]]:
    _, rows = _table(theirs.root / "participants.tsv")
    _, known = _table(ours.root / "participants.tsv")
    there = {row["participant_id"] for row in known}
    wanted = {f"sub-{sub}" for sub in subs}
    return [row for row in rows if row["participant_id"] in wanted - there]


def _columns_left_out(theirs: StudyFolder, ours: StudyFolder) -> list[str]:
    columns, _ = _table(theirs.root / "participants.tsv")
    known, _ = _table(ours.root / "participants.tsv")
    return [column for column in columns if known and column not in known]


def _enrol(theirs: StudyFolder, ours: StudyFolder, subs: set[str]) -> None:
    """Add the rows that the target's list of participants lacks; its own rows and columns stay as they are."""
    path = ours.root / "participants.tsv"
    with exclusive(path, "the list of participants", wait_s=WAIT_S):
        lacking = _rows_lacking(theirs, ours, subs)
        if not lacking:
            return
        columns, rows = _table(path)
        columns = columns or list(lacking[0])
        rows += [{column: row.get(column, "n/a") for column in columns} for row in lacking]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["participant_id"]))
        write_text(path, text.getvalue())
        description = path.with_suffix(".json")
        with suppress(FileNotFoundError):
            if not description.exists():
                write_bytes(description, theirs.root.joinpath(description.name).read_bytes())
