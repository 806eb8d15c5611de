"""Design matrices: what is shown, convolved with a response, beside drifts and confounds; of one run or of several end to end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from analysis.events import Event
from analysis.glm.drift import drifts
from analysis.glm.hrf import DoubleGamma, delays_in, fir, nilearn_peak
from protocols.glm_plan import GlmPlan
from protocols.problems import FoolscanError
from protocols.study import ScanProtocol

CONVOLUTION_STEP_S = 0.1  # onsets are rounded to this grid or a finer one before nilearn convolves them with the HRF
BLANK = "blank"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RunInputs:
    """What goes into the design of one run.

    images    : the rows of events.tsv that show an image.
    blanks    : its blank trials, when they are a condition.
    scan      : TR and number of the volumes that are analysed.
    start_s   : time within the TR that a volume's signal stands for, s (slice_time_ref · TR).
    first_s   : when the first volume that is analysed begins, s on the axis of the events (after dummies that are stored).
    confounds : (n_volumes, n_confounds).
    names     : of the confounds.
    """

    images: Sequence[Event]
    scan: ScanProtocol
    start_s: float
    blanks: Sequence[Event] = ()
    first_s: float = 0.0
    confounds: Floats | None = None
    names: tuple[str, ...] = ()

    @property
    def times_s(self) -> Floats:
        """(n_volumes,) what the volumes stand for, s from the first that is analysed."""
        return np.asarray(self.start_s + np.arange(self.scan.volumes) * self.scan.tr_s)


@dataclass(frozen=True)
class Pattern:
    """What one pattern of betas stands for.

    presentations : of the image, in the runs of the design.
    trial         : which presentation of its run, from 1; None for all of an image.
    onset_s       : of that presentation, s as in events.tsv.
    """

    stim_id: str
    presentations: int
    trial: int | None = None
    onset_s: float | None = None


@dataclass(frozen=True)
class Design:
    """A design matrix.

    matrix       : (n_volumes, n_regressors); conditions first, then confounds, drifts and constants.
    names        : of the columns.
    patterns     : what is estimated, in order.
    contrasts    : (n_patterns, n_regressors): a pattern is ``peak · contrasts @ betas``.
    n_conditions : columns of images and blanks.
    peak         : height of an image's regressor for one isolated presentation: a beta times this is the height of the response.
    volumes      : of each run, in order.
    """

    matrix: Floats
    names: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    contrasts: Floats
    n_conditions: int
    peak: float
    volumes: tuple[int, ...]

    @property
    def stim_ids(self) -> tuple[str, ...]:
        """The image of each pattern."""
        return tuple(pattern.stim_id for pattern in self.patterns)

    @property
    def starts(self) -> tuple[int, ...]:
        """The row of each run's first volume."""
        return tuple(sum(self.volumes[:place]) for place in range(len(self.volumes)))


def design_of(
    runs: RunInputs | Sequence[RunInputs], stim_ids: Sequence[str], plan: GlmPlan, hrf: DoubleGamma | None = None
) -> Design:
    """The design of one run, or of several end to end: conditions shared, everything else of each run by itself.

    runs     : in order; several only where a condition is an image.
    stim_ids : the manifest's identifiers, which give the order of columns (single trials: in order of time).
    plan     : model, response, drift.
    hrf      : one response of the library, for `hrf: library`.

    Raises FoolscanError when the regressors are not independent, or more than there are volumes.
    """
    runs = [runs] if isinstance(runs, RunInputs) else list(runs)
    patterns, places = _patterns(runs, stim_ids, plan)
    with_blanks = plan.blanks == "one_regressor"
    n_conditions = len(patterns) + with_blanks
    per = plan.fir_delays if plan.hrf == "fir" else 1
    blocks = [_conditions(run, place, len(patterns), plan, hrf) for run, place in zip(runs, places, strict=True)]
    if with_blanks and not any(run.blanks for run in runs):
        raise FoolscanError("found no row of trial_type blank; analysis.glm.blanks: one_regressor needs blank trials")
    nuisance, nuisance_names = _nuisance(runs, plan)
    matrix = np.hstack([np.vstack(blocks), nuisance])
    labels = [pattern.stim_id if pattern.trial is None else f"trial_{pattern.trial:03d}" for pattern in patterns]
    labels += [BLANK] if with_blanks else []
    names = [label if per == 1 else f"{label}_delay_{delay}" for label in labels for delay in range(per)]
    if plan.model != "lss":  # whose solver checks each trial's own model
        _check(matrix, len(patterns), n_conditions * per, plan)
    contrasts = np.zeros((len(patterns), matrix.shape[1]))
    inside = delays_in(plan.fir_window_s, per, runs[0].scan.tr_s) if plan.hrf == "fir" else [0]
    for row in range(len(patterns)):
        contrasts[row, [row * per + delay for delay in inside]] = 1 / len(inside)
    return Design(
        matrix=matrix,
        names=(*names, *nuisance_names),
        patterns=tuple(patterns),
        contrasts=contrasts,
        n_conditions=n_conditions * per,
        peak=_peak(runs, plan, hrf),
        volumes=tuple(run.scan.volumes for run in runs),
    )


def shared_conditions(
    runs: Sequence[RunInputs], stim_ids: Sequence[str], plan: GlmPlan, hrf: DoubleGamma | None = None
) -> list[tuple[Floats, Floats]]:
    """Conditions that runs share, one per image (and blanks), and the nuisance of each: what predicts one run from others.

    Returns, for each run, (n_volumes, n_conditions) and (n_volumes, n_nuisance); arguments as for `design_of`.
    """
    images = plan.model_copy(update={"model": "session_condition"})
    patterns, places = _patterns(runs, stim_ids, images)
    return [
        (_conditions(run, place, len(patterns), plan, hrf), _nuisance([run], plan)[0])
        for run, place in zip(runs, places, strict=True)
    ]


def _patterns(
    runs: Sequence[RunInputs], stim_ids: Sequence[str], plan: GlmPlan
) -> tuple[list[Pattern], list[list[int]]]:
    """What is estimated, and for each run the pattern that each of its images belongs to."""
    if plan.model in ("single_trial", "lss"):
        (run,) = runs
        trials = [Pattern(str(event.stim_id), 1, i, event.onset_s) for i, event in enumerate(run.images, start=1)]
        return trials, [list(range(len(trials)))]
    shown = [str(event.stim_id) for run in runs for event in run.images]
    images = [Pattern(stim_id, shown.count(stim_id)) for stim_id in stim_ids if stim_id in set(shown)]
    place = {pattern.stim_id: i for i, pattern in enumerate(images)}
    return images, [[place[str(event.stim_id)] for event in run.images] for run in runs]


def _conditions(
    run: RunInputs, place: Sequence[int], n_patterns: int, plan: GlmPlan, hrf: DoubleGamma | None
) -> Floats:
    """The conditions' columns in one run; those of what it does not show are zero.

    place : pattern of each image; blanks come after the last.
    """
    from nilearn.glm.first_level import compute_regressor

    with_blanks = plan.blanks == "one_regressor"
    events = [*run.images, *run.blanks] if with_blanks else list(run.images)
    of_event = np.array([*place, *[n_patterns] * (len(events) - len(place))], dtype=np.intp)
    onsets_s = np.array([event.onset_s - run.first_s for event in events])
    durations_s = np.array([event.duration_s for event in events])
    columns = []
    for condition in range(n_patterns + with_blanks):
        mine = of_event == condition
        if plan.hrf == "fir":
            columns.append(fir(plan.fir_delays, onsets_s[mine], run.times_s, run.scan.tr_s))
        elif not mine.any():
            columns.append(np.zeros((run.scan.volumes, 1)))
        elif hrf is not None:
            columns.append(hrf.response(onsets_s[mine], durations_s[mine], run.times_s)[:, None])
        else:
            triplet = np.stack([onsets_s[mine], durations_s[mine], np.ones(int(mine.sum()))])
            steps = math.ceil(run.scan.tr_s / CONVOLUTION_STEP_S)
            columns.append(compute_regressor(triplet, plan.hrf, run.times_s, oversampling=steps)[0])
    return np.hstack(columns)


def _nuisance(runs: Sequence[RunInputs], plan: GlmPlan) -> tuple[Floats, tuple[str, ...]]:
    """Confounds, drifts and constants, of every run by itself."""
    blocks, names = [], []
    for number, run in enumerate(runs, start=1):
        slow, slow_names = drifts(run.times_s, run.scan, plan)
        confounds = np.empty((run.scan.volumes, 0)) if run.confounds is None else run.confounds
        blocks.append(np.hstack([confounds - confounds.mean(axis=0), slow]))
        prefix = f"run_{number}_" if len(runs) > 1 else ""
        names += [f"{prefix}{name}" for name in (*run.names, *slow_names)]
    return np.asarray(block_diag(*blocks), dtype=np.float64), tuple(names)


def _check(matrix: Floats, n_patterns: int, n_conditions: int, plan: GlmPlan) -> None:
    n_volumes, n_regressors = matrix.shape
    length = np.linalg.norm(matrix, axis=0)
    # a response far below its usual height is that of an image at the very end of the run
    recorded = length > 1e-6 * np.median(length[:n_conditions])
    rank = int(np.linalg.matrix_rank(matrix[:, recorded] / length[recorded]))
    if n_volumes <= n_regressors:
        remedies = ["longer runs", "fewer images in a run", "fewer confounds"]
        remedies += ["fewer fir_delays"] if plan.hrf == "fir" else []
        remedies += ["model session_condition"] if plan.model != "session_condition" else []
        raise FoolscanError(
            f"found {n_regressors} regressors of rank {rank} for {n_volumes} volumes; betas need independent "
            f"regressors and more volumes than regressors: {', '.join(remedies[:-1])}, or {remedies[-1]}"
        )
    if rank < n_regressors:
        raise FoolscanError(
            f"{n_patterns} images: found regressors that are not independent of one another (rank {rank} of {n_regressors}); "
            "are two images at the same time, is one so late that its response is not recorded, or does one confound "
            f"follow from others?{' Fewer fir_delays may help' if plan.hrf == 'fir' else ''}"
        )


def _peak(runs: Sequence[RunInputs], plan: GlmPlan, hrf: DoubleGamma | None) -> float:
    if plan.hrf == "fir":
        return 1.0
    duration_s = float(np.median([event.duration_s for run in runs for event in run.images]))
    return nilearn_peak(plan.hrf, duration_s) if hrf is None else hrf.peak(duration_s)
