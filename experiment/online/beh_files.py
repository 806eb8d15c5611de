"""What people answered online as BIDS behaviour: ``sub-<pseudonym>/beh/…_beh.tsv``, one row for each trial, and its sidecar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiment.online.answer_rows import answers_of
from experiment.online.items import Item, options_of
from experiment.online.people import Participant
from protocols.answers import COLUMNS, Answer
from protocols.folder import REHEARSAL_NOTE, StudyFolder, read_json
from protocols.online_plan import NOTHING, OnlinePlan, Question, Rating, Typed
from protocols.problems import FoolscanError
from protocols.provenance import is_current, sha256_of_bytes, sidecar_path, versions, write_sidecar
from protocols.tables import write_table

MADE = "foolscan online export"
TRIAL_COLUMNS = (
    *("trial", "trial_type", "stim_file", "stim_id", "source_id", "pair_id", "member", "set", "category"),
    *("supercategory", "animal_source", "response", "response_time", "correct", "input"),
)
PAGE_COLUMNS = (
    "image_onset",
    "image_duration",
    "asked_duration",
    "frames",
    "late_frames",
    "frame_duration",
    "hidden",
    "page_load",
    "answered_minutes",
)


def beh_path(folder: StudyFolder, worker: str, task: str) -> Path:
    """``sub-<pseudonym>/beh/sub-<pseudonym>_task-<task>_beh.tsv``."""
    return folder.root / f"sub-{worker}" / "beh" / f"sub-{worker}_task-{task}_beh.tsv"


def beh_columns(plan: OnlinePlan) -> tuple[str, ...]:
    """The columns: the first question's are called as in other behaviour, later ones by their names."""
    later = [f"{question.name}{suffix}" for question in plan.questions[1:] for suffix in _suffixes(question)]
    return (*TRIAL_COLUMNS, *later, *PAGE_COLUMNS)


def beh_rows(plan: OnlinePlan, items: Mapping[str, Item], person: Participant) -> list[dict[str, Any]]:
    """One row for each trial that was answered, in their order.

    items : by id.
    """
    of_trial: dict[int, list[Answer]] = {}
    for answer in answers_of(plan, items, person):
        of_trial.setdefault(answer.trial, []).append(answer)
    loads = {answer.trial: answer.answer.load for answer in person.answers if answer.answer is not None}
    received = {answer.trial: answer.received_ms for answer in person.answers}
    return [
        _row(plan, found)
        | {"page_load": loads[trial], "answered_minutes": _minutes(received[trial] - person.joined_ms)}
        for trial, found in sorted(of_trial.items())
    ]


def _row(plan: OnlinePlan, answers: Sequence[Answer]) -> dict[str, Any]:
    by_name = {answer.question: answer for answer in answers}
    shown = answers[0]
    row: dict[str, Any] = dict.fromkeys(beh_columns(plan))
    row |= {
        "trial": shown.trial,
        "trial_type": shown.kind,
        "stim_file": shown.stim_file,
        "stim_id": shown.item_id,
        "source_id": shown.source_id,
        "pair_id": shown.pair_id,
        "member": shown.member,
        "set": shown.set,
        "category": shown.category,
        "supercategory": shown.supercategory,
        "animal_source": shown.animal,
        "input": shown.input,
        "image_onset": shown.onset_s,
        "image_duration": shown.shown_s,
        "asked_duration": shown.asked_s,
        "frames": shown.frames,
        "late_frames": shown.late_frames,
        "frame_duration": shown.frame_s,
        "hidden": shown.hidden,
    }
    for place, question in enumerate(plan.questions):
        answer = by_name.get(question.name)
        if answer is None:
            continue
        said = answer.typed if answer.answer is None else answer.answer
        if place == 0:
            row |= {"response": said, "response_time": answer.rt_s, "correct": answer.correct}
            continue
        row |= {question.name: said, f"{question.name}_time": answer.rt_s}
        if not isinstance(question, Rating):
            row[f"{question.name}_correct"] = answer.correct
    return row


def _suffixes(question: Question) -> tuple[str, ...]:
    return ("", "_time") if isinstance(question, Rating) else ("", "_time", "_correct")


def _minutes(ms: int) -> float:
    return round(ms / 60_000, 3)


def beh_facts(plan: OnlinePlan, items: Sequence[Item], *, simulated: bool) -> dict[str, Any]:
    """The BIDS part of the sidecars, the same for everybody: the task, how it was presented, what each column means."""
    truth = {"true": "yes", "false": "no"}
    first, *later = plan.questions
    spoken = plan.language
    facts: dict[str, Any] = {
        "TaskName": plan.task,
        "TaskDescription": plan.saying.title[spoken],
        "Instructions": "\n\n".join(plan.saying.instructions[spoken]),
        "StimulusPresentation": {
            "OperatingSystem": "n/a",
            "SoftwareName": "foolscan online (jsPsych, in the participant's browser)",
            "SoftwareVersion": versions(()).get("foolscan", "n/a"),
        },
    }
    if simulated:
        facts |= {"Simulated": True, "SimulatedNote": REHEARSAL_NOTE}
    facts |= {
        "trial": {"Description": "Trial's number in the session, from 1, practice and attention checks included."},
        "trial_type": {
            "Description": "What kind of trial it was.",
            "Levels": {
                "practice": "Practice, with feedback; of images that are not in the main trials",
                "main": "Main trial",
                "attention": "Attention check: no image, and the page says which answer to give",
            },
        },
        "stim_file": {"LongName": "Image", "Description": "Image file, relative to the stimuli folder (n/a: none)."},
        "stim_id": {"Description": "Identifier of the image in the stimuli folder's tables (n/a: attention check)."},
        "source_id": {"Description": "Picture or category that the image comes from; a person sees one image of each."},
        "pair_id": {"Description": "Pair of crops (n/a: no crop)."},
        "member": {
            "Description": "Member of the pair (n/a: no crop).",
            "Levels": {"fragile": "the window that the pair begins with", "altered": "its shifted or shrunk twin"},
        },
        "set": {"Description": "Stimulus set (n/a: a crop)."},
        "category": {"Description": "What the source picture shows."},
        "supercategory": {"Description": "What that is one of."},
        "animal_source": {"Description": "Whether that is an animal (n/a: not known).", "Levels": truth},
        "response": _answered(plan, first, items),
        "response_time": {
            "LongName": "Response time",
            "Description": "From the first visible frame of the image (of an attention check: of the question) to the answer.",
            "Units": "s",
        },
        "correct": {"Description": "Whether the response is right (n/a: nothing is).", "Levels": truth},
        "input": {
            "Description": "By what the first answer was given.",
            "Levels": {"key": "keyboard", "pointer": "mouse or pen", "touch": "finger"},
        },
    }
    for question in later:
        facts[question.name] = _answered(plan, question, items)
        facts[f"{question.name}_time"] = {"Description": "From the question's appearance to its answer.", "Units": "s"}
        if not isinstance(question, Rating):
            facts[f"{question.name}_correct"] = {"Description": "Whether that answer is right.", "Levels": truth}
    return facts | {
        "image_onset": {
            "LongName": "Onset",
            "Description": "Timestamp of the first frame with the image, from the load of the page (see page_load).",
            "Units": "s",
        },
        "image_duration": {
            "LongName": "Duration",
            "Description": "From that frame to the first without the image; where no duration was asked for, that is the one after "
            "the answer.",
            "Units": "s",
        },
        "asked_duration": {"Description": "Duration asked for (n/a: until the answer).", "Units": "s"},
        "frames": {"Description": "Frames that the image stood, as counted by the page."},
        "late_frames": {"Description": "Frames among them that came more than half a frame late."},
        "frame_duration": {"Description": "Median time between the page's frames.", "Units": "s"},
        "hidden": {"Description": COLUMNS["hidden"], "Levels": truth},
        "page_load": {
            "Description": "How often the page had been loaded in this session, from 1; onsets begin anew each time."
        },
        "answered_minutes": {
            "Description": "From consent to the answer's receipt by the server; no time of day is told.",
            "Units": "min",
        },
    }


def _answered(plan: OnlinePlan, question: Question, items: Sequence[Item]) -> dict[str, Any]:
    """A question's column: its text and the answers that it had."""
    asked, spoken = question.text[plan.language], plan.language
    nothing = {NOTHING: "nothing recognisable"}
    if isinstance(question, Rating):
        labels = question.labels.get(spoken) or [str(step) for step in range(1, question.steps + 1)]
        return {
            "Description": f"Step of the scale that was chosen. {asked}",
            "Levels": {str(step): label for step, label in enumerate(labels, start=1)},
        }
    if isinstance(question, Typed):
        offered = "; `nothing`: nothing recognisable" if question.nothing else ""
        return {"Description": f"Name that was typed, in the participant's language{offered}. {asked}"}
    labels_of = question.labels.get(spoken, {})
    levels = {option: labels_of.get(option, option.replace("_", " ")) for option in options_of(question, list(items))}
    return {"Description": f"Answer that was chosen. {asked}", "Levels": levels | (nothing if question.nothing else {})}


def write_beh(
    folder: StudyFolder,
    plan: OnlinePlan,
    items: Mapping[str, Item],
    person: Participant,
    facts: Mapping[str, Any],
    made_of: Path,
) -> Path:
    """Write one person's file and its sidecar; files that say the same already stay as they are.

    items   : by id.
    person    : somebody who has answered something.
    facts   : as `beh_facts` gives them.
    made_of : the table of images.
    """
    path = beh_path(folder, person.worker, plan.task)
    parameters = {
        "made_by": MADE,
        "task": plan.task,
        "plan_sha256": sha256_of_bytes(plan.model_dump_json().encode()),
        "list": person.list_id,
        "answers": len(person.answers),
        "last_link": person.answers[-1].link,
    }
    more = dict(facts) | ({} if person.state == "finished" else {"Incomplete": "The session was not finished."})
    if not _stands(folder, path, made_of, parameters, more):
        write_table(path, beh_columns(plan), beh_rows(plan, items, person))
        write_sidecar(folder, path, inputs=[made_of], parameters=parameters, seed=person.seed, more=more)
    return path


def _stands(
    folder: StudyFolder, path: Path, made_of: Path, parameters: Mapping[str, Any], more: Mapping[str, Any]
) -> bool:
    try:
        said = read_json(sidecar_path(path)) if is_current(folder, path, [made_of], parameters) else {}
    except FoolscanError:
        return False
    return bool(said) and {key: value for key, value in said.items() if key != "foolscan"} == dict(more)


def remove_others(folder: StudyFolder, task: str, kept: Iterable[str], gone: Iterable[str]) -> list[Path]:
    """Remove the files of people who are not among those exported.

    kept : pseudonyms of those who are.
    gone : pseudonyms of those whose data were erased: theirs go even where a sidecar is lacking.

    Files of this task that foolscan did not export stay. Returns what was removed; half-written files go with it.
    """
    for half in sorted(folder.root.glob(f"sub-*/beh/.sub-*_task-{task}_beh.*.tmp*")):
        half.unlink(missing_ok=True)
    wanted = {beh_path(folder, worker, task) for worker in kept}
    sidecars = sorted(folder.root.glob(f"sub-*/beh/sub-*_task-{task}_beh.json"))
    found = [sidecar.with_suffix(".tsv") for sidecar in sidecars if _is_ours(sidecar)]
    erased = [beh_path(folder, worker, task) for worker in gone]
    removed = []
    for path in dict.fromkeys([*found, *(path for path in erased if path.parent.exists())]):
        if path in wanted:
            continue
        path.unlink(missing_ok=True)
        sidecar_path(path).unlink(missing_ok=True)  # last: as long as it stands, what is left to be done is known
        removed.append(path)
        with suppress(OSError):  # other data of the same person may stand there
            path.parent.rmdir()
            path.parent.parent.rmdir()
    return removed


def _is_ours(sidecar: Path) -> bool:
    try:
        made = read_json(sidecar).get("foolscan", {})
    except FoolscanError:
        return False
    return isinstance(made, dict) and made.get("parameters", {}).get("made_by") == MADE
