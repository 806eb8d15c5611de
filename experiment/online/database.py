"""The crowd task's database as a file of SQLite: all that another database would do differently stands here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import DDL, URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError

from experiment.online.tables import schema
from protocols.problems import FoolscanError

BUSY_S = 10.0
"""How long a writer waits for another process's transaction."""
SHORT_MS = 100
"""How long emptying the log waits for those who read."""
READERS = 8
# File systems of other machines: their locks and shared memory are not what SQLite's write-ahead log stands on.
ELSEWHERE = {
    "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "fuse.cephfs", "fuse.davfs2",
    "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre",
    "macfuse", "ncpfs", "nfs", "nfs4", "orangefs", "osxfuse", "panfs", "prl_fs", "pvfs2", "smb", "smb2", "smb3",
    "smbfs", "vboxsf", "virtiofs", "vmhgfs", "webdav",
}  # fmt: skip


def connect(path: Path) -> Engine:
    """The engine of those who write: every transaction excludes other writers, and is on the disk once it is committed.

    path : of the database's file.
    """
    engine = _engine(path)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def connect_reading(path: Path) -> Engine:
    """The engine of those who read: each transaction sees one moment, waits for nobody, and cannot write."""
    engine = _engine(path)
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def make_private(path: Path) -> None:
    """Let a file, which may be new, be read by its owner alone where the system knows such: raw identifiers stand in it."""
    path.touch(mode=0o600)
    if sys.platform != "win32":
        path.chmod(0o600)


def keep_names(folder: Path, levels: int) -> None:
    """Return when the names of a folder's files, and its own in so many folders above it, are on the disk."""
    if sys.platform == "win32":  # there a folder cannot be opened, and NTFS journals names itself
        return
    for place in [folder, *folder.resolve().parents][: levels + 1]:
        with suppress(OSError):  # one that is another user's, or on a disk that cannot
            handle = os.open(place, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def empty_log(engine: Engine) -> bool:
    """Write the log into the database and cut it to nothing: what was erased stands in its older pages until then.

    Returns whether that could be done now: not while somebody reads.
    """
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {SHORT_MS}")
        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
        cursor.close()
    finally:
        raw.close()
    return not busy


def _engine(path: Path) -> Engine:
    address = URL.create("sqlite+pysqlite", database=str(path))
    engine = create_engine(
        address,
        hide_parameters=True,  # raw identifiers shall not stand in messages
        connect_args={"timeout": BUSY_S, "check_same_thread": False},
        pool_size=READERS,
        max_overflow=2 * READERS,
    )
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(raw: Any, _record: object) -> None:
    raw.isolation_level = None  # Python's driver begins no transactions of its own: the engine's event does
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # the log is flushed to the disk at every commit
        "fullfsync = ON",  # macOS: through the disk's own cache, too
        "checkpoint_fullfsync = ON",
        "foreign_keys = ON",
        "secure_delete = ON",  # what is erased is overwritten
    ):
        raw.execute(f"PRAGMA {pragma}").close()


def changes_elsewhere(connection: Connection) -> int | None:
    """A number that differs from the one before when another connection has written since; None: not known."""
    if connection.dialect.name != "sqlite":
        return None
    return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def is_of_the_disk(error: BaseException) -> bool:
    """Whether a transaction is lost altogether (disk full, failing or locked, file damaged), not only one statement of it."""
    of_a_statement = IntegrityError | ProgrammingError | DataError | InterfaceError
    return isinstance(error, DBAPIError) and not isinstance(error, of_a_statement)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what a damaged file makes of the block into one message."""
    try:
        yield
    except DBAPIError as error:
        why = str(error.orig or error)
        if "locked" in why or "busy" in why:
            raise FoolscanError(
                f"{path}: another process is writing and does not end ({why}); wait for it, or end it"
            ) from error
        if "full" in why or "readonly" in why or "unable to open" in why:
            raise FoolscanError(
                f"{path}: could not be opened ({why}); free space on this disk, or permission?"
            ) from error
        raise FoolscanError(
            f"{path}: found a damaged database ({why}); keep this file, and restore the folder from its last copy"
        ) from error


def refuse_damaged(connection: Connection, path: Path) -> None:
    """Raise FoolscanError where the file's own structure is broken."""
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    if found != "ok":
        raise FoolscanError(
            f"{path}: found a damaged database ({found}); keep this file, and restore the folder from its last copy"
        )


def refuse_far_away(folder: Path) -> None:
    """Raise FoolscanError where a folder is on a network's disk, as far as the system tells."""
    place = folder.resolve()
    kind = file_system(place)
    if kind in ELSEWHERE or str(place).startswith("\\\\"):
        raise FoolscanError(
            f"{place}: found a network's disk ({kind or 'a share'}), on which the database could lose answers; put the study "
            "folder on a disk of this machine (--to), and copy it afterwards"
        )


def file_system(place: Path) -> str:
    """The type of the file system that holds a path; an empty string where it is not known.

    Windows tells ``remote`` of a drive of the network.
    """
    above = [place, *place.parents]
    found = ""
    deepest = len(above)
    for disk in psutil.disk_partitions(all=True):
        mounted = Path(disk.mountpoint)
        if mounted in above and above.index(mounted) <= deepest:  # of two mounts at one place the later one counts
            deepest, found = above.index(mounted), disk.fstype.lower()
            if os.name == "nt" and "remote" in disk.opts:
                found = "smb"
    return found


def _never(table: str, what: str, why: str, when: str = "") -> None:
    """Have SQLite itself refuse a change (PostgreSQL: rights of the server's role)."""
    name = f"{table}_{what.split()[0].lower()}_{len(_TRIGGERS)}"
    condition = f"WHEN {when} " if when else ""
    statement = (
        f"CREATE TRIGGER {name} BEFORE {what} ON {table} {condition}BEGIN SELECT RAISE(ABORT, '{table}: {why}'); END"
    )
    _TRIGGERS.append(statement)
    event.listen(schema.tables[table], "after_create", DDL(statement.replace("%", "%%")).execute_if(dialect="sqlite"))


_TRIGGERS: list[str] = []
for _table in schema.tables:
    if _table not in ("facts", "flags"):
        _never(_table, "DELETE", "nothing is ever taken out")
for _table in ("trials", "seen", "erased"):
    _never(_table, "UPDATE", "nothing is ever changed")
_never(
    "responses",
    "UPDATE OF place, session, trial, commitment, link, received_ms",
    "an answer is never changed",
)
_never(
    "responses",
    "UPDATE OF content, salt",
    "an answer is never changed, only erased",
    "NEW.content IS NOT NULL OR NEW.salt IS NOT NULL",
)
_never("happenings", "UPDATE OF session, number, kind, trial, at_ms, received_ms", "nothing is ever changed")
_never("happenings", "UPDATE OF content", "nothing is ever changed, only erased", "NEW.content IS NOT NULL")
_never(
    "sessions", "UPDATE OF session, worker, list_id, place, seed, n_trials, joined_ms", "an assignment is never changed"
)
_never("sessions", "UPDATE OF n_held", "answers are never taken back", "NEW.n_held < OLD.n_held")
_never("ledger", "UPDATE OF request_token, recruiter, action, about, created_ms", "an entry is never changed")
_never("ledger", "UPDATE", "what is done stays done", "OLD.state = 'done' AND NEW.state <> 'done'")
_never("workers", "UPDATE", "nothing is ever changed")
_never("lists", "UPDATE OF list_id, group_name, condition, quota", "a list is never changed")


def triggers(connection: Connection) -> set[str]:
    """The triggers of a file, as they were made: by them answers are only ever added."""
    return {*connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")).scalars()}
