"""Means and differences over images and people at once, with an interval for which both are samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

METHOD = "Student's t, variance components of crossed random factors, Satterthwaite's degrees of freedom"
ALIKE = "all answered alike: no spread"


@dataclass(frozen=True)
class Answered:
    """Answers to one question as arrays, one entry an answer.

    value   : (n,) 1 for a right answer and 0 for another, or a step of a scale.
    unit    : (n,) pair of crops or source picture, any numbers.
    sign    : (n,) +1 for the first of the two that are compared, -1 for the other; +1 everywhere for a mean.
    worker  : (n,) who answered, any numbers.
    of_list : (n,) the list that this person was given: people are drawn within lists.
    weight  : (n,) what the unit's mean of this sign is multiplied with, the same for all answers of a unit and sign; left out: 1.
    """

    value: Floats
    unit: Places
    sign: NDArray[np.int_]
    worker: Places
    of_list: Places
    weight: Floats | None = None

    def only(self, kept: NDArray[np.bool_]) -> Answered:
        """Some of the answers.

        kept : (n,).
        """
        weight = None if self.weight is None else self.weight[kept]
        return Answered(
            self.value[kept], self.unit[kept], self.sign[kept], self.worker[kept], self.of_list[kept], weight
        )


@dataclass(frozen=True)
class Crossed:
    """A mean (or mean difference) over units, and how sure it is.

    value      : the mean over units of each unit's own mean, or difference of means.
    low, high  : the interval; NaN where there is none.
    n_units    : units that count: those with an answer to all that is compared.
    n_workers  : people who answered these.
    n_answers  : answers that it rests on.
    spread     : SD of the units' true values, the answers' chance taken out, 0 where chance explains all of it.
    se_workers : standard error for these very units: other people.
    df         : Satterthwaite's degrees of freedom.
    why_none   : why there is no interval; empty where there is one.
    how        : how the interval was made, where that is not `METHOD` alone.
    """

    value: float
    low: float
    high: float
    n_units: int
    n_workers: int
    n_answers: int
    spread: float
    se_workers: float
    df: float
    why_none: str = ""
    how: str = ""


@dataclass(frozen=True)
class _Parts:
    """What units and people add to the variance of a mean over units; see `crossed`."""

    value: float
    observed: float
    spread2: float
    workers: float


def crossed(
    answered: Answered, coverage: float, stratum: Places | None = None, gains: dict[int, float] | None = None
) -> Crossed:
    """The mean over units, and its interval for units like these and people like these.

    answered : the answers.
    coverage : of the interval, within (0, 1).
    stratum  : (n,) kind of each answer's unit, where units were drawn within kinds (animals and other things).
    gains    : stratum -> what its mean is multiplied with in the sum of all; left out: there is one stratum.

    Given the units, people are independent: the sum over lists of the variance of people's own scores, over their number, is the
    variance without bias. What differs between units beyond that, by the unbiased difference of the observed variance over units
    and what people's answers alone would bring, is the units' own variance, never below 0; it is added, over the number of
    units. This is the mean square of quasi-F for crossed random factors (Clark 1973; Westfall, Kenny & Judd 2014) without
    assuming that effects add up, for nested, counterbalanced and blocked lists alike. Degrees of freedom: Satterthwaite 1946.
    """
    from scipy.stats import t as student

    kinds = np.zeros(answered.value.size, dtype=np.intp) if stratum is None else stratum
    kept = complete(answered)
    answered, kinds = answered.only(kept), kinds[kept]
    wanted = gains or {0: 1.0}
    n_units, n_workers = np.unique(answered.unit).size, np.unique(answered.worker).size
    counts = (n_units, n_workers, answered.value.size)
    lacking = [kind for kind in wanted if not (kinds == kind).any()]
    if not answered.value.size or lacking:
        return Crossed(
            math.nan, math.nan, math.nan, *counts, math.nan, math.nan, math.nan, "no answers to all that is compared"
        )
    scores = np.zeros(answered.value.size)
    parts: dict[int, _Parts] = {}
    for kind, gain in wanted.items():
        mine = kinds == kind
        parts[kind], own = _parts(answered.only(mine))
        scores[mine] = gain * own
    value = sum(gain * parts[kind].value for kind, gain in wanted.items())
    spread = math.sqrt(max(0.0, parts[0].spread2)) if len(wanted) == 1 and 0 in parts else math.nan
    by_list = _worker_variances(scores, answered)
    workers = sum(variance for variance, _ in by_list)
    sizes = {kind: np.unique(answered.unit[kinds == kind]).size for kind in wanted}
    few = min(sizes.values()) < 2 or min(n for _, n in by_list) < 2
    if few:
        why = "a single unit" if min(sizes.values()) < 2 else "a single person in a list"
        return Crossed(value, math.nan, math.nan, *counts, math.nan, math.nan, math.nan, why)
    units = sum(gain**2 * max(0.0, parts[kind].spread2) / sizes[kind] for kind, gain in wanted.items())
    variance = workers + units
    if variance <= 1e-15:
        return Crossed(value, math.nan, math.nan, *counts, spread, 0.0, math.nan, ALIKE)
    below = sum(
        (gain**2 * parts[kind].observed / sizes[kind]) ** 2 / (sizes[kind] - 1) for kind, gain in wanted.items()
    )
    below += sum(variance_of**2 / (n - 1) for variance_of, n in by_list)
    df = variance**2 / below
    reach = float(student.ppf((1 + coverage) / 2, df)) * math.sqrt(variance)
    return Crossed(value, value - reach, value + reach, *counts, spread, math.sqrt(workers), df)


def complete(answered: Answered) -> NDArray[np.bool_]:
    """(n,) which answers are to units of which all that is compared was answered."""
    signs = np.unique(answered.sign)
    of_units = [np.unique(answered.unit[answered.sign == sign]) for sign in signs]
    both = of_units[0] if of_units else np.array([], dtype=np.intp)
    for more in of_units[1:]:
        both = np.intersect1d(both, more)
    return np.isin(answered.unit, both)


def unit_values(answered: Answered) -> tuple[Places, Floats]:
    """Units, and the mean or difference of means of each; for complete units alone."""
    cells = _cells(answered)
    return cells.names, cells.values


@dataclass(frozen=True)
class _Cells:
    """Answers by unit and sign.

    names  : (n_units,) units.
    cell   : (n,) which unit and sign, an answer.
    n, means, factor : (2 n_units,) answers, their mean, and what that counts in its unit's value, by cell.
    """

    names: Places
    cell: Places
    n: NDArray[np.intp]
    means: Floats
    factor: Floats

    @property
    def values(self) -> Floats:
        """(n_units,) mean or difference of means."""
        return np.asarray((self.factor * self.means).reshape(-1, 2).sum(axis=1), dtype=np.float64)


def _cells(answered: Answered) -> _Cells:
    names, unit = np.unique(answered.unit, return_inverse=True)
    cell = 2 * unit + (answered.sign < 0)
    n = np.bincount(cell, minlength=2 * names.size)
    means = np.bincount(cell, answered.value, 2 * names.size) / np.maximum(n, 1)
    factor = np.zeros(2 * names.size)
    factor[cell] = answered.sign if answered.weight is None else answered.sign * answered.weight
    return _Cells(names, cell, n, means, factor)


def _parts(answered: Answered) -> tuple[_Parts, Floats]:
    """Of one stratum, and (n,) what each answer adds to its mean, over that unit's own mean."""
    cells = _cells(answered)
    values, n, n_units = cells.values, cells.n, cells.names.size
    residual = answered.value - cells.means[cells.cell]
    scores = cells.factor[cells.cell] * residual / (n_units * n[cells.cell])
    workers = sum(variance for variance, _ in _worker_variances(scores, answered))
    if n_units < 2:
        return _Parts(float(values.mean()), 0.0, 0.0, workers), scores
    squares = cells.factor**2 * np.bincount(cells.cell, residual**2, 2 * n_units)
    several = n > 1  # one answer tells no variance: what it would take off stays in
    by_chance = float((squares[several] / (n[several] * (n[several] - 1))).sum())
    observed = float(values.var(ddof=1))
    spread2 = observed - (by_chance - n_units * workers) / (n_units - 1)
    return _Parts(float(values.mean()), observed, spread2, workers), scores


def _worker_variances(scores: Floats, answered: Answered) -> list[tuple[float, int]]:
    """Per list: what its people add to the variance of the sum of scores, and how many they are."""
    names, first, worker = np.unique(answered.worker, return_index=True, return_inverse=True)
    of_worker = np.bincount(worker, scores, names.size)
    lists = answered.of_list[first]
    found = []
    for name in np.unique(lists):
        mine = of_worker[lists == name]
        n = mine.size
        found.append((float((mine**2).sum()) * n / (n - 1) if n > 1 else 0.0, n))
    return found
