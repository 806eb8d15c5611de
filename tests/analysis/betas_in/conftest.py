"""A lab with two subjects, logged runs and known betas, and the folders that other programs would have written of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from stimulus_rows import stimulus_row

from analysis.rois import roi_path, write_mask
from analysis.stored_betas import load_patterns
from protocols.folder import RunId, StudyFolder, open_folder
from protocols.manifest import write_manifest
from protocols.study import Study

GRID = (5, 4, 3)
AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2, 0, -8], [0, 0, 2.5, 4], [0, 0, 0, 1]])
N_LEFT, N_RIGHT = 30, 26


@dataclass(frozen=True)
class Lab:
    """Two subjects, two sessions of two runs each; every run shows six images twice."""

    root: Path
    study: Study
    folder: StudyFolder
    stim_ids: tuple[str, ...]

    def run(self, sub: str = "01", ses: str = "01", run: int = 1) -> RunId:
        return RunId(sub, ses, "animals", run)

    def runs(self, sub: str = "01") -> list[RunId]:
        return [run for run in self.folder.runs("animals") if run.sub == sub]

    def order(self, run: RunId) -> list[str]:
        """The images of a run, in the order shown."""
        rng = np.random.default_rng([int(run.sub), int(run.ses), run.run])
        return [self.stim_ids[place] for _ in range(2) for place in rng.permutation(len(self.stim_ids))]

    def onsets_s(self, run: RunId) -> list[float]:
        """Onsets of the trials of a run."""
        rng = np.random.default_rng([int(run.sub), int(run.ses), run.run, 1])
        return [round(10 + 5 * place + float(rng.uniform(0, 2.5)), 3) for place in range(len(self.order(run)))]

    def trials(self, run: RunId) -> NDArray[np.float32]:
        """The true betas of every trial, (x, y, z, n_trials)."""
        rng = np.random.default_rng([int(run.sub), int(run.ses), run.run, 2])
        return rng.normal(size=(*GRID, len(self.order(run)))).astype(np.float32)

    def images(self, run: RunId) -> dict[str, NDArray[np.float32]]:
        """The true betas of every image, (x, y, z)."""
        return {name: self.trials(run)[..., self.order(run).index(name)] for name in self.stim_ids}

    def vertices(self, run: RunId) -> dict[str, NDArray[np.float32]]:
        """The true betas of every trial on the surfaces, (n_vertices, n_trials)."""
        rng = np.random.default_rng([int(run.sub), int(run.ses), run.run, 3])
        n = len(self.order(run))
        return {
            "L": rng.normal(size=(N_LEFT, n)).astype(np.float32),
            "R": rng.normal(size=(N_RIGHT, n)).astype(np.float32),
        }

    def mask(self, roi: str) -> NDArray[np.bool_]:
        mask = np.zeros(GRID, dtype=bool)
        mask[: 2 if roi == "V1" else 1, 1:, :] = roi == "V1"
        if roi == "LO":
            mask[3:, :2, 1:] = True
        return mask

    def expect_images(self, sub: str = "01") -> None:
        """Assert that the patterns of a subject are the true betas of every image."""
        for roi in ("V1", "LO"):
            patterns = load_patterns(self.study, self.folder, sub, roi)
            expected = [[self.images(run)[name][self.mask(roi)] for name in self.stim_ids] for run in self.runs(sub)]
            np.testing.assert_array_equal(patterns.betas, np.array(expected, dtype=np.float64))

    def expect_trials(self, sub: str = "01") -> None:
        """Assert that the patterns of a subject are the means of the true betas of every image's trials."""
        for roi in ("V1", "LO"):
            patterns = load_patterns(self.study, self.folder, sub, roi)
            expected = [
                [
                    np.mean([self.trials(run)[..., place][self.mask(roi)].astype(float) for place in places], axis=0)
                    for name in self.stim_ids
                    if (places := [i for i, other in enumerate(self.order(run)) if other == name])
                ]
                for run in self.runs(sub)
            ]
            np.testing.assert_array_equal(patterns.betas, np.array(expected))
            assert patterns.runs == tuple(run.stem for run in self.runs(sub))


def save_nifti(path: Path, values: NDArray[Any], affine: NDArray[np.float64] = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(values, dtype=np.float32), affine), path)
    return path


def write_tsv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_log(lab: Lab, run: RunId) -> None:
    rows: list[list[object]] = [[0.5, 1.0, "blank", "n/a"]]
    for onset_s, name in zip(lab.onsets_s(run), lab.order(run), strict=True):
        rows.append([f"{onset_s:.3f}", 1.0, name.split("-")[0], name])
    write_tsv(lab.folder.events(run), ("onset", "duration", "trial_type", "stim_id"), rows)


@pytest.fixture
def lab(tmp_path: Path, fake: SimpleNamespace) -> Lab:
    study = fake.study(analysis__voxels__per_subject=3)
    folder = open_folder(tmp_path / "study", study.title)
    stimuli = [stimulus_row(name, f"category{i:02d}", animal=i == 0) for name in ("RE", "AN", "AI") for i in range(2)]
    write_manifest(folder, stimuli)
    made = Lab(tmp_path, study, folder, tuple(stimulus.stim_id for stimulus in stimuli))
    for sub in ("01", "02"):
        for ses in ("01", "02"):
            for run in (1, 2):
                write_log(made, made.run(sub, ses, run))
        for roi in ("V1", "LO"):
            write_mask(roi_path(folder, sub, roi), made.mask(roi), AFFINE)
    return made


@pytest.fixture
def write() -> SimpleNamespace:
    """Writers of files: ``nifti(path, values)``, ``tsv(path, columns, rows)``."""
    return SimpleNamespace(nifti=save_nifti, tsv=write_tsv)
