"""The order of a run's trials: random, but within the study's rules."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from protocols.problems import FoolscanError
from protocols.study import OrderRules

REPAIRS = 500
RESTARTS = 4


def order_of_trials(
    categories: Sequence[str],
    types: Sequence[str],
    repeats: int,
    blanks: int,
    rules: OrderRules,
    rng: np.random.Generator,
) -> list[tuple[str, str] | None]:
    """A new order of all (type, category) trials with blank trials between them.

    categories : the categories of this run; each comes once per type and repeat.
    types      : the stimulus sets, e.g. RE, AN, AI.
    repeats    : how often each image comes in the run.
    blanks     : number of blank trials.
    rules      : the study's constraints.
    rng        : where chance comes from.

    Returns one item per trial: (type, category), or None for a blank trial. Transitions between the types of successive
    stimulus trials are balanced to first order (each of the ordered pairs comes equally often, give or take one) as
    long as the rules on distance leave that freedom, which small sets of categories do not.

    Raises FoolscanError when no order meets the rules.
    """
    distance = max(rules.source_distance, 2 if rules.no_category_repeat else 1)
    stimuli = None
    for _ in range(RESTARTS):
        stimuli = _balanced(categories, types, repeats, distance, rng)
        if stimuli is not None:
            break
    for _ in range(RESTARTS if stimuli is None else 0):
        stimuli = _spread(categories, types, repeats, distance, rng)
        if stimuli is not None:
            break
    if stimuli is None:
        raise FoolscanError(
            f"order.source_distance: no order of {len(categories)} categories keeps images of one source {distance} trials "
            f"apart; at most {len(categories)} is possible: lower it in the study file"
        )
    return _with_blanks(stimuli, blanks, rules, rng)


def type_transitions(order: Sequence[tuple[str, str] | None]) -> Counter[tuple[str, str]]:
    """How often each type follows each, over successive stimulus trials (blank trials left out)."""
    types = [trial[0] for trial in order if trial is not None]
    return Counter(itertools.pairwise(types))


def _balanced(
    categories: Sequence[str], types: Sequence[str], repeats: int, distance: int, rng: np.random.Generator
) -> list[tuple[str, str]] | None:
    """Types along a balanced walk, then categories at random, exchanged within a type until the distances are met."""
    walk = balanced_walk(len(types), len(categories) * repeats, rng)
    if len(walk) < len(types) * len(categories) * repeats:
        return None
    places = [np.flatnonzero(walk == kind) for kind in range(len(types))]
    chosen = np.empty(len(walk), dtype=np.int64)
    for place in places:
        chosen[place] = rng.permutation(np.tile(np.arange(len(categories)), repeats))
    for _ in range(REPAIRS):
        bad = _too_close(chosen, distance)
        if not len(bad):
            return [(types[int(kind)], categories[int(item)]) for kind, item in zip(walk, chosen, strict=True)]
        first = int(rng.choice(bad))
        second = int(rng.choice(places[walk[first]]))
        before = _clashes(chosen, first, distance) + _clashes(chosen, second, distance)
        chosen[[first, second]] = chosen[[second, first]]
        if _clashes(chosen, first, distance) + _clashes(chosen, second, distance) > before:
            chosen[[first, second]] = chosen[[second, first]]
    return None


def balanced_walk(n_types: int, per_type: int, rng: np.random.Generator) -> np.ndarray:
    """A random sequence of types in which every ordered pair of types follows one another equally often (± 1).

    n_types, per_type : how many types, and how often each comes.

    Returns (n_types * per_type,) type numbers: a random Eulerian path through the graph whose arrows are the pairs.
    Shorter when chance left the graph in pieces, which happens for per_type < n_types only.
    """
    arrows = np.full((n_types, n_types), per_type // n_types)
    # What is left over goes round in circles, so that every type is entered as often as it is left.
    circle = rng.permutation(n_types)
    shifts = rng.permutation(n_types)[: per_type % n_types]
    for shift in shifts:
        arrows[circle, np.roll(circle, -int(shift))] += 1
    # A path has one arrow less than a circuit: the arrow that would close it is taken out.
    start = int(rng.integers(n_types))
    last = int(rng.choice(np.flatnonzero(arrows[:, start] == arrows[:, start].max())))
    arrows[last, start] -= 1
    return _eulerian_path(arrows, start, rng)


def _eulerian_path(arrows: np.ndarray, start: int, rng: np.random.Generator) -> np.ndarray:
    """Hierholzer's algorithm, the next arrow drawn at random from those that are left."""
    left = [list(rng.permutation(np.repeat(np.arange(len(row)), row))) for row in arrows]
    stack, path = [start], []
    while stack:
        if left[stack[-1]]:
            stack.append(int(left[stack[-1]].pop()))
        else:
            path.append(stack.pop())
    return np.array(path[::-1], dtype=np.int64)


def _too_close(chosen: np.ndarray, distance: int) -> np.ndarray:
    """Places whose category comes again within the distance."""
    bad = np.zeros(len(chosen), dtype=bool)
    for lag in range(1, min(distance, len(chosen))):
        same = chosen[lag:] == chosen[:-lag]
        bad[lag:] |= same
        bad[:-lag] |= same
    return np.flatnonzero(bad)


def _clashes(chosen: np.ndarray, place: int, distance: int) -> int:
    near = chosen[max(0, place - distance + 1) : place + distance]
    return int(np.count_nonzero(near == chosen[place])) - 1


def _spread(
    categories: Sequence[str], types: Sequence[str], repeats: int, distance: int, rng: np.random.Generator
) -> list[tuple[str, str]] | None:
    """Trial by trial the category with most trials left: finds an order for few categories, types balanced where free."""
    left = {category: [kind for kind in types for _ in range(repeats)] for category in categories}
    order: list[tuple[str, str]] = []
    followed: Counter[tuple[str, str]] = Counter()
    for _ in range(len(categories) * len(types) * repeats):
        recent = {category for _, category in order[len(order) - distance + 1 :]} if distance > 1 else set()
        free = [category for category in categories if left[category] and category not in recent]
        if not free:
            return None
        most = max(len(left[category]) for category in free)
        category = str(rng.choice([category for category in free if len(left[category]) == most]))
        before = order[-1][0] if order else ""
        kinds = [str(kind) for kind in rng.permutation(left[category])]
        kind = min(kinds, key=lambda kind: followed[(before, kind)])
        left[category].remove(kind)
        followed[(before, kind)] += 1
        order.append((kind, category))
    return order


def _with_blanks(
    stimuli: list[tuple[str, str]], blanks: int, rules: OrderRules, rng: np.random.Generator
) -> list[tuple[str, str] | None]:
    """Blank trials in gaps drawn at random; gap g is before stimulus trial g."""
    gaps = np.arange(0 if rules.blank_at_ends else 1, len(stimuli) + (1 if rules.blank_at_ends else 0))
    if rules.blanks_apart and blanks > len(gaps):
        raise FoolscanError(
            f"order.blanks_apart: {blanks} blank trials do not fit apart into {len(gaps)} gaps: use fewer"
        )
    chosen = Counter(int(gap) for gap in rng.choice(gaps, size=blanks, replace=not rules.blanks_apart))
    order: list[tuple[str, str] | None] = []
    for place, trial in enumerate([*stimuli, None]):
        order += [None] * chosen[place]
        if trial is not None:
            order.append(trial)
    return order
