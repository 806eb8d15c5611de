"""A file that a newer foolscan made is left alone, and nothing is written that nobody said."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.folder import StudyFolder, open_folder, read_json, write_json, write_text
from protocols.problems import FoolscanError
from protocols.provenance import (
    SIDECAR_FORMAT,
    NewerSidecar,
    is_current,
    is_simulated,
    read_provenance,
    sidecar_path,
    write_sidecar,
)


def test_a_file_that_a_newer_foolscan_made_is_not_made_again(tmp_path: Path) -> None:
    folder, path = StudyFolder(tmp_path), tmp_path / "derived.tsv"
    write_text(path, "x\n")
    written = write_sidecar(folder, path, inputs=[], parameters={})
    record = read_json(written)
    record["foolscan"]["format"] = SIDECAR_FORMAT + 1
    write_json(written, record)
    message = rf"derived\.json: found format {SIDECAR_FORMAT + 1}; .*leaves derived\.tsv as it is: update foolscan"
    with pytest.raises(NewerSidecar, match=message):
        is_current(folder, path, [], {})
    with pytest.raises(FoolscanError, match=message):
        read_provenance(path)
    assert read_json(sidecar_path(path)) == record


def test_no_author_is_invented(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "study", "A study", rehearsal=True)
    description = read_json(folder.root / "dataset_description.json")
    assert "Authors" not in description
    assert description["Name"].startswith("A study")


def test_what_is_made_of_simulated_data_is_marked_as_simulated(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    simulated, real, table = (tmp_path / name for name in ("sub-01_events.tsv", "sub-02_events.tsv", "betas.tsv"))
    for path, more in ((simulated, {"Simulated": True}), (real, None), (table, None)):
        write_text(path, "x\n")
        write_sidecar(folder, path, inputs=[], parameters={}, more=more)
    assert (is_simulated(simulated), is_simulated(real), is_simulated(tmp_path / "missing.tsv")) == (True, False, False)
    for inputs, marked in (([real], False), ([real, simulated], True)):
        write_sidecar(folder, table, inputs=inputs, parameters={})
        assert is_simulated(table) is marked
    write_sidecar(folder, real, inputs=[table], parameters={})  # and what is made of that
    assert is_simulated(real)
