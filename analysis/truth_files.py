"""Where the truth of a simulated brain is stated: `simulate-bold` writes it, `compare` reads it."""

from __future__ import annotations

from pathlib import Path

from protocols.folder import StudyFolder


def simulation(folder: StudyFolder) -> Path:
    """``derivatives/foolscan/simulation``: the stated truth."""
    return folder.derived("simulation")


def truth_path(folder: StudyFolder) -> Path:
    """``truth.json``: the similarities of the noiseless RDMs per ROI."""
    return simulation(folder) / "truth.json"


def amplitudes_path(folder: StudyFolder, sub: str, roi: str) -> Path:
    """``sub-01/sub-01_roi-V1_truth.npy``: the noiseless response of every voxel to every image."""
    return simulation(folder) / f"sub-{sub}" / f"sub-{sub}_roi-{roi}_truth.npy"


def truth_inputs(folder: StudyFolder) -> list[Path]:
    """The files that the truth is read from; none for people's data."""
    if not truth_path(folder).exists():
        return []
    return [truth_path(folder), *sorted(simulation(folder).rglob("*_truth.npy"))]
