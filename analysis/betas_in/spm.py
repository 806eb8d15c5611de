"""SPM's betas: ``beta_0001.nii`` …, with the names of the regressors and the onsets from ``SPM.mat``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.betas_in.given import Given, GivenMap, volumes_of_files
from analysis.betas_in.given_tables import Named
from analysis.betas_in.matlab import read_matlab
from analysis.betas_in.names import named
from protocols.problems import FoolscanError

REGRESSOR = re.compile(r"Sn\((\d+)\) (.+)")
TASK = re.compile(r"(.+)\*bf\((\d+)\)")
MODULATED = re.compile(r".+x.+\^\d+")
FIELDS = ("SPM.xX.name", "SPM.Vbeta", "SPM.Sess", "SPM.xBF.name", "SPM.xBF.UNITS", "SPM.xY.RT")


def read_spm(path: Path, stim_ids: Sequence[str], table: Mapping[str, Named]) -> Given:
    """The betas of the images in one first-level folder of SPM, each with its session (`part`) and onsets.

    path     : the folder, or its ``SPM.mat``.
    stim_ids : the manifest's images; a condition's name is one of them, or stands in the table.
    table    : what names of conditions stand for.

    Regressors that are no conditions by SPM's own notation, further basis functions and parametric modulations are left
    out and listed. Raises FoolscanError for a basis set in which one beta is not the response (FIR and others).
    """
    where = path / "SPM.mat" if path.is_dir() else path
    content = read_matlab(where, FIELDS)
    lacking = [name for name in ("SPM.xX.name", "SPM.Vbeta") if name not in content]
    if lacking:
        raise FoolscanError(
            f"{where}: found no {' or '.join(lacking)}; expected the SPM.mat of an estimated first-level model"
        )
    names, files = _texts(content["SPM.xX.name"]), _beta_files(where, content["SPM.Vbeta"])
    if len(names) != len(files):
        raise FoolscanError(
            f"{where}: found {len(names)} regressors (SPM.xX.name) and {len(files)} betas (SPM.Vbeta); estimate the model again"
        )
    onsets = _onsets(where, content)
    _check_basis(where, names, content.get("SPM.xBF.name"))
    maps, images, left_out = [], [], []
    for name, file in zip(names, files, strict=True):
        form = REGRESSOR.fullmatch(name)
        task = TASK.fullmatch(form[2]) if form else None
        if (
            form is None
            or task is None
            or task[2] != "1"
            or (task[1] not in table and _is_modulation(task[1], stim_ids))
        ):
            left_out.append(name)
            continue
        known = named(task[1], stim_ids, table)
        if known is not None and known.stim_id is None:
            left_out.append(name)
            continue
        part = int(form[1])
        maps.append(
            GivenMap(
                f"{where}: {file.name}, {name}",
                task[1],
                stim_id=known.stim_id if known else None,
                trial=known.trial if known else None,
                part=part,
                onsets_s=onsets.get((part, task[1]), ()),
            )
        )
        images.append(file)
    if not images:
        raise FoolscanError(
            f"{where}: found no regressor of a condition among {len(names)} (first: {names[0] if names else 'none'})"
        )
    read, affine = volumes_of_files(images)
    return Given(tuple(maps), read, affine, (), tuple(images), (where,), tuple(left_out))


def _is_modulation(name: str, stim_ids: Sequence[str]) -> bool:
    return name not in stim_ids and MODULATED.fullmatch(name) is not None


def _check_basis(where: Path, names: Sequence[str], basis: Any) -> None:
    told = str(basis) if isinstance(basis, str) else ""
    several = [name for name in names if (form := re.search(r"\*bf\((\d+)\)$", name)) and form[1] != "1"]
    if several and not told.lower().startswith("hrf"):
        raise FoolscanError(
            f"{where}: found several basis functions per condition ({several[0]}; SPM.xBF.name is {told or 'not told'!r}); with these "
            "no single beta is the response. Estimate a model with the canonical HRF, or import a contrast as 3D maps (--kind nilearn)"
        )


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value]


def _beta_files(where: Path, betas: Any) -> list[Path]:
    found = []
    for place, item in enumerate([betas] if isinstance(betas, dict) else list(betas), start=1):
        name = item.get("fname") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name:
            raise FoolscanError(f"{where}: SPM.Vbeta({place}).fname: found {name!r}, expected the name of a beta image")
        bare = name.replace("\\", "/").rsplit("/", 1)[-1].split(",")[0]
        number = re.search(r"(\d+)", bare)
        if number is None or int(number[1]) != place:
            raise FoolscanError(
                f"{where}: SPM.Vbeta({place}).fname: found {bare!r}, expected beta {place:04d}; are the betas of this model?"
            )
        path = where.parent / bare
        if not path.is_file() and path.with_name(f"{bare}.gz").is_file():
            path = path.with_name(f"{bare}.gz")
        if not path.is_file():
            raise FoolscanError(f"{path}: no such file, which {where.name} names; copy the whole first-level folder")
        found.append(path)
    return found


def _onsets(where: Path, content: Mapping[str, Any]) -> dict[tuple[int, str], tuple[float, ...]]:
    """Onsets of every session's conditions, s; empty where SPM.mat does not tell its units."""
    units, tr = content.get("SPM.xBF.UNITS"), content.get("SPM.xY.RT")
    sessions = content.get("SPM.Sess")
    if not isinstance(units, str) or sessions is None:
        return {}
    if units != "secs" and tr is None:
        return {}
    scale = 1.0 if units == "secs" else float(np.asarray(tr).ravel()[0])
    found: dict[tuple[int, str], tuple[float, ...]] = {}
    for part, session in enumerate([sessions] if isinstance(sessions, dict) else list(sessions), start=1):
        conditions = session.get("U", []) if isinstance(session, dict) else []
        for condition in [conditions] if isinstance(conditions, dict) else conditions:
            if not isinstance(condition, dict) or "ons" not in condition or "name" not in condition:
                continue
            name = _texts(condition["name"])[0]
            found[part, name] = tuple(
                float(value) * scale for value in np.atleast_1d(np.asarray(condition["ons"], dtype=float)).ravel()
            )
    return found
