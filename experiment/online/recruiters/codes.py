"""Completion codes: each is good once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from experiment.online.tables import payments, sessions, workers
from experiment.online.tokens import sha256_of_token, typed_code


@dataclass(frozen=True)
class CodeCheck:
    """Whose code it is.

    worker       : pseudonym.
    excluded_for : why the session does not count; that is no reason not to pay.
    used_ms      : when the code was used before; None: it is used now.
    """

    worker: str
    recruiter: str
    state: str
    excluded_for: str | None
    used_ms: int | None


def use_code(connection: Connection, code: str, now_ms: int) -> CodeCheck | None:
    """Mark a code as used; None: it is nobody's.

    code       : as somebody typed it; case, spaces, and O, I and L do not count.
    connection : in a transaction that excludes other writers, so that two checks of one code cannot both find it unused.
    """
    rows = select(
        payments.c.worker, payments.c.code_used_ms, workers.c.recruiter, sessions.c.state, sessions.c.excluded_for
    ).select_from(
        payments.join(workers, workers.c.worker == payments.c.worker).join(
            sessions, sessions.c.worker == workers.c.worker
        )
    )
    found = connection.execute(rows.where(payments.c.code_sha256 == sha256_of_token(typed_code(code)))).one_or_none()
    if found is None:
        return None
    if found.code_used_ms is None:
        connection.execute(update(payments).where(payments.c.worker == found.worker).values(code_used_ms=now_ms))
    return CodeCheck(found.worker, found.recruiter, found.state, found.excluded_for, found.code_used_ms)
