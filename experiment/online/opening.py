"""Making the crowd task's database, or making sure that it is this study's: same name, images and deciding keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, inspect, select, update

from experiment.online import database, tokens
from experiment.online.items import Item
from experiment.online.lists import ShownList
from experiment.online.tables import facts, schema
from experiment.online.tables import lists as lists_table
from experiment.online.trials import plan_session, session_seed
from protocols.folder import StudyFolder
from protocols.formats import ONLINE
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import sha256_of_bytes
from protocols.study import Study, online_plan
from protocols.study_versions import DIGITS, named

# What people read, where they come from, for how long a place is kept, and which further names are right: a task that has begun may go
# on with it changed. All else decides: the images, what is asked and offered, how it is shown, who counts.
WITHOUT_WEIGHT = re.compile(
    r"(saying|mturk|language|lease_minutes|questions\.[0-9]+\.(text|labels|accepted)|practice\.(right|wrong|feedback_s)"
    r"|attention\.text)(\..*)?"
)

LEVELS = 4
"""Folders above the database's that may be as new as it: up to the one that holds the study folder."""


@dataclass(frozen=True)
class TaskFiles:
    """Where a crowd task's files stand."""

    folder: Path
    task: str

    @property
    def database(self) -> Path:
        """Everything that was answered."""
        return self.folder / f"{self.task}.sqlite3"

    @property
    def key(self) -> Path:
        """The key of the pseudonyms; without it nobody is known again."""
        return self.folder / f"{self.task}_key.json"


def files_of(study: Study, folder: StudyFolder) -> TaskFiles:
    """Where a study's crowd task keeps its files.

    Raises FoolscanError where the study has none.
    """
    return TaskFiles(folder.derived("online"), online_plan(study).task)


def nobody_asked_yet(files: TaskFiles) -> NotReady:
    """That there is no database yet."""
    return NotReady(f"{files.database}: nobody was asked yet; begin with: foolscan online serve STUDY --to FOLDER")


def key_of(study: Study, folder: StudyFolder) -> bytes:
    """The key of the pseudonyms, also while a server is at work. Raises FoolscanError where there is none."""
    return tokens.read_key(files_of(study, folder).key)


def deciding_keys(study: Study) -> dict[str, str]:
    """Dotted key -> beginning of the hash of its value, for what decides what a person is put through and who counts."""
    assert study.online is not None
    leaves = [*_leaves("", study.online.model_dump(mode="json", exclude_defaults=True))]
    kept = {f"online.{key}": value for key, value in leaves if not WITHOUT_WEIGHT.fullmatch(key)}
    kept["seed"] = study.seed
    return {key: sha256_of_bytes(json.dumps(value).encode())[:DIGITS] for key, value in sorted(kept.items())}


def images_sha256(items: Sequence[Item]) -> str:
    """One hash of all images that may be shown, their sources, and what a right answer to each is."""
    rows = [[item.item_id, item.source_id, item.sha256, *sorted(item.traits.items())] for item in items]
    return sha256_of_bytes(json.dumps(rows).encode())


def plans_sha256(study: Study, items: Sequence[Item], lists: Sequence[ShownList]) -> str:
    """One hash of the first session of each list: another version of foolscan or of numpy may draw otherwise from the same seed."""
    assert study.online is not None
    plans = []
    for shown in lists:
        planned = plan_session(study.online, shown, items, session_seed(study.seed, shown.list_id, 1))
        trials = [
            (trial.kind, trial.item.item_id if trial.item else None, trial.asked, trial.rest)
            for trial in planned.trials
        ]
        plans.append([shown.list_id, trials, planned.options])
    return sha256_of_bytes(json.dumps(plans).encode())


def open_database(
    files: TaskFiles, study: Study, items: Sequence[Item], lists: Sequence[ShownList], now_ms: int, *, create: bool
) -> tuple[Engine, bytes]:
    """The engine of a crowd task that is this study's, and its key.

    create : whether it is made where there is none.

    Raises NotReady where there is none, FoolscanError where it is damaged, of another study, or of another format.
    """
    path = files.database
    database.refuse_far_away(files.folder if files.folder.exists() else files.folder.parent)
    with database.readable(path):
        if not path.exists() or path.stat().st_size == 0 or _is_empty(path):
            if not create:
                raise nobody_asked_yet(files)
            return _made(files, study, items, lists, now_ms)
        engine = database.connect(path)
        try:
            with engine.connect() as connection:
                found = read_facts(connection, path)
                database.refuse_damaged(connection, path)
            key = key_with(found, files)
            refuse_other_name(found, study, path)
            _refuse_other_version(found, study, items, path)
            _refuse_other_plans(found, study, items, lists, path)
        except BaseException:
            engine.dispose()
            raise
        return engine, key


def read_facts(connection: Connection, path: Path) -> dict[str, str]:
    """What a database says of itself.

    Raises FoolscanError where it is no crowd task's, or one of another format.
    """
    if not inspect(connection).has_table("facts"):
        raise FoolscanError(f"{path}: found another program's database; move it away, or use another folder (--to)")
    found = {row.name: row.value for row in connection.execute(select(facts))}
    form = found.get("format", "none")
    if form != str(ONLINE):
        newer = form.isdigit() and int(form) > ONLINE
        remedy = "update foolscan" if newer else "read it with the foolscan that wrote it, or use another folder (--to)"
        raise FoolscanError(f"{path}: format: found {form}, this foolscan reads {ONLINE}; {remedy}")
    return found


def refuse_other_name(found: Mapping[str, str], study: Study, path: Path) -> None:
    """Raise FoolscanError where a database is another study's.

    found : of `read_facts`.
    """
    if found.get("study") != study.name:
        raise FoolscanError(
            f"{path}: found the answers to study {found.get('study')!r}, not to {study.name!r}; use another folder (--to)"
        )


def key_with(found: Mapping[str, str], files: TaskFiles) -> bytes:
    """The key that a database was made with. Raises FoolscanError where the one that stands beside it is another.

    found : of `read_facts`.
    """
    key = tokens.read_key(files.key)
    if tokens.key_check(key) != found.get("key_check"):
        raise FoolscanError(
            f"{files.key}: found another key than {files.database} was made with; restore it from a copy"
        )
    return key


def set_fact(connection: Connection, name: str, value: str) -> None:
    """Write one fact, new or again."""
    if connection.execute(update(facts).where(facts.c.name == name).values(value=value)).rowcount == 0:
        connection.execute(insert(facts).values(name=name, value=value))


def _made(
    files: TaskFiles, study: Study, items: Sequence[Item], lists: Sequence[ShownList], now_ms: int
) -> tuple[Engine, bytes]:
    files.folder.mkdir(parents=True, exist_ok=True)
    key = tokens.read_key(files.key) if files.key.exists() else tokens.make_key(files.key)
    database.make_private(files.database)
    engine = database.connect(files.database)
    said = {
        "format": str(ONLINE),
        "study": study.name,
        "title": study.title,
        "task": files.task,
        "study_sha256": study.sha256,
        "seed": str(study.seed),
        "keys": json.dumps(deciding_keys(study), sort_keys=True),
        "images_sha256": images_sha256(items),
        "plans_sha256": plans_sha256(study, items, lists),
        "key_check": tokens.key_check(key),
        "created_ms": str(now_ms),
        "paused": "false",
    }
    with engine.begin() as connection:
        schema.create_all(connection)
        connection.execute(insert(facts), [{"name": name, "value": value} for name, value in said.items()])
        rows = [
            {
                "list_id": shown.list_id,
                "group_name": shown.group,
                "condition": shown.condition,
                "quota": shown.quota,
                "given": 0,
            }
            for shown in lists
        ]
        connection.execute(insert(lists_table), rows)
    database.keep_names(files.folder, LEVELS)
    return engine, key


def _is_empty(path: Path) -> bool:
    """Whether the file was begun and the making of its tables never ended."""
    engine = database.connect_reading(path)
    try:
        with engine.connect() as connection:
            return not inspect(connection).get_table_names()
    finally:
        engine.dispose()


def _refuse_other_version(found: Mapping[str, str], study: Study, items: Sequence[Item], path: Path) -> None:
    before, now = json.loads(found["keys"]), deciding_keys(study)
    differing = tuple(key for key in sorted({*before, *now}) if before.get(key) != now.get(key))
    if differing:
        raise FoolscanError(
            f"{path}: found answers to another version of study {study.name!r}: {named(differing)} changed since; undo that, "
            "or begin anew in another folder (--to)"
        )
    if found.get("images_sha256") != images_sha256(items):
        raise FoolscanError(
            f"{path}: found answers to other images than the folder has now; restore the images, or begin anew in another "
            "folder (--to)"
        )


def _refuse_other_plans(
    found: Mapping[str, str], study: Study, items: Sequence[Item], lists: Sequence[ShownList], path: Path
) -> None:
    before = found.get("plans_sha256")  # the first databases have none
    if before is not None and before != plans_sha256(study, items, lists):
        raise FoolscanError(
            f"{path}: found sessions that this foolscan (or its numpy) draws otherwise from the same seed; go on with the version "
            "that began, or begin anew in another folder (--to)"
        )


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [*members]
    if not found:
        yield prefix, value
    for key, member in found:
        yield from _leaves(f"{prefix}.{key}" if prefix else str(key), member)
