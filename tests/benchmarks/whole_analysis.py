"""The analysis of one full-size subject, from NIfTI files on disk to similarities: how long it takes, and in what memory.

The main experiment of Zhang et al. 2018: 10 runs of 278 volumes, 120 images a run, and 5 ROIs of 12,000 voxels. The subject
is simulated first, which is not measured: with a stated truth, so that what is found can be compared with it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from _glm_problem import alone, peak_bytes, timed_s
from _record import measure_once
from _whole_subject import RUNS, SESSIONS, study_of, subject

VOXELS_PER_ROI = 12_000
TARGETS = {
    "minutes": "<= 10",
    "betas_minutes": "reported, no target",
    "rdms_minutes": "reported, no target",
    "compare_minutes": "reported, no target",
    "peak_memory_gib": "<= 4",
    "areas_where_RE-AI_exceeds_RE-AN": "5 of 5",
}


def analysed(root: Path, voxels_per_roi: int) -> dict[str, Any]:
    """Betas, RDMs (voxels are selected on the way) and similarities of a folder; s of each, and this process's peak memory."""
    from analysis.betas import estimate_betas
    from analysis.compare import compare, similarity_path
    from analysis.rdms import rdms
    from analysis.similarity_table import SimilarityRow, read_rows
    from protocols.folder import StudyFolder

    study, folder = study_of(root, voxels_per_roi), StudyFolder(root / "study")
    figures: dict[str, Any] = {}
    for name, verb in {"betas": estimate_betas, "rdms": rdms, "compare": compare}.items():
        took_s, written = timed_s(partial(verb, study, folder))
        if not written:
            raise RuntimeError(f"{name}: nothing was written; expected a folder in which nothing is analysed yet")
        figures[f"{name}_minutes"] = took_s / 60
    rows = read_rows(similarity_path(folder, "brain"), SimilarityRow)
    found = {(row.pair, row.place): row.similarity for row in rows}
    above = [found["RE-AI", place] > found["RE-AN", place] for place in dict.fromkeys(row.place for row in rows)]
    return figures | {"peak_bytes": peak_bytes(), "areas_where_RE-AI_exceeds_RE-AN": float(sum(above))}


def measure(voxels_per_roi: int = VOXELS_PER_ROI, sessions: int = SESSIONS, runs: int = RUNS) -> dict[str, float]:
    """Simulate the subject, then analyse it in a process of its own."""
    with tempfile.TemporaryDirectory() as new:
        root = Path(new)
        study = study_of(root, voxels_per_roi)
        simulation_s, _ = timed_s(partial(subject, root / "study", study, sessions, runs))
        found = alone(__file__, "--alone", new, "--voxels-per-roi", str(voxels_per_roi))
    minutes = sum(found[f"{name}_minutes"] for name in ("betas", "rdms", "compare"))
    peak_gib = found.pop("peak_bytes") / 2**30
    return {"minutes": minutes, **found, "peak_memory_gib": peak_gib, "simulation_minutes": simulation_s / 60}


def met(figures: Mapping[str, float]) -> bool:
    """Whether it is a matter of minutes, in the memory of a laptop, and finds what was put in."""
    return (
        figures["minutes"] <= 10 and figures["peak_memory_gib"] <= 4 and figures["areas_where_RE-AI_exceeds_RE-AN"] == 5
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="4 runs and 5 x 300 voxels, and record nothing")
    parser.add_argument(
        "--alone", type=Path, metavar="FOLDER", help="analyse a simulated subject, and print the figures"
    )
    parser.add_argument("--voxels-per-roi", type=int, default=VOXELS_PER_ROI, help="with --alone")
    parser.add_argument("--to", help="folder of the JSON record")
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(analysed(asked.alone, asked.voxels_per_roi)))
        raise SystemExit(0)
    if asked.small:
        print(json.dumps(measure(300, 2, 2), indent=2))
        raise SystemExit(0)
    what = f"the analysis of one subject: {SESSIONS * RUNS} runs x 278 volumes, {5 * VOXELS_PER_ROI} voxels in 5 ROIs, to similarities"
    facts = {
        "study": "zhang2018 as it comes with foolscan, one subject",
        "blas_threads": "1: betas, rdms and compare each pin it",
        "worker_threads": f"1 in betas and rdms; {min(4, os.cpu_count() or 1)} in compare, on ROIs beside one another",
        "peak_memory": "of the process that analyses, everything in it",
    }
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met, facts))
