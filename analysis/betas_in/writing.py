"""Writes imported betas beside foolscan's own, with their table and a sidecar that says where they came from."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.betas_in.assignment import Target
from analysis.betas_in.given import VOLUME, Given, Values
from analysis.betas_in.matching import Matching
from analysis.betas_table import COLUMNS, SINGLE_TRIAL_COLUMNS
from analysis.nifti import check_same_grid, open_nifti, write_nifti
from analysis.rois import roi_path
from analysis.stored_betas import (
    all_betas,
    betas_path,
    files_at,
    imported_from,
    session_betas_path,
    surface_betas_path,
    table_path,
)
from analysis.surfaces import write_maps
from protocols.folder import StudyFolder, read_json, write_text
from protocols.manifest import Stimulus
from protocols.problems import FoolscanError
from protocols.provenance import is_current, sha256_of, sidecar_path, write_sidecar
from protocols.study import Study

PACKAGES = ("numpy", "scipy", "nibabel", "h5py")


@dataclass(frozen=True)
class Imported:
    """What was imported for one run (or session).

    files    : the betas: one image, or one file per hemisphere.
    written  : False where these very betas stood already.
    maps     : how many.
    checked  : what was compared with the log, in words.
    warnings : what the lab should look at.
    left_out : names of the source's maps that are not betas of images.
    """

    stem: str
    files: tuple[Path, ...]
    written: bool
    maps: int
    checked: str
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Grid:
    shape: tuple[int, ...]
    affine: NDArray[np.float64]


def place_of(folder: StudyFolder, target: Target) -> Path:
    """Where the image of a target's betas stands."""
    run = target.runs[0]
    return session_betas_path(folder, run) if target.whole_session else betas_path(folder, run)


def refuse_others(folder: StudyFolder, target: Target, *, replace: bool) -> None:
    """Refuse to write over foolscan's own estimates, or a session's betas beside those of its runs.

    replace : own estimates may be overwritten.
    """
    for path in files_at(place_of(folder, target)).values():
        if imported_from(path) is None and not replace:
            raise FoolscanError(
                f"{path}: found betas that foolscan estimated; move them elsewhere, or write over them with --replace"
            )
    others = (
        [betas_path(folder, run) for run in target.runs]
        if target.whole_session
        else [session_betas_path(folder, target.runs[0])]
    )
    for other in others:
        if files_at(other):
            raise FoolscanError(
                f"{other}: found betas of the {'run' if target.whole_session else 'whole session'}; move them elsewhere first"
            )


def write_target(
    study: Study,
    folder: StudyFolder,
    given: Given,
    target: Target,
    matching: Matching,
    values: Values,
    stimuli: Sequence[Stimulus],
    parameters: Mapping[str, Any],
    tables: Sequence[Path],
) -> Imported:
    """Write one run's (or session's) betas, their table and sidecars.

    values     : in the order of the matches.
    parameters : how they were imported.
    tables     : the lab's tables that named them.

    Raises FoolscanError when they lie on another grid than the subject's masks, or were imported for another run already.
    """
    path = place_of(folder, target)
    events = [folder.events(run) for run in target.runs]
    own = [given.own[match.place] for match in matching.matches] if given.own else []
    hashes = {path: sha256_of(path) for path in own or given.files}
    sources = {path.name: digest for path, digest in hashes.items()}
    _refuse_used(folder, target, hashes, shared=not own)
    inputs = [*given.files, *own, *given.beside, *events, folder.manifest, *tables]
    told = {**parameters, "part": target.part, "run": target.stem}
    files = {key: path if key == VOLUME else surface_betas_path(path, key) for key in values}
    if given.affine is not None:
        _check_grid(study, folder, target, given, values[VOLUME])
    warnings = _warnings(study, matching)
    outcome = Imported(
        target.stem, tuple(files.values()), True, len(matching.matches), matching.checked, warnings, given.left_out
    )
    if table_path(path).exists() and all(is_current(folder, file, inputs, told) for file in files.values()):
        return Imported(**{**outcome.__dict__, "written": False})
    for key, other in files_at(path).items():
        if key not in files:  # the runs' betas were of voxels and are of vertices now, or the other way round
            other.unlink()
            sidecar_path(other).unlink(missing_ok=True)
    write_text(table_path(path), _table(matching, stimuli, several_runs=len(target.runs) > 1))
    more: dict[str, Any] = {
        "Description": "Betas that were estimated elsewhere and imported; rows of the table are the volumes (or maps).",
        "ImportedFrom": parameters["imported_from"],
        "Units": parameters["units"],
        "Scale": parameters["scale"],
        "Matching": {"checked": matching.checked, "clock_offset_s": matching.offset_s, "maps": len(matching.matches)},
        "Names": [given.maps[match.place].name for match in matching.matches],
        "Sources": sources,
        "NotImported": list(given.left_out),
        "Notes": list(given.notes),
    }
    if warnings:
        more["Warnings"] = list(warnings)
    for key, file in files.items():
        if given.affine is not None:
            write_nifti(file, values[key], given.affine, dtype=np.float32, note="imported betas")
        else:
            write_maps(file, values[key], key)
        write_sidecar(folder, file, inputs=inputs, parameters=told, packages=PACKAGES, more=more)
    return outcome


def _warnings(study: Study, matching: Matching) -> tuple[str, ...]:
    offset_s = matching.offset_s
    if offset_s is None or abs(offset_s) <= study.scan.tr_s / 10:
        return ()
    return (
        f"the source's onsets are {offset_s:+.3f} s off the log's: right if its time 0 is another volume than the first stored one "
        "(discarded dummies), else its model was shifted",
    )


def _refuse_used(folder: StudyFolder, target: Target, hashes: Mapping[Path, str], *, shared: bool) -> None:
    """Refuse files that another subject's betas (or, where every map has its own, another run's) were imported from."""
    of_digest = {digest: path for path, digest in hashes.items()}
    for path in all_betas(folder):
        stem = path.name.split("_betas")[0].split("_hemi-")[0]
        same_subject = stem.startswith(f"sub-{target.runs[0].sub}_")
        if stem == target.stem or (shared and same_subject) or imported_from(path) is None:
            continue
        earlier = read_json(sidecar_path(path)).get("Sources", {})
        for other, digest in earlier.items():
            if digest in of_digest:
                raise FoolscanError(
                    f"{of_digest[digest]}: found the same content as the {other} that {path} was imported from; each run has its "
                    f"own: give {target.stem}'s, or import the other's again if that was wrong"
                )


def _check_grid(study: Study, folder: StudyFolder, target: Target, given: Given, volumes: NDArray[np.float32]) -> None:
    grid = _Grid(volumes.shape[:3], np.asarray(given.affine))
    source = given.own[0] if given.own else given.files[0]
    for roi in study.analysis.rois:
        mask = roi_path(folder, target.runs[0].sub, roi)
        if mask.exists():
            check_same_grid(source, grid, mask, open_nifti(mask))


def _table(matching: Matching, stimuli: Sequence[Stimulus], *, several_runs: bool) -> str:
    of_id = {stimulus.stim_id: stimulus for stimulus in stimuli}
    single = matching.single_trials
    columns = (*SINGLE_TRIAL_COLUMNS, *(("run",) if several_runs else ())) if single else COLUMNS
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    for index, match in enumerate(matching.matches):
        stimulus = of_id[match.stim_id]
        row = [index, match.stim_id, stimulus.set, stimulus.category, len(match.presentations)]
        if single:
            first = match.presentations[0]
            row += [first.trial, f"{first.onset_s:g}", *([first.run] if several_runs else [])]
        writer.writerow(row)
    return text.getvalue()
