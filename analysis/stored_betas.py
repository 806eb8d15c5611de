"""Betas as they are stored: where they lie, what they hold, and how they are read back as patterns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.betas_table import check_shown, read_betas_table
from analysis.glm.noise_normalisation import (
    WHITENING,
    noise_covariance,
    noise_path,
    normalised,
    one_at_a_time,
)
from analysis.nifti import check_same_grid, open_nifti, read_voxels
from analysis.patterns import Patterns
from analysis.rois import load_rois, load_surface_rois, roi_path
from analysis.surfaces import HEMISPHERES, read_maps
from protocols.folder import RunId, StudyFolder, read_json
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import read_provenance, sha256_of, sidecar_path
from protocols.study import Study

VOLUME = "volume"
SUFFIX = {VOLUME: "_betas.nii.gz", **{name: f"_hemi-{name}_betas.func.gii" for name in HEMISPHERES}}


@dataclass(frozen=True)
class StoredBetas:
    """The betas of one run, or of all runs of one session in one model.

    stem  : of the files: the run's, or the session's with ``run-all``.
    files : the image by "volume", or the surfaces by hemisphere "L" and "R".
    table : what each of its volumes (or maps) is.
    runs  : the runs they are of.
    """

    stem: str
    files: dict[str, Path]
    table: Path
    runs: tuple[RunId, ...]

    @property
    def noise(self) -> Path | None:
        """Where the noise covariance of volumes stands, if there is one; None on surfaces."""
        return noise_path(self.files[VOLUME]) if VOLUME in self.files else None


def betas_path(folder: StudyFolder, run: RunId) -> Path:
    """``derivatives/foolscan/betas/sub-*/ses-*/<stem>_betas.nii.gz``; its table of images is ``_betas.tsv``."""
    return _place(folder, run) / f"{run.stem}{SUFFIX[VOLUME]}"


def session_betas_path(folder: StudyFolder, run: RunId) -> Path:
    """``…_run-all_betas.nii.gz``: betas of a model of all runs of this run's session, end to end."""
    return _place(folder, run) / f"{session_stem(run)}{SUFFIX[VOLUME]}"


def session_stem(run: RunId) -> str:
    """``sub-01_ses-01_task-animals_run-all``."""
    return f"sub-{run.sub}_ses-{run.ses}_task-{run.task}_run-all"


def surface_betas_path(path: Path, hemisphere: str) -> Path:
    """The betas of one hemisphere's surface, ``…_hemi-L_betas.func.gii``, beside where the image would stand."""
    return path.with_name(path.name.removesuffix(SUFFIX[VOLUME]) + SUFFIX[hemisphere])


def table_path(path: Path) -> Path:
    """The table of the images of a betas file."""
    return path.with_name(path.name.removesuffix(".nii.gz") + ".tsv")


def _place(folder: StudyFolder, run: RunId) -> Path:
    return folder.derived("betas") / f"sub-{run.sub}" / f"ses-{run.ses}"


def files_at(path: Path) -> dict[str, Path]:
    """The betas that stand at a place, the image or the surfaces; empty without any.

    path : where the image would stand, from `betas_path` or `session_betas_path`.

    Raises FoolscanError when there are an image and surfaces.
    """
    surfaces = {name: surface_betas_path(path, name) for name in HEMISPHERES}
    there = {name: file for name, file in surfaces.items() if file.exists()}
    if path.exists() and there:
        raise FoolscanError(f"{path}: found betas of voxels and betas on surfaces of one run; leave one kind there")
    return {VOLUME: path} if path.exists() else there


def imported_from(path: Path) -> str | None:
    """The kind of source that a betas file was imported from (``spm``, ``fsl`` …); None for foolscan's own estimates.

    path : a betas file with its sidecar.
    """
    record = read_json(sidecar_path(path)) if sidecar_path(path).exists() else {}
    kind = record.get("ImportedFrom")
    return kind if isinstance(kind, str) else None


def imports_in_words(folder: StudyFolder) -> tuple[list[str], bool]:
    """What is known of imported betas, one sentence for each kind and unit; and whether foolscan estimated any itself."""
    counts: dict[tuple[str, str, str], set[str]] = {}
    own = False
    for path in all_betas(folder):
        kind = imported_from(path)
        if kind is None:
            own = True
            continue
        record = read_json(sidecar_path(path))
        checked = str(record.get("Matching", {}).get("checked", "nothing"))
        counts.setdefault((kind, str(record.get("Units", "not told")), checked), set()).add(_stem(path))
    sentences = [
        f"the betas of {len(stems)} runs (or sessions) were estimated elsewhere and imported from {kind}, in {units}; they were "
        f"matched to the logged trials by {checked}"
        for (kind, units, checked), stems in counts.items()
    ]
    return sentences, own or not counts


def _stem(path: Path) -> str:
    """The run (or session) in a betas file's name."""
    return path.name.split("_betas")[0].split("_hemi-")[0]


def all_betas(folder: StudyFolder) -> list[Path]:
    """Every betas file of a study folder, in order of name."""
    return sorted(path for suffix in set(SUFFIX.values()) for path in folder.derived("betas").rglob(f"sub-*{suffix}"))


def stored_betas(study: Study, folder: StudyFolder, sub: str) -> list[StoredBetas]:
    """The betas of all runs of one subject, in order of session and run.

    Raises NotReady when those of a run are missing, FoolscanError when a session has betas of its runs and of all of them
    together, or some of a subject's are on surfaces and some are not.
    """
    runs = [run for run in folder.runs(study.analysis.task) if run.sub == sub]
    if not runs:
        raise NotReady(f"{folder.root}: no runs of task {study.analysis.task} for sub-{sub}")
    found: list[StoredBetas] = []
    for ses in dict.fromkeys(run.ses for run in runs):
        of_session = [run for run in runs if run.ses == ses]
        together = files_at(session_betas_path(folder, of_session[0]))
        each = {run: files_at(betas_path(folder, run)) for run in of_session}
        if together and any(each.values()):
            raise FoolscanError(
                f"{next(iter(together.values()))}: found betas of the whole session and of its runs; move one kind elsewhere"
            )
        if together:
            path = session_betas_path(folder, of_session[0])
            found.append(StoredBetas(session_stem(of_session[0]), together, table_path(path), tuple(of_session)))
            continue
        for run, files in each.items():
            path = betas_path(folder, run)
            if not files:
                raise NotReady(
                    f"{path}: no betas of this run yet; run: foolscan analysis betas STUDY --to {folder.root}, or import-betas"
                )
            found.append(StoredBetas(run.stem, files, table_path(path), (run,)))
    for stored in found[1:]:
        if set(stored.files) != set(found[0].files):
            raise FoolscanError(
                f"{next(iter(stored.files.values()))}: found {' and '.join(stored.files)}; {found[0].stem} has "
                f"{' and '.join(found[0].files)}. All runs of a subject have betas of one kind"
            )
    return found


def load_patterns(study: Study, folder: StudyFolder, sub: str, roi: str) -> Patterns:
    """The betas of one subject in one ROI, all runs, the images in the manifest's order, unscaled.

    They are normalised by their noise where ``analysis.glm.noise_normalisation`` says so.

    study  : names the task and the ROIs.
    folder : the study folder, with betas estimated or imported.
    sub    : BIDS label of the subject.
    roi    : name of the ROI.

    Betas of single trials are averaged over a run's presentations of an image. Of betas on surfaces `voxels` has, for each
    vertex, its hemisphere (0 left, 1 right), its number, and 0.

    Raises NotReady when the betas are missing, FoolscanError when a table and its image disagree with each other, with
    the manifest, with what was shown or with the mask, or when two runs have the same betas.
    """
    stored = stored_betas(study, folder, sub)
    stimuli = read_manifest(folder)
    of_id = {stimulus.stim_id: i for i, stimulus in enumerate(stimuli)}
    _refuse_twins(folder, stored)
    read = (
        _surface_reader(study, folder, sub, roi)
        if VOLUME not in stored[0].files
        else _volume_reader(study, folder, sub, roi)
    )
    names: list[str] = []
    betas: list[NDArray[np.float64]] = []
    for item in stored:
        values = read.values(item)
        rows = read_betas_table(item.table, len(values), of_id)
        check_shown(folder, item.table, item.runs, rows)
        # betas of a session's single trials tell their run: its runs stay apart
        for part in dict.fromkeys(row.run for row in rows):
            mine = [place for place, row in enumerate(rows) if row.run == part]
            names.append(item.stem if part is None else f"{item.stem.removesuffix('all')}{part:02d}")
            betas.append(_means(values[mine], [of_id[rows[place].stim_id] for place in mine], len(stimuli)))
    return Patterns(
        sub=sub,
        roi=roi,
        runs=tuple(names),
        stim_ids=tuple(of_id),
        sets=tuple(stimulus.set for stimulus in stimuli),
        categories=tuple(stimulus.category for stimulus in stimuli),
        betas=_in_units_of_noise(study, folder, sub, roi, np.stack(betas)),
        voxels=read.voxels,
        positions_mm=read.positions_mm,
    )


def _in_units_of_noise(
    study: Study, folder: StudyFolder, sub: str, roi: str, betas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Patterns normalised by their noise, (n_runs, n_images, n_voxels), where the study asks for it."""
    kind = study.analysis.glm.noise_normalisation
    if kind == "none":
        return betas
    with one_at_a_time(f"sub-{sub} {roi}", betas.shape[2], WHITENING):
        return normalised(betas, noise_covariance(study, folder, sub, roi), kind)


def _means(values: NDArray[np.float64], places: Sequence[int], n_images: int) -> NDArray[np.float64]:
    """Mean over the rows of each image, (n_images, n_voxels); NaN for an image without a row."""
    result = np.full((n_images, values.shape[1]), np.nan)
    for place in dict.fromkeys(places):
        mine = [row for row, other in enumerate(places) if other == place]
        result[place] = values[mine[0]] if len(mine) == 1 else values[mine].mean(axis=0)
    return result


@dataclass(frozen=True)
class _VolumeReader:
    """Reads the voxels of one ROI from images."""

    folder: StudyFolder
    roi: str
    mask: NDArray[np.bool_]
    mask_path: Path

    @property
    def voxels(self) -> NDArray[np.intp]:
        return np.argwhere(self.mask)

    @property
    def positions_mm(self) -> NDArray[np.float64] | None:
        affine = np.asarray(open_nifti(self.mask_path).affine, dtype=np.float64)
        return self.voxels @ affine[:3, :3].T + affine[:3, 3]

    def values(self, stored: StoredBetas) -> NDArray[np.float64]:
        path = stored.files[VOLUME]
        record = _provenance_of_unchanged(path)
        inputs, glm = record["inputs"], record["parameters"].get("glm", {})
        bound = imported_from(path) is None and not (isinstance(glm, dict) and glm.get("where") == "brain")
        if bound and inputs.get(self.folder.relative(self.mask_path)) != sha256_of(self.mask_path):
            raise FoolscanError(
                f"{path}: estimated before {self.mask_path} was made or changed; run foolscan analysis betas again"
            )
        image = open_nifti(path)
        if len(image.shape) != 4:
            raise FoolscanError(
                f"{path}: found {len(image.shape)} dimensions {image.shape}; betas have 4: x, y, z, images"
            )
        check_same_grid(self.mask_path, open_nifti(self.mask_path), path, image)
        return _not_all_missing(path, self.roi, read_voxels(path, image, self.mask))


@dataclass(frozen=True)
class _SurfaceReader:
    """Reads the vertices of one ROI from surfaces."""

    roi: str
    inside: Mapping[str, NDArray[np.bool_]]

    @property
    def voxels(self) -> NDArray[np.intp]:
        rows = [
            np.column_stack(
                [np.full(int(part.sum()), HEMISPHERES.index(name)), np.flatnonzero(part), np.zeros(int(part.sum()))]
            )
            for name, part in sorted(self.inside.items())
        ]
        return np.concatenate(rows).astype(np.intp)

    @property
    def positions_mm(self) -> NDArray[np.float64] | None:
        return None  # GIFTI data files do not tell where their vertices lie

    def values(self, stored: StoredBetas) -> NDArray[np.float64]:
        parts = []
        for name, inside in sorted(self.inside.items()):
            if not inside.any():
                continue
            path = stored.files.get(name)
            if path is None:
                raise FoolscanError(
                    f"{stored.stem}: ROI {self.roi} has vertices of hemisphere {name}, and the betas have none; import them"
                )
            _provenance_of_unchanged(path)
            maps = read_maps(path, name)
            if len(maps) != len(inside):
                raise FoolscanError(
                    f"{path}: found {len(maps)} vertices; ROI {self.roi} is of a surface of {len(inside)}. Both must be of the same surface"
                )
            parts.append(maps[inside].T.astype(np.float64))
        if len({len(part) for part in parts}) > 1:
            raise FoolscanError(
                f"{stored.stem}: the hemispheres have {' and '.join(str(len(part)) for part in parts)} maps; import them again"
            )
        return _not_all_missing(stored.table, self.roi, np.concatenate(parts, axis=1))


def _volume_reader(study: Study, folder: StudyFolder, sub: str, roi: str) -> _VolumeReader:
    rois = load_rois(study, folder, sub)
    _check_roi(roi, list(rois))
    return _VolumeReader(folder, roi, rois[roi], roi_path(folder, sub, roi))


def _surface_reader(study: Study, folder: StudyFolder, sub: str, roi: str) -> _SurfaceReader:
    rois = load_surface_rois(study, folder, sub)
    _check_roi(roi, list(rois))
    return _SurfaceReader(roi, rois[roi].inside)


def _check_roi(roi: str, known: list[str]) -> None:
    if roi not in known:
        raise FoolscanError(f"ROI: found {roi!r}; allowed: {', '.join(known)}")


def _provenance_of_unchanged(path: Path) -> dict[str, Any]:
    record = read_provenance(path)
    if record["sha256"] != sha256_of(path):
        raise FoolscanError(
            f"{path}: not the file that its sidecar tells of; was it replaced or damaged? Estimate or import the betas again"
        )
    return record


def _not_all_missing(path: Path, roi: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, (n_rows, n_voxels), when no row is without any finite value in the ROI."""
    empty = np.flatnonzero(~np.isfinite(values).any(axis=1))
    if empty.size:
        row = int(empty[0])
        raise FoolscanError(
            f"{path}: row {row + 1} of {len(values)} of its table has no finite value in ROI {roi}; "
            "was that map empty, or does the ROI lie outside what was estimated?"
        )
    return values


def _refuse_twins(folder: StudyFolder, stored: Sequence[StoredBetas]) -> None:
    """Refuse betas that another run, of this subject or another, has as well."""
    first: dict[str, Path] = {}
    mine = {path for item in stored for path in item.files.values()}
    for path in all_betas(folder):
        if not sidecar_path(path).exists():
            continue
        digest = str(read_provenance(path)["sha256"])
        other = first.setdefault(digest, path)
        if other != path and (path in mine or other in mine):
            raise FoolscanError(
                f"{path}: found the same betas as in {other} (SHA-256 {digest[:12]}); each run has its own. Was one subject's "
                "file copied to another's name?"
            )
