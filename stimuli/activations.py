"""Saves what networks compute for the images of a study and for reference images, layer by layer, as HDF5."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from protocols.folder import StudyFolder, atomic_path, write_text
from protocols.formats import ACTIVATIONS, REFERENCES
from protocols.image_sets import ReferencesPlan
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import is_current, sha256_of_bytes, write_sidecar
from protocols.study import Study
from stimuli.image_files import read_stimulus
from stimuli.make import LoadNetwork, network_of
from stimuli.networks.network import BATCH_SIZE, Network
from stimuli.pictures import pictures_of
from stimuli.records import only_maker
from stimuli.references import Reference, references
from stimuli.synthesis.starts import ByteImage
from stimuli.views import View, attacked_by, views

PACKAGES = ("numpy", "torch", "torchvision", "h5py")
ATTACK_COLUMNS = {
    "stim_id": "The image that was made.",
    "set": "Its stimulus set.",
    "kind": "The kind of its recipe.",
    "method": "The recipe's method or attack (n/a: the kind has one only).",
    "source_id": "The image that was changed.",
    "guide_id": "The image whose representation it takes (n/a: none).",
    "layer": "The layer at which it takes it (n/a: the output).",
    "epsilon": "Largest change that the recipe allows, grey levels (n/a: not bounded so).",
    "representation_ratio": "Distance to the guide at that layer, relative to the source's own (see stimuli.tsv).",
    "success": "Whether the recipe's criterion was met.",
    "network": "The network that it was made against; one row for each of an ensemble.",
    "network_sha256": "SHA-256 of that network's weights.",
    "activations": "File beside this one with that network's activations for image, source and guide.",
    "references": "File beside this one with its activations for the reference images (n/a: none in the study).",
}

Told = Callable[[str, int, int, str], None]
"""Told (which file, images done, images in all, a note)."""


def activations(
    study: Study,
    folder: StudyFolder,
    device: str = "auto",
    *,
    progress: Told | None = None,
    load: LoadNetwork = network_of,
) -> tuple[Path, ...]:
    """Write what networks compute for the images of the manifest, for the reference images, and which attack is which.

    study    : names the networks and the references.
    folder   : the study folder, with its images made.
    device   : where the networks compute.
    progress : told how far it is.
    load     : gives the networks.

    Returns the files, in ``derivatives/foolscan/activations``: ``<network>.h5`` of the study's network (every image),
    and of every other network that a recipe attacks (its sets, with sources and guides); ``<network>_references.h5``
    where the study asks for references; and ``attacks.tsv``. In each HDF5 ``stim_id`` (or ``reference_id``) (n_images,)
    and ``layers/<layer>`` (n_images, n_units) float32. Files that stand from the same images are left alone.

    Raises NotReady when there is no manifest, FoolscanError for a layer or a picture that there is not, or when another
    command makes images in the folder.
    """
    read_manifest(folder)  # where there are no images yet, nothing is locked or written
    with only_maker(folder):
        return _activations(study, folder, device, progress or (lambda *_: None), load)


def _activations(study: Study, folder: StudyFolder, device: str, told: Told, load: LoadNetwork) -> tuple[Path, ...]:
    stimuli, plan = read_manifest(folder), study.stimuli.references
    beside = references(study, plan, pictures_of(study), stimuli) if plan else ()
    written, hashes = [], {}
    for view in views(study.stimuli):
        network = load(view.plan, study.folder, device)
        hashes[view.name] = network.weights_sha256
        written.append(_of_images(folder, view, network, stimuli, told))
        if plan:
            written.append(_of_references(folder, study, view, plan, network, beside, told))
        del network  # one at a time: two large ones need not fit into memory
    attacks = _attacks(study, folder, stimuli, hashes)
    return (*written, *([attacks] if attacks else []))


def _of_images(folder: StudyFolder, view: View, network: Network, stimuli: Sequence[Stimulus], told: Told) -> Path:
    path, shown = folder.activations(view.name), view.images(stimuli)
    network.refuse_unknown_layers(view.layers)
    further = tuple(layer for layer in view.layers if layer not in network.layers)
    inputs = [folder.manifest]
    parameters = {
        "network": network.name,
        "network_sha256": network.weights_sha256,
        "device": network.device.type,
        "further_layers": list(further),
        "images": "all" if view.own else [stimulus.stim_id for stimulus in shown],
    }
    if is_current(folder, path, inputs, parameters):
        return path
    columns = {"stim_id": [stimulus.stim_id for stimulus in shown]}
    images = (read_stimulus(folder, stimulus) for stimulus in shown)
    write_activations(path, network, columns, images, (*network.layers, *further), ACTIVATIONS, told)
    write_sidecar(folder, path, inputs=inputs, parameters=parameters, packages=PACKAGES)
    return path


def _of_references(
    folder: StudyFolder,
    study: Study,
    view: View,
    plan: ReferencesPlan,
    network: Network,
    beside: Sequence[Reference],
    told: Told,
) -> Path:
    path, layers = folder.references(view.name), reference_layers(study, view, plan, network)
    files = [reference.file for reference in beside if reference.file is not None]
    listed = "\n".join(f"{item.reference_id} {item.sample} {item.picture}" for item in beside)
    parameters = {
        "network": network.name,
        "network_sha256": network.weights_sha256,
        "device": network.device.type,
        "layers": list(layers),
        "references": plan.model_dump(mode="json"),
        "size_px": study.stimuli.size_px,
        "n_images": len(beside),
        "pictures_sha256": sha256_of_bytes(listed.encode()),
    }
    if is_current(folder, path, files, parameters):
        return path
    columns = {
        "reference_id": [item.reference_id for item in beside],
        "category": [item.category.name for item in beside],
        "network_class": [item.category.network_class for item in beside],
        "sample": [item.sample for item in beside],
        "picture": [item.picture for item in beside],
    }
    images = (reference.read() for reference in beside)
    write_activations(path, network, columns, images, layers, REFERENCES, told)
    write_sidecar(folder, path, inputs=files, parameters=parameters, packages=PACKAGES)
    return path


def reference_layers(study: Study, view: View, plan: ReferencesPlan, network: Network) -> tuple[str, ...]:
    """The layers at which references are wanted under a network, in the network's order.

    Raises FoolscanError for a layer that the network does not have.
    """
    known = (*network.layers, *network.further_layers)
    if plan.layers == "all":
        return network.layers
    if plan.layers == "attacked":
        named = view.layers or tuple(layer for other in views(study.stimuli) for layer in other.layers)
        return tuple(layer for layer in known if layer in named) or network.layers
    network.refuse_unknown_layers(plan.layers)
    return tuple(layer for layer in known if layer in plan.layers)


def write_activations(
    path: Path,
    network: Network,
    columns: Mapping[str, Sequence[str]],
    images: Iterator[ByteImage],
    layers: Sequence[str],
    format_number: int,
    told: Told = lambda *_: None,
) -> None:
    """Write one network's activations as HDF5, a batch at a time; no time enters the file.

    path    : the file.
    columns : text about each image, (n_images,) each; the first says what the image is called.
    images  : n_images of (height, width, 3), uint8, all of one size.
    layers  : those wanted, out of the network's.

    The SHA-256 of each image's pixels stands in ``pixels_sha256``.

    Raises FoolscanError when images are of several sizes.
    """
    n_images, hashes = len(next(iter(columns.values()))), []
    with atomic_path(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        file.attrs["format"] = format_number
        file.attrs["network"] = network.name
        file.attrs["network_sha256"] = network.weights_sha256
        file.attrs["layers"] = [layer for layer in layers if layer in network.layers]
        file.attrs["further_layers"] = np.array([x for x in layers if x not in network.layers], h5py.string_dtype())
        for name, texts in columns.items():
            _write_texts(file, name, texts)
        for start, batch in _batches(images, path):
            for layer, units in network.activations(batch, layers).items():
                if start == 0:
                    shape = (n_images, units.shape[1])
                    file.create_dataset(f"layers/{layer}", shape, np.float32, track_times=False)
                file[f"layers/{layer}"][start : start + len(batch)] = units
            hashes += [sha256_of_bytes(np.ascontiguousarray(image).tobytes()) for image in batch]
            told(path.stem, start + len(batch), n_images, "")
        _write_texts(file, "pixels_sha256", hashes)


def _write_texts(file: Any, name: str, texts: Sequence[str]) -> None:
    file.create_dataset(name, data=list(texts), dtype=h5py.string_dtype(), track_times=False)


def _batches(images: Iterator[ByteImage], path: Path) -> Iterator[tuple[int, np.ndarray]]:
    start, held = 0, list[ByteImage]()
    size: tuple[int, ...] | None = None
    for image in images:
        if size not in (None, image.shape):
            raise FoolscanError(
                f"{path}: found images of several sizes ({size}, {image.shape}); all sets share one grid"
            )
        size = image.shape
        held.append(image)
        if len(held) == BATCH_SIZE:
            yield start, np.stack(held)
            start, held = start + len(held), []
    if held:
        yield start, np.stack(held)


def _attacks(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], hashes: Mapping[str, str]) -> Path | None:
    """One row for every image that was made from a source against a network; None where there is none."""
    rows = attack_rows(study, folder, stimuli, hashes)
    if not rows:
        return None
    text = io.StringIO()
    writer = csv.DictWriter(text, ATTACK_COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder.attacks, text.getvalue())
    columns = {name: {"Description": meaning} for name, meaning in ATTACK_COLUMNS.items()}
    write_sidecar(folder, folder.attacks, inputs=[folder.manifest], parameters=dict(hashes), more=columns)
    return folder.attacks


def attack_rows(
    study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], hashes: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The rows of ``attacks.tsv`` (see `ATTACK_COLUMNS`).

    hashes : name of a network's files -> SHA-256 of its weights.
    """
    plan, rows = study.stimuli, []
    seen = views(plan)
    for stimulus in stimuli:
        recipe = plan.sets.get(stimulus.set)
        if recipe is None:
            continue
        for view in (view for view in seen if view.plan in attacked_by(recipe, plan.network)):
            told: dict[str, Any] = {
                "stim_id": stimulus.stim_id,
                "set": stimulus.set,
                "kind": recipe.kind,
                "method": getattr(recipe, "method", getattr(recipe, "attack", None)),
                "source_id": stimulus.source_id,
                "guide_id": stimulus.guide_id,
                "layer": getattr(recipe, "layer", None),
                "epsilon": None if getattr(recipe, "attack", "") == "szegedy" else getattr(recipe, "epsilon", None),
                "representation_ratio": stimulus.representation_ratio,
                "success": "true" if stimulus.success else "false",
                "network": view.name,
                "network_sha256": hashes[view.name],
                "activations": folder.activations(view.name).name,
                "references": folder.references(view.name).name if plan.references else None,
            }
            rows.append({name: "n/a" if value is None else value for name, value in told.items()})
    return rows
