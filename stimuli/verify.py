"""Re-reads every image of a study folder and compares it with the manifest, whatever its kind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from protocols.folder import StudyFolder
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of
from protocols.study import Study
from stimuli.criteria import Criteria
from stimuli.image_files import read_rgb
from stimuli.judging import Judged, judge
from stimuli.make import network_of
from stimuli.networks.network import Network

CONFIDENCE_SLACK = 1e-4
"""Posteriors on another processor or device differ in the last bits."""
RATIO_SLACK = 1e-3
"""So do distances between representations; relative."""
LENGTH_SLACK = 1e-6
"""Euclidean lengths are of whole grey levels: only how they are written differs; relative."""


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

    n_images          : images in the manifest.
    disagreements     : every difference between a file and its row, and every failure that was not expected.
    expected_failures : set -> images that did not meet its criterion, where the recipe says that some may not.
    """

    n_images: int
    disagreements: tuple[Disagreement, ...]
    expected_failures: dict[str, int]


def verify(study: Study, folder: StudyFolder, device: str = "auto") -> Verification:
    """Compare every image with its manifest row: file, size, hash, class, confidence, change, representation, success.

    study  : names the network and its weights, the recipes, and the size.
    folder : the study folder.
    device : where the networks compute.

    Raises NotReady when there is no manifest, FoolscanError when it is that of another study.
    """
    stimuli = read_manifest(folder)
    network = network_of(study.stimuli.network, study.folder, device)
    criteria = Criteria(study, folder, stimuli, network, lambda plan: network_of(plan, study.folder, device))
    expected = [stimulus for stimulus in stimuli if criteria.failure_expected(stimulus) and not stimulus.success]
    found = [problem for stimulus in stimuli for problem in _file(study, folder, stimulus)]
    lost = {problem.file for problem in found if not problem.readable}
    found += _judgements(network, folder, criteria, stimuli, lost)
    found += [
        Disagreement(path.relative_to(folder.stimuli).as_posix(), "not in the manifest", readable=False)
        for path in _strangers(folder, stimuli)
    ]
    return Verification(len(stimuli), tuple(found), dict(Counter(stimulus.set for stimulus in expected)))


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


def _judgements(
    network: Network, folder: StudyFolder, criteria: Criteria, rows: Sequence[Stimulus], lost: set[str]
) -> list[Disagreement]:
    stimuli = [stimulus for stimulus in rows if stimulus.stim_file not in lost]
    others = sorted({s.network_sha256 for s in stimuli} - {network.weights_sha256})
    if others:
        weights = f"judged by weights {others[0][:12]}…, the study's network has {network.weights_sha256[:12]}…"
        return [Disagreement(folder.manifest.name, weights)]
    judged = judge(network, [s.path(folder) for s in stimuli], [s.target_class for s in stimuli])
    images = {stimulus.stim_id: now.image for stimulus, now in zip(stimuli, judged, strict=True)}
    found = []
    for stimulus, now in zip(stimuli, judged, strict=True):
        wrong = _posterior(stimulus, now)
        if all(other.stim_file not in lost for other in criteria.others(stimulus)):
            if stimulus.source_id in images:
                wrong += _change(stimulus, now.distance(images[stimulus.source_id]))
            wrong += _criterion(criteria, stimulus, now)
        found += [Disagreement(stimulus.stim_file, text) for text in wrong]
    return found


def _posterior(stimulus: Stimulus, now: Judged) -> list[str]:
    found = []
    if now.label != stimulus.network_label:
        found.append(f"the network says {now.label}, the manifest {stimulus.network_label}")
    if abs(now.confidence - stimulus.confidence) > CONFIDENCE_SLACK:
        found.append(f"confidence {now.confidence:.6f}, the manifest says {stimulus.confidence:.6f}")
    return found


def _change(stimulus: Stimulus, now: tuple[float, int]) -> list[str]:
    """Where the manifest tells of a change from the source."""
    found = []
    if stimulus.l2 is not None and not math.isclose(now[0], stimulus.l2, rel_tol=LENGTH_SLACK, abs_tol=LENGTH_SLACK):
        found.append(f"Euclidean change {now[0]:.6f}, the manifest says {stimulus.l2:.6f}")
    if stimulus.linf is not None and now[1] != stimulus.linf:
        found.append(f"largest change {now[1]}, the manifest says {stimulus.linf}")
    return found


def _criterion(criteria: Criteria, stimulus: Stimulus, now: Judged) -> list[str]:
    if abs(now.confidence - stimulus.confidence) <= CONFIDENCE_SLACK:
        # an image that was made just to its criterion is not wanting for the last bits of another device
        now = replace(now, confidence=stimulus.confidence)
    verdict = criteria.verdict(stimulus, now)
    found = []
    ratio, told = verdict.ratio, stimulus.representation_ratio
    if (ratio is None) != (told is None) or (
        ratio is not None and told is not None and not math.isclose(ratio, told, rel_tol=RATIO_SLACK)
    ):
        found.append(f"representation ratio {_number(ratio)}, the manifest says {_number(told)}")
    if verdict.success != stimulus.success:
        words = {True: "is met", False: "is not met"}
        found.append(f"the criterion {words[verdict.success]}, the manifest says that it {words[stimulus.success]}")
    elif not stimulus.success and not criteria.failure_expected(stimulus):
        found.append(f"a failure, {stimulus.confidence:.4f} for {stimulus.target_class}")
    return found


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.6f}"


def _strangers(folder: StudyFolder, stimuli: Sequence[Stimulus]) -> list[Path]:
    listed = {stimulus.path(folder) for stimulus in stimuli}
    return [path for path in sorted(folder.stimuli.rglob("*.png")) if path not in listed]
