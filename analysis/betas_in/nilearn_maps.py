"""Effect-size maps that nilearn wrote: one 3D image per condition, or all of them in one 4D image with a table of names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.betas_in.given import Given, GivenMap, volumes_of_files, volumes_of_series
from analysis.betas_in.given_tables import Named
from analysis.betas_in.names import named_alike
from protocols.folder import RunId
from protocols.problems import FoolscanError

EFFECTS = ("effect", "effectsize", "effect_size", "beta", "betas")
OTHER_MAPS = (
    "t",
    "z",
    "p",
    "variance",
    "effectvariance",
    "effect_variance",
    "z_score",
    "p_value",
    "stat",
    "tstat",
    "zscore",
    "rsquared",
)


def read_nilearn(
    path: Path, run: RunId, stim_ids: Sequence[str], table: Mapping[str, Named], *, whole_session: bool
) -> Given:
    """The effect-size maps of one run.

    path          : a folder of 3D images, or one 4D image whose volumes the table names in order.
    run           : whose; files that name another sub, ses or run are left out.
    table         : what names stand for.
    whole_session : whether the maps are of all runs of the session: then ``run`` in names is not compared.

    Raises FoolscanError with the file for what is not readable or lies on another grid.
    """
    if path.is_file():
        return _of_series(path, table)
    if not path.is_dir():
        raise FoolscanError(f"{path}: no such file or folder; expected nilearn's effect-size maps")
    every = sorted(item for item in path.iterdir() if item.name.endswith((".nii", ".nii.gz")))
    entities = {"sub": run.sub, "ses": run.ses} | ({} if whole_session else {"run": run.run})
    mine = [item for item in every if _is_of(item.name, entities)]
    kept: list[tuple[Path, str]] = []
    left_out = [item.name for item in every if item not in mine]
    # what save_glm_to_bids writes of the whole model (mask, errors, R²) has no contrast in its name
    saved = any("contrast-" in item.name for item in mine)
    for item in mine:
        name = _condition(item.name) if not saved or "contrast-" in item.name else None
        if name is None:
            left_out.append(item.name)
        else:
            kept.append((item, name))
    maps = []
    notes = []
    images = []
    for item, name in kept:
        known = named_alike(name, stim_ids, table)
        if known is not None and known.stim_id is None:
            left_out.append(item.name)
            continue
        if known is not None and known.stim_id != name and name not in table:
            notes.append(f"{name} was read as {known.stim_id}")
        told = (None, None) if known is None else (known.stim_id, known.trial)
        maps.append(GivenMap(str(item), name, stim_id=told[0], trial=told[1]))
        images.append(item)
    if not images:
        raise FoolscanError(
            f"{path}: found no effect-size map of {run.stem} among {len(every)} NIfTI files; expected one 3D image per condition, "
            "named after it (RE-owl_effect_size.nii.gz, or as nilearn's save_glm_to_bids names them)"
        )
    read, affine = volumes_of_files(images)
    return Given(tuple(maps), read, affine, (), tuple(images), (), tuple(left_out), tuple(notes))


def _of_series(path: Path, table: Mapping[str, Named]) -> Given:
    read, affine, n_volumes = volumes_of_series(path)
    if len(table) != n_volumes:
        raise FoolscanError(
            f"{path}: found {n_volumes} volumes, and a table of {len(table)} names; give --names with one row per volume, in their order"
        )
    places = [place for place, told in enumerate(table.values()) if told.stim_id is not None]
    rows = list(table.items())
    maps = tuple(
        GivenMap(
            f"{path.name}, volume {place + 1} (row {rows[place][1].line} of --names)",
            rows[place][0],
            stim_id=rows[place][1].stim_id,
            trial=rows[place][1].trial,
        )
        for place in places
    )
    left_out = tuple(name for name, told in rows if told.stim_id is None)
    return Given(maps, lambda wanted: read([places[item] for item in wanted]), affine, (path,), left_out=left_out)


def _is_of(name: str, entities: Mapping[str, str | int]) -> bool:
    """Whether a file's name has no other subject, session or run than these."""
    for key, label in entities.items():
        for found in re.findall(rf"(?:^|_){key}-([A-Za-z0-9]+)", name):
            same = found.lstrip("0") == str(label).lstrip("0") if found.isdecimal() else found == label
            if not same:
                return False
    return True


def _condition(name: str) -> str | None:
    """The condition in a file's name; None for a map that is no effect."""
    stem = name.removesuffix(".gz").removesuffix(".nii")
    stat = re.search(r"_stat-([A-Za-z0-9]+)", stem)
    contrast = re.search(r"_?contrast-([A-Za-z0-9]+)", stem)
    if stat and stat[1].casefold() not in EFFECTS:
        return None
    if contrast:
        return contrast[1]
    for other in sorted(OTHER_MAPS, key=len, reverse=True):
        if stem.casefold().endswith(f"_{other}"):
            return None
    for effect in sorted(EFFECTS, key=len, reverse=True):
        if stem.casefold().endswith(f"_{effect}"):
            stem = stem[: -len(effect) - 1]
            break
    return re.sub(r"^(?:(?:sub|ses|task|run|space|desc)-[A-Za-z0-9]+_)+", "", stem)
