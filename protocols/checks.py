"""Cross-checks of a study, alone and on a rig, before anything starts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.display_checks import display_notes, display_problems
from protocols.dissimilarity_names import NOISE_NORMALISED
from protocols.image_sets import FolderSource
from protocols.online_checks import online_problems
from protocols.problems import Problem
from protocols.rig import Rig
from protocols.rig_device_checks import device_problems
from protocols.screen_checks import pace_problems, screen_problems
from protocols.study import ImagesTask, Study


@dataclass(frozen=True)
class Checked:
    """What the cross-checks found.

    problems : mistakes and missing things; empty when the study can start.
    notes    : what is rounded or derived, for the reader to agree with.
    """

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def check(study: Study, rig: Rig | None = None) -> Checked:
    """Cross-check a study, and on a rig if one is given.

    study : a loaded study.
    rig   : the place it shall be shown at.
    """
    problems = [*_pictures(study), *_analysis(study), *online_problems(study)]
    if rig is None or rig.rehearsal:
        problems += _rehearsal(study)
    notes: list[str] = []
    for name, task in study.tasks.items():
        problems += [*_trials(study, name, task), *screen_problems(study, name, task)]
        if rig is not None:
            problems += [*display_problems(study, rig, name, task), *pace_problems(study, rig, name, task)]
            notes += display_notes(rig, name, task)
    if rig is not None:
        problems += device_problems(study, rig)
    return Checked(tuple(problems), tuple(notes))


def _pictures(study: Study) -> Iterator[Problem]:
    source = study.stimuli.pictures
    if not isinstance(source, FolderSource):
        return
    folder = study.folder / source.folder
    if not folder.is_dir():
        remedy = "The paper's photographs are not published: put your own there, or set stimuli.pictures to {kind: picturebook}"
        yield study.problem(
            "stimuli.pictures.folder", f"no folder {folder}", "a folder of pictures", remedy, needed=True
        )
    elif not (folder / source.labels).is_file():
        columns = "columns file, category, supercategory, animal, network_class"
        yield study.problem(
            "stimuli.pictures.labels",
            f"no file {folder / source.labels}",
            f"a tab-separated table with {columns}",
            needed=True,
        )


def _analysis(study: Study) -> Iterator[Problem]:
    glm, tr_s = study.analysis.glm, study.scan.tr_s
    if glm.high_pass_hz >= 1 / (2 * tr_s):
        found = f"{glm.high_pass_hz:g} Hz, which leaves nothing of images every {tr_s:g} s"
        yield study.problem("analysis.glm.high_pass_hz", found, f"below {1 / (2 * tr_s):g} Hz = 1 / (2 x scan.tr_s)")
    plan = study.analysis
    sets = study.tasks[plan.task].sets if plan.task in study.tasks else ()
    if sets and plan.voxels.images not in ("all", *sets):
        allowed = f"all, or a set that task {plan.task} shows: {', '.join(sets)}"
        yield study.problem("analysis.voxels.images", repr(plan.voxels.images), allowed)
    if plan.dissimilarity in NOISE_NORMALISED and glm.pattern == "t":
        yield study.problem(
            "analysis.glm.pattern", f"t with {plan.dissimilarity}", "beta: it is divided by the noise already"
        )
    if plan.dissimilarity in NOISE_NORMALISED and plan.pattern_scaling == "z_voxel_run":
        remedy = "the covariance of the noise is in the units of the betas, and takes the place of a z-score"
        yield study.problem(
            "analysis.pattern_scaling", f"z_voxel_run with {plan.dissimilarity}", "none or mean_removed", remedy
        )


def _rehearsal(study: Study) -> Iterator[Problem]:
    observer, brain = study.rehearsal.observer, study.rehearsal.brain
    if observer.rt_floor_s >= observer.rt_median_s:
        allowed = f"less than rt_median_s = {observer.rt_median_s:g} s"
        yield study.problem("rehearsal.observer.rt_floor_s", f"{observer.rt_floor_s:g} s", allowed)
    wanted = study.analysis.voxels.per_subject
    if brain.voxels_per_roi < wanted:
        allowed = f"at least analysis.voxels.per_subject = {wanted}"
        yield study.problem("rehearsal.brain.voxels_per_roi", str(brain.voxels_per_roi), allowed)


def _trials(study: Study, name: str, task: ImagesTask) -> Iterator[Problem]:
    images = study.stimuli.n_categories * len(task.sets)
    if task.fixation_deg >= task.image_deg:
        found = f"{task.fixation_deg:g} degrees"
        yield study.problem(f"tasks.{name}.fixation_deg", found, f"smaller than image_deg = {task.image_deg:g}")
    if task.instructions and task.language not in task.instructions:
        allowed = f"a language of its instructions: {', '.join(task.instructions)}"
        yield study.problem(f"tasks.{name}.language", repr(task.language), allowed)
    distance, shown = task.order.source_distance, study.stimuli.n_categories
    shown = shown // 2 if task.presentation == "half_twice" else shown
    if distance > shown:
        allowed = f"at most {shown}, the categories of a run"
        yield study.problem(f"tasks.{name}.order.source_distance", str(distance), allowed)
    if task.presentation == "half_twice" and study.stimuli.n_categories % 2:
        yield study.problem(
            f"tasks.{name}.presentation", "half_twice with an odd n_categories", "an even number of categories"
        )
    if task.stimulus_trials != images:
        allowed = f"{images}: {study.stimuli.n_categories} categories x {len(task.sets)} sets, {task.presentation}"
        yield study.problem(f"tasks.{name}.stimulus_trials", str(task.stimulus_trials), allowed)
    scan_s = study.scan.volumes * study.scan.tr_s
    if task.run_s > scan_s + 1e-9 and not task.self_paced:
        enough = math.ceil(task.run_s / study.scan.tr_s - 1e-9)
        found = f"{study.scan.volumes} volumes ({scan_s:g} s) for a run of {task.run_s:g} s"
        yield study.problem("scan.volumes", found, f"at least {enough} volumes of {study.scan.tr_s:g} s")
    if task.response_window_s > task.image_s + task.blank_s and not task.self_paced:
        found = f"{task.response_window_s:g} s"
        yield study.problem(
            f"tasks.{name}.response_window_s", found, f"at most image_s + blank_s = {task.image_s + task.blank_s:g} s"
        )
