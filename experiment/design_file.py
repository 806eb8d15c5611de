"""The design of a planned run on disk, beside its timeline: what the analysis needs to know of the order."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from experiment.design_efficiency import SLICE_TIME_REF, Design, design_of
from experiment.timeline import Timeline
from protocols.folder import StudyFolder, write_text
from protocols.formats import DESIGN
from protocols.provenance import write_sidecar
from protocols.study import Study

DESCRIPTION = (
    "Covariance of the estimated responses to the images of this run, from the planned order alone, in units of the "
    "noise variance of one volume. Rows and columns are stim_ids. The order-model RDM is 1 minus its correlation."
)


def design_of_run(study: Study, timeline: Timeline) -> Design | None:
    """The design of a timeline's stimulus trials (see `design_of`)."""
    shown = [row for row in timeline.trials if row.stim_id is not None]
    return design_of(
        [row.onset_s for row in shown],
        [row.duration_s for row in shown],
        [str(row.stim_id) for row in shown],
        timeline.scan,
        study.analysis.glm.high_pass_hz,
    )


def design_facts(design: Design) -> dict[str, Any]:
    """A design in a few numbers, for people and for the sidecar."""
    return {
        "efficiency": _rounded(design.efficiency),
        "difference_efficiency": _rounded(design.difference_efficiency),
        "variance_inflation_median": _rounded(np.median(design.inflation)),
        "variance_inflation_max": _rounded(design.inflation.max()),
        "variance_inflation": {
            name: _rounded(value) for name, value in zip(design.stim_ids, design.inflation, strict=True)
        },
    }


def write_design(folder: StudyFolder, study: Study, timeline: Timeline) -> Path | None:
    """Write ``derivatives/foolscan/timeline/<run>_design.tsv`` with its sidecar; None where there is no design."""
    design = design_of_run(study, timeline)
    if design is None:
        return None
    path = folder.design(timeline.run)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["stim_id", *design.stim_ids])
    writer.writerows(
        [name, *(f"{value:.7g}" for value in row)] for name, row in zip(design.stim_ids, design.covariance, strict=True)
    )
    write_text(path, text.getvalue())
    parameters = {
        "response": "SPM canonical",
        "high_pass_hz": study.analysis.glm.high_pass_hz,
        "slice_time_ref": SLICE_TIME_REF,
        "tr_s": timeline.scan.tr_s,
    }
    more = {"format": DESIGN, "Description": DESCRIPTION, **design_facts(design)}
    write_sidecar(folder, path, inputs=[folder.timeline(timeline.run)], parameters=parameters, more=more)
    return path


def _rounded(value: float) -> float:
    return round(float(value), 6)
