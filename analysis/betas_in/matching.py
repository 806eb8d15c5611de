"""Matches beta maps to logged trials: counts, order, labels, onsets; the first mismatch is shown, nothing is guessed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.betas_in.given import GivenMap
from analysis.events import Event
from protocols.problems import FoolscanError


@dataclass(frozen=True)
class Logged:
    """One presentation as it was logged.

    path    : the events file; line : its row there.
    run     : number of the run.
    trial   : number of the presentation of its image in the run, from 1.
    onset_s : s from the first stored volume.
    after_s : when its run began on the clock of a model of several runs end to end, s.
    """

    path: Path
    line: int
    run: int
    stim_id: str
    trial: int
    onset_s: float
    after_s: float = 0.0

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.path.name}:{self.line}"


@dataclass(frozen=True)
class Match:
    """A map that belongs to presentations of an image: its place in the source, and which they are."""

    place: int
    presentations: tuple[Logged, ...]

    @property
    def stim_id(self) -> str:
        """The image."""
        return self.presentations[0].stim_id


@dataclass(frozen=True)
class Matching:
    """All maps of one run (or session) and their presentations.

    matches       : in the manifest's order for maps of images, in the logged order for single trials.
    offset_s      : the source's clock less the log's, s; None where the source has no onsets.
    checked       : what was compared, in words.
    single_trials : whether every map is of one presentation.
    """

    matches: tuple[Match, ...]
    offset_s: float | None
    checked: str
    single_trials: bool


def logged(path: Path, run: int, images: Sequence[Event], after_s: float = 0.0) -> list[Logged]:
    """The presentations of a run, in order.

    images  : rows of its events file that show an image.
    after_s : when the run began on the clock of a model of several runs end to end, s.
    """
    counts: dict[str, int] = defaultdict(int)
    found = []
    for event in images:
        stim_id = str(event.stim_id)
        counts[stim_id] += 1
        found.append(Logged(path, event.line, run, stim_id, counts[stim_id], event.onset_s, after_s))
    return found


def match_images(
    maps: Mapping[int, GivenMap], presented: Sequence[Logged], order: Sequence[str], tolerance_s: float
) -> Matching:
    """Match one map per image to all its presentations.

    maps        : by place in the source.
    presented   : what was logged.
    order       : the manifest's images.
    tolerance_s : by which onsets may differ once the clocks' offset is taken out, s.

    Raises FoolscanError at the first map or image that has no counterpart.
    """
    of_image: dict[str, list[Logged]] = defaultdict(list)
    for item in presented:
        of_image[item.stim_id].append(item)
    place_of: dict[str, int] = {}
    for row, (place, given) in enumerate(maps.items(), start=1):
        stim_id = _said(given, row)
        if stim_id not in of_image:
            why = "which this run did not show" if stim_id in order else "which stimuli.tsv does not have"
            raise FoolscanError(
                f"{given.where}: map {row} of {len(maps)}: found {stim_id!r}, {why}; logged: {_names(of_image)} "
                f"({presented[0].path.name}). Is it the map of another run?"
            )
        if stim_id in place_of:
            raise FoolscanError(
                f"{given.where}: map {row} of {len(maps)}: found {stim_id!r} a second time (first: {maps[place_of[stim_id]].where}); "
                "logged: one condition. Are these single trials? Number them (column trial of --names), or use --single-trials"
            )
        place_of[stim_id] = place
    for stim_id in (name for name in order if name in of_image):
        if stim_id not in place_of:
            first = of_image[stim_id][0]
            source = next(iter(maps.values())).where if maps else "the source"
            raise FoolscanError(
                f"{source}: found {len(maps)} maps and none of {stim_id!r}; logged: {first.where}, {len(of_image)} images. "
                "Was the image left out of the model? Every image that was shown needs a map"
            )
    matches = tuple(Match(place_of[name], tuple(of_image[name])) for name in order if name in place_of)
    offset_s = _offset(maps, matches, tolerance_s)
    return Matching(matches, offset_s, "labels, counts" + ("" if offset_s is None else ", onsets"), False)


def match_numbered(
    maps: Mapping[int, GivenMap], presented: Sequence[Logged], order: Sequence[str], tolerance_s: float
) -> Matching:
    """Match maps of single trials that tell image and number of the presentation (in all that is presented), in any order."""
    counts: Counter[str] = Counter()
    wanted: dict[tuple[str, int], Logged] = {}
    for item in presented:
        counts[item.stim_id] += 1
        wanted[item.stim_id, counts[item.stim_id]] = item
    place_of: dict[tuple[str, int], int] = {}
    for row, (place, given) in enumerate(maps.items(), start=1):
        stim_id, trial = _said(given, row), given.trial
        if trial is None:
            raise FoolscanError(
                f"{given.where}: map {row}: found no trial for {stim_id!r}, and others have one; number all of them"
            )
        if (stim_id, trial) not in wanted:
            raise FoolscanError(
                f"{given.where}: map {row} of {len(maps)}: found {stim_id!r}, trial {trial}; logged: {counts[stim_id]} presentations of it "
                f"({presented[0].path.name}). Is it the map of another run?"
            )
        if (stim_id, trial) in place_of:
            raise FoolscanError(f"{given.where}: map {row}: found {stim_id!r}, trial {trial}, a second time")
        place_of[stim_id, trial] = place
    for key, item in wanted.items():
        if key not in place_of:
            raise FoolscanError(
                f"{next(iter(maps.values())).where}: found {len(maps)} maps and none of {key[0]!r}, trial {key[1]}; logged: {item.where}"
            )
    matches = tuple(Match(place_of[key], (item,)) for key, item in wanted.items())
    offset_s = _offset(maps, matches, tolerance_s)
    return Matching(matches, offset_s, "labels, trials" + ("" if offset_s is None else ", onsets"), True)


def match_trials(maps: Mapping[int, GivenMap], presented: Sequence[Logged], tolerance_s: float) -> Matching:
    """Match maps of single trials to the presentations in their order.

    maps : by place in the source, in its order. Labels are compared where the source has them.

    Raises FoolscanError at the first row that differs, with what was logged and what was found there.
    """
    items = list(maps.items())
    for row, ((_, given), item) in enumerate(zip(items, presented, strict=False), start=1):
        if given.stim_id is not None and given.stim_id != item.stim_id:
            raise FoolscanError(
                f"{given.where}: trial {row}: found {given.stim_id!r}; logged: {item.stim_id!r} ({item.where}). "
                f"{len(items)} trials were found and {len(presented)} logged. Is it another run, or another order? Order the table "
                "as the maps are"
            )
    if len(items) != len(presented):
        row = min(len(items), len(presented))
        found = f"{items[row][1].name!r} ({items[row][1].where})" if row < len(items) else "nothing"
        told = f"{presented[row].stim_id!r} ({presented[row].where})" if row < len(presented) else "nothing"
        raise FoolscanError(
            f"{items[0][1].where if items else presented[0].path}: found {len(items)} trials; {presented[0].path.name} logged "
            f"{len(presented)}. First mismatch: trial {row + 1}: found {found}; logged: {told}. Are blanks among the maps "
            "(give --trials with n/a for them), or was the run cut short?"
        )
    matches = tuple(Match(place, (item,)) for (place, _), item in zip(items, presented, strict=True))
    offset_s = _offset(maps, matches, tolerance_s)
    labels = "labels, order, counts" if all(given.stim_id is not None for given in maps.values()) else "counts"
    return Matching(matches, offset_s, labels + ("" if offset_s is None else ", onsets"), True)


def check_conditions(maps: Sequence[GivenMap], presented: Sequence[Logged]) -> bool:
    """Whether the numbers that a source has for its conditions go with the logged images, one to one.

    maps, presented : of all runs of the source, in order, equally many.

    Returns False when the source has no such numbers. Raises FoolscanError at the first trial where one number stands for two
    images, or two numbers for one image.
    """
    if any(given.condition is None for given in maps):
        return False
    image_of: dict[int | None, tuple[str, int]] = {}
    number_of: dict[str, tuple[int | None, int]] = {}
    for row, (given, item) in enumerate(zip(maps, presented, strict=True), start=1):
        stim_id, first = image_of.setdefault(given.condition, (item.stim_id, row))
        if stim_id != item.stim_id:
            raise FoolscanError(
                f"{given.where}: trial {row}: found condition {given.condition}, which was {stim_id!r} in trial {first}; logged: "
                f"{item.stim_id!r} ({item.where}). Are the runs in another order, or is one missing?"
            )
        number, first = number_of.setdefault(item.stim_id, (given.condition, row))
        if number != given.condition:
            raise FoolscanError(
                f"{given.where}: trial {row}: found condition {given.condition}; logged: {item.stim_id!r} ({item.where}), which was "
                f"condition {number} in trial {first}. Are the runs in another order, or is one missing?"
            )
    return True


def _said(given: GivenMap, row: int) -> str:
    if given.stim_id is None:
        raise FoolscanError(
            f"{given.where}: map {row}: found {given.name!r}, which is no stim_id of stimuli.tsv; say what it is with --names: a table "
            "with name and stim_id (n/a for what is no image)"
        )
    return given.stim_id


def _names(of_image: Mapping[str, Sequence[Logged]]) -> str:
    listed = list(of_image)
    return ", ".join(listed[:4]) + (f" … ({len(listed)} images)" if len(listed) > 4 else "")


def _offset(maps: Mapping[int, GivenMap], matches: Sequence[Match], tolerance_s: float) -> float | None:
    """The offset of the source's clock, from all onsets that it tells; FoolscanError at the first that does not fit."""
    pairs: list[tuple[GivenMap, Logged, float]] = []
    for match in matches:
        given = maps[match.place]
        if not given.onsets_s:
            continue
        if len(given.onsets_s) != len(match.presentations):
            raise FoolscanError(
                f"{given.where}: {given.name}: found {len(given.onsets_s)} onsets; logged: {len(match.presentations)} presentations "
                f"(first: {match.presentations[0].where}). Is it the map of another run?"
            )
        pairs += [(given, item, onset) for onset, item in zip(sorted(given.onsets_s), match.presentations, strict=True)]
    if not pairs:
        return None
    offset_s = float(np.median([onset - item.onset_s - item.after_s for _, item, onset in pairs]))
    for given, item, onset in sorted(pairs, key=lambda pair: pair[1].after_s + pair[1].onset_s):
        if abs(onset - item.onset_s - item.after_s - offset_s) > tolerance_s:
            raise FoolscanError(
                f"{given.where}: {given.name}: found an onset at {onset:g} s; logged: {item.stim_id!r} at {item.onset_s:g} s "
                f"({item.where}); most onsets differ by {offset_s:g} s. Is it the map of another run?"
            )
    return offset_s
