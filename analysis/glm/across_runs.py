"""What is found over all runs of a subject before any of them is fitted: noise components, and each voxel's response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.glm.design import shared_conditions
from analysis.glm.hrf import DoubleGamma, library
from analysis.glm.hrf_choice import best_response
from analysis.glm.noise_components import NoiseComponents, noise_components
from analysis.glm.run_model import RunModel
from analysis.glm.run_series import RunBlock, run_blocks
from analysis.nifti import open_nifti, read_all, write_nifti
from protocols.folder import StudyFolder
from protocols.glm_plan import GlmPlan
from protocols.provenance import is_current, write_sidecar
from protocols.tables import number, read_table, write_table

PACKAGES = ("numpy", "scipy", "nibabel", "nilearn")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """All runs of a subject, and the voxels that are looked at.

    runs     : in order of session and run.
    stim_ids : the manifest's identifiers.
    brain    : (x, y, z) voxels in which noise components are looked for.
    where    : (x, y, z) voxels that get betas.
    files    : what both masks were made of.
    """

    folder: StudyFolder
    sub: str
    runs: tuple[RunModel, ...]
    stim_ids: tuple[str, ...]
    brain: NDArray[np.bool_]
    where: NDArray[np.bool_]
    files: tuple[Path, ...]

    @property
    def inputs(self) -> list[Path]:
        """Every file that was read."""
        return [*(path for run in self.runs for path in run.files), *self.files, self.folder.manifest]

    def path(self, what: str) -> Path:
        """``derivatives/foolscan/betas/sub-01/sub-01_task-animals_<what>``."""
        return self.folder.derived("betas") / f"sub-{self.sub}" / f"sub-{self.sub}_task-{self.runs[0].run.task}_{what}"

    def series(self, mask: NDArray[np.bool_], memory_bytes: int, working_bytes: int) -> Iterator[RunBlock]:
        """The time series of a mask's voxels in all runs."""
        return run_blocks([run.series for run in self.runs], mask, memory_bytes, working_bytes)


def components_path(folder: StudyFolder, run: RunModel) -> Path:
    """``derivatives/foolscan/betas/sub-*/ses-*/<stem>_noisecomponents.tsv``."""
    place = folder.derived("betas") / f"sub-{run.run.sub}" / f"ses-{run.run.ses}"
    return place / f"{run.run.stem}_noisecomponents.tsv"


def with_noise_components(
    subject: Subject, plan: GlmPlan, parameters: Mapping[str, Any], memory_bytes: int
) -> tuple[RunModel, ...]:
    """The subject's runs with noise components as confounds, made now unless they are current.

    parameters : what shapes the model, for the sidecars.

    Writes, for each run, a table of its components, and one of the median R² of left-out runs by their number.
    """
    if plan.noise_components == 0:
        return subject.runs
    summary, inputs = subject.path("noisecomponents.tsv"), subject.inputs
    paths = [components_path(subject.folder, run) for run in subject.runs]
    if not all(is_current(subject.folder, path, inputs, parameters) for path in (*paths, summary)):
        canonical = plan.model_copy(update={"hrf": "glover" if plan.hrf == "glover" else "spm"})
        designs = shared_conditions([run.inputs for run in subject.runs], subject.stim_ids, canonical)
        working = 8 * sum(2 * run.series.scan.volumes + 3 * designs[0][0].shape[1] for run in subject.runs)

        def series(part: NDArray[np.bool_]) -> Iterator[RunBlock]:
            mask = np.zeros_like(subject.brain)
            mask[subject.brain] = part
            return subject.series(mask, memory_bytes, working)

        found = noise_components(designs, series, int(subject.brain.sum()), plan.noise_components)
        _write_components(subject, found, paths, summary, inputs, parameters)
    return tuple(
        run.with_components(path, _read_components(path)) for run, path in zip(subject.runs, paths, strict=True)
    )


def _write_components(
    subject: Subject,
    found: NoiseComponents,
    paths: Sequence[Path],
    summary: Path,
    inputs: Sequence[Path],
    parameters: Mapping[str, Any],
) -> None:
    description = "Noise components of the run: principal components, SD 1, of bright voxels that the model predicts worse than nothing."
    for place, path in enumerate(paths):
        values = found.of_run(place)
        columns = [f"noise_component_{i}" for i in range(1, values.shape[1] + 1)]
        write_table(
            path,
            ["volume", *columns],
            [{"volume": i, **dict(zip(columns, map(float, row), strict=True))} for i, row in enumerate(values)],
        )
        write_sidecar(
            subject.folder,
            path,
            inputs=inputs,
            parameters=parameters,
            packages=PACKAGES,
            more={"Description": description},
        )
    rows = [
        {"components": i, "median_r2": float(r2), "used": i == found.number} for i, r2 in enumerate(found.median_r2)
    ]
    write_table(summary, ["components", "median_r2", "used"], rows)
    more = {
        "Description": "How well left-out runs are predicted with each number of noise components.",
        "components": {"Description": "Noise components among the confounds."},
        "median_r2": {
            "Description": "Median over responding voxels of R² of left-out runs, drift and confounds projected out."
        },
        "used": {"Description": "Whether this number is used."},
        "NoisePoolVoxels": found.pool,
        "RespondingVoxels": found.responding,
    }
    write_sidecar(subject.folder, summary, inputs=inputs, parameters=parameters, packages=PACKAGES, more=more)


def _read_components(path: Path) -> Floats:
    rows = read_table(path)
    values = [[number(cell) for name, cell in row.items() if name != "volume"] for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), -1)


@dataclass(frozen=True)
class Responses:
    """Which response each voxel has.

    candidates : the responses there are; None stands for the study's one.
    choice     : (n_voxels,) places in `candidates`, −1 in voxels that cannot be used.
    files      : where that is written.
    """

    candidates: tuple[DoubleGamma | None, ...]
    choice: NDArray[np.intp]
    files: tuple[Path, ...]


def responses(subject: Subject, plan: GlmPlan, parameters: Mapping[str, Any], memory_bytes: int) -> Responses:
    """Each voxel's response: the study's one, or of its library the one that fits best, chosen now unless that is current.

    subject : with noise components, if there are any.

    Writes a map of the choice and a table of the library.
    """
    if plan.hrf != "library":
        return Responses((None,), np.zeros(int(subject.where.sum()), dtype=np.intp), ())
    candidates = library(plan.library)
    path, inputs = subject.path("hrf.nii.gz"), subject.inputs
    table = path.with_name(path.name.replace(".nii.gz", ".tsv"))
    if not (is_current(subject.folder, path, inputs, parameters) and table.exists()):
        designs = [
            shared_conditions([run.inputs for run in subject.runs], subject.stim_ids, plan, one) for one in candidates
        ]
        working = 8 * sum(2 * run.series.scan.volumes + 3 * designs[0][0][0].shape[1] for run in subject.runs)
        choice, r2 = np.empty(int(subject.where.sum()), dtype=np.intp), np.empty(int(subject.where.sum()))
        for block in subject.series(subject.where, memory_bytes, working):
            choice[block.voxels], r2[block.voxels] = best_response(designs, block.percent, plan.library.by)
        _write_choice(subject, path, table, candidates, choice, r2, parameters)
    stored = np.asarray(read_all(path, open_nifti(path)))[subject.where].astype(np.intp)
    return Responses(candidates, stored - 1, (path,))


def _write_choice(
    subject: Subject,
    path: Path,
    table: Path,
    candidates: Sequence[DoubleGamma],
    choice: NDArray[np.intp],
    r2: Floats,
    parameters: Mapping[str, Any],
) -> None:
    rows = []
    for place, one in enumerate(candidates):
        mine = choice == place
        median = float(np.median(r2[mine])) if mine.any() else None
        rows.append(
            {
                "index": place + 1,
                "peak_s": one.peak_s,
                "width": one.width,
                "voxels": int(mine.sum()),
                "median_r2": median,
            }
        )
    write_table(table, ["index", "peak_s", "width", "voxels", "median_r2"], rows)
    volume = np.zeros(subject.where.shape, dtype=np.int16)
    volume[subject.where] = choice + 1
    affine = subject.runs[0].series.image.affine
    write_nifti(path, volume, affine, dtype=np.int16, note="haemodynamic response of each voxel, see the table")
    more = {
        "Description": "Which response of the library fits each voxel best: index in the table beside this file, 0 in none.",
        "index": {"Description": "Value in the map."},
        "peak_s": {"Description": "Time to the peak of the response to an instant.", "Units": "s"},
        "width": {"Description": "Dispersion; SPM's canonical response has 1."},
        "voxels": {"Description": "Voxels that it fits best."},
        "median_r2": {"Description": "Median R² of those voxels, as the study's library.by says."},
    }
    write_sidecar(
        subject.folder, path, inputs=subject.inputs, parameters=parameters, packages=PACKAGES, more=more, beside=[table]
    )
