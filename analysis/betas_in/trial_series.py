"""Maps with a table of trials: the volumes of a 4D NIfTI in fMRIPrep's space, or the maps of GIFTI files of both hemispheres."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.betas_in.given import Given, GivenMap, Values, volumes_of_series
from analysis.betas_in.given_tables import TrialRow, read_trials_table
from analysis.surfaces import HEMISPHERES, read_maps
from protocols.folder import RunId
from protocols.problems import FoolscanError

IN_NAMES = {"L": (r"hemi-L\b|hemi-L_", r"^lh\.", r"\.L\."), "R": (r"hemi-R\b|hemi-R_", r"^rh\.", r"\.R\.")}


def read_trial_series(path: Path, trials: Path | None) -> Given:
    """The volumes of a 4D image.

    trials : what each is; None: the TSV of the same name beside the image.
    """
    read, affine, n_volumes = volumes_of_series(path)
    table = trials or path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    return with_trials(Given(_unnamed(path, n_volumes), read, affine, (path,)), table, "volumes")


def read_surfaces(path: Path, trials: Path | None, run: RunId) -> Given:
    """The maps of both hemispheres.

    path   : the file of one hemisphere (the other's is found by its name), or a folder with one file of each for this run.
    trials : what each map is; None: the TSV of the same name, without its hemisphere, beside it.

    Raises FoolscanError when the hemispheres have different numbers of maps; with one hemisphere only, the notes say so.
    """
    files = _hemispheres(path, run)
    maps = {name: read_maps(file, name) for name, file in files.items()}
    counts = {name: values.shape[1] for name, values in maps.items()}
    if len(set(counts.values())) > 1:
        raise FoolscanError(
            f"{files['R']}: found {counts['R']} maps; {files['L']} has {counts['L']}. Both have the same trials"
        )
    first = next(iter(files.values()))

    def read(places: Sequence[int]) -> Values:
        return {name: np.asarray(values[:, list(places)], dtype=np.float32) for name, values in maps.items()}

    lone = [name for name in HEMISPHERES if name not in files]
    notes = tuple(f"no betas of hemisphere {name}" for name in lone)
    given = Given(_unnamed(first, next(iter(counts.values()))), read, None, tuple(files.values()), notes=notes)
    return with_trials(given, trials or _table_beside(first), "maps")


def with_trials(given: Given, path: Path, what: str) -> Given:
    """A source whose maps a table of trials names; rows without an image (``n/a``) are left out.

    what : what the source's maps are, for messages: ``volumes``, ``maps``.

    Raises FoolscanError when the table has another number of rows than the source has maps.
    """
    rows = read_trials_table(path)
    if len(rows) != len(given.maps):
        raise FoolscanError(
            f"{path}: found {len(rows)} rows; {given.files[0]} has {len(given.maps)} {what}. One row for each, in their order"
        )
    places = [place for place, row in enumerate(rows) if row.stim_id is not None]
    maps = tuple(_named(given.maps[place], rows[place], path) for place in places)
    left_out = tuple(f"{path.name}:{row.line}" for row in rows if row.stim_id is None)
    read: Callable[[Sequence[int]], Values] = given.read
    return replace(
        given,
        maps=maps,
        read=lambda wanted: read([places[item] for item in wanted]),
        beside=(*given.beside, path),
        left_out=(*given.left_out, *left_out),
    )


def _named(given: GivenMap, row: TrialRow, path: Path) -> GivenMap:
    onsets = () if row.onset_s is None else (row.onset_s,)
    return replace(
        given,
        where=f"{path}:{row.line}",
        name=str(row.stim_id),
        stim_id=row.stim_id,
        ses=row.ses,
        run=row.run,
        onsets_s=onsets,
    )


def _unnamed(path: Path, number: int) -> tuple[GivenMap, ...]:
    return tuple(GivenMap(str(path), f"map {place + 1}") for place in range(number))


def _hemispheres(path: Path, run: RunId) -> dict[str, Path]:
    if path.is_dir():
        every = sorted(item for item in path.iterdir() if item.name.endswith(".gii"))
        every = [item for item in every if "_run-" not in item.name or re.search(rf"_run-0*{run.run}(?!\d)", item.name)]
        every = [item for item in every if "sub-" not in item.name or f"sub-{run.sub}_" in item.name]
        every = [item for item in every if "_ses-" not in item.name or f"_ses-{run.ses}_" in item.name]
    elif path.is_file():
        every = sorted({path, *(item for item in path.parent.iterdir() if _bare(item.name) == _bare(path.name))})
    else:
        raise FoolscanError(
            f"{path}: no such file or folder; expected GIFTI files (.func.gii), one for each hemisphere"
        )
    found: dict[str, Path] = {}
    for item in every:
        name = _hemisphere(item.name)
        if name is None or not item.name.endswith(".gii"):
            continue
        if name in found:
            raise FoolscanError(
                f"{path}: found {found[name].name} and {item.name} of hemisphere {name}; name one with --from"
            )
        found[name] = item
    if not found:
        raise FoolscanError(f"{path}: found no GIFTI file that names its hemisphere (hemi-L, lh. or .L.)")
    return dict(sorted(found.items()))


def _hemisphere(name: str) -> str | None:
    return next((key for key, forms in IN_NAMES.items() if any(re.search(form, name) for form in forms)), None)


def _bare(name: str) -> str:
    """A file's name without its hemisphere."""
    for form in (r"_?hemi-[LR]", r"^[lr]h\.", r"\.[LR]\."):
        name = re.sub(form, "." if form.startswith(r"\.") else "", name)
    return name


def _table_beside(path: Path) -> Path:
    bare = _bare(path.name)
    for suffix in (".func.gii", ".shape.gii", ".gii"):
        bare = bare.removesuffix(suffix)
    return path.with_name(f"{bare}.tsv")
