"""The demo study, from nothing to its report: how long it takes, what its images are, and whether it finds the truth."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from _record import measure_once

TARGETS = {
    "minutes": "< 5",
    "images_verified_share": "1",
    "AI_share_with_change_up_to_8": ">= 0.95",
    "AI_largest_change": "<= 16",
    "areas_where_RE-AI_exceeds_RE-AN": "5 of 5",
    "median_error_of_corrected_similarity": "<= 0.1",
}


def table(path: Path) -> list[dict[str, str]]:
    """A tab-separated file as rows."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def measure() -> dict[str, float]:
    """Run the demo in a new folder and read its figures from its files."""
    with tempfile.TemporaryDirectory() as new:
        folder = Path(new) / "demo-study"
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "foolscan", "rehearse", "demo", "--to", str(folder)], check=True)
        minutes = (time.monotonic() - begin) / 60
        stimuli = table(folder / "stimuli" / "stimuli.tsv")
        similarity = table(folder / "derivatives" / "foolscan" / "rdms" / "similarity_brain.tsv")
    changes = np.array([float(row["linf"]) for row in stimuli if row["set"] == "AI"])
    pooled = {(row["pair"], row["place"]): row for row in similarity if row["subject"] == "pooled"}
    rois = sorted({place for _, place in pooled})
    above = [float(pooled["RE-AI", roi]["similarity"]) > float(pooled["RE-AN", roi]["similarity"]) for roi in rois]
    errors = [abs(float(row["corrected"]) - float(row["truth"])) for row in pooled.values()]
    return {
        "minutes": minutes,
        "images_verified_share": float(np.mean([row["success"] == "true" for row in stimuli])),
        "AI_share_with_change_up_to_8": float(np.mean(changes <= 8)),
        "AI_largest_change": float(changes.max()),
        "areas_where_RE-AI_exceeds_RE-AN": float(sum(above)),
        "median_error_of_corrected_similarity": float(np.median(errors)),
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether every figure meets its target."""
    return (
        figures["minutes"] < 5
        and figures["images_verified_share"] == 1
        and figures["AI_share_with_change_up_to_8"] >= 0.95
        and figures["AI_largest_change"] <= 16
        and figures["areas_where_RE-AI_exceeds_RE-AN"] == 5
        and figures["median_error_of_corrected_similarity"] <= 0.1
    )


if __name__ == "__main__":
    raise SystemExit(measure_once(__file__, "the demo study from nothing to its report", TARGETS, measure, met))
