"""The verb `compare`: the similarity of RDMs per ROI and per layer, with intervals, tests, models, trends and ceilings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from analysis import brain_rdms, network_rdms
from analysis.brain_rdms import POOLED
from analysis.brain_similarity import brain_rows, load_truths
from analysis.inference.further_tables import brain_tables, correspondence_tables, network_tables, significance_path
from analysis.inference.places import Doubles, brain_places, network_places, united_of_layer, united_of_roi
from analysis.inference.published_t import bootstrap_t_rows
from analysis.inference.rows import TestRow, columns_of, selection_of, with_selection
from analysis.inference.similarity_tests import (
    contrast_name,
    contrasts_of,
    group_rows,
    label_rows,
    rows_over_layers,
    swap_rows,
    swapped_pairs,
)
from analysis.network_similarity import network_rows
from analysis.order_model import design_paths, order_model
from analysis.rdm import Rdm
from analysis.rdm_files import find_rdms, read_rdms
from analysis.rdms import (
    PACKAGES,
    Progress,
    brain_inputs,
    brain_path,
    network_path,
    of_what_there_is,
    parameters_of,
    refuse_stale,
    warnings_for_sidecar,
)
from analysis.similarity import similarity
from analysis.similarity_table import COLUMNS, DIFFERENCE_COLUMNS, DifferenceRow, Pair, SimilarityRow, pair_name
from analysis.truth_files import truth_inputs
from protocols.analysis_plan import AnalysisPlan
from protocols.folder import StudyFolder
from protocols.manifest import Stimulus
from protocols.problems import FoolscanError
from protocols.provenance import is_current, write_sidecar
from protocols.study import Study
from protocols.tables import write_table


@dataclass(frozen=True)
class Found:
    """What one ROI or layer gave.

    similarities, differences : rows of the tables.
    united                    : subject -> pair of sets -> the RDM of both sets' images.
    published                 : tests that are not inference, where the study asks for them.
    """

    similarities: list[SimilarityRow] = field(default_factory=list)
    differences: list[DifferenceRow] = field(default_factory=list)
    united: dict[str, dict[Pair, Doubles]] = field(default_factory=dict)
    published: list[TestRow] = field(default_factory=list)


def similarity_path(folder: StudyFolder, what: str) -> Path:
    """``rdms/similarity_brain.tsv`` or ``rdms/similarity_network.tsv``."""
    return folder.derived("rdms") / f"similarity_{what}.tsv"


def difference_path(folder: StudyFolder, what: str) -> Path:
    """``rdms/difference_brain.tsv`` or ``rdms/difference_network.tsv``."""
    return folder.derived("rdms") / f"difference_{what}.tsv"


def compare(study: Study, folder: StudyFolder, progress: Progress | None = None) -> list[Path]:
    """Compare the RDMs of the study's pairs of stimulus sets, per ROI and per network layer.

    study    : names pairs, similarity and bootstrap.
    folder   : a study folder with RDMs (`analysis.rdms.rdms`).
    progress : called with what is being made, how much is done and how much there is.

    Returns the tables that stand. Raises NotReady when an earlier step is missing, FoolscanError when the brain's RDMs are of
    other runs, files or choices than there are now.
    """
    has_network = network_rdms.activations_path(study, folder).exists()

    def network(stimuli: Sequence[Stimulus]) -> list[Path]:
        return _network(study, folder, stimuli, progress) + network_tables(study, folder, stimuli)

    def brain(stimuli: Sequence[Stimulus]) -> list[Path]:
        paths = _brain(study, folder, progress) + brain_tables(study, folder, stimuli, has_network)
        return paths + (correspondence_tables(study, folder) if has_network else [])

    return of_what_there_is(study, folder, network=network, brain=brain)


def _comparison(plan: AnalysisPlan) -> dict[str, Any]:
    """What shapes a comparison, for the sidecar."""
    return {
        "similarity": plan.similarity,
        "further_similarities": list(plan.further_similarities),
        "pairs": [list(pair) for pair in plan.pairs],
        "bootstrap": plan.bootstrap.model_dump(mode="json"),
        "tests": plan.tests.model_dump(mode="json"),
    }


def _brain(study: Study, folder: StudyFolder, progress: Progress | None) -> list[Path]:
    plan = study.analysis
    source = brain_path(folder)
    stored = read_rdms(source)
    refuse_stale(study, folder)
    runs = folder.runs(plan.task)
    designs = {sub: design_paths(folder, [run for run in runs if run.sub == sub]) for sub in {run.sub for run in runs}}
    designs[POOLED] = design_paths(folder, runs)
    inputs = [*brain_inputs(study, folder), source, *truth_inputs(folder), *chain(*designs.values())]
    parameters = parameters_of(study, folder) | _comparison(plan)
    paths = [similarity_path(folder, "brain"), difference_path(folder, "brain"), significance_path(folder, "brain")]
    if all(is_current(folder, path, inputs, parameters) for path in paths):
        return paths
    done = 0

    def of_roi(roi: str) -> Found:
        nonlocal done
        found = Found()
        truth = load_truths(study, folder, roi)
        for sample in brain_rdms.load_samples(study, folder, roi):
            measured = _measured(plan, find_rdms(stored, roi=roi, subject=sample.subject, part="all"), source)
            set_of = {stim_id: name for name, stim_ids in sample.stim_ids.items() for stim_id in stim_ids}
            order = order_model(designs.get(sample.subject, []), plan.pattern_scaling, set_of)
            rows, differences = brain_rows(study, sample, measured, truth, order)
            found.similarities.extend(rows)
            found.differences.extend(differences)
            found.united[sample.subject] = {
                pair: united_of_roi(sample, pair, plan.dissimilarity, plan.folds) for pair in swapped_pairs(plan)
            }
            if plan.tests.bootstrap_t and sample.subject == POOLED:
                found.published.extend(bootstrap_t_rows(plan, study.seed, sample))
        done += 1
        if progress:
            progress(f"similarity in {roi}", done, len(plan.rois))
        return found

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        results = list(pool.map(of_roi, plan.rois))
    tests: list[TestRow] = []
    for subject, places in brain_places(stored, plan.rois, study.tasks[plan.task].sets).items():
        places = [replace(place, united=found.united[subject]) for place, found in zip(places, results, strict=True)]
        tests += label_rows(plan, study.seed, places) + swap_rows(plan, study.seed, places)
    tests += _over_subjects(study, results) + [row for found in results for row in found.published]
    tests = with_selection(tests, selection_of(stored))
    return _write(folder, paths, results, tests, inputs, parameters, study.seed, warnings_for_sidecar(study, folder))


def _over_subjects(study: Study, results: Sequence[Found]) -> list[TestRow]:
    plan, rows = study.analysis, list[TestRow]()
    told = {
        "similarity": [(row.pair, row.place, row.subject, row.similarity) for of in results for row in of.similarities],
        "difference": [
            (row.contrast, row.place, row.subject, row.difference) for of in results for row in of.differences
        ],
    }
    names = {
        "similarity": [pair_name(pair) for pair in plan.pairs],
        "difference": [contrast_name(*both) for both in contrasts_of(plan)],
    }
    for what, of_places in told.items():
        values: dict[tuple[str, str], dict[str, float]] = {}
        for name, place, subject, value in of_places:
            if subject != POOLED and name in names[what]:
                values.setdefault((name, place), {})[subject] = value
        rows += group_rows(plan, study.seed, values, what)
    return rows


def _network(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], progress: Progress | None) -> list[Path]:
    plan = study.analysis
    source, stored_path = network_rdms.activations_path(study, folder), network_path(folder)
    stored = read_rdms(stored_path)
    layers = network_rdms.layers_of(study, source)
    inputs = [folder.manifest, source, stored_path]
    parameters = {"dissimilarity": network_rdms.measure_of(study), "layers": list(layers)} | _comparison(plan)
    paths = [
        similarity_path(folder, "network"),
        difference_path(folder, "network"),
        significance_path(folder, "network"),
    ]
    if all(is_current(folder, path, inputs, parameters) for path in paths):
        return paths
    sets = study.tasks[plan.task].sets
    results = []
    places = network_places(stored, layers, sets)
    for done, layer in enumerate(layers):
        if progress:
            progress(f"similarity in {layer}", done, len(layers))
        measured = _measured(plan, find_rdms(stored, layer=layer), stored_path)
        sample = network_rdms.load_layer(source, layer, stimuli, sets)
        results.append(Found(*network_rows(study, sample, measured)))
        united = {pair: united_of_layer(sample, pair, network_rdms.measure_of(study)) for pair in swapped_pairs(plan)}
        places[done] = replace(places[done], united=united)
    if progress:
        progress("", len(layers), len(layers))
    tests = label_rows(plan, study.seed, places) + swap_rows(plan, study.seed, places, over_places=True)
    tests += rows_over_layers(plan, study.seed, places)
    return _write(folder, paths, results, tests, inputs, parameters, study.seed)


def _measured(plan: AnalysisPlan, rdms: Sequence[Rdm], path: Path) -> dict[Pair, float]:
    of_set = {rdm.descriptors["set"]: rdm for rdm in rdms}
    lacking = sorted({name for pair in plan.pairs for name in pair} - set(of_set))
    if lacking:
        raise FoolscanError(f"{path}: no RDM of {', '.join(lacking)}; run foolscan analysis rdms again for this study")
    return {(first, second): similarity(of_set[first], of_set[second], plan.similarity) for first, second in plan.pairs}


def _write(
    folder: StudyFolder,
    paths: Sequence[Path],
    results: Iterable[Found],
    tests: Sequence[TestRow],
    inputs: Sequence[Path],
    parameters: Mapping[str, Any],
    seed: int,
    warnings: Mapping[str, Any] | None = None,
) -> list[Path]:
    found = list(results)
    rows = [asdict(row) for of_place in found for row in of_place.similarities]
    differences = [asdict(row) for of_place in found for row in of_place.differences]
    tables: tuple[tuple[Path, list[dict[str, Any]], dict[str, str], list[str]], ...] = (
        (paths[0], rows, COLUMNS, [column.name for column in fields(SimilarityRow)]),
        (paths[1], differences, DIFFERENCE_COLUMNS, [column.name for column in fields(DifferenceRow)]),
        (paths[2], [asdict(row) for row in tests], columns_of(TestRow), list(columns_of(TestRow))),
    )
    for path, content, descriptions, names in tables:
        write_table(path, names, content)
        more = {name: {"Description": description} for name, description in descriptions.items()} | dict(warnings or {})
        write_sidecar(folder, path, inputs=inputs, parameters=parameters, packages=PACKAGES, seed=seed, more=more)
    return list(paths)
