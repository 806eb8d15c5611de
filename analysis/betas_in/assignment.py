"""Which runs betas are imported for, and which maps of a source belong to which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.betas_in.given import GivenMap
from analysis.betas_in.given_tables import RunRow, read_runs_table
from analysis.betas_in.matching import Logged
from protocols.folder import RunId
from protocols.problems import FoolscanError


@dataclass(frozen=True)
class Target:
    """Where maps go: one run, or all runs of one session in one model.

    part : its number in a source of several runs, from 1, where a table says it.
    """

    runs: tuple[RunId, ...]
    whole_session: bool
    part: int | None = None

    @property
    def stem(self) -> str:
        """Of the files; ``run-all`` for a session."""
        return f"{self.runs[0].stem.rsplit('_run-', 1)[0]}_run-all" if self.whole_session else self.runs[0].stem


def targets_of_table(table: Path, source: Path, logged: Sequence[RunId]) -> dict[Path, list[Target]]:
    """The targets of every source file that a table of runs names, in the table's order.

    source : the folder (or file) that its paths are relative to.
    logged : the study's runs that have events.

    Raises FoolscanError at the row of a run that was not logged.
    """
    found: dict[Path, list[Target]] = {}
    for row in read_runs_table(table):
        path = source if row.path is None else source / row.path
        found.setdefault(path, []).append(_target(table, row, logged))
    return found


def _target(table: Path, row: RunRow, logged: Sequence[RunId]) -> Target:
    of_session = [run for run in logged if (run.sub, run.ses) == (row.sub, row.ses)]
    runs = of_session if row.run is None else [run for run in of_session if run.run == row.run]
    if not runs:
        asked = f"sub-{row.sub} ses-{row.ses}" + ("" if row.run is None else f" run-{row.run:02d}")
        raise FoolscanError(f"{table}:{row.line}: {asked}: no such run was logged; there are {_listed(logged)}")
    return Target(tuple(runs), row.run is None, row.part)


def targets_of_labels(logged: Sequence[RunId], sub: str | None, ses: str | None, run: str | None) -> list[Target]:
    """The targets that labels on the command line name.

    run : a number, ``all`` (one model of the whole session), or None: every run of the subject (and session).

    Raises FoolscanError when nothing logged has these labels.
    """
    if sub is None:
        raise FoolscanError(f"--sub: found none; whose betas are they? Logged: {_listed(logged)}. Or give --table")
    mine = [item for item in logged if item.sub == sub.removeprefix("sub-")]
    mine = [item for item in mine if ses is None or item.ses == ses.removeprefix("ses-")]
    if run is not None and run != "all":
        digits = run.removeprefix("run-")
        if not digits.isdecimal():
            raise FoolscanError(f"--run: found {run!r}, expected a number from 1, or all")
        mine = [item for item in mine if item.run == int(digits)]
    if not mine:
        asked = f"--sub {sub}{f' --ses {ses}' if ses else ''}{f' --run {run}' if run else ''}"
        raise FoolscanError(f"{asked}: no such run was logged; there are {_listed(logged)}")
    if run != "all":
        return [Target((item,), False) for item in mine]
    sessions = list(dict.fromkeys(item.ses for item in mine))
    return [Target(tuple(item for item in mine if item.ses == name), True) for name in sessions]


def assigned(
    maps: Sequence[GivenMap],
    targets: Sequence[Target],
    presented: Mapping[Target, Sequence[Logged]],
    *,
    single_trials: bool,
) -> dict[Target, dict[int, GivenMap]]:
    """The maps of every target, by their places in the source.

    presented     : what was logged, by target.
    single_trials : maps without a run are then cut up by the logged numbers of trials.

    Raises FoolscanError when a run has no maps, maps belong to no run that is asked for, or nothing says which is which.
    """
    if any(given.run is not None for given in maps):
        return _by_label(maps, targets)
    if any(given.part is not None for given in maps):
        return _by_part(maps, targets)
    if len(targets) == 1:
        return {targets[0]: dict(enumerate(maps))}
    if not single_trials:
        raise FoolscanError(
            f"{maps[0].where}: found maps that do not say their run, for {len(targets)} runs "
            f"({_listed([target.runs[0] for target in targets])}); name one with --ses and --run, or give --table"
        )
    return _by_count(maps, targets, presented)


def _by_label(maps: Sequence[GivenMap], targets: Sequence[Target]) -> dict[Target, dict[int, GivenMap]]:
    found: dict[Target, dict[int, GivenMap]] = {target: {} for target in targets}
    for place, given in enumerate(maps):
        fitting = [
            target
            for target in targets
            if any(given.run == run.run and given.ses in (None, run.ses, f"ses-{run.ses}") for run in target.runs)
        ]
        if len(fitting) != 1:
            told = f"run {given.run}" + (f" of ses-{given.ses}" if given.ses else "")
            why = "which is not asked for" if not fitting else "which several sessions have; add a column ses"
            raise FoolscanError(
                f"{given.where}: found {told}, {why}; expected {_listed([run for target in targets for run in target.runs])}"
            )
        found[fitting[0]][place] = given
    for target, mine in found.items():
        if not mine:
            raise FoolscanError(
                f"{maps[0].where}: found no map of {target.stem}; was the run left out? Then name the others with --table"
            )
    return found


def _by_part(maps: Sequence[GivenMap], targets: Sequence[Target]) -> dict[Target, dict[int, GivenMap]]:
    parts = sorted({given.part for given in maps if given.part is not None})
    told = [target.part for target in targets]
    numbers: list[int] = [part for part in told if part is not None] or list(range(1, len(targets) + 1))
    if len(numbers) != len(targets):
        raise FoolscanError(
            f"{maps[0].where}: column part: found it in {len(numbers)} of {len(targets)} rows; give it in all or in none"
        )
    if len(set(numbers)) != len(numbers) or (None in told and numbers != parts) or not set(numbers) <= set(parts):
        raise FoolscanError(
            f"{maps[0].where}: found runs {', '.join(map(str, parts))} in the source; asked for {len(targets)} "
            f"({_listed([target.runs[0] for target in targets])}), as {', '.join(map(str, numbers))}. Is a run missing? Say which is which "
            "with --table: sub, ses, run and part"
        )
    return {
        target: {place: given for place, given in enumerate(maps) if given.part == number}
        for target, number in zip(targets, numbers, strict=True)
    }


def _by_count(
    maps: Sequence[GivenMap], targets: Sequence[Target], presented: Mapping[Target, Sequence[Logged]]
) -> dict[Target, dict[int, GivenMap]]:
    counts = [len(presented[target]) for target in targets]
    every = [item for target in targets for item in presented[target]]
    for row, (given, item) in enumerate(zip(maps, every, strict=False), start=1):
        if given.stim_id is not None and given.stim_id != item.stim_id:
            raise FoolscanError(
                f"{given.where}: trial {row}: found {given.stim_id!r}; logged: {item.stim_id!r} ({item.where}). Are the runs in another "
                "order, or is one missing? Name them in the source's order with --table"
            )
    if len(maps) != sum(counts):
        runs = ", ".join(f"{target.stem} {count}" for target, count in zip(targets, counts, strict=True))
        raise FoolscanError(
            f"{maps[0].where}: found {len(maps)} trials; logged: {sum(counts)} ({runs}). First mismatch: trial "
            f"{min(len(maps), sum(counts)) + 1}. Is a run missing (name the others in order with --table), or are blanks among the maps "
            "(give --trials with n/a for them)?"
        )
    found: dict[Target, dict[int, GivenMap]] = {}
    start = 0
    for target, count in zip(targets, counts, strict=True):
        found[target] = {place: maps[place] for place in range(start, start + count)}
        start += count
    return found


def _listed(runs: Sequence[RunId]) -> str:
    stems = [run.stem for run in runs]
    return ", ".join(stems[:4]) + (f" … ({len(stems)} runs)" if len(stems) > 4 else "")
