"""The stated truth of a simulated brain: which geometry each image set has in each ROI, and the patterns that carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.category_rows import rows_by_category
from analysis.dissimilarities import rdm_of
from analysis.network_rdms import WITHOUT_NOISE
from analysis.patterns import Patterns, level_and_scale, scaled
from analysis.similarity import similarity
from protocols.analysis_plan import AnalysisPlan
from protocols.manifest import Stimulus
from protocols.problems import FoolscanError
from protocols.seeds import generator_for
from protocols.study import Study

# Variance of an informative voxel's response over images: what animals share, what a supercategory shares, the rest.
ANIMACY, SUPERCATEGORY, CATEGORY = 0.35, 0.35, 0.30
# SD of an informative voxel's response over images, in units of its mean response.
PATTERN_SD = 1.0
# SD of the logarithm of a voxel's gain: some voxels answer strongly, most weakly.
GAIN_LOG_SD = 0.7
# Random pairings that are looked through for a geometry unlike the regular images' own.
PAIRINGS = 200

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """What the images of every set evoke in one ROI, the same for all subjects.

    features : (n_categories, n_features) of the regular images; the rows' inner products are their true correlations.
    other    : for every other set, the features of a geometry of like structure that is unrelated to `features`.
    share    : for every set, how much of its geometry is the regular images' own, 0 to 1.
    """

    features: Floats
    other: dict[str, Floats]
    share: dict[str, float]


@dataclass(frozen=True)
class Truth:
    """The noiseless responses of one subject's ROI.

    amplitudes_pct : (n_images, n_voxels) peak of the BOLD response to an isolated image, % of baseline.
    informative    : (n_voxels,) whether a voxel tells images apart.
    """

    amplitudes_pct: Floats
    informative: NDArray[np.bool_]


def category_features(categories: Sequence[Stimulus]) -> Floats:
    """Features of the categories: animacy, supercategory, and each category by itself.

    categories : one image of each category.

    Returns (n_categories, n_features), the squares of a row summing to 1.
    """
    animal = np.array([1.0 if stimulus.animal_source else -1.0 for stimulus in categories])[:, None]
    names = list(dict.fromkeys(stimulus.supercategory for stimulus in categories))
    supercategory = np.array([[float(stimulus.supercategory == name) for name in names] for stimulus in categories])
    own = np.eye(len(categories))
    return np.hstack([np.sqrt(ANIMACY) * animal, np.sqrt(SUPERCATEGORY) * supercategory, np.sqrt(CATEGORY) * own])


def unlike(rng: np.random.Generator, features: Floats) -> Floats:
    """The same features dealt out to other categories, so that the two geometries are as unrelated as can be.

    features : (n_categories, n_features).

    Returns rows of `features` in another order: of `PAIRINGS` random orders the one whose matrix of inner products
    correlates least, in size, with that of `features`.
    """
    upper = np.triu_indices(len(features), 1)
    own = features @ features.T
    orders = [rng.permutation(len(features)) for _ in range(PAIRINGS)]
    alike = [abs(np.corrcoef(own[upper], own[np.ix_(order, order)][upper])[0, 1]) for order in orders]
    return features[orders[int(np.argmin(alike))]]


def geometry_of(study: Study, stimuli: Sequence[Stimulus], roi: str) -> Geometry:
    """The geometry of an ROI, from the manifest's categories and ``rehearsal.brain.shared``.

    study   : its sets of kind ``pictures`` are the regular images; the others share what the study says.
    stimuli : the manifest.
    roi     : a key of ``rehearsal.brain.shared``.

    Raises FoolscanError for a set whose share the study does not state.
    """
    of_category = {stimulus.category: stimulus for stimulus in reversed(stimuli)}
    categories = [of_category[name] for name in dict.fromkeys(stimulus.category for stimulus in stimuli)]
    features = category_features(categories)
    stated = study.rehearsal.brain.shared[roi]
    other, share = {}, {}
    for name in dict.fromkeys(stimulus.set for stimulus in stimuli):
        if study.stimuli.sets[name].kind == "pictures":
            share[name] = 1.0
        elif name in stated:
            share[name] = stated[name]
            other[name] = unlike(generator_for(study.seed, f"brain/geometry/{roi}/{name}"), features)
        else:
            raise FoolscanError(f"rehearsal.brain.shared.{roi}: found no share for set {name}; add {name}: 0 to 1")
    return Geometry(features, other, share)


def patterns_of(rng: np.random.Generator, geometry: Geometry, stimuli: Sequence[Stimulus], n_voxels: int) -> Floats:
    """Responses of voxels that carry a geometry: every feature has a weight of its own in every voxel.

    With R the regular images' patterns and U an unrelated geometry's, a set with share s has sqrt(s)·R + sqrt(1 − s)·U.

    Returns (n_images, n_voxels), zero mean and unit variance over the weights' distribution.
    """
    n_features = geometry.features.shape[1]
    regular = geometry.features @ rng.standard_normal((n_features, n_voxels))
    own = {name: features @ rng.standard_normal((n_features, n_voxels)) for name, features in geometry.other.items()}
    categories = list(dict.fromkeys(stimulus.category for stimulus in stimuli))
    row = {name: i for i, name in enumerate(categories)}
    result = np.empty((len(stimuli), n_voxels))
    for i, stimulus in enumerate(stimuli):
        share = geometry.share[stimulus.set]
        result[i] = np.sqrt(share) * regular[row[stimulus.category]]
        if stimulus.set in own:
            result[i] += np.sqrt(1 - share) * own[stimulus.set][row[stimulus.category]]
    return result


def truth_of(study: Study, stimuli: Sequence[Stimulus], sub: str, roi: str, geometry: Geometry) -> Truth:
    """The noiseless responses of one subject's ROI.

    An informative voxel answers an image by ``peak_signal_pct · gain · (1 + PATTERN_SD · pattern)``; another voxel
    answers all images by ``peak_signal_pct · gain``. Gains are log-normal with mean 1.
    """
    brain = study.rehearsal.brain
    rng = generator_for(study.seed, f"brain/patterns/sub-{sub}/{roi}")
    n_voxels = brain.voxels_per_roi
    gain = rng.lognormal(-(GAIN_LOG_SD**2) / 2, GAIN_LOG_SD, n_voxels)
    informative = np.zeros(n_voxels, dtype=bool)
    informative[rng.permutation(n_voxels)[: round(brain.informative * n_voxels)]] = True
    pattern = patterns_of(rng, geometry, stimuli, n_voxels)
    amplitudes = brain.peak_signal_pct * gain * (1.0 + PATTERN_SD * np.where(informative, pattern, 0.0))
    return Truth(amplitudes, informative)


def true_similarity(
    plan: AnalysisPlan, stimuli: Sequence[Stimulus], roi: str, truths: dict[str, Truth]
) -> dict[str, float]:
    """The similarities of the noiseless RDMs, by the very measures of the analysis.

    plan   : scaling of patterns, dissimilarity, similarity and pairs.
    truths : of every subject, by label; their informative voxels are pooled.

    Returns the similarity of every pair of sets, e.g. ``{"RE-AN": 0.41, "RE-AI": 0.93}``.
    """
    pooled = []
    for sub, truth in truths.items():
        patterns = Patterns(
            sub=sub,
            roi=roi,
            runs=("noiseless",),
            stim_ids=tuple(stimulus.stim_id for stimulus in stimuli),
            sets=tuple(stimulus.set for stimulus in stimuli),
            categories=tuple(stimulus.category for stimulus in stimuli),
            betas=truth.amplitudes_pct[None, :, truth.informative],
            voxels=np.zeros((int(truth.informative.sum()), 3), dtype=np.intp),
        )
        own = scaled(patterns, plan.pattern_scaling).betas[0]
        mean, sd = level_and_scale([own]) if plan.pooling == "z_within_subject" else (0.0, 1.0)
        pooled.append((own - mean) / sd)
    together = np.hstack(pooled)
    rdms = {}
    wanted = list(dict.fromkeys(name for pair in plan.pairs for name in pair))
    measure = WITHOUT_NOISE.get(plan.dissimilarity, plan.dissimilarity)  # what has no noise has no units of it
    for name, rows in rows_by_category(patterns.sets, patterns.categories, wanted).items():
        rdms[name] = rdm_of(together[rows], [stimuli[i].stim_id for i in rows], measure, {"roi": roi, "set": name})
    return {f"{a}-{b}": similarity(rdms[a], rdms[b], plan.similarity) for a, b in plan.pairs}
