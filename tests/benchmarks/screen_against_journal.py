"""What an independent X client saw on the screen, and when, against what the journal of the run says.

A whole run is played in a window on a virtual display by the wall's clock. The client knows nothing of foolscan: it reads
the coded squares in the corner of the screen and stamps their changes with the system's monotonic clock, which is also
the run's. Another process keeps one core busy all the while.

The client looks at the screen about a thousand times a second; between two looks it knows nothing. So a change lies
somewhere between the last look that still saw the old picture and the first that saw the new one. Its time is taken in
the middle; that it disagrees with the journal by more than a frame is said only when the journal's time is outside of
those two looks by more than a frame.

This says that pixels and journal agree; it says nothing about the light of a monitor (`foolscan experiment photodiode`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _record import measure_once
from _small_study import fill

from experiment.journal import Journal, read_journal
from experiment.virtual_display import ensure_display
from protocols.folder import RunId
from protocols.rig import Rig, load_rig
from protocols.study import Study, load_study

WHOLE_S = 556
TRIAL_S = 4
BORDER_S = 20

TARGETS = {
    "median_ms": "",
    "p99_ms": "",
    "max_ms": "",
    "changes_compared": "",
    "changes_missed_by_the_client": "0",
    "frames_dropped": "",
    "over_a_frame_and_not_logged": "0",
    "drift_frames": "<= 1",
    "client_blind_p99_ms": "",
    "client_blind_max_ms": "",
}

RIG = """format: 1
name: patch
display:
  width_mm: 400.0
  distance_mm: 800.0
  size_px: [1024, 768]
  refresh_hz: 60.0
  full_screen: false
  patch: {corner: top_left, size_px: 24, bits: 8}
trigger: {kind: emulated, delay_s: 1.5}
buttons: {kind: emulated, buttons: [left, right]}
"""

BUSY = "import os\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\nwhile True: pass"


@dataclass(frozen=True)
class Seen:
    """A change that the client saw: between two looks, s; the code that was there then."""

    before_s: float
    after_s: float
    code: int


def study_of(folder: Path, seconds: int) -> Path:
    """The published experiment, with as many of its trials as fit."""
    trials = (seconds - 2 * BORDER_S) // TRIAL_S
    categories = max(6, round(trials * 40 / 129))
    blanks = max(1, round(3 * categories * 9 / 120))
    length_s = 2 * BORDER_S + TRIAL_S * (3 * categories + blanks)
    path = folder / "watched.yaml"
    path.write_text(
        f"format: 1\nextends: zhang2018\nname: watched\nscan: {{volumes: {length_s // 2}}}\n"
        f"stimuli: {{n_categories: {categories}}}\n"
        f"tasks: {{animals: {{stimulus_trials: {3 * categories}, blank_trials: {blanks}}}}}\n",
        encoding="utf-8",
    )
    return path


@contextmanager
def process(*command: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the block, ended after it."""
    started = subprocess.Popen(command, **more)
    try:
        yield started
    finally:
        if started.stdin is not None:
            started.stdin.close()
            started.wait(timeout=10)
        else:
            started.kill()
            started.wait()


def watched(folder: Path, study_file: Path) -> tuple[Journal, list[Seen]]:
    """Play a run and watch it from outside."""
    rig_file = folder / "patch.yaml"
    rig_file.write_text(RIG, encoding="utf-8")
    study: Study = load_study(study_file)
    rig: Rig = load_rig(rig_file)
    place = fill(folder / "study", study, rig)
    run = RunId("01", "01", "animals", 1)
    squares = rig.display.patch_squares()
    left, top, right, _ = squares[0]
    os.environ.pop("DISPLAY", None)
    ensure_display(rig.display.size_px)
    record = folder / "seen.tsv"
    reader = [sys.executable, str(Path(__file__).with_name("_read_patch.py"))]
    where = [str(number) for number in (left, top, right - left, len(squares))]
    play = [sys.executable, "-m", "foolscan", "experiment", "run", str(study_file), "--rig", str(rig_file)]
    play += ["--sub", run.sub, "--ses", run.ses, "--run", "1", "--real-time", "--to", str(place.root)]
    with process(*reader, *where, str(record), stdin=subprocess.PIPE), process(sys.executable, "-c", BUSY):
        status = subprocess.run(
            play, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.DEVNULL, check=False
        ).returncode
    if status not in (0, 1):  # 1: the certificate is wanting, which is a matter of this measurement
        raise SystemExit(f"the run ended with {status}")
    rows = [line.split("\t") for line in record.read_text(encoding="utf-8").splitlines()]
    return read_journal(place.journal(run)), [Seen(float(row[0]), float(row[1]), int(row[3])) for row in rows]


def changes_of(journal: Journal, bits: int) -> list[tuple[dict[str, Any], int]]:
    """The flips at which the code changed while the schedule was the scanner's, each with its code.

    Self-paced screens before and after are left out: they have no planned times.
    """
    found: list[tuple[dict[str, Any], int]] = []
    mode, code = "", 0
    for record in journal.records:
        if record["kind"] == "segment":
            mode = record["mode"]
        if record["kind"] != "flip" or "shows" not in record:
            continue
        before, code = code, 0 if record["row"] is None else (record["row"] + 1) % 2**bits
        if code != before and mode == "pulse_locked" and "frame" in record:
            found.append((record, code))
    return found


def compare(journal: Journal, seen: list[Seen], bits: int = 8) -> dict[str, float]:
    """The client's times against the journal's."""
    changes = changes_of(journal, bits)
    begin_s, end_s = changes[0][0]["t_s"] - 0.5, changes[-1][0]["t_s"] + 0.5
    steps: list[Seen] = []
    for item in seen:
        # The sync square and the code change together; a client that looks in between sees the same code twice.
        if begin_s <= item.after_s <= end_s and item.code != (steps[-1].code if steps else -1):
            steps.append(item)
    pairs = list(matched(changes, steps))
    frame_s = 1.0 / journal.header["refresh_hz"]
    late = {record["n"] for record in journal.of("late")}
    away_s = np.array([(item.before_s + item.after_s) / 2 - flip["t_s"] for flip, item in pairs])
    outside_s = np.array([max(item.before_s - flip["t_s"], flip["t_s"] - item.after_s, 0.0) for flip, item in pairs])
    not_logged = [
        flip["n"]
        for (flip, _), off_s in zip(pairs, outside_s, strict=True)
        if off_s > frame_s and not {flip["n"] - 1, flip["n"], flip["n"] + 1} & late
    ]
    zero_s = journal.of("pulse")[0]["t_s"]
    planned_s = np.array([flip["frame"] * frame_s for flip, _ in pairs])
    plan_error_s = np.array([(item.before_s + item.after_s) / 2 - zero_s for _, item in pairs]) - planned_s
    tenth = max(1, len(pairs) // 10)
    drift_s = float(np.median(plan_error_s[-tenth:]) - np.median(plan_error_s[:tenth]))
    blind_s = np.array([item.after_s - item.before_s for _, item in pairs])
    return {
        "median_ms": 1000 * float(np.median(np.abs(away_s))),
        "p99_ms": 1000 * float(np.percentile(np.abs(away_s), 99)),
        "max_ms": 1000 * float(np.abs(away_s).max()),
        "changes_compared": float(len(pairs)),
        "changes_missed_by_the_client": float(len(changes) - len(pairs)),
        "frames_dropped": float(sum(record["lost"] for record in journal.of("late"))),
        "over_a_frame_and_not_logged": float(len(not_logged)),
        "drift_frames": abs(drift_s) / frame_s,
        "client_blind_p99_ms": 1000 * float(np.percentile(blind_s, 99)),
        "client_blind_max_ms": 1000 * float(blind_s.max()),
    }


def matched(changes: list[tuple[dict[str, Any], int]], steps: list[Seen]) -> Iterator[tuple[dict[str, Any], Seen]]:
    """Each flip with the change that the client saw of it: the same code, in the same order."""
    place = 0
    for flip, code in changes:
        found = next(
            (at for at in range(place, min(place + 4, len(steps))) if steps[at].code == code),
            None,
        )
        if found is not None:
            yield flip, steps[found]
            place = found + 1


def met(figures: Mapping[str, float]) -> bool:
    """Whether the client saw every change, nothing over a frame went unlogged, and the run kept to its plan."""
    return (
        figures["changes_missed_by_the_client"] == 0
        and figures["over_a_frame_and_not_logged"] == 0
        and figures["drift_frames"] <= 1
    )


def main() -> int:
    """Measure; `--seconds` makes the run shorter."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--seconds", type=int, default=WHOLE_S)
    options, rest = parser.parse_known_args()
    sys.argv[1:] = rest

    def measure() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as new:
            journal, seen = watched(Path(new), study_of(Path(new), options.seconds))
            return compare(journal, seen)

    what = f"a run of about {options.seconds} s on a virtual display: an X client's times against the journal's, one core kept busy"
    return measure_once(__file__, what, TARGETS, measure, met, {"seconds": options.seconds})


if __name__ == "__main__":
    raise SystemExit(main())
