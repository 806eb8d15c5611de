"""Power cuts: a journal's file that forgets whatever was written after its last sync, against what had been sent.

Runs in real time (no screen); pulses and presses come from another process over two pseudo-terminals. For each of them:
how long after it was sent it was safe on the disk. For random moments: what a power cut would have cost.
"""

from __future__ import annotations

import bisect
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from _record import measure_once
from _small_study import fill, small_study
from sigkill import BUTTON_OF, HERE, RIG, TR_S, load_rig_of_batch

from experiment.events import events_of
from experiment.journal import JournalWriter, create_file, read_journal, sync_file
from experiment.run import run
from protocols.folder import RunId
from protocols.rig import load_rig

RUNS, RUN_S, CUTS = 3, 40.0, 1000


@dataclass
class ForgetfulFile:
    """A journal's file that knows what of it would outlive a power cut.

    safe : times, s, and how many bytes were on the disk from then on.
    """

    file: BinaryIO
    written: int = 0
    safe: list[tuple[float, int]] = field(default_factory=list)
    sync_s: list[float] = field(default_factory=list)

    def write(self, content: bytes) -> int:
        """Hand it to the system, which would forget it."""
        taken = self.file.write(content)
        self.written += taken
        return taken

    def flush(self) -> None:
        """There is no buffer."""

    def close(self) -> None:
        """Close it."""
        self.file.close()

    def sync(self) -> None:
        """What was written before now is safe when this returns."""
        before, began_s = self.written, time.perf_counter()
        sync_file(self.file)
        self.safe.append((time.perf_counter(), before))
        self.sync_s.append(self.safe[-1][0] - began_s)

    def bytes_after_cut(self, t_s: float) -> int:
        """How much of the file is left by a power cut at a time."""
        place = bisect.bisect_right(self.safe, (t_s, sys.maxsize))
        return self.safe[place - 1][1] if place else 0


def writer(files: list[ForgetfulFile], path: Path) -> JournalWriter:
    """A journal on a forgetful disk."""
    files.append(ForgetfulFile(create_file(path)))
    return JournalWriter(path, lambda path: files[-1], ForgetfulFile.sync)  # type: ignore[arg-type,return-value]


def lags_of_run(work: Path, seed: int) -> tuple[list[float], list[float], list[float]]:
    """One run: lag of each thing that was sent, age of the oldest thing that each of many cuts cost, times of syncs; s."""
    work.mkdir()
    study = small_study(work, scan=f"{{tr_s: {TR_S}, volumes: {round(RUN_S / TR_S)}}}", times=0.05)
    folder = fill(work / "study", study, load_rig_of_batch(work))
    run_id, log = RunId("01", "01", "animals", 1), work / "sent"
    command = [sys.executable, "-ES", str(HERE / "_sender.py"), log, folder.journal(run_id), str(seed), str(TR_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        pulses, buttons = sender.stdout.readline().split()
        (work / "rig.yaml").write_text(RIG.replace("PULSES", pulses).replace("BUTTONS", buttons), encoding="utf-8")
        files: list[ForgetfulFile] = []
        rig = load_rig(work / "rig.yaml")
        try:
            result = run(study, rig, folder.root, run_id, stage="null", journal_writer=partial(writer, files))
        finally:
            sender.kill()
    lines = [line.split("\t") for line in log.read_text().splitlines()]
    sent = [(name, float(before_s)) for name, before_s, _ in lines]
    content, file = result.journal.read_bytes(), files[0]
    arrived = list(arrivals(content, sent))
    ends = [length for _, length in file.safe]
    lags_s = [file.safe[bisect.bisect_left(ends, end)][0] - t_s for t_s, end in arrived]
    rng = np.random.default_rng(seed)
    first_s, last_s = arrived[0][0], arrived[-1][0]
    ages_s = []
    for cut_s in rng.uniform(first_s, last_s, CUTS):
        kept = file.bytes_after_cut(cut_s)
        (work / "cut.jsonl").write_bytes(content[:kept])
        events_of(read_journal(work / "cut.jsonl"))
        ages_s.append(max((cut_s - t_s for t_s, end in arrived if t_s <= cut_s and end > kept), default=0.0))
    return lags_s, ages_s, file.sync_s


def arrivals(content: bytes, sent: list[tuple[str, float]]) -> list[tuple[float, int]]:
    """When each thing was sent, and where its record ends in the journal; in order of sending."""
    waiting = {"pulse": [item for item in sent if item[0] == "t"], "press": [item for item in sent if item[0] != "t"]}
    found, end = [], 0
    for line in content.splitlines(keepends=True):
        end += len(line)
        record = json.loads(line)
        if record["kind"] in waiting:
            name, t_s = waiting[record["kind"]].pop(0)
            if record.get("button", "") != BUTTON_OF.get(name, "") or record["t_s"] < t_s:
                raise RuntimeError(f"{record} in the journal, {name} was sent at {t_s}")
            found.append((t_s, end))
    return sorted(found)


def measure() -> dict[str, float]:
    """A few runs, many cuts of each."""
    with tempfile.TemporaryDirectory(prefix="foolscan-power-cut-") as work:
        runs = [lags_of_run(Path(work) / f"{number}", number) for number in range(RUNS)]
    lags_s, ages_s, sync_s = (np.concatenate(parts) for parts in zip(*runs, strict=True))
    return {
        "sent": len(lags_s),
        "cuts": len(ages_s),
        **{f"lag_{name}_ms": value for name, value in shares(lags_s).items()},
        **{f"oldest_lost_{name}_ms": value for name, value in shares(ages_s).items()},
        **{f"sync_{name}_ms": value for name, value in shares(sync_s).items()},
    }


def shares(times_s: np.ndarray) -> dict[str, float]:
    """Median, 99th percentile and maximum, ms."""
    return {
        "median": float(np.median(times_s) * 1000),
        "p99": float(np.percentile(times_s, 99) * 1000),
        "max": float(times_s.max() * 1000),
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether there was enough to measure: every cut left a journal that can be read, or this script had ended."""
    return figures["sent"] > 1000 and figures["cuts"] == RUNS * CUTS


if __name__ == "__main__":
    what = "lag from a pulse or press being sent by another process to its record being safe from a power cut"
    targets = {"cuts": f"{RUNS * CUTS}, each leaves a journal that is read"}
    raise SystemExit(measure_once(__file__, what, targets, measure, met, {"runs": RUNS, "run_s": RUN_S}))
