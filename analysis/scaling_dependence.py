"""How similarity depends on how patterns are scaled and pooled: every combination, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

from analysis.brain_rdms import SubjectRoi, choose, pooled, rdms_of, sample_of
from analysis.similarity import similarity
from protocols.analysis_plan import AnalysisPlan
from protocols.dissimilarity_names import NOISE_NORMALISED
from protocols.voxel_plan import PatternScaling, Pooling

COLUMNS = {
    "roi": "Region of interest.",
    "subject": "pooled: the chosen voxels of all subjects side by side.",
    "pair": "The two stimulus sets.",
    "pattern_scaling": "How patterns were scaled within each run (analysis.pattern_scaling).",
    "pooling": "Whether each subject's patterns were z-scored before subjects were pooled (analysis.pooling).",
    "similarity": "Similarity of the two RDMs under this scaling and pooling; n/a where the dissimilarity does not allow it.",
    "used": "true for the combination that the study analyses.",
    "selection": "How voxels were chosen; a circular choice says so.",
}


def scaling_rows(plan: AnalysisPlan, sets: Sequence[str], subjects: Sequence[SubjectRoi]) -> list[dict[str, Any]]:
    """The similarity of every pair in one ROI under every scaling and pooling; voxels are chosen anew under each scaling.

    plan     : pairs, similarity, dissimilarity and voxels; which scaling and pooling are used.
    sets     : the stimulus sets that get an RDM.
    subjects : unscaled patterns, from `analysis.brain_rdms.load_subjects`.

    Returns rows with `COLUMNS`.
    """
    rows = []
    roi = subjects[0].patterns.roi
    for scaling in get_args(PatternScaling):
        chosen = choose(plan.model_copy(update={"pattern_scaling": scaling}), subjects)
        samples = [sample_of(subject.patterns, subject.selections, sets, subject.covariance) for subject in chosen]
        for pooling in get_args(Pooling):
            possible = not (plan.dissimilarity in NOISE_NORMALISED and scaling == "z_voxel_run")
            rdms = rdms_of(pooled(samples, pooling), plan.dissimilarity, plan.folds) if possible else {}
            for first, second in plan.pairs:
                value = similarity(rdms[first], rdms[second], plan.similarity) if possible else math.nan
                rows.append(
                    {"roi": roi, "subject": "pooled", "pair": f"{first}-{second}", "pattern_scaling": scaling}
                    | {"pooling": pooling, "similarity": value, "selection": samples[0].selection}
                    | {"used": (scaling, pooling) == (plan.pattern_scaling, plan.pooling)}
                )
    return rows
