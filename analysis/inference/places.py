"""The RDMs of ROIs and layers, gathered place by place for the tests; and the RDM of two sets' images together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.brain_rdms import RoiSample, SetPatterns, SubjectRuns, VoxelChoice
from analysis.brain_rdms import rdms_of as brain_rdms_of
from analysis.dissimilarities import rdm_of
from analysis.network_rdms import LayerSample
from analysis.rdm import Rdm
from analysis.similarity_table import Pair
from protocols.problems import FoolscanError
from protocols.voxel_plan import Folds

Doubles = NDArray[np.float64]

UNITED = "united"


@dataclass(frozen=True)
class Place:
    """The RDMs of one ROI or layer, of one subject.

    name, subject : such as ``"V1"``, ``"pooled"``; the subject of a network is ``"n/a"``.
    of_set        : set -> RDM; the rows of all sets stand for the same categories.
    halves        : set -> the RDMs of the two halves of the runs; empty for a network.
    united        : (first set, second set) -> (2n·(2n − 1)/2,) the RDM of both sets' images, the first set's before the
                    second's; only for the contrasts that are tested by swapping.
    """

    name: str
    subject: str
    of_set: Mapping[str, Rdm]
    halves: Mapping[str, tuple[Rdm, Rdm]] = field(default_factory=dict)
    united: Mapping[Pair, Doubles] = field(default_factory=dict)


def brain_places(rdms: Sequence[Rdm], rois: Sequence[str], sets: Sequence[str]) -> dict[str, list[Place]]:
    """The RDMs of a file of brain RDMs: subject -> its places in the order of `rois`.

    Raises FoolscanError for an RDM that the file lacks.
    """
    of_key = {tuple(rdm.descriptors.get(key, "") for key in ("roi", "subject", "set", "part")): rdm for rdm in rdms}
    found: dict[str, list[Place]] = {}
    for subject in dict.fromkeys(rdm.descriptors["subject"] for rdm in rdms):
        for roi in rois:
            parts = {
                part: {name: of_key[roi, subject, name, part] for name in sets if (roi, subject, name, part) in of_key}
                for part in ("all", "half1", "half2")
            }
            _all_there(parts["all"], sets, f"{roi}, subject {subject}")
            halves = {name: (parts["half1"][name], parts["half2"][name]) for name in parts["half2"]}
            found.setdefault(subject, []).append(Place(roi, subject, parts["all"], halves))
    return found


def network_places(rdms: Sequence[Rdm], layers: Sequence[str], sets: Sequence[str]) -> list[Place]:
    """The RDMs of a file of network RDMs, in the order of `layers`. Raises FoolscanError for an RDM that it lacks."""
    of_key = {(rdm.descriptors["layer"], rdm.descriptors["set"]): rdm for rdm in rdms}
    found = []
    for layer in layers:
        of_set = {name: of_key[layer, name] for name in sets if (layer, name) in of_key}
        _all_there(of_set, sets, f"layer {layer}")
        found.append(Place(layer, "n/a", of_set))
    return found


def united_of_roi(sample: RoiSample, pair: Pair, measure: str, folds: Folds) -> Doubles:
    """The RDM of two sets' images in one ROI: every choice of voxels as for the sets by themselves, then averaged.

    Returns (2n·(2n − 1)/2,) dissimilarities, the first set's images before the second's.
    """
    both = replace(
        sample,
        stim_ids={UNITED: tuple(stim_id for name in pair for stim_id in sample.stim_ids[name])},
        choices=tuple(_united_choice(choice, pair) for choice in sample.choices),
    )
    return brain_rdms_of(both, measure, folds)[UNITED].values


def united_of_layer(sample: LayerSample, pair: Pair, measure: str) -> Doubles:
    """The RDM of two sets' images in one layer, as `united_of_roi`."""
    patterns = np.concatenate([sample.patterns[name] for name in pair])
    stim_ids = [stim_id for name in pair for stim_id in sample.stim_ids[name]]
    return rdm_of(patterns, stim_ids, measure, {"layer": sample.layer, "set": "+".join(pair)}).values


def _united_choice(choice: VoxelChoice, pair: Pair) -> VoxelChoice:
    def runs_of(subject: SubjectRuns) -> SubjectRuns:
        return replace(subject, runs={UNITED: np.concatenate([subject.runs[name] for name in pair], axis=1)})

    def together(patterns: SetPatterns) -> SetPatterns:
        return {UNITED: np.concatenate([patterns[name] for name in pair])}

    return replace(
        choice,
        whole=together(choice.whole),
        halves=tuple(together(half) for half in choice.halves),
        of_subjects=tuple(runs_of(subject) for subject in choice.of_subjects),
    )


def _all_there(of_set: Mapping[str, Rdm], sets: Sequence[str], where: str) -> None:
    lacking = [name for name in sets if name not in of_set]
    if lacking:
        raise FoolscanError(f"RDMs: none of {', '.join(lacking)} for {where}; run foolscan analysis rdms again")
