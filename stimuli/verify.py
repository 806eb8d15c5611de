"""Re-reads every image of a study folder and compares it with the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.folder import StudyFolder
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of
from protocols.study import Study
from stimuli.image_files import read_rgb
from stimuli.judging import judge
from stimuli.make import network_of
from stimuli.networks.network import Network

CONFIDENCE_SLACK = 1e-4
"""Posteriors on another processor or device differ in the last bits."""


@dataclass(frozen=True)
class Disagreement:
    """One difference between the folder and the manifest.

    file     : what it is about, relative to the stimuli folder.
    found    : the difference, in words.
    readable : whether the file is still the image that was made, so that the network can be asked of it.
    """

    file: str
    found: str
    readable: bool = True

    def __str__(self) -> str:
        return f"{self.file}: {self.found}"


@dataclass(frozen=True)
class Verification:
    """What was compared.

    n_images      : images in the manifest.
    disagreements : every difference between a file and its row.
    """

    n_images: int
    disagreements: tuple[Disagreement, ...]


def verify(study: Study, folder: StudyFolder, device: str = "auto") -> Verification:
    """Compare every image with its manifest row: file, size, hash, class, confidence, success.

    study  : names the network and its weights, and the size.
    folder : the study folder.
    device : where the network computes.

    Raises NotReady when there is no manifest.
    """
    stimuli = read_manifest(folder)
    network = network_of(study.stimuli.network, study.folder, device)
    found = [problem for stimulus in stimuli for problem in _file(study, folder, stimulus)]
    lost = {problem.file for problem in found if not problem.readable}
    found += _judgements(network, folder, [stimulus for stimulus in stimuli if stimulus.stim_file not in lost])
    found += [
        Disagreement(path.relative_to(folder.stimuli).as_posix(), "not in the manifest", readable=False)
        for path in _strangers(folder, stimuli)
    ]
    return Verification(len(stimuli), tuple(found))


def _file(study: Study, folder: StudyFolder, stimulus: Stimulus) -> list[Disagreement]:
    path, file = stimulus.path(folder), stimulus.stim_file
    try:
        image = read_rgb(path)
    except FoolscanError as error:
        return [Disagreement(file, str(error).removeprefix(f"{path}: "), readable=False)]
    found = []
    if sha256_of(path) != stimulus.sha256:
        found.append(Disagreement(file, "its content is not what was made (sha256 differs)", readable=False))
    side = study.stimuli.size_px
    if image.shape != (side, side, 3):
        sizes = f"found {image.shape[1]} x {image.shape[0]} px, expected {side} x {side}"
        found.append(Disagreement(file, sizes, readable=False))
    return found


def _judgements(network: Network, folder: StudyFolder, stimuli: Sequence[Stimulus]) -> list[Disagreement]:
    others = sorted({s.network_sha256 for s in stimuli} - {network.weights_sha256})
    if others:
        weights = f"judged by weights {others[0][:12]}…, the study's network has {network.weights_sha256[:12]}…"
        return [Disagreement(folder.manifest.name, weights)]
    found = []
    judged = judge(network, [s.path(folder) for s in stimuli], [s.target_class for s in stimuli])
    for stimulus, now in zip(stimuli, judged, strict=True):
        if now.label != stimulus.network_label:
            labels = f"the network says {now.label}, the manifest {stimulus.network_label}"
            found.append(Disagreement(stimulus.stim_file, labels))
        if abs(now.confidence - stimulus.confidence) > CONFIDENCE_SLACK:
            numbers = f"confidence {now.confidence:.6f}, the manifest says {stimulus.confidence:.6f}"
            found.append(Disagreement(stimulus.stim_file, numbers))
        if not stimulus.success:
            failure = f"a failure, {stimulus.confidence:.4f} for {stimulus.target_class}"
            found.append(Disagreement(stimulus.stim_file, failure))
    return found


def _strangers(folder: StudyFolder, stimuli: Sequence[Stimulus]) -> list[Path]:
    listed = {stimulus.path(folder) for stimulus in stimuli}
    return [path for path in sorted(folder.stimuli.rglob("*.png")) if path not in listed]
