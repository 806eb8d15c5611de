"""Every assignment worked out anew from its stored seed, and compared with what the database says was assigned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from experiment.online.items import Item
from experiment.online.lists import ShownList
from experiment.online.tables import seen, sessions, trials
from experiment.online.trials import plan_session, session_seed
from protocols.online_plan import OnlinePlan


@dataclass(frozen=True)
class Difference:
    """Where a session is not the one that its seed gives.

    session : whose.
    trial   : from 1; None for the session as a whole.
    found   : what the database has, and what was expected.
    """

    session: str
    trial: int | None
    found: str


def differences(
    connection: Connection, plan: OnlinePlan, lists: Mapping[str, ShownList], items: Sequence[Item], study_seed: int
) -> list[Difference]:
    """All differences; none where every assignment replays.

    lists : by their names.
    items : all of the study.
    """
    found = []
    for session in connection.execute(select(sessions).order_by(sessions.c.list_id, sessions.c.place)).all():
        shown = lists.get(session.list_id)
        if shown is None:
            found.append(Difference(session.session, None, f"list {session.list_id!r}, which the study does not have"))
            continue
        seed = session_seed(study_seed, session.list_id, session.place)
        if seed != session.seed:
            found.append(Difference(session.session, None, f"seed {session.seed}, expected {seed}"))
        found += _of_trials(connection, plan, shown, items, session.session, session.seed)
        sources = {item.source_id for item in (*shown.items, *shown.practice)}
        of_worker = select(seen.c.source_id).where(seen.c.session == session.session)
        if sources != {*connection.execute(of_worker).scalars()}:
            found.append(Difference(session.session, None, "other sources than its list has are marked as seen"))
    return found


def _of_trials(
    connection: Connection, plan: OnlinePlan, shown: ShownList, items: Sequence[Item], session: str, seed: int
) -> list[Difference]:
    expected = {
        trial.number: (trial.kind, trial.item.item_id if trial.item else None, trial.asked)
        for trial in plan_session(plan, shown, items, seed).trials
    }
    rows = connection.execute(select(trials).where(trials.c.session == session)).all()
    stored = {row.trial: (row.kind, row.item_id, row.asked) for row in rows}
    return [
        Difference(session, number, f"{stored.get(number)}, expected {expected.get(number)}")
        for number in sorted({*expected, *stored})
        if stored.get(number) != expected.get(number)
    ]
