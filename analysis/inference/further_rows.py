"""Rows of models, trends, ceilings and correspondence, from the RDMs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb, factorial

import numpy as np
from numpy.typing import NDArray

from analysis.brain_rdms import POOLED
from analysis.inference.ceilings import between_subjects, split_half
from analysis.inference.models import Model, models_of_rdms
from analysis.inference.permutation import Rearrangements, label_null, label_orders, p_values
from analysis.inference.places import Place
from analysis.inference.rows import CeilingRow, CorrespondenceRow, ModelRow, TrendRow, corrected_over_places
from analysis.inference.similarity_tests import GROUP, contrast_name, contrasts_of, measures_of
from analysis.inference.trends import trend
from analysis.rdm import Rdm
from analysis.similarity import correlation
from analysis.similarity_table import pair_name
from protocols.analysis_plan import AnalysisPlan
from protocols.problems import FoolscanError
from protocols.seeds import generator_for

Doubles = NDArray[np.float64]

LABELS = "permutation/labels"


def model_rows(
    plan: AnalysisPlan,
    seed: int,
    places: Sequence[Place],
    of_images: Mapping[str, Sequence[Model]],
    layers: Mapping[tuple[str, str], Rdm],
) -> list[ModelRow]:
    """The similarity of every set's RDM with every model, at every place of one subject, tested by permuting images.

    of_images : set -> the models that manifest and images make.
    layers    : (layer, set) -> network RDM, for the models that are layers.
    """
    rows = []
    for of_set, made in of_images.items():
        rdms = np.stack([place.of_set[of_set].values for place in places])
        orders = _label_orders(plan, seed, places[0].of_set[of_set])
        by_place = [{model.name: model for model in made} for _ in places]
        for place, found in zip(places, by_place, strict=True):
            found.update({model.name: model for model in models_of_rdms(plan.models, of_set, layers, place.of_set)})
        for name in plan.models:
            models = [found[name] for found in by_place]
            for measure in measures_of(plan):
                rows += _rows_of_model(plan, models, measure, places, rdms, orders)
    return rows


def trend_rows(plan: AnalysisPlan, places: Sequence[Place], along: str) -> list[TrendRow]:
    """Whether every pair's similarity, and every difference of two pairs', goes up or down over one subject's places.

    along : ``"ROIs"`` or ``"layers"``.

    No rows for fewer than three places.
    """
    rows = []
    for measure in measures_of(plan):
        of_pair = {
            pair: np.array(
                [float(correlation(p.of_set[pair[0]].values, p.of_set[pair[1]].values, measure)) for p in places]
            )
            for pair in plan.pairs
        }
        series = {pair_name(pair): values for pair, values in of_pair.items()}
        series |= {contrast_name(*both): of_pair[both[0]] - of_pair[both[1]] for both in contrasts_of(plan)}
        for name, values in series.items():
            found = trend(values)
            if found is None:
                continue
            rows.append(
                TrendRow(
                    series=name,
                    along=along,
                    subject=places[0].subject,
                    measure=measure,
                    n=found.n,
                    s=found.s,
                    tau_a=found.tau_a,
                    p=found.p,
                    rho=found.rho,
                    p_rho=found.p_rho,
                    p_least=2 / factorial(found.n),
                )
            )
    return rows


def ceiling_rows(plan: AnalysisPlan, places_of: Mapping[str, Sequence[Place]], sets: Sequence[str]) -> list[CeilingRow]:
    """Noise ceilings of every set in every ROI, in the conventions that the study asks for.

    places_of : subject -> its places, the pooled voxels among them.
    """
    subjects = [subject for subject in places_of if subject != POOLED]
    rows = []
    for measure in measures_of(plan):
        for name in sets:
            for at, place in enumerate(places_of[next(iter(places_of))]):
                if "between_subjects" in plan.noise_ceilings:
                    rdms = np.stack([places_of[subject][at].of_set[name].values for subject in subjects])
                    rows.append(_group_ceiling(rdms, measure, name, place.name))
                if "split_half" in plan.noise_ceilings:
                    rows += [
                        _own_ceiling(places[at], measure, name, len(subjects))
                        for places in places_of.values()
                        if name in places[at].halves
                    ]
    return rows


def correspondence_rows(
    plan: AnalysisPlan,
    seed: int,
    layers: Sequence[Place],
    places_of: Mapping[str, Sequence[Place]],
    sets: Sequence[str],
) -> list[CorrespondenceRow]:
    """The similarity of every layer's RDM with every ROI's, set by set and subject by subject, tested by permuting images.

    P-values are corrected over all layers and ROIs of one set and subject.

    Raises FoolscanError when brain and network RDMs are of other images.
    """
    rows = []
    for name in sets:
        orders = _label_orders(plan, seed, layers[0].of_set[name])
        of_layers = np.stack([layer.of_set[name].values for layer in layers])
        for subject, places in places_of.items():
            for place in places:
                _same_images(layers[0].of_set[name], place.of_set[name])
            for measure in measures_of(plan):
                of_rois = np.stack([place.of_set[name].values for place in places])
                observed = correlation(of_layers[:, None], of_rois[None], measure)
                null = np.stack([label_null(of_layers, of_roi, measure, orders) for of_roi in of_rois], axis=2)
                p, p_max = p_values(observed.ravel(), null.reshape(len(null), -1), orders.exact, plan.tests.alternative)
                cells = [
                    CorrespondenceRow(
                        set=name,
                        layer=layer.name,
                        roi=place.name,
                        subject=subject,
                        measure=measure,
                        similarity=float(observed[i, j]),
                        p=float(p[i * len(places) + j]),
                        p_max=float(p_max[i * len(places) + j]),
                        alternative=plan.tests.alternative,
                        n_rearranged=len(null),
                        exact=orders.exact,
                    )
                    for i, layer in enumerate(layers)
                    for j, place in enumerate(places)
                ]
                rows += corrected_over_places(cells, plan.tests.correction)
    return rows


def _label_orders(plan: AnalysisPlan, seed: int, rdm: Rdm) -> Rearrangements:
    return label_orders(len(rdm.stim_ids), plan.tests.permutations, generator_for(seed, LABELS))


def _rows_of_model(
    plan: AnalysisPlan,
    models: Sequence[Model],
    measure: str,
    places: Sequence[Place],
    rdms: Doubles,
    orders: Rearrangements,
) -> list[ModelRow]:
    known = [model.values for model in models]
    observed, p, p_max = (np.full(len(places), np.nan) for _ in range(3))
    if all(values is not None for values in known):
        stacked = np.stack([values for values in known if values is not None])
        observed = correlation(rdms, stacked, measure)
        if all(values is known[0] for values in known):
            null = label_null(rdms, stacked[0], measure, orders)
        else:
            null = np.stack(
                [
                    label_null(rdm[None], values, measure, orders)[:, 0]
                    for rdm, values in zip(rdms, stacked, strict=True)
                ],
                axis=1,
            )
        p, p_max = p_values(observed, null, orders.exact, plan.tests.alternative)
    rows = [
        ModelRow(
            model=model.name,
            set=model.of_set,
            measure=measure,
            place=place.name,
            subject=place.subject,
            similarity=float(observed[at]),
            n_pairs=comb(len(place.of_set[model.of_set].stim_ids), 2),
            p=float(p[at]),
            p_max=float(p_max[at]),
            alternative=plan.tests.alternative,
            n_rearranged=len(orders.rows) if model.values is not None else 0,
            exact=orders.exact,
            note=model.note,
        )
        for at, (model, place) in enumerate(zip(models, places, strict=True))
    ]
    return corrected_over_places(rows, plan.tests.correction)


def _group_ceiling(rdms: Doubles, measure: str, name: str, place: str) -> CeilingRow:
    lower, upper = between_subjects(rdms, measure)
    note = "" if len(rdms) > 1 else "one subject: there is none"
    if len(rdms) > 1 and measure == "kendall_tau_a":
        note = "the mean of ranks stands in for the best RDM"
    return CeilingRow(
        convention="between_subjects",
        set=name,
        place=place,
        subject=GROUP,
        measure=measure,
        lower=lower,
        upper=upper,
        n_subjects=len(rdms),
        note=note,
    )


def _own_ceiling(place: Place, measure: str, name: str, n_subjects: int) -> CeilingRow:
    first, second = place.halves[name]
    lower, upper = split_half(first.values, second.values, measure)
    return CeilingRow(
        convention="split_half",
        set=name,
        place=place.name,
        subject=place.subject,
        measure=measure,
        lower=lower,
        upper=upper,
        n_subjects=n_subjects if place.subject == POOLED else 1,
    )


def _same_images(first: Rdm, second: Rdm) -> None:
    if first.stim_ids != second.stim_ids:
        raise FoolscanError(
            f"correspondence of layer {first.descriptors.get('layer')} and ROI {second.descriptors.get('roi')}: found RDMs of "
            "other images, or in another order; run foolscan analysis rdms again"
        )
