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
class Verification:
    """What was compared.

    n_images      : images in the manifest.
    disagreements : one line for each difference between a file and its row.
    """

    n_images: int
    disagreements: tuple[str, ...]


def verify(study: Study, folder: StudyFolder, device: str = "auto") -> Verification:
    """Compare every image with its manifest row: file, size, hash, class, confidence, success.

    study  : names the network and its weights, and the size.
    folder : the study folder.
    device : where the network computes.

    Raises NotReady when there is no manifest.
    """
    stimuli = read_manifest(folder)
    network = network_of(study.stimuli.network, study.folder, device)
    found = [line for stimulus in stimuli for line in _file(study, folder, stimulus)]
    readable = [stimulus for stimulus in stimuli if not any(stimulus.stim_file in line for line in found)]
    found += _judgements(network, folder, readable)
    found += [
        f"{path.relative_to(folder.stimuli).as_posix()}: not in the manifest" for path in _strangers(folder, stimuli)
    ]
    return Verification(len(stimuli), tuple(found))


def _file(study: Study, folder: StudyFolder, stimulus: Stimulus) -> list[str]:
    path = stimulus.path(folder)
    try:
        image = read_rgb(path)
    except FoolscanError as error:
        return [f"{stimulus.stim_file}: {str(error).removeprefix(f'{path}: ')}"]
    lines = []
    if sha256_of(path) != stimulus.sha256:
        lines.append(f"{stimulus.stim_file}: its content is not what was made (sha256 differs)")
    side = study.stimuli.size_px
    if image.shape != (side, side, 3):
        lines.append(f"{stimulus.stim_file}: found {image.shape[1]} x {image.shape[0]} px, expected {side} x {side}")
    return lines


def _judgements(network: Network, folder: StudyFolder, stimuli: Sequence[Stimulus]) -> list[str]:
    others = sorted({s.network_sha256 for s in stimuli} - {network.weights_sha256})
    if others:
        return [
            f"stimuli.tsv: judged by weights {others[0][:12]}…, the study's network has {network.weights_sha256[:12]}…"
        ]
    lines = []
    judged = judge(network, [s.path(folder) for s in stimuli], [s.target_class for s in stimuli])
    for stimulus, now in zip(stimuli, judged, strict=True):
        if now.label != stimulus.network_label:
            lines.append(f"{stimulus.stim_file}: the network says {now.label}, the manifest {stimulus.network_label}")
        if abs(now.confidence - stimulus.confidence) > CONFIDENCE_SLACK:
            lines.append(
                f"{stimulus.stim_file}: confidence {now.confidence:.6f}, the manifest says {stimulus.confidence:.6f}"
            )
        if not stimulus.success:
            lines.append(f"{stimulus.stim_file}: a failure, {stimulus.confidence:.4f} for {stimulus.target_class}")
    return lines


def _strangers(folder: StudyFolder, stimuli: Sequence[Stimulus]) -> list[Path]:
    listed = {stimulus.path(folder) for stimulus in stimuli}
    return [path for path in sorted(folder.stimuli.rglob("*.png")) if path not in listed]
