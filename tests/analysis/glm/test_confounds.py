"""Confounds by name: fMRIPrep's groups, a lab's own columns, and what is wrong with a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.confounds import MOTION_COLUMNS
from analysis.glm.confounds import GROUPS, asked_for, read_confounds
from protocols.glm_plan import GlmPlan
from protocols.problems import FoolscanError

N = 8


def table(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    lines = ["\t".join(columns)]
    lines += ["\t".join(str(column[row]) for column in columns.values()) for row in range(N)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def fmriprep(tmp_path: Path) -> tuple[Path, dict[str, list[object]]]:
    """A table as fMRIPrep writes it, in an order of its own."""
    rng = np.random.default_rng(0)
    columns: dict[str, list[object]] = {"global_signal": rng.normal(500, 5, N).tolist()}
    for name in ("csf", "white_matter", *MOTION_COLUMNS):
        columns[name] = rng.normal(0, 1, N).tolist()
    for name in MOTION_COLUMNS:
        columns[f"{name}_power2"] = rng.normal(0, 1, N).tolist()
        columns[f"{name}_derivative1"] = ["n/a", *rng.normal(0, 1, N - 1).tolist()]
        columns[f"{name}_derivative1_power2"] = ["n/a", *rng.normal(0, 1, N - 1).tolist()]
    columns["framewise_displacement"] = ["n/a", *rng.uniform(0, 1, N - 1).tolist()]
    for i in range(4):
        columns[f"a_comp_cor_{i:02d}"] = rng.normal(0, 1, N).tolist()
    for i, row in enumerate((0, 4)):
        columns[f"motion_outlier{i:02d}"] = [float(volume == row) for volume in range(N)]
    return table(tmp_path / "confounds.tsv", columns), columns


def test_groups_are_fmripreps_columns(fmriprep: tuple[Path, dict[str, list[object]]]) -> None:
    path, columns = fmriprep
    found = read_confounds(path, GlmPlan(confounds=("csf", "motion", "motion_squares", "global_signal")), N)
    assert found.names == ("csf", *MOTION_COLUMNS, *GROUPS["motion_squares"], "global_signal")
    np.testing.assert_allclose(found.values, np.array([columns[name] for name in found.names]).T)


def test_the_first_row_of_derivatives_tells_nothing(fmriprep: tuple[Path, dict[str, list[object]]]) -> None:
    path, columns = fmriprep
    plan = GlmPlan(
        confounds=("motion", "motion_derivatives", "motion_derivative_squares"),
        confound_columns=("framewise_displacement",),
    )
    found = read_confounds(path, plan, N)
    assert len(found.names) == 19
    centred = found.values - found.values.mean(axis=0)
    np.testing.assert_allclose(centred[0, 6:], 0, atol=1e-12)
    np.testing.assert_allclose(found.values[1:, 18], np.array(columns["framewise_displacement"][1:], dtype=float))


def test_outliers_are_as_many_as_there_are_and_those_in_dummies_are_left_out(
    fmriprep: tuple[Path, dict[str, list[object]]],
) -> None:
    path, _ = fmriprep
    plan = GlmPlan(confounds=("motion_outliers", "non_steady_state"))
    assert read_confounds(path, plan, N).names == ("motion_outlier00", "motion_outlier01")
    later = read_confounds(path, plan, N, skipped=2)
    assert later.names == ("motion_outlier01",)
    assert later.dropped == ("motion_outlier00",)
    assert later.values.shape == (N - 2, 1)


def test_so_many_components_are_taken_in_order(fmriprep: tuple[Path, dict[str, list[object]]]) -> None:
    path, _ = fmriprep
    plan = GlmPlan(confounds=(), a_comp_cor=3)
    assert read_confounds(path, plan, N).names == ("a_comp_cor_00", "a_comp_cor_01", "a_comp_cor_02")
    assert asked_for(plan) == ["3 a_comp_cor"]
    with pytest.raises(
        FoolscanError, match=r"found 4 columns a_comp_cor; analysis\.glm\.a_comp_cor asks for 5.*a_comp_cor_…"
    ):
        read_confounds(path, GlmPlan(a_comp_cor=5), N)


def test_a_labs_own_columns_are_taken_by_their_names(tmp_path: Path) -> None:
    path = table(tmp_path / "lab.tsv", {"breathing": range(N), "Tx mm": np.arange(N) ** 2})
    found = read_confounds(path, GlmPlan(confounds=(), confound_columns=("Tx mm", "breathing")), N)
    assert found.names == ("Tx mm", "breathing")
    assert found.values[3].tolist() == [9.0, 3.0]


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = table(tmp_path / "lab.tsv", {"breathing": range(N), "pulse": range(N)})
    with pytest.raises(
        FoolscanError, match=r"lab\.tsv:1: found no column csf; the table has: breathing, pulse\. Change analysis"
    ):
        read_confounds(path, GlmPlan(confounds=("csf",)), N)


def test_no_confounds_are_no_columns(fmriprep: tuple[Path, dict[str, list[object]]]) -> None:
    assert read_confounds(fmriprep[0], GlmPlan(confounds=()), N).values.shape == (N, 0)


@pytest.mark.parametrize(
    ("row", "cell", "message"),
    [
        (3, "n/a", r"tsv:5: csf: found 'n/a', expected a number"),
        (0, "high", r"tsv:2: csf: found 'high'"),
        (7, "inf", "csf"),
    ],
)
def test_what_is_no_number_is_named_by_row_and_column(tmp_path: Path, row: int, cell: str, message: str) -> None:
    values: list[object] = list(range(N))
    values[row] = cell
    path = table(tmp_path / "confounds.tsv", {"csf": values})
    with pytest.raises(FoolscanError, match=message):
        read_confounds(path, GlmPlan(confounds=("csf",)), N)


def test_motion_has_a_first_row(tmp_path: Path) -> None:
    columns: dict[str, Sequence[object]] = {name: ["n/a", *range(N - 1)] for name in MOTION_COLUMNS}
    path = table(tmp_path / "confounds.tsv", columns)
    with pytest.raises(FoolscanError, match=r":2: trans_x: found no number"):
        read_confounds(path, GlmPlan(), N)


def test_a_table_of_another_length_is_refused(fmriprep: tuple[Path, dict[str, list[object]]]) -> None:
    with pytest.raises(FoolscanError, match="found 8 rows for 9 volumes"):
        read_confounds(fmriprep[0], GlmPlan(), 9)
