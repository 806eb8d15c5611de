"""The t-test over bootstrap replicates: as some papers report it, and not inference, since it grows with the replicates."""

from __future__ import annotations

import math

import numpy as np

from analysis.brain_rdms import RoiSample
from analysis.inference.rows import TestRow
from analysis.inference.similarity_tests import contrast_name, contrasts_of, paired_t
from analysis.inference.weighted_rdms import MEASURES, resampled_rdms
from analysis.inference.weights import bootstrap_counts
from analysis.similarity import correlation
from protocols.analysis_plan import AnalysisPlan
from protocols.seeds import generator_for

BOOTSTRAP_T = "published: t over bootstrap replicates"
NOT_INFERENCE = "not inference: resamples are not observations, and with twice as many P is as small as one likes"


def bootstrap_t_rows(plan: AnalysisPlan, seed: int, sample: RoiSample) -> list[TestRow]:
    """Every difference of similarities over bootstrap replicates of an ROI's voxels, tested as if they were observations.

    sample : of pooled voxels; they are resampled within subjects, for each choice of voxels by itself.

    Rows without a p-value where voxels have no weights in the dissimilarity.
    """
    known = plan.dissimilarity in MEASURES
    whole = _replicates(plan, seed, sample) if known else {}
    rows = []
    for further, first in contrasts_of(plan):
        values = [correlation(whole[a], whole[b], plan.similarity) for a, b in (further, first)] if known else []
        apart = values[0] - values[1] if known else np.empty(0)
        apart = apart[np.isfinite(apart)]
        t, p = paired_t(apart, plan.tests.alternative)
        rows.append(
            TestRow(
                test=BOOTSTRAP_T,
                contrast=contrast_name(further, first),
                measure=plan.similarity,
                place=sample.roi,
                subject=sample.subject,
                value=float(apart.mean()) if apart.size else math.nan,
                statistic=t,
                n=apart.size,
                p=p,
                alternative=plan.tests.alternative,
                note=NOT_INFERENCE if known else f"voxels have no weights in {plan.dissimilarity}",
            )
        )
    return rows


def _replicates(plan: AnalysisPlan, seed: int, sample: RoiSample) -> dict[str, np.ndarray]:
    generator = generator_for(seed, f"bootstrap_t/{sample.roi}")
    names = list(dict.fromkeys(name for pair in plan.pairs for name in pair))
    parts = []
    for choice in sample.choices:
        counts = bootstrap_counts(choice.strata, plan.bootstrap.resamples, generator)
        parts.append({name: resampled_rdms(choice.whole[name], counts, plan.dissimilarity) for name in names})
    return {name: np.mean([part[name] for part in parts], axis=0) for name in names}
