"""Network RDMs: the saved activations of every layer, one RDM per stimulus set and layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.category_rows import rows_by_category
from analysis.dissimilarities import rdm_of
from analysis.rdm import Rdm
from protocols.folder import StudyFolder
from protocols.formats import ACTIVATIONS
from protocols.manifest import Stimulus
from protocols.problems import FoolscanError, NotReady, near
from protocols.study import Study
from protocols.tables import read_table

WITHOUT_NOISE = {
    "mahalanobis": "euclidean",
    "squared_mahalanobis": "squared_euclidean",
    "crossnobis": "squared_euclidean",
}


@dataclass(frozen=True)
class LayerSample:
    """The activations of one layer.

    layer    : its name.
    stim_ids : set -> image of each category, the categories in one order for all sets.
    patterns : set -> (n_categories, n_units) float32.
    """

    layer: str
    stim_ids: dict[str, tuple[str, ...]]
    patterns: dict[str, NDArray[np.float32]]

    @property
    def n_units(self) -> int:
        """Units of the layer."""
        return int(next(iter(self.patterns.values())).shape[1])


def activations_path(study: Study, folder: StudyFolder) -> Path:
    """Where `foolscan stimuli activations` leaves the activations of the study's network."""
    return folder.activations(study.stimuli.network.name)


def layers_of(study: Study, path: Path) -> tuple[str, ...]:
    """The layers to analyse, in the network's order.

    Raises NotReady without activations, FoolscanError for another format or a layer that is not there.
    """
    with _opened(path) as file:
        present = tuple(str(name) for name in file.attrs["layers"])
    wanted = study.analysis.layers
    if wanted == "all":
        return present
    for name in wanted:
        if name not in present:
            problem = study.problem(
                "analysis.layers", f"{name!r}{near(name, present)}", f"layers of this network: {', '.join(present)}"
            )
            raise FoolscanError(str(problem))
    return tuple(wanted)


def further_activations(study: Study, folder: StudyFolder) -> list[Path]:
    """The activations of other networks that images were made against, as `attacks.tsv` names them; empty without it.

    Raises FoolscanError when a file that it names is not there.
    """
    if not folder.attacks.exists():
        return []
    main = activations_path(study, folder)
    names = dict.fromkeys(row["activations"] for row in read_table(folder.attacks))
    paths = [folder.attacks.with_name(name) for name in names if name != main.name]
    for path in paths:
        if not path.exists():
            raise FoolscanError(
                f"{folder.attacks}: names {path.name}, which is not there; run foolscan stimuli activations again"
            )
    return paths


def sets_in(path: Path, stimuli: Sequence[Stimulus], sets: Sequence[str]) -> list[str]:
    """Those of the sets whose images all have activations in a file."""
    with _opened(path) as file:
        there = set(file["stim_id"].asstr()[:])
    of_set = images_by_category(stimuli, sets)
    return [name for name in sets if all(image.stim_id in there for image in of_set[name])]


def layers_in(study: Study, path: Path) -> tuple[str, ...]:
    """The layers to analyse that a further network has, in its order."""
    with _opened(path) as file:
        present = tuple(str(name) for name in file.attrs["layers"])
    wanted = study.analysis.layers
    return present if wanted == "all" else tuple(name for name in present if name in wanted)


def measure_of(study: Study) -> str:
    """The study's dissimilarity, or, where it needs the noise of measurements that a network does not have, the same without."""
    return WITHOUT_NOISE.get(study.analysis.dissimilarity, study.analysis.dissimilarity)


def images_by_category(stimuli: Sequence[Stimulus], sets: Sequence[str]) -> dict[str, list[Stimulus]]:
    """The images of every set in the one order of rows (see `rows_by_category`)."""
    of_images = [image.set for image in stimuli], [image.category for image in stimuli]
    return {name: [stimuli[row] for row in rows] for name, rows in rows_by_category(*of_images, sets).items()}


def load_layer(path: Path, layer: str, stimuli: Sequence[Stimulus], sets: Sequence[str]) -> LayerSample:
    """The activations of one layer by stimulus set.

    path    : HDF5 with ``stim_id`` and ``layers/<layer>`` (n_images, n_units).
    layer   : its name.
    stimuli : the manifest.
    sets    : the stimulus sets wanted.

    Raises FoolscanError when an image of the manifest has no activations.
    """
    images = images_by_category(stimuli, sets)
    with _opened(path) as file:
        row_of = {stim_id: row for row, stim_id in enumerate(file["stim_id"].asstr()[:])}
        lacking = [image.stim_id for name in sets for image in images[name] if image.stim_id not in row_of]
        if lacking:
            raise FoolscanError(
                f"{path}: no activations for {len(lacking)} images ({', '.join(lacking[:3])}); "
                "they were computed for other stimuli: run foolscan stimuli activations again"
            )
        activations = np.asarray(file[f"layers/{layer}"], dtype=np.float32).reshape(len(row_of), -1)
    stim_ids = {name: tuple(image.stim_id for image in images[name]) for name in sets}
    patterns = {name: activations[[row_of[stim_id] for stim_id in stim_ids[name]]] for name in sets}
    return LayerSample(layer, stim_ids, patterns)


def rdms_of(sample: LayerSample, measure: str) -> dict[str, Rdm]:
    """The RDM of every set over all units of the layer."""
    return {
        name: rdm_of(sample.patterns[name], stim_ids, measure, {"layer": sample.layer, "set": name})
        for name, stim_ids in sample.stim_ids.items()
    }


def _opened(path: Path) -> Any:
    import h5py

    if not path.exists():
        raise NotReady(f"{path}: no activations yet; make them with: foolscan stimuli activations STUDY --to FOLDER")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FoolscanError(
            f"{path}: not readable as HDF5 ({error}); delete it and run foolscan stimuli activations again"
        ) from error
    if file.attrs.get("format") != ACTIVATIONS:
        found = file.attrs.get("format")
        file.close()
        raise FoolscanError(f"{path}: found format {found}; this foolscan reads format {ACTIVATIONS}")
    return file
