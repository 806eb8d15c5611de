"""The drawing thread's priority during a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
from experiment_study import fill, small_study

from experiment.journal import read_journal
from experiment.priority import high_priority
from experiment.run import run
from protocols.folder import RunId
from protocols.rig import Rig


def test_priority_is_given_back():
    before = psutil.Process().nice()
    with high_priority() as attained:
        assert attained in ("high", "ordinary")
        assert (psutil.Process().nice() != before) == (attained == "high")
    assert psutil.Process().nice() == before


def test_a_system_that_refuses_is_not_argued_with(monkeypatch: pytest.MonkeyPatch):
    def refuse(self: psutil.Process, value: int | None = None) -> int:
        if value is not None:
            raise psutil.AccessDenied(self.pid)
        return 0

    monkeypatch.setattr(psutil.Process, "nice", refuse)
    with high_priority() as attained:
        assert attained == "ordinary"


def test_a_run_in_real_time_says_which_priority_it_had(tmp_path: Path, rig: Rig):
    study = small_study(tmp_path, scan="{tr_s: 0.5, volumes: 6}", times=0.05)
    folder = fill(tmp_path / "study", study, rig)
    headers: list[dict[str, Any]] = []
    for number, real_time in enumerate((True, False), start=1):
        result = run(study, rig, folder.root, RunId("01", "01", "animals", number), stage="null", real_time=real_time)
        headers.append(read_journal(result.journal).header)
    assert headers[0]["priority"] in ("high", "ordinary")
    assert headers[1]["priority"] == "ordinary"  # a simulated clock needs none
