"""Whether people give the same answer to the same image again: agreement of repeats, and beyond chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.behaviour import Response
from analysis.behaviour_intervals import percentile_bounds
from analysis.inference.weights import bootstrap_counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Repeats:
    """Answers to images that one subject was shown, and answered, more than once.

    animal : (n,) how often "animal" was said to each image by one subject.
    other  : (n,) how often the other was.
    image  : (n,) which image, numbered from 0: with several subjects an image comes again.
    """

    animal: NDArray[np.intp]
    other: NDArray[np.intp]
    image: NDArray[np.intp]

    @property
    def images(self) -> int:
        """How many images."""
        return int(self.animal.size)

    @property
    def answers(self) -> int:
        """How many answers."""
        return int(self.animal.sum() + self.other.sum())


def repeats_of(responses: Sequence[Response]) -> Repeats:
    """The repeated answers, an image of one subject being one unit: subjects are not compared with one another."""
    counts: dict[tuple[str, str], list[int]] = {}
    for response in responses:
        if response.said_animal is not None:
            counts.setdefault((response.run.sub, response.stimulus.stim_id), [0, 0])[not response.said_animal] += 1
    twice = {key: pair for key, pair in counts.items() if sum(pair) > 1}
    number = {stim_id: i for i, stim_id in enumerate(dict.fromkeys(stim_id for _, stim_id in twice))}
    columns = [[pair[0] for pair in twice.values()], [pair[1] for pair in twice.values()]]
    columns.append([number[stim_id] for _, stim_id in twice])
    return Repeats(*(np.array(column, dtype=np.intp) for column in columns))


def agreement_of_images(repeats: Repeats) -> Floats:
    """(n,) the share of pairs of answers to an image that agree."""
    a, b = repeats.animal, repeats.other
    return np.asarray((a * (a - 1) + b * (b - 1)) / ((a + b) * (a + b - 1)), dtype=np.float64)


def agreement(repeats: Repeats, weights: NDArray[np.int32] | None = None) -> Floats:
    """The mean of `agreement_of_images` under weightings of the images: (n_resamples,), one value without weights."""
    if not repeats.images:
        return np.full(1 if weights is None else len(weights), np.nan)
    counts = np.ones((1, repeats.images)) if weights is None else weights.astype(np.float64)
    return np.asarray(counts @ agreement_of_images(repeats) / counts.sum(axis=1))


def alpha(repeats: Repeats, weights: NDArray[np.int32] | None = None) -> Floats:
    """Krippendorff's alpha of two answers, for any number of repeats per image (Krippendorff 2011, nominal data).

    1: the same answer every time; 0: as often as if the answers were given out by chance; NaN when all answers are the
    same, for then nothing could have disagreed.

    weights : (n_resamples, n) how often each image counts; once when None.
    """
    counts = np.ones((1, repeats.images)) if weights is None else weights.astype(np.float64)
    a, b = repeats.animal.astype(np.float64), repeats.other.astype(np.float64)
    mixed = counts @ (a * b / np.maximum(a + b - 1, 1))  # coincidences of unlike answers
    n_animal, n_other = counts @ a, counts @ b
    with np.errstate(invalid="ignore", divide="ignore"):
        found = 1 - (n_animal + n_other - 1) * mixed / (n_animal * n_other)
    return np.asarray(np.where(n_animal * n_other > 0, found, np.nan))


def consistency_interval(
    repeats: Repeats, resamples: int, coverage: float, generator: np.random.Generator
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Percentile bootstrap intervals over images, each with the answers of all subjects, of the agreement and of alpha.

    NaN where resamples do not vary.
    """
    if repeats.images < 2:
        return (math.nan, math.nan), (math.nan, math.nan)
    different = int(repeats.image.max()) + 1
    weights = bootstrap_counts(np.zeros(different, dtype=np.intp), resamples, generator)[:, repeats.image]
    return percentile_bounds(agreement(repeats, weights), coverage), percentile_bounds(
        alpha(repeats, weights), coverage
    )
