"""Saves what a study's network computes for every image, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from protocols.folder import StudyFolder, atomic_path
from protocols.formats import ACTIVATIONS
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import is_current, write_sidecar
from protocols.study import Study
from stimuli.image_files import read_stimulus
from stimuli.make import network_of
from stimuli.networks.network import Network
from stimuli.records import only_maker

PACKAGES = ("numpy", "torch", "torchvision", "h5py")


def activations(study: Study, folder: StudyFolder, device: str = "auto") -> Path:
    """Write the activations of every layer for every image of the manifest.

    study  : names the network.
    folder : the study folder, with its images made.
    device : where the network computes.

    Returns ``derivatives/foolscan/activations/<network>.h5``: ``stim_id`` (n_images,) and ``layers/<layer>``
    (n_images, n_units) float32, in the manifest's order. A file that stands from the same images is left alone.

    Raises NotReady when there is no manifest, FoolscanError when another command makes images in the folder.
    """
    read_manifest(folder)  # where there are no images yet, nothing is locked or written
    with only_maker(folder):
        return _activations(study, folder, device)


def _activations(study: Study, folder: StudyFolder, device: str) -> Path:
    stimuli = read_manifest(folder)
    network = network_of(study.stimuli.network, study.folder, device)
    path = folder.activations(study.stimuli.network.name)  # an untrained network has a longer name of its own
    inputs = [folder.manifest]
    parameters = {"network": network.name, "network_sha256": network.weights_sha256, "device": network.device.type}
    if is_current(folder, path, inputs, parameters):
        return path
    write_activations(path, network, stimuli, _images(folder, stimuli))
    write_sidecar(folder, path, inputs=inputs, parameters=parameters, packages=PACKAGES)
    return path


def write_activations(path: Path, network: Network, stimuli: Sequence[Stimulus], images: npt.NDArray[np.uint8]) -> None:
    """Write one network's activations as HDF5; no time enters the file.

    path    : the file.
    stimuli : (n_images,).
    images  : (n_images, height, width, 3).
    """
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", track_order=True) as file:
            file.attrs["format"] = ACTIVATIONS
            file.attrs["network"] = network.name
            file.attrs["layers"] = list(network.layers)
            names: Any = [stimulus.stim_id for stimulus in stimuli]
            file.create_dataset("stim_id", data=names, dtype=h5py.string_dtype(), track_times=False)
            # layer by layer: all layers of a large network at once would not fit into memory
            for layer in network.layers:
                units = network.activations(images, [layer])[layer].reshape(len(images), -1)
                file.create_dataset(f"layers/{layer}", data=units.astype(np.float32), track_times=False)


def _images(folder: StudyFolder, stimuli: Sequence[Stimulus]) -> npt.NDArray[np.uint8]:
    images = [read_stimulus(folder, stimulus) for stimulus in stimuli]
    sizes = {image.shape for image in images}
    if len(sizes) != 1:
        raise FoolscanError(
            f"{folder.stimuli}: found images of {len(sizes)} sizes ({sorted(sizes)}); all sets share one grid"
        )
    return np.stack(images)
