"""The process that writes is killed under load, again and again: no acknowledged answer is lost, none is there twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from online_study import Clock, crop_study
from sqlalchemy import select

from experiment.online import chain, tables
from experiment.online.crowd import Crowd

KILLS = 6


def test_what_was_acknowledged_before_a_kill_is_there_once(tmp_path: Path, project_root: Path) -> None:
    study, folder = crop_study(tmp_path, n_pairs=150, practice=0, attention_every=10, per_list=1000, pairs_of_each=15)
    Crowd.open(study, folder, now_ms=Clock()).close()
    chance = random.Random(7)
    told: set[tuple[str, int]] = set()
    errors = tmp_path / "errors.txt"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project_root), str(project_root / "tests")])}
    for kill in range(KILLS):
        people = 8 * (kill // 2)  # every other time the same ones go on
        command = [sys.executable, str(project_root / "tests" / "online_answering.py"), str(tmp_path / "tiny.yaml")]
        process = subprocess.Popen(
            [*command, str(folder.root), str(people)],
            stdout=subprocess.PIPE,
            stderr=errors.open("w", encoding="utf-8"),
            env=environment,
            cwd=project_root,
            text=True,
        )
        assert process.stdout is not None
        after = chance.randint(1, 500)
        for line in process.stdout:
            if line.strip() not in ("begun", "ended"):
                session, trial = line.split()
                told.add((session, int(trial)))
                after -= 1
            if after <= 0:
                break
        process.kill()
        for line in process.stdout:  # what it had told before it was dead
            if len(line.split()) == 2 and line.endswith("\n"):
                told.add((line.split()[0], int(line.split()[1])))
        process.wait()
        with Crowd.open(study, folder, now_ms=Clock()) as crowd:
            rows = crowd.read(
                lambda connection: connection.execute(select(tables.responses).order_by(tables.responses.c.place)).all()
            )
            held = crowd.read(
                lambda connection: connection.execute(select(tables.sessions.c.session, tables.sessions.c.n_held)).all()
            )
        stored = [(row.session, row.trial) for row in rows]
        assert len(set(stored)) == len(stored)
        assert told <= set(stored)
        assert chain.first_break(rows) is None
        for session, n_held in held:
            assert sorted(trial for of, trial in stored if of == session) == [*range(1, n_held + 1)]
    assert len(told) > 100, errors.read_text(encoding="utf-8")
