"""The session record: what belongs to one person's visit and not to the study or the place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from protocols.folder import StudyFolder, read_json, write_json
from protocols.problems import FoolscanError
from protocols.seeds import generator_for, seed_for
from protocols.study import ImagesTask, Study
from protocols.study_versions import Changes, changes, keys_of, named

SESSION_FORMAT = 1


@dataclass(frozen=True)
class SessionRecord:
    """One visit of one person.

    button_of_answer : which abstract button means which answer, e.g. ``{"animal": "left", "not_animal": "right"}``.
    order_seed       : the seed from which every run of this visit draws its order.
    rehearsal        : True when no person was there.
    study_sha256     : of the study with which the visit began; the journal of each run has that of its own.
    study_keys       : of that study, key by key (see `keys_of`); empty in records of earlier releases.
    """

    format: int
    study: str
    study_sha256: str
    sub: str
    ses: str
    button_of_answer: dict[str, str]
    language: str
    order_seed: int
    rehearsal: bool
    study_keys: dict[str, str] = field(default_factory=dict)


_RECORD = TypeAdapter(SessionRecord)


def record_for(
    study: Study, sub: str, ses: str, task: str, *, rehearsal: bool, language: str | None = None
) -> SessionRecord:
    """The session record of a visit, drawn from the study's seed: buttons are counterbalanced over subjects.

    study     : the study.
    sub, ses  : BIDS labels.
    task      : name of the task whose answers are mapped to buttons.
    rehearsal : True when no person is there.
    language  : the participant's; None: the task's.

    Raises FoolscanError when the task has no texts in this language.
    """
    plan = study.tasks[task]
    spoken = plan.languages
    if language is not None and language not in spoken:
        raise FoolscanError(
            f"--language: found {language!r}; task {task} of study {study.name} has {', '.join(spoken)}"
        )
    answers, buttons = list(plan.answers), list(plan.buttons)
    number = int("".join(filter(str.isdigit, sub)) or seed_for(study.seed, f"subject/{sub}"))
    swapped = bool(generator_for(study.seed, "counterbalance").integers(2)) ^ bool(number % 2)
    if swapped:
        buttons.reverse()
    mapping = dict(zip(answers, buttons, strict=True))
    seed = seed_for(study.seed, f"order/sub-{sub}/ses-{ses}")
    return SessionRecord(
        format=SESSION_FORMAT,
        study=study.name,
        study_sha256=study.sha256,
        sub=sub,
        ses=ses,
        button_of_answer=mapping,
        language=language or plan.language,
        order_seed=seed,
        rehearsal=rehearsal,
        study_keys=keys_of(study),
    )


def open_session(
    folder: StudyFolder,
    study: Study,
    sub: str,
    ses: str,
    task: str,
    *,
    rehearsal: bool,
    language: str | None = None,
    warn: Callable[[str], None] = lambda warning: None,
) -> SessionRecord:
    """The session record on disk, written on the first call for this visit.

    warn : told when the study has changed in what does not decide what a participant is put through.

    Other arguments as for `record_for`. Raises FoolscanError when the study has changed in what does decide that, or the
    record on disk mixes rehearsal and real data, or began in another language.
    """
    path = folder.session_record(sub, ses)
    if not path.exists():
        record = record_for(study, sub, ses, task, rehearsal=rehearsal, language=language)
        write_json(path, asdict(record))
        return record
    record = read_session(path)
    changed = check_version(path, record, study)
    if changed.others:
        warn(f"since this visit began the study has changed: {named(changed.others)}; the visit goes on as it is now")
    if record.rehearsal != rehearsal:
        raise FoolscanError(
            f"{path}: found rehearsal={record.rehearsal}; rehearsals and people's data do not share a session"
        )
    if language is not None and record.language != language:
        raise FoolscanError(
            f"{path}: this visit began in language {record.language!r}, found --language {language}; leave it out"
        )
    _check_task(path, record, study.tasks[task], task)
    return record


def check_version(path: Path, record: SessionRecord, study: Study) -> Changes:
    """What has changed in a study since a visit began.

    path, record : of the visit.

    Raises FoolscanError when it is more than what people read, how data are analysed, or a rehearsal.
    """
    if record.study_sha256 == study.sha256:
        return Changes((), ())
    changed = changes(record.study_keys, study) if record.study_keys else None
    if changed is None or changed.deciding:
        what = f" (changed: {named(changed.deciding)})" if changed is not None else ""
        raise FoolscanError(
            f"{path}: this visit began with another version of study {record.study!r}{what}; finish it with that file, "
            "or use a new --ses"
        )
    return changed


def _check_task(path: Path, record: SessionRecord, plan: ImagesTask, task: str) -> None:
    """Raise FoolscanError when a record's buttons or language cannot be those of a task."""
    mapping = record.button_of_answer
    if sorted(mapping) != sorted(plan.answers) or sorted(mapping.values()) != sorted(plan.buttons):
        found = ", ".join(f"{answer} = {button}" for answer, button in mapping.items())
        raise FoolscanError(
            f"{path}: button_of_answer: found {found}; task {task} has answers {', '.join(plan.answers)} and buttons "
            f"{', '.join(plan.buttons)}. Use a new --ses for another task, or restore the record from a backup"
        )
    if record.language not in plan.languages:
        raise FoolscanError(
            f"{path}: language: found {record.language!r}; task {task} has {', '.join(plan.languages)}. Restore it from a backup"
        )


def read_session(path: Path) -> SessionRecord:
    """Read a session record; FoolscanError names what is wrong with it."""
    data = read_json(path)
    if not isinstance(data, dict) or data.get("format") != SESSION_FORMAT:
        raise FoolscanError(f"{path}: not a session record of format {SESSION_FORMAT}; restore it from a backup")
    try:
        return _RECORD.validate_python(asdict(SessionRecord(**data)))
    except ValidationError as error:
        first = error.errors()[0]
        where, wrong = ".".join(map(str, first["loc"])), first["msg"].lower()
        raise FoolscanError(f"{path}: {where}: found {first['input']!r}; {wrong}. Restore it from a backup") from None
    except TypeError as error:
        raise FoolscanError(f"{path}: {error}; restore it from a backup") from error
