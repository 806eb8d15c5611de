"""How sure the numbers of behaviour are: one function of weighted trials, resampled over images or subjects, and Jeffreys'."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.behaviour import Response
from analysis.inference.weights import bootstrap_counts

Floats = NDArray[np.float64]

MEASURES: dict[str, str] = {
    "accuracy": "share correct of the answered trials",
    "d_prime": "sensitivity, log-linear correction",
    "criterion": "criterion c, log-linear correction; negative: inclined to say 'animal'",
    "p_animal_if_animal": "P(animal | an animal)",
    "p_animal_if_not": "P(animal | not an animal)",
    "p_difference": "the difference of these two",
    "rt_median_s": "median reaction time, s",
}
OF_SCORED = ("accuracy", "d_prime", "criterion")
BLOCK = 500  # resamples at a time

INDEPENDENT = "Jeffreys: beta distribution with half a success and half a failure added (Brown, Cai & DasGupta 2001)"


@dataclass(frozen=True)
class Trials:
    """Answered trials of one set.

    said, animal : (n,) what was said, and what it was (see `Response.is_animal`).
    rt_s         : (n,) reaction times.
    image        : (n,) which image, numbered from 0.
    subject      : (n,) which subject, numbered from 0.
    """

    said: NDArray[np.bool_]
    animal: NDArray[np.bool_]
    rt_s: Floats
    image: NDArray[np.intp]
    subject: NDArray[np.intp]

    @property
    def size(self) -> int:
        """How many."""
        return int(self.said.size)


@dataclass(frozen=True)
class Bound:
    """An interval of one measure.

    method    : how it was made.
    estimand  : what it is an interval for.
    resampled : what was drawn again.
    value     : what it belongs to, where that is not the value of all trials together.
    """

    measure: str
    low: float
    high: float
    method: str
    estimand: str
    resampled: str
    value: float = math.nan


def answered_trials(responses: Sequence[Response], *, scored: bool) -> Trials:
    """The answered trials of one set as arrays."""
    kept = [response for response in responses if response.said_animal is not None]
    images = {name: i for i, name in enumerate(dict.fromkeys(response.stimulus.stim_id for response in kept))}
    subjects = {name: i for i, name in enumerate(dict.fromkeys(response.run.sub for response in kept))}
    return Trials(
        np.array([bool(response.said_animal) for response in kept], dtype=np.bool_),
        np.array([response.is_animal(scored) for response in kept], dtype=np.bool_),
        np.array([math.nan if response.rt_s is None else response.rt_s for response in kept], dtype=np.float64),
        np.array([images[response.stimulus.stim_id] for response in kept], dtype=np.intp),
        np.array([subjects[response.run.sub] for response in kept], dtype=np.intp),
    )


def weighted_measures(trials: Trials, weights: NDArray[np.int32], *, scored: bool) -> dict[str, Floats]:
    """Every measure under many weightings of the trials.

    weights : (n_resamples, n_trials) how often each trial counts.
    scored  : whether the set has a correct answer; else there is no accuracy, d′ and criterion.

    Returns name -> (n_resamples,), NaN where it is not defined.
    """
    counts = weights.astype(np.float64)
    hits, n_animal = counts @ (trials.animal & trials.said), counts @ trials.animal
    alarms, n_not = counts @ (~trials.animal & trials.said), counts @ ~trials.animal
    with np.errstate(invalid="ignore", divide="ignore"):
        if_animal, if_not = hits / n_animal, alarms / n_not
        right = (hits + n_not - alarms) / (n_animal + n_not)
    found = {"p_animal_if_animal": if_animal, "p_animal_if_not": if_not, "p_difference": if_animal - if_not}
    found["rt_median_s"] = weighted_median(trials.rt_s, weights)
    if scored:
        z_hit, z_alarm = _z((hits + 0.5) / (n_animal + 1)), _z((alarms + 0.5) / (n_not + 1))
        both = (n_animal > 0) & (n_not > 0)
        found["accuracy"] = right
        found["d_prime"] = np.where(both, z_hit - z_alarm, np.nan)
        found["criterion"] = np.where(both, -(z_hit + z_alarm) / 2, np.nan)
    return {name: found[name] for name in MEASURES if name in found}


def weighted_median(values: Floats, weights: NDArray[np.int32]) -> Floats:
    """The median of values that count several times each: that of the values repeated so often.

    values  : (n,), NaN for what is not there.
    weights : (n_resamples, n) whole numbers.

    Returns (n_resamples,), NaN where nothing counts.
    """
    there = np.isfinite(values)
    order = np.argsort(values[there], kind="stable")
    ordered = values[there][order]
    result = np.full(len(weights), np.nan)
    for start in range(0, len(weights) if ordered.size else 0, BLOCK):
        upto = np.cumsum(weights[start : start + BLOCK][:, there][:, order], axis=1)
        total = upto[:, -1]
        middle = [
            ordered[np.minimum((upto <= place[:, None]).sum(axis=1), ordered.size - 1)]
            for place in (np.maximum(total - 1, 0) // 2, total // 2)
        ]
        result[start : start + BLOCK] = np.where(total > 0, (middle[0] + middle[1]) / 2, np.nan)
    return result


def over_images(
    trials: Trials, *, scored: bool, resamples: int, coverage: float, generator: np.random.Generator, who: str
) -> list[Bound]:
    """Percentile bootstrap over images, each with all its trials, animals and others apart.

    who : "this subject" or "these subjects".
    """
    images = int(trials.image.max()) + 1 if trials.size else 0
    kind = np.zeros(images, dtype=np.intp)
    kind[trials.image] = trials.animal
    counts = bootstrap_counts(kind, resamples, generator)[:, trials.image]
    replicates = weighted_measures(trials, counts, scored=scored)
    method = f"percentile bootstrap, {resamples} resamples"
    return [
        _percentiles(name, values, coverage, method, f"{who}, images like these", "images, each with all its trials")
        for name, values in replicates.items()
    ]


def over_trials(
    trials: Trials, *, scored: bool, resamples: int, coverage: float, generator: np.random.Generator, who: str
) -> list[Bound]:
    """Intervals for these very images, trials taken as independent: Jeffreys' for shares, the bootstrap for the median.

    A share of 0 or 1 has an interval that is not a point, unlike with a bootstrap of trials that were all answered alike.
    """
    hits, alarms = int((trials.animal & trials.said).sum()), int((~trials.animal & trials.said).sum())
    n_animal, n_not = int(trials.animal.sum()), int((~trials.animal).sum())

    def share(name: str, successes: int, of: int) -> Bound:
        return Bound(name, *jeffreys(successes, of, coverage), INDEPENDENT, estimand, "trials, as independent")

    estimand = f"{who}, these images"
    drawn_hits = generator.beta(hits + 0.5, n_animal - hits + 0.5, 20 * resamples)
    drawn_alarms = generator.beta(alarms + 0.5, n_not - alarms + 0.5, 20 * resamples)
    drawn = {"p_difference": drawn_hits - drawn_alarms}
    found = [share("p_animal_if_animal", hits, n_animal), share("p_animal_if_not", alarms, n_not)]
    if scored:
        found.append(share("accuracy", hits + n_not - alarms, n_animal + n_not))
        z_hit, z_alarm = _z(drawn_hits), _z(drawn_alarms)
        drawn |= {"d_prime": z_hit - z_alarm, "criterion": -(z_hit + z_alarm) / 2}
    if n_animal and n_not:
        method = f"{INDEPENDENT}, {20 * resamples} draws"
        found += [
            _percentiles(name, values, coverage, method, estimand, "trials, as independent")
            for name, values in drawn.items()
        ]
    counts = bootstrap_counts(trials.subject, resamples, generator)
    method = f"percentile bootstrap, {resamples} resamples"
    medians = weighted_median(trials.rt_s, counts)
    found.append(_percentiles("rt_median_s", medians, coverage, method, estimand, "trials, within subject"))
    return found


def over_subjects(values: Mapping[str, Sequence[float]], coverage: float, least: int) -> list[Bound]:
    """Student's interval of the mean over subjects, where there are enough of them to speak of people.

    values : measure -> every subject's own value.
    least  : how many are enough (study file: analysis.tests.subjects_for_group).
    """
    from scipy.stats import t as student

    found = []
    for name, of_subjects in values.items():
        known = np.array([value for value in of_subjects if math.isfinite(value)])
        if known.size < least:
            continue
        mean = float(known.mean())
        reach = float(student.ppf((1 + coverage) / 2, known.size - 1) * known.std(ddof=1) / math.sqrt(known.size))
        method = f"Student's t, mean of {known.size} subjects' own values"
        found.append(
            Bound(name, mean - reach, mean + reach, method, "people like these, these images", "subjects", mean)
        )
    return found


def jeffreys(successes: int, of: int, coverage: float) -> tuple[float, float]:
    """Jeffreys' interval of a share; it reaches 0 or 1 where none or all were successes (Brown, Cai & DasGupta 2001)."""
    from scipy.stats import beta

    if not of:
        return math.nan, math.nan
    low, high = (float(beta.ppf(tail, successes + 0.5, of - successes + 0.5)) for tail in tails_of(coverage))
    return (0.0 if successes == 0 else low), (1.0 if successes == of else high)


def tails_of(coverage: float) -> tuple[float, float]:
    """The shares below the two bounds of an interval: 0.025 and 0.975 for 0.95."""
    return (1 - coverage) / 2, (1 + coverage) / 2


def percentile_bounds(values: Floats, coverage: float) -> tuple[float, float]:
    """The percentile interval of replicates; NaN where they do not vary, or most of them are not defined.

    Replicates do not vary when all images were answered alike: then a resample cannot say how sure that is.
    """
    kept = values[np.isfinite(values)]
    if kept.size < max(2, len(values) / 2) or np.ptp(kept) == 0:
        return math.nan, math.nan
    low, high = np.quantile(kept, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def _percentiles(name: str, values: Floats, coverage: float, method: str, estimand: str, resampled: str) -> Bound:
    low, high = percentile_bounds(values, coverage)
    if not math.isfinite(low):
        return Bound(name, low, high, f"none: no spread to resample ({method})", estimand, resampled)
    undefined = len(values) - int(np.isfinite(values).sum())
    if undefined:
        method += f"; {undefined} not defined and left out"
    return Bound(name, low, high, method, estimand, resampled)


def _z(share: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(share), dtype=np.float64)
