"""Imports betas: opens a source, matches its maps to the logged trials, and writes them as foolscan stores its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.betas_in.assignment import Target, assigned, targets_of_labels, targets_of_table
from analysis.betas_in.fsl import read_fsl
from analysis.betas_in.given import SINGLE_TRIALS, Given, GivenMap, Kind, Values
from analysis.betas_in.given_tables import Named, read_names_table
from analysis.betas_in.glmsingle import Space, read_glmsingle
from analysis.betas_in.matching import (
    Logged,
    Matching,
    check_conditions,
    logged,
    match_images,
    match_numbered,
    match_trials,
)
from analysis.betas_in.nilearn_maps import read_nilearn
from analysis.betas_in.spm import read_spm
from analysis.betas_in.trial_series import read_surfaces, read_trial_series, with_trials
from analysis.betas_in.writing import Imported, refuse_others, write_target
from analysis.events import check_images, read_events, shown_images
from protocols.folder import StudyFolder
from protocols.locks import exclusive
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Request:
    """What is imported, as the lab states it.

    source        : file or folder.
    kind          : whose format it is.
    units         : of the betas, in words (``percent signal change``); scale : what the stored numbers are multiplied by.
    sub, ses, run : labels of the runs; run may be ``all``: one model of the whole session. Or:
    table         : a table of runs (`read_runs_table`).
    names         : a table of names (`read_names_table`).
    trials        : a table of trials (`read_trials_table`).
    space         : of GLMsingle's rows.
    single_trials : whether maps are single trials; None: as the kind has them.
    as_logged     : the source does not label its trials, and the lab says that they are in the logged order.
    fsl_maps      : contrasts or parameter estimates of FSL.
    replace       : foolscan's own estimates of these runs may be overwritten.
    """

    source: Path
    kind: Kind
    units: str
    scale: float = 1.0
    sub: str | None = None
    ses: str | None = None
    run: str | None = None
    table: Path | None = None
    names: Path | None = None
    trials: Path | None = None
    space: Space = field(default_factory=Space)
    single_trials: bool | None = None
    as_logged: bool = False
    fsl_maps: Literal["cope", "pe"] | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        if not self.units.strip():
            raise FoolscanError("--units: found nothing; say what the betas are in, as: percent signal change")
        if not (np.isfinite(self.scale) and self.scale != 0):
            raise FoolscanError(f"--scale: found {self.scale}; expected a number other than 0")

    @property
    def parameters(self) -> dict[str, Any]:
        """What shapes the stored betas, for their sidecars; without a path of this machine."""
        return {
            "imported_from": self.kind,
            "units": self.units,
            "scale": self.scale,
            "single_trials": self.single_trials,
            "as_logged": self.as_logged,
            "fsl_maps": self.fsl_maps,
            "mask_order": self.space.mask_order,
            "vertices": None if self.space.vertices is None else list(self.space.vertices),
        }


def import_betas(
    study: Study, folder: StudyFolder, request: Request, progress: Progress | None = None
) -> list[Imported]:
    """Import betas that another program estimated.

    study    : names the task; half its TR is by how much onsets may differ.
    folder   : with events of the runs, and the manifest.
    request  : what is imported.
    progress : called with what is being written, how much is done and how much there is.

    Every map is matched before the first is written. Returns what was imported for each run (or session).
    Raises NotReady without events; FoolscanError at the first map and trial that do not go together, for what is not
    readable, for maps that are empty or the same twice, and where foolscan's own betas stand.
    """
    stimuli = read_manifest(folder)
    runs = folder.runs(study.analysis.task)
    if not runs:
        raise NotReady(
            f"{folder.root}: no events of task {study.analysis.task} yet; betas are matched to logged trials"
        )
    if request.table is not None:
        sources = targets_of_table(request.table, request.source, runs)
    else:
        sources = {request.source: targets_of_labels(runs, request.sub, request.ses, request.run)}
    names = read_names_table(request.names) if request.names else {}
    matched: list[tuple[Given, Target, Matching]] = []
    for path, targets in sources.items():
        given = _opened(request, path, targets, stimuli, names)
        matched += [
            (given, target, found)
            for target, found in _matched(study, folder, request, given, targets, stimuli).items()
        ]
    tables = [path for path in (request.table, request.names) if path is not None]
    imported = []
    with exclusive(folder.derived("betas"), "the betas of this study folder"):
        for _, target, _ in matched:
            refuse_others(folder, target, replace=request.replace)
        for done, (given, target, matching) in enumerate(matched):
            if progress:
                progress(target.stem, done, len(matched))
            values = _values(given, matching, request.scale)
            imported.append(
                write_target(study, folder, given, target, matching, values, stimuli, request.parameters, tables)
            )
    if progress:
        progress("", len(matched), len(matched))
    return imported


def _opened(
    request: Request, path: Path, targets: Sequence[Target], stimuli: Sequence[Stimulus], names: Mapping[str, Named]
) -> Given:
    stim_ids = [stimulus.stim_id for stimulus in stimuli]
    first = targets[0].runs[0]
    subjects = {run.sub for target in targets for run in target.runs}
    if len(subjects) > 1:
        raise FoolscanError(
            f"{path}: asked for subjects {', '.join(sorted(subjects))}; a source is of one. Give each its own path in --table"
        )
    if request.kind == "spm":
        given = read_spm(path, stim_ids, names)
    elif request.kind == "fsl":
        given = read_fsl(path, stim_ids, names, request.fsl_maps)
    elif request.kind == "nilearn":
        given = read_nilearn(path, first, stim_ids, names, whole_session=targets[0].whole_session)
    elif request.kind == "glmsingle":
        given = read_glmsingle(path, request.space)
        given = with_trials(given, request.trials, "trials") if request.trials else given
    elif request.kind == "gifti":
        given = read_surfaces(path, request.trials, first)
    else:
        given = read_trial_series(path, request.trials)
    if not given.maps:
        raise FoolscanError(f"{path}: found no map of an image; left out: {', '.join(given.left_out) or 'none'}")
    _check_names(request, given, names)
    return given


def _check_names(request: Request, given: Given, names: Mapping[str, Named]) -> None:
    """Refuse a row of the table of names that names nothing."""
    if request.names is None:
        return
    heard = {item.name for item in given.maps} | set(given.left_out)
    for name, told in names.items():
        if name not in heard and not any(name in item for item in given.left_out):
            raise FoolscanError(
                f"{request.names}:{told.line}: name: found {name!r}, which the source does not have; it has "
                f"{', '.join(sorted(heard)[:4])} … Misspelt?"
            )


def _matched(
    study: Study,
    folder: StudyFolder,
    request: Request,
    given: Given,
    targets: Sequence[Target],
    stimuli: Sequence[Stimulus],
) -> dict[Target, Matching]:
    order = [stimulus.stim_id for stimulus in stimuli]
    presented = {target: _presented(study, folder, target, order) for target in targets}
    single = (request.kind in SINGLE_TRIALS) if request.single_trials is None else request.single_trials
    mine = assigned(given.maps, targets, presented, single_trials=single)
    tolerance_s = study.scan.tr_s / 2
    by_condition = False
    if single and all(len(mine[target]) == len(presented[target]) for target in targets):
        maps = [item for target in targets for item in mine[target].values()]
        by_condition = check_conditions(maps, [item for target in targets for item in presented[target]])
    unlabelled = single and all(item.stim_id is None for item in given.maps)
    if unlabelled and not by_condition and not request.as_logged:
        raise FoolscanError(
            f"{given.maps[0].where}: found {len(given.maps)} trials without labels; give --trials (a table with stim_id, one row per "
            "trial), or say that they are in the logged order with --as-logged"
        )
    found = {}
    for target in targets:
        found[target] = _match(mine[target], presented[target], order, tolerance_s, single_trials=single)
        if by_condition:
            found[target] = replace(found[target], checked=f"{found[target].checked}, condition numbers one to one")
    return found


def _match(
    maps: Mapping[int, GivenMap],
    presented: Sequence[Logged],
    order: Sequence[str],
    tolerance_s: float,
    *,
    single_trials: bool,
) -> Matching:
    if any(item.trial is not None for item in maps.values()):
        return match_numbered(maps, presented, order, tolerance_s)
    if single_trials:
        return match_trials(maps, presented, tolerance_s)
    return match_images(maps, presented, order, tolerance_s)


def _presented(study: Study, folder: StudyFolder, target: Target, stim_ids: list[str]) -> list[Logged]:
    found = []
    run_s = (study.scan.stored_dummies + study.scan.volumes) * study.scan.tr_s
    for number, run in enumerate(target.runs):
        path = folder.events(run)
        images = shown_images(read_events(path))
        check_images(path, images, stim_ids)
        found += logged(path, run.run, images, number * run_s)
    return found


def _values(given: Given, matching: Matching, scale: float) -> Values:
    """The values of a run's maps, in the order of the matches; FoolscanError for a map that is empty, or there twice."""
    places = [match.place for match in matching.matches]
    values = given.read(places)
    seen: dict[bytes, GivenMap] = {}
    for column, place in enumerate(places):
        item = given.maps[place]
        parts = [values[key][..., column] for key in sorted(values)]
        if not any(_has_signal(part) for part in parts):
            raise FoolscanError(
                f"{item.where}: {item.name}: found no value that is finite and not 0; estimate or export the map again"
            )
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).digest()
        first = seen.setdefault(digest, item)
        if first is not item:
            raise FoolscanError(
                f"{item.where}: {item.name}: found the same values as {first.name} ({first.where}); was a file copied to two names?"
            )
    return (
        values if scale == 1 else {key: (part * np.float32(scale)).astype(np.float32) for key, part in values.items()}
    )


def _has_signal(part: NDArray[np.float32]) -> bool:
    return bool((np.isfinite(part) & (part != 0)).any())
