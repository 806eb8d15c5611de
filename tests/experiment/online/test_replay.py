"""Every assignment replays from its seed, and one that was tampered with is named."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from online_study import Clock, crop_study, joined, set_study

from experiment.online.crowd import Crowd
from experiment.online.replay import Difference, differences


def found(crowd: Crowd, seed: int | None = None) -> list[Difference]:
    design = crowd.design
    lists = {shown.list_id: shown for shown in design.lists}
    study_seed = design.seed if seed is None else seed
    return crowd.read(lambda c: differences(c, design.plan, lists, design.items, study_seed))


@pytest.mark.parametrize("make", [crop_study, set_study])
def test_every_assignment_replays(tmp_path: Path, make: object) -> None:
    study, folder = make(tmp_path)  # type: ignore[operator]
    with Crowd.open(study, folder, now_ms=Clock()) as crowd:
        for number in range(4):
            joined(crowd, f"w{number}")
        assert found(crowd) == []
        assert {difference.trial for difference in found(crowd, crowd.design.seed + 1)} == {None}


@pytest.mark.parametrize(
    ("change", "trial", "said"),
    [
        ("UPDATE trials SET item_id = 'other' WHERE trial = 2", 2, "('main', 'other', None), expected"),
        ("UPDATE trials SET asked = 'fish' WHERE kind = 'attention'", None, "'fish'), expected"),
        ("DELETE FROM trials WHERE trial = 7", 7, "None, expected"),
        ("UPDATE sessions SET seed = 5", None, "seed 5, expected"),
        ("UPDATE sessions SET list_id = 'gone'", None, "which the study does not have"),
        ("DELETE FROM seen WHERE rowid = 1", None, "other sources than its list has"),
    ],
)
def test_what_was_tampered_with_is_named(tmp_path: Path, change: str, trial: int | None, said: str) -> None:
    study, folder = crop_study(tmp_path, n_pairs=4, attention_every=2)
    with Crowd.open(study, folder, now_ms=Clock()) as crowd:
        session = joined(crowd).session_state.session
        path = crowd.files.database
    raw = sqlite3.connect(path, isolation_level=None)
    for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {name}")
    raw.execute(change)
    raw.close()
    with Crowd.open(study, folder, now_ms=Clock()) as crowd:
        differing = found(crowd)
        assert any(said in difference.found for difference in differing), differing
        assert {difference.session for difference in differing} == {session}
        if trial is not None:
            assert [difference.trial for difference in differing] == [trial]
