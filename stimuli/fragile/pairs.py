"""Pairs of windows that differ by a pixel or two, one recognised and one not: which there are, and which are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from protocols.problems import WorkWanting
from protocols.seeds import generator_for, seed_for
from stimuli.fragile.counting import correctness
from stimuli.fragile.definitions import FragileType
from stimuli.fragile.estimates import Box
from stimuli.fragile.found import Seen, offsets_of, side_after
from stimuli.fragile.mapping import Side
from stimuli.fragile.reading import Readings
from stimuli.fragile.sources import PictureToMap

Direction = Literal["to_incorrect", "to_correct", "both"]


@dataclass(frozen=True)
class Window:
    """A window of a picture.

    row, column : of its upper left pixel; `side`: pixels.
    correct     : whether the network recognises it.
    reading     : (3,), see `Readings`.
    """

    row: int
    column: int
    side: int
    correct: bool
    reading: Readings


@dataclass(frozen=True)
class Pair:
    """A fragile window, and a changed one that flips.

    seed : by which it was drawn in its picture.
    """

    picture: PictureToMap
    side: Side
    type: FragileType
    fragile: Window
    altered: Window
    seed: int

    @property
    def offset(self) -> tuple[int, int]:
        """Rows and columns from the fragile window's upper left pixel to the altered one's."""
        return self.altered.row - self.fragile.row, self.altered.column - self.fragile.column

    @property
    def right_one_first(self) -> tuple[Window, Window]:
        """The window that is recognised, and the other."""
        return (self.fragile, self.altered) if self.fragile.correct else (self.altered, self.fragile)


def fragile_cells(seen: Seen, kind: FragileType, direction: Direction = "both") -> NDArray[np.int64]:
    """The numbers of the cells, of those looked at, that are fragile, (n,)."""
    signs = seen.looked.signs.get(kind)
    if signs is None:
        return np.zeros(0, np.int64)
    wanted = {"to_incorrect": signs > 0, "to_correct": signs < 0, "both": signs != 0}[direction]
    return np.flatnonzero(wanted)


def drawn_pair(seen: Seen, kind: FragileType, direction: Direction, top_k: int, study_seed: int) -> Pair | None:
    """One pair of a picture: a fragile window, then one of its changed windows that flip, each as likely as any other.

    top_k      : right is a class among the so many most probable.
    study_seed : the study's; the draw is the same at every call.

    Returns None where there is no such window.
    """
    cells = fragile_cells(seen, kind, direction)
    if not len(cells):
        return None
    thing = f"fragile/pairs/{seen.picture.picture_id}/side-{seen.side.grid.side}/{kind}/{direction}"
    rng = generator_for(study_seed, thing)
    number = int(rng.choice(cells))
    correct = bool(seen.looked.correct[number])
    changed = seen.changed(kind, np.array([number]))[0]
    right = correctness(changed, top_k)
    flips = np.flatnonzero((right != correct) & ~np.isnan(changed).any(axis=1))
    twin = int(rng.choice(flips))
    row, column = map(int, seen.looked.cells[number])
    down, across = map(int, offsets_of(kind)[twin])
    side = seen.side.grid.side
    return Pair(
        seen.picture,
        seen.side,
        kind,
        Window(row, column, side, correct, seen.itself[number]),
        Window(row + down, column + across, side_after(kind, side), not correct, changed[twin]),
        seed_for(study_seed, thing),
    )


def drawn_pairs(pairs: Iterable[Pair], n: int, study_seed: int, mend: str = "") -> tuple[Pair, ...]:
    """So many pairs, spread over supercategories as evenly as there are pictures.

    pairs      : at most one a picture.
    study_seed : which pictures are taken, and which supercategories have one more, is drawn by it.
    mend       : what to do when there are too few.

    Returns (n,), in the order of `pairs`.

    Raises WorkWanting when there are not so many.
    """
    found = list(pairs)
    if len(found) < n:
        raise WorkWanting(f"fragile.pairs.n: found {len(found)} pictures with such a pair, expected {n}; {mend}")
    rng = generator_for(study_seed, "fragile/pairs")
    groups: dict[str, list[int]] = {}
    for number, pair in enumerate(found):
        groups.setdefault(pair.picture.supercategory, []).append(number)
    room = {name: len(members) for name, members in groups.items()}
    taken: list[int] = []
    for name, count in spread(room, n, rng).items():
        taken += rng.permutation(groups[name])[:count].tolist()
    return tuple(found[number] for number in sorted(taken))


def spread(room: Mapping[str, int], n: int, rng: np.random.Generator) -> dict[str, int]:
    """How many of n each group gets: all the same, as far as they have them; who gets one more is drawn.

    room : how many each has; in all at least n.
    """
    counts = dict.fromkeys(room, 0)
    while (left := n - sum(counts.values())) > 0:
        open_ones = [name for name in room if counts[name] < room[name]]
        each = left // len(open_ones)
        chosen = open_ones if each else [open_ones[place] for place in rng.permutation(len(open_ones))[:left]]
        for name in chosen:
            counts[name] += min(max(each, 1), room[name] - counts[name])
    return counts


def overlap(window: Window, box: Box | None) -> float | None:
    """The share of a window's pixels that lie in an object's box; None without one."""
    if box is None:
        return None
    top, left, bottom, right = box
    down = max(0, min(bottom, window.row + window.side) - max(top, window.row))
    across = max(0, min(right, window.column + window.side) - max(left, window.column))
    return down * across / window.side**2


def of_every_picture(
    seen: Iterator[Seen], kind: FragileType, direction: Direction, top_k: int, study_seed: int
) -> Iterator[Pair]:
    """The pair of every picture that has one."""
    for one in seen:
        pair = drawn_pair(one, kind, direction, top_k, study_seed)
        if pair is not None:
            yield pair


def supercategories(pairs: Sequence[Pair]) -> dict[str, int]:
    """How many pairs there are of each."""
    counts: dict[str, int] = {}
    for pair in pairs:
        counts[pair.picture.supercategory] = counts.get(pair.picture.supercategory, 0) + 1
    return counts
