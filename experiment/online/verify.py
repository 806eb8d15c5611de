"""Checks over again that nothing was lost, changed or slipped in: database, chain, plans, counts, rules, and what was exported."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, create_engine, select

from experiment.online import chain, opening
from experiment.online.answer_rows import records_of
from experiment.online.database import connect_reading, triggers
from experiment.online.export import cut_off, database_of
from experiment.online.items import Item, items_of
from experiment.online.judging import exclusion
from experiment.online.lists import ShownList, lists_of
from experiment.online.people import Participant, answer_in, everybody, strange_names
from experiment.online.replay import differences
from experiment.online.tables import erased, responses, schema
from experiment.online.tables import lists as lists_table
from experiment.online.verify_export import exported_findings
from protocols.folder import StudyFolder
from protocols.online_plan import OnlinePlan
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of
from protocols.study import Study, online_plan


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    check : what was looked at: database, study, chain, content, answers, seeds, rules, counts, images or export.
    said  : where, what was found, and what was expected.
    """

    check: str
    said: str


@dataclass(frozen=True)
class Verified:
    """What was found of a crowd task's data.

    findings : everything that is wrong; empty: nothing is.
    people, answers, erased : how many sessions, answered trials and tombstones there are.
    notes    : what is no fault, and should be known.
    """

    findings: tuple[Finding, ...]
    people: int
    answers: int
    erased: int
    notes: tuple[str, ...] = ()


def verify(study: Study, folder: StudyFolder) -> Verified:
    """Check all that is held and exported; the server may run meanwhile.

    Raises NotReady where nobody was ever let in, FoolscanError where the study's images are lacking.
    """
    plan, path = online_plan(study), database_of(study, folder)
    items = items_of(plan, folder)
    lists = lists_of(plan, items, study.seed)
    found: list[Finding] = []
    try:
        engine, _ = opening.open_database(opening.files_of(study, folder), study, items, lists, 0, create=False)
        engine.dispose()
    except FoolscanError as error:
        found.append(Finding("study", str(error)))
    reading = connect_reading(path)
    try:
        with reading.begin() as connection:
            return _verified(connection, study, folder, items, lists, found)
    except Exception as error:
        if getattr(error, "orig", None) is None:
            raise
        found.append(Finding("database", f"{path}: cannot be read ({error.orig}): restore it from a copy"))  # type: ignore[attr-defined]
        return Verified(tuple(found), 0, 0, 0)
    finally:
        reading.dispose()


def _verified(
    connection: Connection,
    study: Study,
    folder: StudyFolder,
    items: Sequence[Item],
    lists: Sequence[ShownList],
    found: list[Finding],
) -> Verified:
    plan = online_plan(study)
    found += [Finding("database", said) for said in database_faults(connection)]
    rows = connection.execute(select(responses).order_by(responses.c.place)).all()
    tombstones = [*connection.execute(select(erased.c.place)).scalars()]
    found += [Finding("chain", f"answer {odd.place}: {odd.found}") for odd in chain.breaks(rows, tombstones)]
    if lacking := cut_off(connection):
        found.append(Finding("chain", lacking))
    found += [Finding("images", said) for said in image_faults(folder, lists)]
    notes: Sequence[str] = ()
    try:
        people = everybody(connection)
    except FoolscanError:
        found += [Finding("content", said) for said in content_faults(rows)]
        people = []
    else:
        who = {person.session: person.worker for person in people}
        for difference in differences(connection, plan, {shown.list_id: shown for shown in lists}, items, study.seed):
            where = "" if difference.trial is None else f", trial {difference.trial}"
            found.append(Finding("seeds", f"sub-{who.get(difference.session)}{where}: found {difference.found}"))
        found += [Finding("database", f"{name!r}: no pseudonym") for name in strange_names(people)]
        found += [Finding("answers", said) for said in answer_faults(people)]
        found += [Finding("rules", said) for said in rule_faults(plan, {item.item_id: item for item in items}, people)]
        quotas = {row.list_id: (row.quota, row.given) for row in connection.execute(select(lists_table))}
        found += [Finding("counts", said) for said in count_faults(lists, quotas, people)]
        exported, notes = exported_findings(connection, study, folder, items, people)
        found += [Finding("export", said) for said in exported]
    return Verified(tuple(found), len(people), len(rows), len(tombstones), tuple(notes))


def database_faults(connection: Connection) -> Iterator[str]:
    """What the database itself finds: broken pages, rows that refer to nothing, triggers that were taken out."""
    for row in connection.exec_driver_sql("PRAGMA integrity_check"):
        if row[0] != "ok":
            yield f"integrity check: {row[0]}"
    orphans = Counter((row[0], row[2]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check"))
    for (table, parent), n in sorted(orphans.items()):
        yield f"{n} rows of {table} refer to rows of {parent} that are not there"
    fresh = create_engine("sqlite://")
    with fresh.begin() as other:
        schema.create_all(other)
        wanted = triggers(other)
    fresh.dispose()
    found = triggers(connection)
    if lacking := wanted - found:
        yield f"{len(lacking)} of {len(wanted)} triggers, which refuse changes to answers, were taken out or changed"
    if strange := found - wanted:
        yield f"{len(strange)} triggers are not foolscan's"


def content_faults(rows: Sequence[chain.Row]) -> Iterator[str]:
    """Answers that are none."""
    for row in rows:
        try:
            if row.content is not None:
                answer_in(row.content, row.place)
        except FoolscanError as error:
            yield str(error)


def answer_faults(people: Sequence[Participant]) -> Iterator[str]:
    """Where the answers of a person are not those that were said to be held."""
    for person in people:
        who, trials = f"sub-{person.worker}", [answer.trial for answer in person.answers]
        if trials != list(range(1, person.n_held + 1)):
            lacking = sorted({*range(1, person.n_held + 1)} - {*trials})
            odd = f"trials {_few(lacking)} are missing" if lacking else f"{len(trials)} are there"
            yield f"{who}: {person.n_held} answers were acknowledged, and {odd}"
        if len(person.trials) != person.n_trials:
            yield f"{who}: {person.n_trials} trials were assigned, and {len(person.trials)} are there"
        if person.state == "finished" and person.n_held != person.n_trials:
            yield f"{who}: finished, with {person.n_held} of {person.n_trials} trials"
        for answer in person.answers:
            if answer.answer is not None and answer.answer.trial != answer.trial:
                yield f"{who}: the answer to trial {answer.answer.trial} stands as that to trial {answer.trial}"
        n_gone = sum(answer.answer is None for answer in person.answers)
        if n_gone and not person.is_erased:
            yield f"{who}: {n_gone} answers are erased, and the session is not"
        if person.is_erased and n_gone < len(person.answers):
            yield f"{who}: erased, and {len(person.answers) - n_gone} answers are still there"


def rule_faults(plan: OnlinePlan, items: Mapping[str, Item], people: Sequence[Participant]) -> Iterator[str]:
    """Where somebody counts who should not, or the other way round: the rules of the study applied anew.

    items : by id.
    """
    for person in people:
        who = f"sub-{person.worker}"
        if person.state != "finished":
            if person.counted or person.surplus:
                yield f"{who}: counted, and {'unfinished' if person.state == 'active' else person.state}"
            continue
        if person.n_held != len(person.answers):
            continue  # said already; the rules say nothing of what is not there
        expected = exclusion(plan, records_of(items, person))
        if expected != person.excluded_for:
            yield f"{who}: excluded for {person.excluded_for or 'nothing'}, expected {expected or 'nothing'} by the study's rules"
        if person.counted and (expected or person.excluded_for):
            yield f"{who}: counted, and excluded for {expected or person.excluded_for}"
        if [person.counted, person.surplus, person.excluded_for is not None].count(True) != 1:
            yield f"{who}: finished; exactly one of counted, beyond the quota and excluded is expected"


def count_faults(
    lists: Sequence[ShownList], stored: Mapping[str, tuple[int, int]], people: Sequence[Participant]
) -> Iterator[str]:
    """Where a list has more than its quota, or places that nobody was given.

    stored : of each list in the database its quota, and how many sessions were ever given it.
    """
    of_list: dict[str, list[Participant]] = defaultdict(list)
    for person in people:
        of_list[person.list_id].append(person)
    for shown in lists:
        if shown.list_id not in stored:
            yield f"list {shown.list_id}: not in the database"
            continue
        quota, given = stored[shown.list_id]
        if quota != shown.quota:
            yield f"list {shown.list_id}: quota {quota}, expected {shown.quota}"
        counted = sum(person.counted and person.state == "finished" for person in of_list[shown.list_id])
        if counted > shown.quota:
            yield f"list {shown.list_id}: {counted} are counted, and {shown.quota} were wanted"
        places = sorted(person.place for person in of_list[shown.list_id])
        if places != list(range(1, given + 1)):
            yield f"list {shown.list_id}: it was given {given} times, and {len(places)} sessions have places {_few(places)}"
    for list_id in sorted({*stored, *of_list} - {shown.list_id for shown in lists}):
        yield f"list {list_id}: the study has none of this name"


def image_faults(folder: StudyFolder, lists: Sequence[ShownList]) -> Iterator[str]:
    """Images that are not there, or not as their table says."""
    items = {item.item_id: item for shown in lists for item in (*shown.items, *shown.practice)}
    for item in items.values():
        path = folder.stimuli / item.file
        if not path.exists():
            yield f"{path}: missing"
        elif sha256_of(path) != item.sha256:
            yield f"{path}: not the image that the table of images tells of"


def _few(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers[:8]) + (
        f" and {len(numbers) - 8} more" if len(numbers) > 8 else ""
    )
