"""Confounds of a run by name: groups of fMRIPrep's columns, and a lab's own."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.confounds import MOTION_COLUMNS
from protocols.glm_plan import GlmPlan
from protocols.problems import FoolscanError

GROUPS: dict[str, tuple[str, ...]] = {
    "motion": MOTION_COLUMNS,
    "motion_derivatives": tuple(f"{name}_derivative1" for name in MOTION_COLUMNS),
    "motion_squares": tuple(f"{name}_power2" for name in MOTION_COLUMNS),
    "motion_derivative_squares": tuple(f"{name}_derivative1_power2" for name in MOTION_COLUMNS),
    "csf": ("csf",),
    "white_matter": ("white_matter",),
    "global_signal": ("global_signal",),
}
# one column for each volume to be left out: as many as there are, maybe none
NUMBERED = {"motion_outliers": r"motion_outlier\d+", "non_steady_state": r"non_steady_state_outlier\d+"}
A_COMP_COR = r"a_comp_cor_\d+"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Confounds:
    """The confounds of a run.

    values  : (n_volumes, n_columns).
    names   : of the columns.
    dropped : columns asked for that are constant over the volumes that are analysed, and so tell nothing.
    """

    values: Floats
    names: tuple[str, ...]
    dropped: tuple[str, ...]


def asked_for(plan: GlmPlan) -> list[str]:
    """The groups and columns that a study asks for, in words."""
    return [*plan.confounds, *([f"{plan.a_comp_cor} a_comp_cor"] if plan.a_comp_cor else []), *plan.confound_columns]


def read_confounds(path: Path, plan: GlmPlan, n_volumes: int, skipped: int = 0) -> Confounds:
    """The confounds that a study asks for.

    path      : a table with one row for each stored volume, its columns named as fMRIPrep names them.
    plan      : groups, number of a_comp_cor columns, and columns by name.
    n_volumes : rows it must have.
    skipped   : rows at its start that are left out, as of dummies that are stored.

    A first row of ``n/a``, as derivatives and displacements have it, takes the column's mean: it tells nothing.

    Raises FoolscanError with file, row and column; for columns that are not there, with those that are.
    """
    header, rows = _rows(path)
    if len(rows) != n_volumes:
        raise FoolscanError(f"{path}: found {len(rows)} rows for {n_volumes} volumes; make the table again")
    names = _columns(path, header, plan)
    values = np.empty((n_volumes, len(names)))
    for column, name in enumerate(names):
        values[:, column] = _numbers(path, name, header.index(name), rows)
    values = values[skipped:]
    tells = values.max(axis=0) > values.min(axis=0)
    kept = tuple(name for name, tell in zip(names, tells, strict=True) if tell)
    return Confounds(values[:, tells], kept, tuple(name for name in names if name not in kept))


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FoolscanError(f"{path}: not readable as a UTF-8 table ({error}); make the table again") from error
    return (rows[0], rows[1:]) if rows else ([], [])


def _columns(path: Path, header: Sequence[str], plan: GlmPlan) -> tuple[str, ...]:
    names: list[str] = []
    for group in plan.confounds:
        if group in NUMBERED:
            names += [name for name in header if re.fullmatch(NUMBERED[group], name)]
        else:
            names += GROUPS[group]
    components = sorted(name for name in header if re.fullmatch(A_COMP_COR, name))
    if len(components) < plan.a_comp_cor:
        raise FoolscanError(
            f"{path}:1: found {len(components)} columns a_comp_cor; analysis.glm.a_comp_cor asks for {plan.a_comp_cor}. "
            f"The table has: {_listed(header)}"
        )
    names += [*components[: plan.a_comp_cor], *plan.confound_columns]
    lacking = [name for name in names if name not in header]
    if lacking:
        raise FoolscanError(
            f"{path}:1: found no column {', '.join(lacking)}; the table has: {_listed(header)}. Change analysis.glm.confounds, "
            "or name the table's own columns in analysis.glm.confound_columns"
        )
    return tuple(dict.fromkeys(names))


def _listed(header: Sequence[str]) -> str:
    """The columns of a table, with those of one kind and many numbers as one word."""
    return ", ".join(dict.fromkeys(re.sub(r"\d{2,}$", "…", name) for name in header)) or "no columns"


def _numbers(path: Path, name: str, place: int, rows: Sequence[Sequence[str]]) -> Floats:
    values = np.empty(len(rows))
    for row, cells in enumerate(rows):
        cell = cells[place] if place < len(cells) else ""
        try:
            values[row] = float(cell)
        except ValueError:
            values[row] = math.nan
        if not math.isfinite(values[row]) and (row > 0 or cell.lower() not in ("n/a", "nan", "")):
            raise FoolscanError(f"{path}:{row + 2}: {name}: found {cell!r}, expected a number")
    if len(values) > 1 and math.isnan(values[0]) and name not in MOTION_COLUMNS:
        values[0] = values[1:].mean()
    if len(values) and math.isnan(values[0]):
        raise FoolscanError(f"{path}:2: {name}: found no number, expected one in every row")
    return values
