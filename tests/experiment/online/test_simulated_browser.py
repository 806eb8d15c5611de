"""A simulated person in front of a real page: one whole session, beside the crowd, in one rehearsal."""

from __future__ import annotations

from pathlib import Path

import pytest
from online_server import needs_jspsych
from online_study import crop_study

from experiment.online import simulated_browser
from experiment.online.simulated_browser import missing
from experiment.online.simulated_crowd import rehearse
from protocols.folder import open_folder
from protocols.problems import NotReady


def test_a_real_browser_does_a_whole_session_and_then_the_crowd_comes(tmp_path: Path) -> None:
    needs_jspsych()
    if (lacking := missing()) is not None:
        pytest.skip(lacking)
    study, folder = crop_study(tmp_path, per_list=3, more="  showing: {fixation_s: 0.05}\n  rest_every: 3\n")
    folder = open_folder(folder.root, study.title, rehearsal=True)
    said: list[str] = []
    done = rehearse(study, folder, people=8, shares={"honest": 1.0}, browsers=1, told=said.append)
    assert said[0] == "browser 1: 7 trials"
    assert done.browsers == 1
    assert done.oddities == ()  # nothing asked of any other host among them
    assert sum(tally.finished for tally in done.counts.values()) == 1 + done.ends["honest", "completed"]
    assert all(tally.counted <= tally.quota == 3 for tally in done.counts.values())
    again = rehearse(study, folder, people=8, shares={"honest": 1.0}, browsers=1)
    assert (again.browsers, again.acknowledged) == (0, 0)  # all of them had finished, or came when all was full


def test_without_a_browser_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_browser, "missing", lambda: "found no Chromium: install one")
    study, folder = crop_study(tmp_path)
    folder = open_folder(folder.root, study.title, rehearsal=True)
    monkeypatch.setattr("experiment.online.jspsych.vendored", lambda: {})
    with pytest.raises(NotReady, match=r"found no Chromium.*--browsers"):
        rehearse(study, folder, people=1, browsers=1)
