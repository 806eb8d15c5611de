"""Voxel selection by reliability: chosen on some runs, analysed on others, unless done as published."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.patterns import Patterns, is_shown, mean_over_runs
from analysis.searchlight import searchlight_reliability
from protocols.problems import FoolscanError
from protocols.voxel_plan import VoxelSelection

MOST_TOLD = 3  # runs in a message
CIRCULAR_NOTE = "circular: voxels were selected on the same runs that are analysed, as published"


@dataclass(frozen=True)
class Selection:
    """Which voxels of an ROI were chosen, on which runs, and for which runs.

    select_runs  : indices of the runs that the reliability was computed on.
    analyse_runs : indices of the runs that these voxels are for.
    voxels       : (n_selected,) indices into the ROI's voxels, most reliable first.
    reliability  : (n_selected,) their reliability on `select_runs`, -1 to 1.
    n_unusable   : voxels of the ROI that are NaN or constant in a run, and so never chosen.
    everywhere   : (n_voxels,) reliability of every voxel of the ROI, -inf where it has none; None if it was not kept.
    rule         : ``analysis.voxels.by``.
    """

    select_runs: tuple[int, ...]
    analyse_runs: tuple[int, ...]
    voxels: NDArray[np.intp]
    reliability: NDArray[np.float64]
    n_unusable: int
    everywhere: NDArray[np.float64] | None = None
    rule: str = ""

    @property
    def circular(self) -> bool:
        """Whether runs were used both to choose and to analyse."""
        return bool(set(self.select_runs) & set(self.analyse_runs))

    @property
    def words(self) -> str:
        """The rule as it stands in tables: a circular one says so."""
        return f"{self.rule} (circular)".lstrip() if self.circular else self.rule


def voxel_reliability(betas: NDArray[np.float64]) -> NDArray[np.float64]:
    """How alike a voxel's response profile over images is between repeats (Zhang et al. 2018, ROI definition).

    betas : (n_runs, n_images, n_voxels); NaN in all voxels where a run does not show an image.

    Returns (n_voxels,): mean over pairs of runs of the Pearson correlation over the images that both show (at least
    3); -inf for a voxel that is NaN or constant in any of them.
    Raises FoolscanError when no two runs share 3 images: one repeat only has no reliability.
    """
    shown = is_shown(betas)
    total = np.zeros(betas.shape[2])
    n_pairs = 0
    for first, second in combinations(range(len(betas)), 2):
        both = shown[first] & shown[second]
        if both.sum() >= 3:
            total += _correlation(betas[first][both], betas[second][both])
            n_pairs += 1
    if n_pairs == 0:
        raise FoolscanError(
            f"voxel reliability: found {len(betas)} run(s), no two of which share 3 images; "
            "it needs every image in at least two runs"
        )
    reliability = total / n_pairs
    return np.where(np.isnan(reliability), -np.inf, reliability)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson correlation of matching columns, NaN where one is constant; (n_images, n_voxels) each -> (n_voxels,)."""
    with np.errstate(invalid="ignore"):  # infinite values give NaN, which the caller counts as unusable
        a, b = first - first.mean(axis=0), second - second.mean(axis=0)
        norm_a, norm_b = np.sqrt((a * a).sum(axis=0)), np.sqrt((b * b).sum(axis=0))
        for norm, values in ((norm_a, first), (norm_b, second)):
            # rounding in the mean leaves a constant column with a tiny norm: relative to its values it is none
            norm[~(norm > 1e-12 * np.abs(values).max(axis=0) * np.sqrt(len(values)))] = np.nan
        return np.asarray((a * b).sum(axis=0) / (norm_a * norm_b), dtype=np.float64)


def usable_voxels(betas: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The voxels, (n_voxels,), that are finite for every image shown in every run, and vary over the images of each run.

    betas : (n_runs, n_images, n_voxels). A voxel that fails here is left out whichever runs choose and are analysed.
    """
    shown = is_shown(betas)[:, :, None]
    finite = np.where(shown, np.isfinite(betas), True).all(axis=(0, 1))
    lowest = np.where(shown, betas, np.inf).min(axis=1)
    highest = np.where(shown, betas, -np.inf).max(axis=1)
    return np.asarray(finite & (highest > lowest).all(axis=0))


def halves(n_runs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Every other run: both halves then hold runs of every session, early and late ones where a session has four."""
    return tuple(range(0, n_runs, 2)), tuple(range(1, n_runs, 2))


def selections(patterns: Patterns, plan: VoxelSelection) -> list[Selection]:
    """The voxels to analyse, by the study's rule; ties in reliability go to the earlier voxel.

    patterns : one subject's ROI, unscaled or scaled.
    plan     : how many voxels, on which images, and by which rule: ``split_half`` and ``searchlight`` give two selections,
               each chosen on one half of the runs for the other half; ``published`` and ``searchlight_published`` give
               one, chosen on the runs it is for.

    Raises FoolscanError naming subject, ROI and numbers when there are too few runs or too few usable voxels.
    """
    every = tuple(range(len(patterns.runs)))
    if plan.circular:
        return [_selection(patterns, plan, every, every)]
    first, second = halves(len(every))
    return [_selection(patterns, plan, first, second), _selection(patterns, plan, second, first)]


def _selection(
    patterns: Patterns, plan: VoxelSelection, select_runs: tuple[int, ...], analyse_runs: tuple[int, ...]
) -> Selection:
    where = f"sub-{patterns.sub} {patterns.roi}"
    usable = usable_voxels(patterns.betas)
    images = np.array([plan.images in ("all", name) for name in patterns.sets])
    if not images.any():
        sets = ", ".join(dict.fromkeys(patterns.sets))
        raise FoolscanError(f"{where}: analysis.voxels.images is {plan.images}; found no image of that set, but {sets}")
    betas = patterns.betas[list(select_runs)][:, images]
    try:
        if plan.in_searchlights:
            reliability = _in_searchlights(patterns, plan, betas, usable)
        else:
            reliability = voxel_reliability(betas)
    except FoolscanError as error:
        runs = ", ".join(patterns.runs[i] for i in select_runs) or "none"
        remedy = "" if plan.circular else f", or set analysis.voxels.by: {_CIRCULAR_RULE[plan.by]}"
        raise FoolscanError(f"{where}: selecting on runs {runs}: {error}. Remedy: measure more runs{remedy}") from None
    reliability[~usable] = -np.inf
    n_usable = int(np.isfinite(reliability).sum())
    if n_usable < plan.per_subject:
        why = "NaN, constant, or too far from others" if plan.in_searchlights else "NaN or constant"
        by_run = dict(
            zip(patterns.runs, (int((~usable_voxels(run[None])).sum()) for run in patterns.betas), strict=True)
        )
        worst = sorted((run for run in by_run if by_run[run]), key=lambda run: -by_run[run])
        told = ", ".join(f"{by_run[run]} in {run}" for run in worst[:MOST_TOLD])
        more = f" and fewer in {len(worst) - MOST_TOLD} more" if len(worst) > MOST_TOLD else ""
        remedy = f"Look at the images and betas of {worst[0]}, use a larger mask," if worst else "Use a larger mask"
        raise FoolscanError(
            f"{where}: found {n_usable} usable voxels of {reliability.size} (the others are {why}"
            f"{': ' if told else ''}{told}{more}); analysis.voxels.per_subject asks for {plan.per_subject}. {remedy} or ask for fewer"
        )
    chosen = np.argsort(-reliability, kind="stable")[: plan.per_subject]
    return Selection(
        select_runs, analyse_runs, chosen, reliability[chosen], int(np.count_nonzero(~usable)), reliability, plan.by
    )


_CIRCULAR_RULE = {"split_half": "published", "searchlight": "searchlight_published"}


def _in_searchlights(
    patterns: Patterns, plan: VoxelSelection, betas: NDArray[np.float64], usable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Reliability of the RDMs around the usable voxels, between the mean patterns of every other run and of the rest."""
    if patterns.positions_mm is None:
        raise FoolscanError("searchlights need the voxels' positions in mm; these patterns have none")
    first, second = (betas[list(half)] for half in halves(len(betas)))
    in_both = is_shown(first).any(axis=0) & is_shown(second).any(axis=0)
    if not in_both.any():
        raise FoolscanError(
            f"searchlight RDMs: found {len(betas)} run(s), no two halves of which share images; "
            "they need every image in at least two runs"
        )
    one, other = (mean_over_runs(half[:, in_both][:, :, usable]) for half in (first, second))
    reliability = np.full(usable.size, -np.inf)
    reliability[usable] = searchlight_reliability(one, other, patterns.positions_mm[usable], plan.radius_mm)
    return reliability
