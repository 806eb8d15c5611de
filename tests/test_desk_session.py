"""A desk session from the command to the table: who is shown RE, AN and AI, and how well and how surely they are told."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "experiment"))

from experiment_study import fill
from test_desk import BRIEF, RUN, desk_study

from analysis.behaviour_table import ALL_COLUMNS, write_behaviour
from experiment.run import run
from protocols.folder import RunId, StudyFolder
from protocols.problems import NotReady
from protocols.rig import load_rig


def test_accuracy_d_prime_reaction_times_and_confidence_come_out_of_beh(tmp_path: Path) -> None:
    study, rig = desk_study(tmp_path, BRIEF), load_rig("rehearsal")
    folder = fill(tmp_path / "study", study, rig)
    with pytest.raises(NotReady, match="no events of task animals"):
        write_behaviour(study, folder)
    for number in (1, 2):
        run(study, rig, folder.root, RunId("01", "01", "animals", number), stage="null")
    path = write_behaviour(study, folder)
    with path.open(encoding="utf-8", newline="") as lines:
        rows = {(row["subject"], row["set"]): row for row in csv.DictReader(lines, delimiter="\t")}
    assert {row["at"] for row in rows.values()} == {"beh"}
    assert set(rows) == {(subject, name) for subject in ("pooled", "01") for name in ("RE", "AN", "AI")}
    events = events_of(folder)
    for name in ("RE", "AI"):
        row, mine = rows[("01", name)], [event for event in events if event["trial_type"] == name]
        answered = [event for event in mine if event["response"] != "n/a"]
        right = [event for event in answered if event["correct"] == "true"]
        steps = [int(event["confidence"]) for event in answered if event["confidence"] != "n/a"]
        assert int(row["trials"]) == len(mine) == 8
        assert float(row["accuracy"]) == pytest.approx(len(right) / len(answered))
        assert math.isfinite(float(row["d_prime"]))
        assert 0.25 < float(row["rt_median_s"]) < 2
        assert float(row["confidence"]) == pytest.approx(sum(steps) / len(steps))
    an = rows[("01", "AN")]
    assert an["accuracy"] == an["d_prime"] == an["confidence_right"] == "n/a"
    assert an["confidence"] != "n/a"
    assert set(ALL_COLUMNS) <= set(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))


def events_of(folder: StudyFolder) -> list[dict[str, str]]:
    found = []
    for number in (1, 2):
        path = folder.events(RunId(RUN.sub, RUN.ses, RUN.task, number), "beh")
        with path.open(encoding="utf-8", newline="") as lines:
            found += list(csv.DictReader(lines, delimiter="\t"))
    return found
