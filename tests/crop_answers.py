"""Exported answers of an online task without a server: made by hand, or by a simulated crowd of known gaps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from crop_rows import crop_row
from PIL import Image
from stimulus_rows import stimulus_row

from protocols.answers import COLUMNS, SESSION_COLUMNS, Answer, Session, write_answers
from protocols.crops import COLUMNS as CROP_COLUMNS
from protocols.crops import MEMBERS, Crop, crops_table, write_crops
from protocols.folder import StudyFolder, open_folder, write_json
from protocols.formats import ANSWERS, CROPS
from protocols.manifest import read_manifest, write_manifest
from protocols.provenance import write_sidecar
from protocols.study import Study, load_study

SUPERCATEGORIES = (
    "birds", "boats", "fish", "food", "furniture", "insects", "instruments", "land_vehicles", "mammals", "reptiles",
)  # fmt: skip
CROP_STUDY = (
    "format: 1\nextends: srivastava2019\nname: cropstest\ntitle: Crops\n"
    "online: {{design: {{kind: crop_pairs, n_pairs: {pairs}, members: {members}, per_list: {per_list}}}}}\n"
)
SET_STUDY = (
    "format: 1\nextends: zhang2018_online\nname: setstest\ntitle: Sets\nstimuli: {{n_categories: {sources}}}\n"
    "tasks: {{animals: {{stimulus_trials: {trials}}}}}\n"
    "online: {{design: {{kind: set_recognition, sets: [RE, AN, AI], conditions: [free, forced], per_list: {per_list}}}}}\n"
)


def crop_study(
    root: Path, *, pairs: int = 8, members: str = "separate", per_list: int = 5
) -> tuple[Study, StudyFolder]:
    """A study of crops with their manifest and PNGs, in a study folder that says it is simulated."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "study.yaml").write_text(
        CROP_STUDY.format(pairs=pairs, members=members, per_list=per_list), encoding="utf-8"
    )
    folder = StudyFolder(root / "folder")
    open_folder(folder.root, "Crops", rehearsal=True)
    crops = [crop for number in range(pairs) for crop in crop_pair(number)]
    for crop in crops:
        crop.path(folder).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_blobs(crop.seed, crop.shown_px)).save(crop.path(folder))
    write_crops(folder, crops)
    described = {name: {"Description": text} for name, text in CROP_COLUMNS.items()}
    write_sidecar(folder, crops_table(folder), inputs=[], parameters={}, more={"format": CROPS, **described})
    return load_study(root / "study.yaml"), folder


def crop_pair(number: int, *, recognised: str = "fragile") -> tuple[Crop, Crop]:
    """Two members of a pair; the network's confidences depend on the number alone."""
    kind = SUPERCATEGORIES[number % len(SUPERCATEGORIES)]
    high, low = 0.55 + 0.4 * ((7 * number) % 10) / 10, 0.05 + 0.3 * ((3 * number) % 10) / 10
    found = []
    for member in MEMBERS:
        right = member == recognised
        found.append(
            crop_row(
                f"pair-{number:03d}", member, picture_id=f"picture-{number:03d}", category=f"{kind}-{number}", supercategory=kind,
                shown_px=96, network_class=f"{kind}-{number}", correct=right, confidence=high if right else low,
                label_1=f"{kind}-{number}" if right else "teapot", label_2=None,
                confidence_1=high if right else 1 - low, confidence_2=None, seed=number,
            )
        )  # fmt: skip
    return found[0], found[1]


def set_study(root: Path, *, sources: int = 12, per_list: int = 4) -> tuple[Study, StudyFolder]:
    """A study of three sets with its manifest; every second source is an animal."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "study.yaml").write_text(
        SET_STUDY.format(sources=sources, trials=3 * sources, per_list=per_list), encoding="utf-8"
    )
    folder = StudyFolder(root / "folder")
    open_folder(folder.root, "Sets", rehearsal=True)
    rows = [
        stimulus_row(name, f"thing{number:02d}", animal=number % 2 == 0)
        for name in ("RE", "AN", "AI")
        for number in range(sources)
    ]
    for row in rows:
        row.path(folder).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_blobs(row.seed, 32)).save(row.path(folder))
    write_manifest(folder, rows)
    return load_study(root / "study.yaml"), folder


def person(number: int, list_id: str, **more: object) -> Session:
    """Somebody who finished and counts; what else counts in a test is given by name."""
    session = Session(
        participant_id=f"sub-p{number:03d}", recruiter="simulated", list_id=list_id, group=list_id, condition="free", language="en",
        state="finished", counted=True, excluded_for=None, trials=10, answered=10, attention_failed=0, impossible_rts=0,
        hidden_trials=0, minutes=5.0, flags=None, seed=number,
    )  # fmt: skip
    return replace(session, **more)  # type: ignore[arg-type]


def to_crop(
    session: Session, crop: Crop, *, right: bool, trial: int = 1, answer: str | None = None, **more: object
) -> Answer:
    """An answer to a crop."""
    given = answer or (
        crop.supercategory if right else next(name for name in SUPERCATEGORIES if name != crop.supercategory)
    )
    found = Answer(
        **_of_person(session), trial=trial, kind="main", item_id=crop.crop_id, source_id=crop.picture_id, stim_file=crop.crop_file,
        pair_id=crop.pair_id, member=crop.member, set=None, category=crop.category, supercategory=crop.supercategory, animal=None,
        question="thing", question_kind="choice", answer=given, typed=None, correct=right, **_SHOWN, seed=session.seed,
    )  # type: ignore[arg-type]  # fmt: skip
    return replace(found, **more)  # type: ignore[arg-type]


def export(
    folder: StudyFolder, task: str, answers: Sequence[Answer], sessions: Sequence[Session], *, simulated: bool = True
) -> None:
    """Write the tables with their sidecars, as `foolscan online export` does."""
    paths = write_answers(folder, task, answers, sessions)
    for path, columns in zip(paths, (COLUMNS, SESSION_COLUMNS), strict=True):
        described = {name: {"Description": text} for name, text in columns.items()}
        mark = {"Simulated": True} if simulated else {}
        write_sidecar(folder, path, inputs=[], parameters={"task": task}, more={"format": ANSWERS, **mark, **described})


def crowd_of_crops(
    folder: StudyFolder,
    crops: Sequence[Crop],
    chance_of: Callable[[Crop, float], float],
    *,
    members: str = "separate",
    workers: int = 20,
    seed: int = 0,
) -> tuple[list[Answer], list[Session]]:
    """A crowd of two groups.

    chance_of : probability of a right answer to a crop, from a person's ability (standard normal).
    members   : separate or counterbalanced.
    """
    generator = np.random.default_rng(seed)
    pairs: dict[str, dict[str, Crop]] = {}
    for crop in crops:
        pairs.setdefault(crop.pair_id, {})[crop.member] = crop
    groups = ("fragile", "altered") if members == "separate" else ("first", "second")
    answers, sessions = [], []
    for place, group in enumerate(groups):
        for number in range(workers):
            somebody, ability = person(100 * place + number, group), float(generator.standard_normal())
            sessions.append(somebody)
            for trial, found in enumerate(pairs.values(), start=1):
                shown = MEMBERS[(place + (trial - 1) * (members != "separate")) % 2]
                crop = found[shown]
                right = bool(generator.random() < chance_of(crop, ability))
                wrong = [name for name in SUPERCATEGORIES if name != crop.supercategory]
                given = crop.supercategory if right else wrong[int(generator.integers(len(wrong)))]
                answers.append(to_crop(somebody, crop, right=right, trial=trial, answer=given))
    return answers, sessions


def crowd_of_sets(
    folder: StudyFolder,
    chance_of: Mapping[str, float],
    *,
    workers: int = 12,
    seed: int = 0,
    conditions: Iterable[str] = ("free", "forced"),
) -> tuple[list[Answer], list[Session]]:
    """A crowd of a Latin square, asked animal, name and confidence.

    chance_of : set -> probability that somebody sees what the image is; the others say nothing, or guess where they must.
    """
    generator = np.random.default_rng(seed)
    rows = read_manifest(folder)
    sources = list(dict.fromkeys(row.category for row in rows))
    of = {(row.set, row.category): row for row in rows}
    sets = list(dict.fromkeys(row.set for row in rows))
    answers, sessions, count = [], [], 0
    for condition in conditions:
        for row in range(len(sets)):
            for _ in range(workers):
                name = f"square-{row + 1}-{condition}"
                somebody = person(count, name, group=f"square-{row + 1}", condition=condition)
                ability, count = 0.12 * float(generator.standard_normal()), count + 1
                sessions.append(somebody)
                for trial, source in enumerate(sources, start=1):
                    image = of[sets[(trial - 1 + row) % len(sets)], source]
                    sees = bool(generator.random() < chance_of[image.set] + ability)
                    true = "animal" if image.animal_source else "not_animal"
                    guess = ("animal", "not_animal")[int(generator.integers(2))]
                    animal = (
                        true if sees else ("nothing" if condition == "free" and generator.random() < 0.8 else guess)
                    )
                    names = (source, "Fog", "a  stone", "CLOUD", "dog")
                    typed = (
                        names[0] if sees else (None if animal == "nothing" else names[1 + int(generator.integers(4))])
                    )
                    sure = int(np.clip(round((3.3 if sees else 1.5) + generator.normal(0, 0.8)), 1, 4))
                    base = dict(
                        **_of_person(somebody), trial=trial, kind="main", item_id=image.stim_id, source_id=image.category,
                        stim_file=image.stim_file, pair_id=None, member=None, set=image.set, category=image.category,
                        supercategory=image.supercategory, animal=image.animal_source, **_SHOWN, seed=somebody.seed,
                    )  # fmt: skip
                    given = (
                        ("animal", "choice", animal, None, animal == true),
                        ("name", "typed", None if typed else "nothing", typed, typed == source),
                        ("confidence", "rating", str(sure), None, None),
                    )
                    for question, kind, answer, text, right in given:
                        told = {"question": question, "question_kind": kind, "answer": answer, "typed": text}
                        answers.append(Answer(**base, **told, correct=right))  # type: ignore[arg-type]
    return answers, sessions


def mark_people(folder: StudyFolder) -> None:
    """Make a folder one of people, not of a rehearsal."""
    path = folder.root / "dataset_description.json"
    write_json(
        path, {k: v for k, v in json.loads(path.read_text(encoding="utf-8")).items() if not k.startswith("Simulated")}
    )


_SHOWN = {
    "rt_s": 0.9, "input": "key", "onset_s": 12.0, "shown_s": None, "asked_s": None, "frames": 54, "late_frames": 0,
    "frame_s": 0.0167, "hidden": False,
}  # fmt: skip


def _of_person(session: Session) -> dict[str, object]:
    names = ("participant_id", "recruiter", "list_id", "group", "condition", "language", "counted", "excluded_for")
    return {name: getattr(session, name) for name in names}


def _blobs(seed: int, side_px: int) -> np.ndarray:  # type: ignore[type-arg]
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side_px, side_px), Image.Resampling.BICUBIC))
