"""Tests of similarities and of their differences: by permutation at every place, and over layers and subjects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis.inference.permutation import (
    Rearrangements,
    label_null,
    label_orders,
    p_values,
    sign_flip_null,
    swap_null,
    swaps,
)
from analysis.inference.places import Place
from analysis.inference.rows import TestRow, corrected_over_places
from analysis.similarity import correlation
from analysis.similarity_table import Pair, pair_name
from protocols.analysis_plan import AnalysisPlan
from protocols.seeds import generator_for

Doubles = NDArray[np.float64]

ALL_LAYERS = "all layers"
GROUP = "group"
LABELS = "label_permutation"
SWAPS = "swap_permutation"
SWAPS_OF_LAYERS = "swap_permutation over layers"
FLIPS_OF_SUBJECTS = "sign_flip over subjects"
PAIRED_T = "published: paired t over layers"
FLIPS_OF_LAYERS = "sign_flip over layers"
LAYERS_DEPEND = "layers of one network depend on one another: not inference about networks"


def measures_of(plan: AnalysisPlan) -> list[str]:
    """The similarity that the study is about and those told beside it, each once."""
    return list(dict.fromkeys((plan.similarity, *plan.further_similarities)))


def contrasts_of(plan: AnalysisPlan) -> list[tuple[Pair, Pair]]:
    """The differences that are told: every further pair minus the first, as (further, first)."""
    return [(pair, plan.pairs[0]) for pair in plan.pairs[1:]]


def contrast_name(further: Pair, first: Pair) -> str:
    """``RE-AI minus RE-AN``."""
    return f"{pair_name(further)} minus {pair_name(first)}"


def swapped_sets(further: Pair, first: Pair) -> tuple[str, Pair] | None:
    """The set that both pairs share and the two that are swapped, (of the first pair, of the further one).

    None when the pairs share no set: nothing can be exchanged between them source by source.
    """
    shared = [name for name in first if name in further]
    if len(shared) != 1:
        return None
    (common,) = shared
    one, other = (next(name for name in pair if name != common) for pair in (first, further))
    return common, (one, other)


def swapped_pairs(plan: AnalysisPlan) -> list[Pair]:
    """The pairs of sets whose images are swapped, each once: those that need the RDM of both sets' images."""
    found = [swapped_sets(*both) for both in contrasts_of(plan)]
    return list(dict.fromkeys(sets[1] for sets in found if sets is not None))


def label_rows(plan: AnalysisPlan, seed: int, places: Sequence[Place]) -> list[TestRow]:
    """Tests of every pair's similarity at every place of one subject, by permuting the images of one RDM.

    The null hypothesis is that which image is which has nothing to do with the other set's RDM. All places are permuted
    alike.
    """
    n = len(next(iter(places[0].of_set.values())).stim_ids)
    orders = label_orders(n, plan.tests.permutations, generator_for(seed, "permutation/labels"))
    rows = []
    for pair in plan.pairs:
        for measure in measures_of(plan):
            sides = [(place.of_set[pair[0]].values, place.of_set[pair[1]].values) for place in places]
            observed = np.array([float(correlation(*side, measure)) for side in sides])
            null = np.stack([label_null(one[None], other, measure, orders)[:, 0] for one, other in sides], axis=1)
            rows += _rows(plan, LABELS, pair_name(pair), measure, places, observed, null, orders, n)
    return rows


def swap_rows(plan: AnalysisPlan, seed: int, places: Sequence[Place], over_places: bool = False) -> list[TestRow]:
    """Tests of every difference at every place of one subject, by swapping the two images of a source between the sets.

    The null hypothesis is that a source's two images differ in nothing but the name of their set. All places are swapped
    alike.

    over_places : test the mean over places, too: it holds however places go together.
    """
    rows = []
    for further, first in contrasts_of(plan):
        sets = swapped_sets(further, first)
        if sets is None:
            continue
        common, exchanged = sets
        n = len(places[0].of_set[common].stim_ids)
        swapped = swaps(n, plan.tests.permutations, generator_for(seed, f"permutation/swaps/{'-'.join(exchanged)}"))
        for measure in measures_of(plan):
            observed = np.array([_difference(place, common, exchanged, measure) for place in places])
            null = np.stack(
                [swap_null(place.of_set[common].values, place.united[exchanged], measure, swapped) for place in places],
                axis=1,
            )
            name = contrast_name(further, first)
            rows += _rows(plan, SWAPS, name, measure, places, observed, null, swapped, n)
            if over_places:
                mean = replace(places[0], name=ALL_LAYERS)
                means = observed.mean(keepdims=True), null.mean(axis=1, keepdims=True)
                rows += _rows(plan, SWAPS_OF_LAYERS, name, measure, [mean], *means, swapped, n)
    return rows


def rows_over_layers(plan: AnalysisPlan, seed: int, places: Sequence[Place]) -> list[TestRow]:
    """The paired t-test over layers of Zhang et al. 2018 (P = 0.0084), and the same question by flipping signs.

    Both take the layers for independent samples, which layers of one network are not: the first is marked as published,
    and both say so. `swap_rows` over places asks about the images instead.
    """
    rows = []
    for further, first in contrasts_of(plan):
        for measure in measures_of(plan):
            sides = [
                np.array([float(correlation(p.of_set[a].values, p.of_set[b].values, measure)) for p in places])
                for a, b in (further, first)
            ]
            apart = sides[0] - sides[1]
            apart = apart[np.isfinite(apart)]
            t, p = paired_t(apart, plan.tests.alternative)
            base = TestRow(
                test=PAIRED_T,
                contrast=contrast_name(further, first),
                measure=measure,
                place=ALL_LAYERS,
                subject="n/a",
                value=float(apart.mean()) if apart.size else math.nan,
                statistic=t,
                n=apart.size,
                p=p,
                alternative=plan.tests.alternative,
                note=LAYERS_DEPEND,
            )
            rows += [base, replace(_flipped(plan, seed, base, apart), test=FLIPS_OF_LAYERS, statistic=math.nan)]
    return rows


def group_rows(
    plan: AnalysisPlan, seed: int, values: Mapping[tuple[str, str], Mapping[str, float]], what: str
) -> list[TestRow]:
    """Tests over subjects, by flipping the signs of whole subjects: one per place, where there are enough of them.

    values : (contrast, place) -> subject -> similarity or difference by the study's first measure.
    what   : for the rows' notes, ``"similarity"`` or ``"difference"``.

    With fewer subjects than the plan asks for, rows without a p-value that say so.
    """
    rows = []
    for contrast in dict.fromkeys(name for name, _ in values):
        of_places = {place: np.array([*found.values()]) for (name, place), found in values.items() if name == contrast}
        known = np.array([[*found] for found in of_places.values()])
        n = known.shape[1]
        enough = n >= plan.tests.subjects_for_group and bool(np.isfinite(known).all())
        note = (
            ""
            if enough
            else f"{n} subjects with this {what}; a test over subjects needs {plan.tests.subjects_for_group}: see each"
        )
        base = [
            TestRow(
                test=FLIPS_OF_SUBJECTS, contrast=contrast, measure=plan.similarity, place=place, subject=GROUP,
                value=float(found.mean()), n=n, alternative=plan.tests.alternative, note=note,
            )
            for place, found in of_places.items()
        ]  # fmt: skip
        if enough:
            generator = generator_for(seed, "permutation/subjects")
            null, exact = sign_flip_null(known.T, plan.tests.permutations, generator)
            p, p_max = p_values(known.mean(axis=1), null, exact, plan.tests.alternative)
            base = [
                replace(row, p=float(one), p_max=float(largest), n_rearranged=len(null), exact=exact)
                for row, one, largest in zip(base, p, p_max, strict=True)
            ]
        rows += corrected_over_places(base, plan.tests.correction) if enough else base
    return rows


def paired_t(differences: Doubles, alternative: str) -> tuple[float, float]:
    """Student's t of differences against 0 and its p-value; NaN for fewer than two, or for ones that do not vary.

    differences : (n,) finite.
    alternative : ``"two_sided"`` or ``"greater"``.
    """
    from scipy.stats import t as students

    n = differences.size
    spread = float(differences.std(ddof=1)) if n > 1 else 0.0
    if not spread > 0:
        return math.nan, math.nan
    t = float(differences.mean()) / (spread / math.sqrt(n))
    return t, float(2 * students.sf(abs(t), n - 1) if alternative == "two_sided" else students.sf(t, n - 1))


def _difference(place: Place, common: str, exchanged: Pair, measure: str) -> float:
    first, further = (
        correlation(place.of_set[common].values, place.of_set[name].values, measure) for name in exchanged
    )
    return float(further - first)


def _rows(
    plan: AnalysisPlan,
    test: str,
    contrast: str,
    measure: str,
    places: Sequence[Place],
    observed: Doubles,
    null: Doubles,
    rearranged: Rearrangements,
    n: int,
) -> list[TestRow]:
    p, p_max = p_values(observed, null, rearranged.exact, plan.tests.alternative)
    rows = [
        TestRow(
            test=test,
            contrast=contrast,
            measure=measure,
            place=place.name,
            subject=place.subject,
            value=float(value),
            n=n,
            p=float(one),
            p_max=float(largest),
            alternative=plan.tests.alternative,
            n_rearranged=len(null),
            exact=rearranged.exact,
        )
        for place, value, one, largest in zip(places, observed, p, p_max, strict=True)
    ]
    return corrected_over_places(rows, plan.tests.correction)


def _flipped(plan: AnalysisPlan, seed: int, base: TestRow, apart: Doubles) -> TestRow:
    if apart.size == 0:
        return base
    null, exact = sign_flip_null(apart, plan.tests.permutations, generator_for(seed, "permutation/layers"))
    p, _ = p_values(apart.mean(keepdims=True), null[:, None], exact, plan.tests.alternative)
    return replace(base, p=float(p[0]), n_rearranged=len(null), exact=exact)
