"""Which image was in which frame: the table of hashes that a rehearsal writes on request proves it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from experiment_study import fill, small_study

from experiment.bids import validate
from experiment.drawings import Nothing
from experiment.frames import COLUMNS, write_frames
from experiment.journal import read_journal
from experiment.run import run
from experiment.stage import hash_of
from experiment.timeline import row_from
from protocols.folder import RunId, read_json
from protocols.problems import FoolscanError
from protocols.rig import Rig

RUN = RunId("01", "01", "animals", 1)


def test_every_frame_of_a_run_showed_what_its_row_planned(window: Any, tmp_path: Path, rig: Rig):
    study = small_study(tmp_path, scan="{tr_s: 0.5, volumes: 8}", times=0.1)
    folder = fill(tmp_path / "study", study, rig)
    result = run(study, rig, folder.root, RUN, stage=window, pace="every", hash_frames=True)
    assert result.frames is not None
    with result.frames.open(encoding="utf-8", newline="") as lines:
        frames = list(csv.DictReader(lines, delimiter="\t"))
    assert list(frames[0]) == list(COLUMNS)
    journal = read_journal(result.journal)
    assert [frame["t_s"] for frame in frames] == [repr(flip["t_s"]) for flip in journal.of("flip")]
    planned = [row_from(record) for record in journal.header["timeline"]["rows"]]
    expected: dict[str, str] = {}
    for name, drawing in {row.drawing.name: row.drawing for row in planned}.items() | {("nothing", Nothing())}:
        window.draw(drawing.at(0))
        expected[name] = hash_of(window.snapshot())
        window.flip()
    assert len(set(expected.values())) == 13  # 12 images, and nothing
    played = [frame for frame in frames if frame["frame"] != "n/a"]
    assert len(played) >= 240
    for frame in played:
        row = None if frame["row"] == "n/a" else planned[int(frame["row"])]
        if row is not None:
            assert row.frame <= int(frame["frame"]) <= row.frame + row.n_frames
            assert frame["sha256"] == expected[row.drawing.name], frame
        else:
            assert frame["sha256"] == expected["nothing"]
    assert read_json(result.frames.with_suffix(".json"))["Simulated"] is True
    assert validate(folder.root).errors == ()


def test_frames_are_hashed_only_where_that_costs_no_time(tmp_path: Path, rig: Rig):
    study = small_study(tmp_path)
    folder = fill(tmp_path / "study", study, rig)
    with pytest.raises(FoolscanError, match="makes flips late"):
        run(study, rig, folder.root, RUN, real_time=True, hash_frames=True)
    with pytest.raises(FoolscanError, match="no screen to read back"):
        run(study, rig, folder.root, RUN, stage="null", hash_frames=True)
    assert not folder.journals.exists()
    journal = read_journal(run(study, rig, folder.root, RUN, stage="null").journal)
    with pytest.raises(FoolscanError, match="but 0 back buffers were hashed"):
        write_frames(folder, journal, [])
