"""Tables of models, trends, ceilings and correspondence beside those of similarity, written when what they are made from changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from analysis import network_rdms
from analysis.inference.further_rows import ceiling_rows, correspondence_rows, model_rows, trend_rows
from analysis.inference.models import Model, models_of_images, pixel_dissimilarities
from analysis.inference.places import Place, brain_places, network_places
from analysis.inference.rows import (
    SELECTION,
    CeilingRow,
    CorrespondenceRow,
    ModelRow,
    Row,
    TrendRow,
    columns_of,
    selection_of,
    with_selection,
)
from analysis.rdm import Rdm
from analysis.rdm_files import read_rdms
from analysis.rdms import PACKAGES, brain_path, network_path, parameters_of, warnings_for_sidecar
from protocols.folder import StudyFolder
from protocols.manifest import Stimulus
from protocols.provenance import is_current, write_sidecar
from protocols.study import Study
from protocols.tables import write_table

Content = tuple[dict[str, str], list[dict[str, Any]]]  # columns with their meanings, rows


def significance_path(folder: StudyFolder, what: str) -> Path:
    """``rdms/tests_brain.tsv`` or ``rdms/tests_network.tsv``."""
    return folder.derived("rdms") / f"tests_{what}.tsv"


def models_path(folder: StudyFolder, what: str) -> Path:
    """``rdms/models_brain.tsv`` or ``rdms/models_network.tsv``."""
    return folder.derived("rdms") / f"models_{what}.tsv"


def trends_path(folder: StudyFolder, what: str) -> Path:
    """``rdms/trends_brain.tsv`` or ``rdms/trends_network.tsv``."""
    return folder.derived("rdms") / f"trends_{what}.tsv"


def ceilings_path(folder: StudyFolder) -> Path:
    """``rdms/ceilings_brain.tsv``."""
    return folder.derived("rdms") / "ceilings_brain.tsv"


def correspondence_path(folder: StudyFolder) -> Path:
    """``rdms/correspondence.tsv``, one row per set, layer, ROI and subject."""
    return folder.derived("rdms") / "correspondence.tsv"


def correspondence_matrix_path(folder: StudyFolder) -> Path:
    """``rdms/correspondence_matrix.tsv``, one row per set, subject and layer, one column per ROI."""
    return folder.derived("rdms") / "correspondence_matrix.tsv"


def brain_tables(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], has_network: bool) -> list[Path]:
    """Models, trends and noise ceilings of the brain's RDMs.

    has_network : there are network RDMs to take models from.

    Returns the tables that stand.
    """
    plan, seed, sets = study.analysis, study.seed, study.tasks[study.analysis.task].sets
    asked = any(name.startswith("layer:") for name in plan.models)
    from_layers = [network_path(folder)] if has_network and asked else []
    inputs = [brain_path(folder), folder.manifest, *_images(study, folder, stimuli), *from_layers]

    def make() -> list[Content]:
        stored = read_rdms(brain_path(folder))
        places_of, chosen = brain_places(stored, plan.rois, sets), selection_of(stored)
        layers = _by_layer(read_rdms(network_path(folder))) if from_layers else {}
        models = _models(study, folder, stimuli)
        rows = [row for places in places_of.values() for row in model_rows(plan, seed, places, models, layers)]
        trends = [row for places in places_of.values() for row in trend_rows(plan, places, "ROIs")]
        return [
            _content(ModelRow, with_selection(rows, chosen)),
            _content(TrendRow, with_selection(trends, chosen)),
            _content(CeilingRow, with_selection(ceiling_rows(plan, places_of, sets), chosen)),
        ]

    paths = [models_path(folder, "brain"), trends_path(folder, "brain"), ceilings_path(folder)]
    parameters, warnings = parameters_of(study, folder), warnings_for_sidecar(study, folder)
    return _stand(study, folder, paths, inputs, parameters, make, warnings)


def network_tables(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus]) -> list[Path]:
    """Models and trends of the network's RDMs; returns the tables that stand."""
    plan, seed = study.analysis, study.seed
    layers = _layers(study, folder)
    inputs = [network_path(folder), folder.manifest, *_images(study, folder, stimuli)]

    def make() -> list[Content]:
        stored = read_rdms(network_path(folder))
        places = network_places(stored, layers, study.tasks[plan.task].sets)
        rows = model_rows(plan, seed, places, _models(study, folder, stimuli), _by_layer(stored))
        return [_content(ModelRow, rows), _content(TrendRow, trend_rows(plan, places, "layers"))]

    paths = [models_path(folder, "network"), trends_path(folder, "network")]
    return _stand(study, folder, paths, inputs, {"layers": list(layers)}, make)


def correspondence_tables(study: Study, folder: StudyFolder) -> list[Path]:
    """How similar the RDM of every layer is to that of every ROI, tidy and as a matrix; returns the tables that stand."""
    plan, sets = study.analysis, study.tasks[study.analysis.task].sets
    layers = _layers(study, folder)

    def make() -> list[Content]:
        of_layers = network_places(read_rdms(network_path(folder)), layers, sets)
        stored = read_rdms(brain_path(folder))
        places_of = brain_places(stored, plan.rois, sets)
        rows = with_selection(correspondence_rows(plan, study.seed, of_layers, places_of, sets), selection_of(stored))
        return [_content(CorrespondenceRow, rows), _matrix(rows, of_layers, plan.rois, plan.similarity)]

    paths = [correspondence_path(folder), correspondence_matrix_path(folder)]
    inputs = [brain_path(folder), network_path(folder)]
    parameters = parameters_of(study, folder) | {"layers": list(layers)}
    return _stand(study, folder, paths, inputs, parameters, make, warnings_for_sidecar(study, folder))


def _stand(
    study: Study,
    folder: StudyFolder,
    paths: Sequence[Path],
    inputs: Iterable[Path],
    parameters: Mapping[str, Any],
    make: Callable[[], Sequence[Content]],
    warnings: Mapping[str, Any] | None = None,
) -> list[Path]:
    """The tables, made again if one of them is not current."""
    plan, inputs = study.analysis, list(inputs)
    parameters = dict(parameters) | {
        "similarity": plan.similarity,
        "further_similarities": list(plan.further_similarities),
        "pairs": [list(pair) for pair in plan.pairs],
        "models": list(plan.models),
        "noise_ceilings": list(plan.noise_ceilings),
        "tests": plan.tests.model_dump(mode="json"),
    }
    if not all(is_current(folder, path, inputs, parameters) for path in paths):
        for path, (columns, rows) in zip(paths, make(), strict=True):
            write_table(path, columns, rows)
            more = {name: {"Description": text} for name, text in columns.items()} | dict(warnings or {})
            write_sidecar(
                folder, path, inputs=inputs, parameters=parameters, packages=PACKAGES, seed=study.seed, more=more
            )
    return list(paths)


def _content(kind: type[Row], rows: Sequence[Row]) -> Content:
    return columns_of(kind), [asdict(row) for row in rows]


def _matrix(rows: Sequence[CorrespondenceRow], layers: Sequence[Place], rois: Sequence[str], measure: str) -> Content:
    columns = {"set": "Stimulus set.", "subject": columns_of(CorrespondenceRow)["subject"], "layer": "Network layer."}
    columns |= {roi: f"Similarity ({measure}) of the layer's RDM with that of {roi}." for roi in rois}
    columns["selection"] = SELECTION
    of_cell = {(row.set, row.subject, row.layer, row.roi): row.similarity for row in rows if row.measure == measure}
    wide = [
        {"set": name, "subject": subject, "layer": layer.name}
        | {roi: of_cell[name, subject, layer.name, roi] for roi in rois}
        | {"selection": rows[0].selection}
        for name, subject in dict.fromkeys((row.set, row.subject) for row in rows)
        for layer in layers
    ]
    return columns, wide


def _images(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus]) -> list[Path]:
    """The PNGs, where a model is made of them."""
    sets = study.tasks[study.analysis.task].sets
    asked = "pixel" in study.analysis.models
    return [image.path(folder) for image in stimuli if asked and image.set in sets]


def _models(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus]) -> dict[str, list[Model]]:
    plan = study.analysis
    by_set = network_rdms.images_by_category(stimuli, study.tasks[plan.task].sets)
    return {
        name: models_of_images(plan.models, name, images, partial(pixel_dissimilarities, folder, images), stimuli)
        for name, images in by_set.items()
    }


def _layers(study: Study, folder: StudyFolder) -> tuple[str, ...]:
    return network_rdms.layers_of(study, network_rdms.activations_path(study, folder))


def _by_layer(rdms: Sequence[Rdm]) -> dict[tuple[str, str], Rdm]:
    return {(rdm.descriptors["layer"], rdm.descriptors["set"]): rdm for rdm in rdms}
