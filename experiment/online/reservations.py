"""Places of lists: who holds one, how long, and which list the next person is given; counted inside one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Integer, and_, bindparam, case, func, select

from experiment.online.lists import ShownList
from experiment.online.tables import sessions


@dataclass(frozen=True)
class Tally:
    """How many sessions of a list are in which state.

    quota     : valid completions wanted.
    counted   : finished and valid: they fill the quota.
    active    : under way, with a place kept for them.
    lapsed    : under way, but nothing was heard for so long that the place is free again.
    finished  : all that were finished: counted, excluded and surplus.
    excluded  : finished, but excluded by a rule.
    surplus   : finished and valid when the list was full.
    withdrawn : withdrawn, erased ones included.
    """

    list_id: str
    quota: int
    counted: int = 0
    active: int = 0
    lapsed: int = 0
    finished: int = 0
    excluded: int = 0
    surplus: int = 0
    withdrawn: int = 0

    @property
    def taken(self) -> int:
        """Places that nobody else can have now."""
        return self.counted + self.active


_finished = sessions.c.state == "finished"
_active = sessions.c.state == "active"
_now = bindparam("now_ms", type_=sessions.c.lease_until_ms.type)


def _number(condition: object, name: str) -> object:
    return func.sum(case((condition, 1), else_=0), type_=Integer).label(name)  # type: ignore[arg-type]


_TALLIES = select(
    sessions.c.list_id,
    _number(and_(_finished, sessions.c.counted), "counted"),  # type: ignore[call-overload]
    _number(and_(_active, sessions.c.lease_until_ms > _now), "active"),
    _number(and_(_active, sessions.c.lease_until_ms <= _now), "lapsed"),
    _number(_finished, "finished"),
    _number(and_(_finished, sessions.c.excluded_for.is_not(None)), "excluded"),
    _number(and_(_finished, sessions.c.surplus), "surplus"),
    _number(sessions.c.state.in_(["withdrawn", "erased"]), "withdrawn"),
).group_by(sessions.c.list_id)
_COUNTED = select(func.count()).where(
    sessions.c.list_id == bindparam("of_list"), sessions.c.state == "finished", sessions.c.counted
)


def tallies(connection: Connection, lists: Sequence[ShownList], now_ms: int) -> dict[str, Tally]:
    """The tally of each list, in their order."""
    found = {row["list_id"]: row for row in connection.execute(_TALLIES, {"now_ms": now_ms}).mappings()}
    return {
        shown.list_id: Tally(**{**found.get(shown.list_id, {}), "list_id": shown.list_id, "quota": shown.quota})
        for shown in lists
    }


def free_lists(lists: Sequence[ShownList], tallied: Mapping[str, Tally]) -> list[ShownList]:
    """The lists with a free place of which the fewest are taken; none where all are full."""
    free = [shown for shown in lists if tallied[shown.list_id].taken < shown.quota]
    fewest = min((tallied[shown.list_id].taken for shown in free), default=0)
    return [shown for shown in free if tallied[shown.list_id].taken == fewest]


def next_list(lists: Sequence[ShownList], tallied: Mapping[str, Tally], draw: np.random.Generator) -> ShownList | None:
    """The list that the next person is given: drawn among those of which the fewest are taken, so that groups fill evenly and
    nobody can foresee a group by the order of coming (permuted blocks; Matts & Lachin 1988). None where all are full.
    """
    free = free_lists(lists, tallied)
    return free[int(draw.integers(len(free)))] if free else None


def has_room(connection: Connection, shown: ShownList) -> bool:
    """Whether one more valid completion of a list counts."""
    return int(connection.execute(_COUNTED, {"of_list": shown.list_id}).scalar_one()) < shown.quota
