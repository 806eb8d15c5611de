"""What people answered online: the tables that `foolscan online export` writes and `foolscan analysis crops` reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from protocols.folder import StudyFolder
from protocols.formats import ANSWERS
from protocols.problems import NotReady
from protocols.tables import write_table
from protocols.typed_tables import read_rows, refuse_other_format

MAKE = "foolscan online export STUDY --to FOLDER"
REMEDY = f"export again: {MAKE}"
FINISHED = "finished"
"""State of somebody who answered every trial."""
SIMULATED = "simulated"
"""The recruiter of simulated people."""


@dataclass(frozen=True)
class Answer:
    """One question of one trial of one person; what a column means stands in `COLUMNS`."""

    participant_id: str
    recruiter: str
    list_id: str
    group: str
    condition: str
    language: str
    counted: bool
    excluded_for: str | None
    trial: int
    kind: str
    item_id: str | None
    source_id: str | None
    stim_file: str | None
    pair_id: str | None
    member: str | None
    set: str | None
    category: str | None
    supercategory: str | None
    animal: bool | None
    question: str
    question_kind: str
    answer: str | None
    typed: str | None
    correct: bool | None
    rt_s: float | None
    input: str
    onset_s: float | None
    shown_s: float | None
    asked_s: float | None
    frames: int | None
    late_frames: int | None
    frame_s: float | None
    hidden: bool
    seed: int


COLUMNS: dict[str, str] = {
    "participant_id": "Pseudonym: sub- and a keyed hash; the key and the raw identifiers never leave the database's folder.",
    "recruiter": "By what the person came: link, lab, mturk, simulated or another package's.",
    "list_id": "List of images that the person was given.",
    "group": "Group of the list: fragile, altered, first or second (counterbalanced members), or square-1 … (Latin square).",
    "condition": "free: 'nothing recognisable' could be answered where it is offered; forced: it could not.",
    "language": "Language of the page.",
    "counted": "Whether the person finished and is not excluded: whether the answer counts.",
    "excluded_for": "Rule of online.exclusions that excludes the person, or unfinished, withdrawn (n/a: none).",
    "trial": "Trial's number in the session, from 1, practice and attention checks included.",
    "kind": "practice, main or attention.",
    "item_id": "Image: crop_id or stim_id (n/a: attention check).",
    "source_id": "Picture or category that the image comes from; a person sees one image of each.",
    "stim_file": "Image file, relative to the stimuli folder.",
    "pair_id": "Pair of crops (n/a: no crop).",
    "member": "fragile or altered (n/a: no crop).",
    "set": "Stimulus set (n/a: a crop).",
    "category": "What the source picture shows.",
    "supercategory": "What that is one of.",
    "animal": "Whether that is an animal (n/a: not known).",
    "question": "Name of the question.",
    "question_kind": "choice, typed or rating.",
    "answer": "Option chosen, `nothing`, or step of the scale from 1 (n/a: typed, or not answered).",
    "typed": "What was typed, line breaks and tabs as spaces (n/a: not typed).",
    "correct": "Whether it is right (n/a: a rating, or nothing is right).",
    "rt_s": "From the first visible frame of the image to the first answer, of later questions from their appearance, s.",
    "input": "key, pointer or touch.",
    "onset_s": "Timestamp of the first frame with the image, s since the page was loaded.",
    "shown_s": "From that frame to the first without the image, s; where no duration was asked for, that is the one after the answer.",
    "asked_s": "Duration asked for (n/a: until the answer), s.",
    "frames": "Frames that the image stood, as counted by the page.",
    "late_frames": "Frames among them that came more than half a frame late.",
    "frame_s": "Median time between the page's frames, s; the times of all frames stand in the database.",
    "hidden": "Whether the page was hidden or left during the trial, or covered by the question whether to stop.",
    "seed": "Seed of the session, from the study's seed and the list's place.",
}


@dataclass(frozen=True)
class Session:
    """One person's participation; what a column means stands in `SESSION_COLUMNS`."""

    participant_id: str
    recruiter: str
    list_id: str
    group: str
    condition: str
    language: str
    state: str
    counted: bool
    excluded_for: str | None
    trials: int
    answered: int
    attention_failed: int
    impossible_rts: int
    hidden_trials: int
    minutes: float | None
    flags: str | None
    seed: int


SESSION_COLUMNS: dict[str, str] = {
    "participant_id": COLUMNS["participant_id"],
    "recruiter": COLUMNS["recruiter"],
    "list_id": COLUMNS["list_id"],
    "group": COLUMNS["group"],
    "condition": COLUMNS["condition"],
    "language": COLUMNS["language"],
    "state": "active, finished, withdrawn or erased.",
    "counted": COLUMNS["counted"],
    "excluded_for": COLUMNS["excluded_for"],
    "trials": "Trials of the session, practice and attention checks included.",
    "answered": "Of these, answered.",
    "attention_failed": "Attention checks that were answered otherwise.",
    "impossible_rts": "Main trials answered sooner than online.exclusions.impossible_rt_s.",
    "hidden_trials": "Main trials during which the page was hidden or left.",
    "minutes": "From consent to the last answer (n/a: none).",
    "flags": "Kinds of flags, comma-separated (n/a: none).",
    "seed": COLUMNS["seed"],
}


def answers_table(folder: StudyFolder, task: str) -> Path:
    """``derivatives/foolscan/answers/<task>.tsv``; its sidecar says which format it has."""
    return folder.derived("answers") / f"{task}.tsv"


def sessions_table(folder: StudyFolder, task: str) -> Path:
    """``derivatives/foolscan/answers/<task>_sessions.tsv``."""
    return folder.derived("answers") / f"{task}_sessions.tsv"


def write_answers(
    folder: StudyFolder, task: str, answers: Sequence[Answer], sessions: Sequence[Session]
) -> tuple[Path, Path]:
    """Write both tables; their sidecars are written by the room that collected the answers."""
    first = write_table(answers_table(folder, task), COLUMNS, [asdict(answer) for answer in answers])
    second = write_table(sessions_table(folder, task), SESSION_COLUMNS, [asdict(session) for session in sessions])
    return first, second


def read_answers(folder: StudyFolder, task: str) -> tuple[list[Answer], list[Session]]:
    """Read both tables.

    Raises NotReady when there are none yet, FoolscanError with file, line and column for what cannot be read.
    """
    first, second = answers_table(folder, task), sessions_table(folder, task)
    for path in (first, second):
        if not path.exists():
            raise NotReady(f"{path}: no answers yet; export them with: {MAKE}")
        refuse_other_format(path, ANSWERS, REMEDY)
    return read_rows(Answer, first, COLUMNS, REMEDY), read_rows(Session, second, SESSION_COLUMNS, REMEDY)
