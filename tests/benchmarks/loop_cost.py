"""What the drawing loop costs in each frame beside the flip itself, in a real window and on no screen at all."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from _record import measure_once
from _small_study import fill, small_study

from experiment.journal import read_journal
from experiment.run import run
from protocols.folder import RunId
from protocols.rig import load_rig

VOLUMES = 60  # of 1 s
TARGETS = {
    "window_median_ms": "",
    "window_p99_ms": "<= 1",
    "window_max_ms": "",
    "null_stage_median_ms": "",
    "null_stage_p99_ms": "<= 1",
    "null_stage_max_ms": "",
}


def measure() -> dict[str, float]:
    """Play a run of a minute by the wall's clock on each stage; the run's last record says what its loop cost."""
    figures = {}
    for stage in ("window", "null"):
        with tempfile.TemporaryDirectory() as new:
            study, rig = small_study(Path(new), 6, scan=f"{{tr_s: 1.0, volumes: {VOLUMES}}}"), load_rig("rehearsal")
            folder = fill(Path(new) / "study", study, rig)
            result = run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage=stage, real_time=True)
            end = read_journal(result.journal).end or {}
        name = "null_stage" if stage == "null" else stage
        for figure in ("median", "p99", "max"):
            figures[f"{name}_{figure}_ms"] = 1000 * float(end[f"loop_cost_{figure}_s"])
    return figures


def met(figures: Mapping[str, float]) -> bool:
    """Whether the loop costs at most a millisecond in 99 of 100 frames."""
    return figures["window_p99_ms"] <= 1 and figures["null_stage_p99_ms"] <= 1


if __name__ == "__main__":
    what = f"cost of the loop per frame, everything but the flip, over {VOLUMES * 60} frames by the wall's clock"
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met))
