"""RDM files: they come back as they were, rsatoolbox loads them, and the same RDMs give the same bytes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from analysis.rdm import Rdm
from analysis.rdm_files import described_columns, find_rdms, read_rdms, write_dissimilarities, write_rdms
from protocols.problems import FoolscanError, NotReady
from protocols.tables import read_table

CATEGORIES = {"category": ["owl", "shark", "bed"], "supercategory": ["birds", "fish", "furniture"]}


def rdms() -> list[Rdm]:
    rng = np.random.default_rng(0)
    return [
        Rdm(rng.random(3), tuple(f"{name}-{c}" for c in CATEGORIES["category"]), "spearman", {"roi": roi, "set": name})
        for roi in ("V1", "LO")
        for name in ("RE", "AN")
    ]


def test_rdms_come_back_as_they_were(tmp_path: Path) -> None:
    path = write_rdms(tmp_path / "rdms.h5", rdms(), CATEGORIES, "test")
    for read, written in zip(read_rdms(path), rdms(), strict=True):
        np.testing.assert_array_equal(read.values, written.values)
        assert (read.stim_ids, read.measure) == (written.stim_ids, written.measure)
        assert dict(read.descriptors) == dict(written.descriptors)
    assert [rdm.descriptors["set"] for rdm in find_rdms(read_rdms(path), roi="LO")] == ["RE", "AN"]


def test_the_same_rdms_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_rdms(tmp_path / "first.h5", rdms(), CATEGORIES, "test")
    second = write_rdms(tmp_path / "second.h5", rdms(), CATEGORIES, "test")
    assert first.read_bytes() == second.read_bytes()


def test_rsatoolbox_loads_them(tmp_path: Path) -> None:
    rsatoolbox = pytest.importorskip("rsatoolbox")
    path = write_rdms(tmp_path / "rdms.h5", rdms(), CATEGORIES, "test")
    loaded = rsatoolbox.rdm.load_rdm(str(path), file_type="hdf5")
    assert loaded.n_rdm == 4
    assert loaded.dissimilarity_measure == "spearman"
    assert list(loaded.pattern_descriptors["category"]) == CATEGORIES["category"]
    subset = loaded.subset("roi", "LO").subset("set", "AN")
    np.testing.assert_array_equal(subset.get_matrices()[0], rdms()[3].square)


def test_the_table_has_every_pair(tmp_path: Path) -> None:
    rows = read_table(write_dissimilarities(tmp_path / "rdms.tsv", rdms()))
    assert len(rows) == 4 * 3
    assert rows[0]["stim_id_a"] == "RE-owl"
    assert float(rows[-1]["dissimilarity"]) == pytest.approx(float(rdms()[3].values[-1]), abs=1e-9)


def test_every_column_of_the_table_is_described(tmp_path: Path) -> None:
    table = write_dissimilarities(tmp_path / "rdms.tsv", rdms())
    words = described_columns(rdms())
    assert list(words) == list(read_table(table)[0])
    assert "1 − Spearman" in words["dissimilarity"]["Description"]


def test_what_is_no_rdm_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="foolscan analysis rdms"):
        read_rdms(tmp_path / "none.h5")
    (tmp_path / "empty.h5").write_bytes(b"")
    with pytest.raises(FoolscanError, match="not readable as HDF5"):
        read_rdms(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "newer.h5", "w") as file:
        file.attrs["format"] = 99
    with pytest.raises(FoolscanError, match="found format 99"):
        read_rdms(tmp_path / "newer.h5")


def test_rdms_of_format_1_are_still_read(project_root: Path) -> None:
    """A file frozen when format 1 was new: every release reads it."""
    found = read_rdms(project_root / "tests" / "formats" / "v1" / "rdms.h5")
    for read, written in zip(found, rdms(), strict=True):
        np.testing.assert_array_equal(read.values, written.values)
        assert read.stim_ids == written.stim_ids
        assert dict(read.descriptors) == dict(written.descriptors)
