"""The answers of an online task, with the images that they are to: read, and refused where the two do not go together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.answers import (
    FINISHED,
    MAKE,
    REMEDY,
    SIMULATED,
    Answer,
    Session,
    answers_table,
    read_answers,
    sessions_table,
)
from protocols.crops import crops_table, read_crops
from protocols.folder import StudyFolder
from protocols.manifest import read_manifest
from protocols.online_plan import CONDITIONS, OnlinePlan, Question, SetRecognition
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import is_simulated
from protocols.study import Study, online_plan

MOST_NAMED = 5


@dataclass(frozen=True)
class Image:
    """An image that could be shown.

    item_id, source_id : of it, and of the picture or category it comes from.
    unit          : pair (crops) or source (sets): what is compared within.
    kind          : fragile or altered (crops), or the set.
    file          : relative to the stimuli folder.
    network_right : whether the network recognises it (crops), or its criterion was met (sets).
    confidence    : the network's, of the right class (crops) or of the class it was made for (sets).
    label         : the network's most probable class.
    """

    item_id: str
    source_id: str
    unit: str
    kind: str
    category: str
    supercategory: str
    animal: bool | None
    file: str
    network_right: bool
    confidence: float
    label: str


@dataclass(frozen=True)
class Collected:
    """Answers to the main trials, and everybody who began.

    answers   : of main trials, of everybody whose answers stand in the table.
    sessions  : everybody.
    images    : by identifier.
    inputs    : the files that all this was read from.
    simulated : whether the crowd was simulated.
    """

    study: Study
    plan: OnlinePlan
    answers: tuple[Answer, ...]
    sessions: tuple[Session, ...]
    images: dict[str, Image]
    inputs: tuple[Path, ...]
    simulated: bool

    @property
    def pairs(self) -> bool:
        """Whether pairs of crops were shown; else the study's sets."""
        return not isinstance(self.plan.design, SetRecognition)

    @property
    def coverage(self) -> float:
        """Of intervals."""
        return self.study.analysis.bootstrap.interval

    @property
    def conditions(self) -> list[str]:
        """Those that anybody was in, in the study's order."""
        found = {session.condition for session in self.sessions}
        return [name for name in CONDITIONS if name in found]

    def of(self, whom: str) -> list[Answer]:
        """The answers of those who count (`counted`), or of all who finished, excluded or not (`finished`)."""
        wanted = {
            session.participant_id
            for session in self.sessions
            if (session.counted if whom == "counted" else session.state == FINISHED)
        }
        return [answer for answer in self.answers if answer.participant_id in wanted]

    def question(self, name: str) -> Question:
        """A question of the study file."""
        return next(question for question in self.plan.questions if question.name == name)


def has_answers(study: Study, folder: StudyFolder) -> bool:
    """Whether there are exported answers to the study's online task."""
    return study.online is not None and answers_table(folder, study.online.task).is_file()


def collect(study: Study, folder: StudyFolder) -> Collected:
    """Read the exported answers of a study's online task.

    Raises NotReady where there are none yet or nobody counts, FoolscanError for tables that are damaged, contradict each other, or are
    not of this study's questions and images.
    """
    plan = online_plan(study)
    answers, sessions = read_answers(folder, plan.task)
    table, people = answers_table(folder, plan.task), sessions_table(folder, plan.task)
    crops = not isinstance(plan.design, SetRecognition)
    images = {image.item_id: image for image in (_crops(folder) if crops else _stimuli(folder, plan))}
    main = [answer for answer in answers if answer.kind == "main"]
    _refuse_other_people(answers, sessions, table, people)
    _refuse_other_questions(main, plan, table)
    _refuse_other_images(main, images, table, crops_table(folder) if crops else folder.manifest)
    _refuse_twice(main, table)
    if not any(session.counted for session in sessions):
        raise NotReady(f"{people}: {_nobody(sessions)}; go on asking, then export again: {MAKE}")
    inputs = (table, people, crops_table(folder) if crops else folder.manifest)
    simulated = any(is_simulated(path) for path in inputs[:2]) or any(item.recruiter == SIMULATED for item in sessions)
    return Collected(study, plan, tuple(main), tuple(sessions), images, inputs, simulated)


def _crops(folder: StudyFolder) -> Iterable[Image]:
    for crop in read_crops(folder):
        yield Image(
            item_id=crop.crop_id,
            source_id=crop.picture_id,
            unit=crop.pair_id,
            kind=crop.member,
            category=crop.category,
            supercategory=crop.supercategory,
            animal=None,
            file=crop.crop_file,
            network_right=crop.correct,
            confidence=crop.confidence,
            label=crop.label_1,
        )


def _stimuli(folder: StudyFolder, plan: OnlinePlan) -> Iterable[Image]:
    assert isinstance(plan.design, SetRecognition)
    for row in read_manifest(folder):
        if row.set in plan.design.sets:
            yield Image(
                item_id=row.stim_id,
                source_id=row.category,
                unit=row.category,
                kind=row.set,
                category=row.category,
                supercategory=row.supercategory,
                animal=row.animal_source,
                file=row.stim_file,
                network_right=row.success,
                confidence=row.confidence,
                label=row.network_label,
            )


def _nobody(sessions: Sequence[Session]) -> str:
    if not sessions:
        return "found nobody who began"
    states = [
        f"{sum(item.state == state for item in sessions)} {state}" for state in dict.fromkeys(s.state for s in sessions)
    ]
    excluded = [item.excluded_for for item in sessions if item.state == FINISHED and item.excluded_for]
    rules = [f"{excluded.count(rule)} excluded for {rule}" for rule in dict.fromkeys(excluded)]
    return f"found nobody who counts among {len(sessions)} people ({', '.join([*states, *rules])})"


def _refuse_other_people(answers: Sequence[Answer], sessions: Sequence[Session], table: Path, people: Path) -> None:
    known: dict[str, Session] = {}
    for line, session in enumerate(sessions, start=2):
        if session.participant_id in known:
            raise FoolscanError(f"{people}:{line}: participant_id: found {session.participant_id} twice; {REMEDY}")
        known[session.participant_id] = session
    for line, answer in enumerate(answers, start=2):
        session_of = known.get(answer.participant_id)
        if session_of is None:
            raise FoolscanError(
                f"{table}:{line}: participant_id: found {answer.participant_id}, who is not in {people.name}; {REMEDY}"
            )
        for column in ("counted", "list_id", "condition", "group"):
            here, there = getattr(answer, column), getattr(session_of, column)
            if here != there:
                raise FoolscanError(
                    f"{table}:{line}: {column}: found {here!r}, and {there!r} of {answer.participant_id} in {people.name}; {REMEDY}"
                )


def _refuse_other_questions(main: Sequence[Answer], plan: OnlinePlan, table: Path) -> None:
    asked = {question.name: question.kind for question in plan.questions}
    for name, kind in dict.fromkeys((answer.question, answer.question_kind) for answer in main):
        if asked.get(name) != kind:
            there = ", ".join(f"{name} ({kind})" for name, kind in asked.items())
            raise FoolscanError(
                f"{table}: question: found {name} ({kind}); task {plan.task} of the study asks: {there}. Are these answers of "
                f"another study? Give the study file that they were collected with, or export again: {MAKE}"
            )


def _refuse_other_images(main: Sequence[Answer], images: dict[str, Image], table: Path, manifest: Path) -> None:
    lacking = list(dict.fromkeys(answer.item_id or "n/a" for answer in main if answer.item_id not in images))
    if lacking:
        more = f" and {len(lacking) - MOST_NAMED} more" if len(lacking) > MOST_NAMED else ""
        raise FoolscanError(
            f"{table}: item_id: found {', '.join(lacking[:MOST_NAMED])}{more}, which {manifest} does not have: the images were "
            "made again since, or the answers are of another study; put back the images that people saw"
        )
    for answer in main:
        image = images[str(answer.item_id)]
        for column, found, expected in (
            ("source_id", answer.source_id, image.source_id),
            (
                "pair_id" if answer.pair_id else "set",
                answer.pair_id or answer.set,
                image.unit if answer.pair_id else image.kind,
            ),
            ("category", answer.category, image.category),
            ("stim_file", answer.stim_file, image.file),
            *((("member", answer.member, image.kind),) if answer.pair_id else ()),
        ):
            if found != expected:
                raise FoolscanError(
                    f"{table}: {column} of {answer.item_id}: found {found!r}, and {expected!r} in {manifest}: the images were made "
                    "again since; put back those that people saw"
                )


def _refuse_twice(main: Sequence[Answer], table: Path) -> None:
    found: set[tuple[str, str | None, str]] = set()
    for answer in main:
        key = (answer.participant_id, answer.source_id, answer.question)
        if key in found:
            raise FoolscanError(
                f"{table}: participant_id: found two answers of {answer.participant_id} to {answer.question} of source "
                f"{answer.source_id}; nobody sees a source twice. E{REMEDY[1:]}"
            )
        found.add(key)
