"""A real study folder with crops or with stimuli for the browser, made in a blink without a network, and people who answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from crop_rows import crop_row
from PIL import Image
from stimulus_rows import stimulus_row

from experiment.online.crowd import Crowd
from experiment.online.messages import Answers, Given, Shown, TrialAnswer
from experiment.online.recruiters.recruiter import Arrival
from experiment.online.session_state import Joined, SessionState
from experiment.online.trials import Trial
from protocols.crops import Crop, crops_table, write_crops
from protocols.folder import StudyFolder, open_folder, write_json
from protocols.formats import CROPS
from protocols.manifest import Stimulus, write_manifest
from protocols.online_plan import Question, Typed
from protocols.study import Study, load_study

SUPERCATEGORIES = (
    "birds",
    "boats",
    "fish",
    "food",
    "furniture",
    "insects",
    "instruments",
    "land_vehicles",
    "mammals",
    "reptiles",
)
SETS = ("RE", "AN", "AI")
BASE_MS = 1_700_000_000_000


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now_ms: int = BASE_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def move(self, minutes: float) -> None:
        """Let so much time pass."""
        self.now_ms += round(minutes * 60_000)


def crop_study(
    folder: Path,
    *,
    n_pairs: int = 4,
    blocks: int = 1,
    members: str = "separate",
    per_list: int = 2,
    practice: int = 1,
    attention_every: int | None = 2,
    more: str = "",
    pairs_of_each: int = 1,
    name: str = "tinycrops",
    text: Callable[[str], str] = lambda text: text,
) -> tuple[Study, StudyFolder]:
    """A study of crop pairs and its folder, in an existing folder: ``tiny.yaml`` and ``study/``.

    n_pairs, practice : of at most 10 x `pairs_of_each` pairs.
    attention_every   : None: no attention checks.
    more              : further lines of ``online:``, indented by two.
    text              : a last change to the study file.
    """
    design = f"{{n_pairs: {n_pairs}, blocks: {blocks}, members: {members}, per_list: {per_list}}}"
    head = f"format: 1\nextends: srivastava2019\nname: {name}\ntitle: a tiny crop study\n"
    study = _study(folder, text(head + _online(design, practice, attention_every) + more))
    where = open_folder(folder / "study", study.title)
    write_crop_pairs(where, pairs_of_each)
    return study, where


def set_study(
    folder: Path,
    *,
    n_sources: int = 7,
    conditions: tuple[str, ...] = ("free", "forced"),
    per_list: int = 2,
    practice: int = 1,
    attention_every: int | None = 3,
    more: str = "",
    name: str = "tinysets",
    text: Callable[[str], str] = lambda text: text,
) -> tuple[Study, StudyFolder]:
    """A study of RE, AN and AI and its folder, as `crop_study`."""
    design = f"{{conditions: [{', '.join(conditions)}], per_list: {per_list}}}"
    head = f"format: 1\nextends: zhang2018_online\nname: {name}\ntitle: a tiny recognition study\n"
    study = _study(folder, text(head + _online(design, practice, attention_every) + more))
    where = open_folder(folder / "study", study.title)
    write_sets(where, n_sources)
    return study, where


def write_crop_pairs(folder: StudyFolder, pairs_of_each: int = 1) -> list[Crop]:
    """Pairs of crops with real images: so many of each of ten supercategories."""
    crops = []
    for number in range(pairs_of_each):
        for place, supercategory in enumerate(SUPERCATEGORIES):
            pair = f"p{number * 10 + place + 1:03d}-{supercategory.replace('_', '')}-{number:04d}"
            crops += [_crop(folder, pair, supercategory, member) for member in ("fragile", "altered")]
    write_crops(folder, crops)
    write_json(crops_table(folder).with_suffix(".json"), {"format": CROPS})
    return crops


def write_sets(folder: StudyFolder, n_sources: int = 7) -> list[Stimulus]:
    """RE, AN and AI of so many categories, every second one an animal, with real images."""
    rows = []
    for place in range(n_sources):
        animal = place % 2 == 0
        category = f"{'beast' if animal else 'thing'}_{place:02d}"
        for set_name in SETS:
            row = stimulus_row(set_name, category, animal=animal, supercategory="mammals" if animal else "furniture")
            rows.append(replace(row, sha256=_picture(folder.stimuli / row.stim_file, row.stim_id)))
    rows.sort(key=lambda row: SETS.index(row.set))
    write_manifest(folder, rows)
    return rows


def _online(design: str, practice: int, attention_every: int | None) -> str:
    """The beginning of ``online:``, to which more keys can be added."""
    attention = "null" if attention_every is None else f"{{every: {attention_every}}}"
    return f"online:\n  design: {design}\n  practice: {{n: {practice}}}\n  attention: {attention}\n"


def _study(folder: Path, text: str) -> Study:
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path)


def _crop(folder: StudyFolder, pair: str, supercategory: str, member: str) -> Crop:
    category = supercategory.removesuffix("s")
    row = crop_row(pair, member, category=category, supercategory=supercategory, network_class=category)
    return replace(row, sha256=_picture(folder.stimuli / row.crop_file, row.crop_id))


def _picture(path: Path, name: str, side_px: int = 32) -> str:
    """Coloured noise that is its name's own; returns the file's SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    pixels = np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def right_value(trial: Trial, question: Question) -> str:
    """What a right answer to a question of a trial is."""
    assert trial.item is not None
    return trial.item.traits[getattr(question, "about", "category")]


def answer_to(
    trial: Trial,
    questions: tuple[Question, ...],
    options: Mapping[str, tuple[str, ...]],
    *,
    right: bool = True,
    rt_ms: float = 700.0,
    hidden: bool = False,
    sent_ms: float | None = None,
    load: int = 1,
) -> TrialAnswer:
    """What a person answers: rightly, or with the first of the wrong options; checks are passed unless `right` is False."""
    given = []
    for question in questions[:1] if trial.kind == "attention" else questions:
        shown = options[question.name]
        if trial.kind == "attention":
            value = trial.asked if right else next(option for option in shown if option != trial.asked)
            given.append(Given(question=question.name, value=value, rt_ms=rt_ms, by="key"))
        elif isinstance(question, Typed):
            typed = right_value(trial, question).replace("_", " ") if right else "no idea"
            given.append(Given(question=question.name, typed=typed, rt_ms=rt_ms, by="key"))
        elif question.kind == "rating":
            given.append(Given(question=question.name, value=shown[-1], rt_ms=rt_ms, by="pointer"))
        else:
            true = right_value(trial, question)
            value = true if right else next(option for option in shown if option != true)
            given.append(Given(question=question.name, value=value, rt_ms=rt_ms, by="key"))
    shown_as = None
    if trial.kind != "attention":
        shown_as = Shown(onset_ms=trial.number * 2000.0, n_frames=42, late_frames=0, frame_ms=16.7)
    sent = trial.number * 2000.0 + 900 if sent_ms is None else sent_ms
    return TrialAnswer(trial=trial.number, shown=shown_as, given=given, hidden=hidden, sent_ms=sent, load=load)


def answers_to(crowd: Crowd, state: SessionState, *, right: bool = True, rt_ms: float = 700.0) -> list[TrialAnswer]:
    """A person's answers to every trial that the server does not hold yet."""
    questions = crowd.design.plan.questions
    left = [trial for trial in state.plan.trials if trial.number > state.held]
    return [answer_to(trial, questions, state.plan.options, right=right, rt_ms=rt_ms) for trial in left]


def joined(crowd: Crowd, raw_id: str = "anna", recruiter: str = "link", language: str = "en") -> Joined:
    """Somebody who was let in."""
    return crowd.join(recruiter, Arrival(raw_id), language).result()


def answer_all(crowd: Crowd, token: str, *, right: bool = True, rt_ms: float = 700.0, at_once: int = 20) -> int:
    """Have a session answered to its end; the number of trials that are held then."""
    answers = answers_to(crowd, crowd.state(token), right=right, rt_ms=rt_ms)
    held = crowd.state(token).held
    for begin in range(0, len(answers), at_once):
        held = crowd.hold(token, Answers(answers=answers[begin : begin + at_once])).result().held
    return held
