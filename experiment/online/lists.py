"""Lists of images: each person is given one, and sees no two images of one source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiment.online.items import Item
from protocols.online_plan import CropPairs, OnlinePlan, SetRecognition
from protocols.problems import FoolscanError
from protocols.seeds import generator_for


@dataclass(frozen=True)
class ShownList:
    """What one group of people sees.

    list_id   : its name.
    group     : fragile, altered, first, second, or the row of the Latin square.
    condition : free or forced.
    items     : main trials' images, in an order that says nothing; each person's own order is drawn by the session's seed.
    practice  : images that no list has.
    quota     : valid completions wanted.
    """

    list_id: str
    group: str
    condition: str
    items: tuple[Item, ...]
    practice: tuple[Item, ...]
    quota: int

    def __post_init__(self) -> None:
        sources = [item.source_id for item in (*self.items, *self.practice)]
        if len(set(sources)) != len(sources):
            raise FoolscanError(f"list {self.list_id}: found two images of one source; nobody may see both")


def lists_of(plan: OnlinePlan, items: Sequence[Item], study_seed: int) -> tuple[ShownList, ...]:
    """The lists of a study: the same for the same items and seed.

    Raises FoolscanError where there are too few images.
    """
    n_practice = plan.practice.n if plan.practice else 0
    if isinstance(plan.design, CropPairs):
        return _of_pairs(plan.design, items, study_seed, n_practice)
    return _of_sets(plan.design, items, study_seed, n_practice)


def spread(names: Sequence[str], kinds: Sequence[str], study_seed: int, what: str) -> list[str]:
    """Names in random order, evenly over their kinds: every beginning of the result has about the same number of each kind.

    names : what is drawn from.
    kinds : of each name, the same length.
    what  : the draw's name, for its seed.
    """
    generator = generator_for(study_seed, f"online/{what}")
    of_kind: dict[str, list[str]] = {}
    for name, kind in zip(names, kinds, strict=True):
        of_kind.setdefault(kind, []).append(name)
    shuffled = {kind: [of_kind[kind][k] for k in generator.permutation(len(of_kind[kind]))] for kind in sorted(of_kind)}
    order = [sorted(of_kind)[k] for k in generator.permutation(len(of_kind))]
    deepest = max((len(found) for found in shuffled.values()), default=0)
    return [shuffled[kind][row] for row in range(deepest) for kind in order if row < len(shuffled[kind])]


def dealing(names: Sequence[str], kinds: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """For each name, its place in the order in which names are dealt out: kind by kind, so that whoever is given every n-th has
    about the same number of each kind.

    In the order of `spread`, every n-th would be of the same few kinds wherever n divides their number.

    names : in random order.
    kinds : of each name, the same length; the first part of a kind weighs most.
    """
    kind_of = dict(zip(names, kinds, strict=True))
    return {name: place for place, name in enumerate(sorted(names, key=kind_of.__getitem__))}


def _of_pairs(design: CropPairs, items: Sequence[Item], study_seed: int, n_practice: int) -> tuple[ShownList, ...]:
    members: dict[str, dict[str, Item]] = {}
    for item in items:
        members.setdefault(item.pair_id or "", {})[item.member or ""] = item
    kinds = [pair["fragile"].traits["supercategory"] for pair in members.values()]
    drawn = spread(list(members), kinds, study_seed, "pairs")
    if len(drawn) < design.n_pairs + n_practice:
        raise FoolscanError(
            f"online.design.n_pairs: found {len(drawn)} pairs of crops, {design.n_pairs} and {n_practice} for practice are "
            "asked for; export more (fragile.pairs.n, then foolscan stimuli fragile-pairs), or ask for fewer"
        )
    if design.blocks > design.n_pairs:
        raise FoolscanError(
            f"online.design.blocks: found {design.blocks} for {design.n_pairs} pairs; at most one for each"
        )
    main, practice_pairs = drawn[: design.n_pairs], drawn[design.n_pairs : design.n_pairs + n_practice]
    practice = tuple(members[pair]["fragile"] for pair in practice_pairs)
    dealt = dealing(main, [(members[pair]["fragile"].traits["supercategory"],) for pair in main])
    lists = []
    for block in range(design.blocks):
        pairs = [pair for pair in main if dealt[pair] % design.blocks == block]
        for group, shown in _groups(design, [dealt[pair] // design.blocks for pair in pairs]).items():
            chosen = tuple(members[pair][member] for pair, member in zip(pairs, shown, strict=True))
            name = f"{group}-{block + 1}" if design.blocks > 1 else group
            lists.append(ShownList(name, group, "free", chosen, practice, design.per_list))
    return tuple(lists)


def _groups(design: CropPairs, places: Sequence[int]) -> dict[str, list[str]]:
    """For each group, the member that it sees of each pair.

    places : of the pairs, as they are dealt within the block.
    """
    if design.members == "separate":
        return {"fragile": ["fragile"] * len(places), "altered": ["altered"] * len(places)}
    first = ["fragile" if place % 2 == 0 else "altered" for place in places]
    other = {"fragile": "altered", "altered": "fragile"}
    return {"first": first, "second": [other[member] for member in first]}


def _of_sets(design: SetRecognition, items: Sequence[Item], study_seed: int, n_practice: int) -> tuple[ShownList, ...]:
    of_source: dict[str, dict[str, Item]] = {}
    for item in items:
        of_source.setdefault(item.source_id, {})[item.set or ""] = item
    for source, found in of_source.items():
        lacking = [name for name in design.sets if name not in found]
        if lacking:
            raise FoolscanError(
                f"online.design.sets: source {source!r} has no image in set {lacking[0]}; make the stimuli"
            )
    kinds = [found[design.sets[0]].traits["supercategory"] for found in of_source.values()]
    drawn = spread(list(of_source), kinds, study_seed, "sources")
    if len(drawn) < n_practice + len(design.sets):
        raise FoolscanError(
            f"online.practice.n: found {n_practice} of {len(drawn)} source images; leave some for the trials"
        )
    cut = len(drawn) - n_practice
    practice = tuple(of_source[source][design.sets[0]] for source in drawn[cut:])
    traits = [of_source[source][design.sets[0]].traits for source in drawn[:cut]]
    dealt = dealing(drawn[:cut], [(found.get("animal", ""), found["supercategory"]) for found in traits])
    lists = []
    for condition in design.conditions:
        for row in range(len(design.sets)):
            shown = [design.sets[(dealt[source] + row) % len(design.sets)] for source in drawn[:cut]]
            chosen = tuple(of_source[source][name] for source, name in zip(drawn[:cut], shown, strict=True))
            group = f"square-{row + 1}"
            name = f"{group}-{condition}" if len(design.conditions) > 1 else group
            lists.append(ShownList(name, group, condition, chosen, practice, design.per_list))
    return tuple(lists)
