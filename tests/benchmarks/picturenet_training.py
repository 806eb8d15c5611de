"""PictureNet trained from scratch by its one command: how long it takes, and how many test pictures it names."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from _record import measure_once

TARGETS = {"minutes": "< 15", "test_accuracy": ">= 0.95", "megabytes": "<= 10"}


def measure() -> dict[str, float]:
    """Train in a new folder, and read the figures from the model card's facts."""
    with tempfile.TemporaryDirectory() as new:
        weights = Path(new) / "picturenet.safetensors"
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "foolscan", "stimuli", "train", "--out", str(weights)], check=True)
        minutes = (time.monotonic() - begin) / 60
        facts = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
        megabytes = weights.stat().st_size / 1e6
    return {"minutes": minutes, "test_accuracy": facts["accuracy"]["test"], "megabytes": megabytes}


def met(figures: Mapping[str, float]) -> bool:
    """Whether every figure meets its target."""
    return figures["minutes"] < 15 and figures["test_accuracy"] >= 0.95 and figures["megabytes"] <= 10


if __name__ == "__main__":
    raise SystemExit(measure_once(__file__, "PictureNet trained from scratch", TARGETS, measure, met))
