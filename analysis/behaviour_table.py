"""The tables of behaviour, from sessions in the scanner and at a desk: rates, reaction times, consistency, single images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from analysis.behaviour import COLUMNS, POOLED, Response, behaviour, behaviour_of_runs, load_responses
from analysis.behaviour_consistency import agreement, alpha, consistency_interval, repeats_of
from analysis.behaviour_images import IMAGE_COLUMNS, JOINED_COLUMNS, image_rows, joined_rows
from analysis.behaviour_intervals import (
    MEASURES,
    OF_SCORED,
    Bound,
    answered_trials,
    over_images,
    over_subjects,
    over_trials,
)
from protocols.folder import Modality, StudyFolder
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import NotReady
from protocols.provenance import is_current, write_sidecar
from protocols.seeds import generator_for
from protocols.study import Study
from protocols.tables import write_table

PACKAGES = ("numpy", "scipy")
AT = "func: in a scanner; beh: at a desk."

ALL_COLUMNS: dict[str, str] = {
    "at": AT,
    **COLUMNS,
    "confidence": "Mean step of the confidence scale, 1 the least sure (n/a: not asked for).",
    "confidence_right": "The same after correct answers (n/a for a set with no correct answer).",
    "confidence_wrong": "The same after wrong answers.",
}
RUN_COLUMNS: dict[str, str] = {
    "at": AT,
    "subject": "Subject label.",
    "session": "Session label.",
    "run": "Run of the session.",
    **{name: text for name, text in COLUMNS.items() if name != "subject"},
}
INTERVAL_COLUMNS: dict[str, str] = {
    "at": AT,
    "subject": "Subject label; 'pooled': all trials together; 'mean': of the subjects' own values, where there are as many subjects as "
    "analysis.tests.subjects_for_group asks for.",
    "set": "Stimulus set.",
    "measure": "; ".join(f"{name}: {text}" for name, text in MEASURES.items()) + ".",
    "n": "Answered trials.",
    "images": "Different images in these.",
    "value": "The measure over these trials.",
    "ci_low": "Lower bound of the interval.",
    "ci_high": "Upper bound of the interval.",
    "ci_method": "How the interval was made.",
    "estimand": "What it is an interval for: whose value, with which images.",
    "resampled": "What was drawn again, or taken as independent.",
}
CONSISTENCY_COLUMNS: dict[str, str] = {
    "at": AT,
    "subject": "Subject label; 'pooled': every subject's own repeats side by side.",
    "set": "Stimulus set.",
    "images": "Images that a subject answered more than once (pooled: summed over subjects).",
    "answers": "Answers to these.",
    "agreement": "Share of pairs of answers to the same image that agree, mean over images.",
    "agreement_low": "Lower bound of its interval.",
    "agreement_high": "Upper bound of its interval.",
    "alpha": "Krippendorff's alpha (nominal): agreement beyond chance, 1 for the same answer every time, 0 for chance; n/a when all "
    "answers are the same (Krippendorff 2011).",
    "alpha_low": "Lower bound of its interval.",
    "alpha_high": "Upper bound of its interval.",
    "ci_method": "How the intervals were made.",
    "estimand": "What they are intervals for.",
    "resampled": "What was drawn again.",
}
TRIAL_COLUMNS: dict[str, str] = {
    "at": AT,
    "subject": "Subject label.",
    "session": "Session label.",
    "run": "Run of the session.",
    "stim_id": "The image.",
    "set": "Stimulus set.",
    "animal": "Whether it counts as an animal: its source, or for a set with no correct answer the class it was made for.",
    "said_animal": "The answer (n/a: missed).",
    "correct": "Whether the answer is the source's animacy (n/a: missed, or a set with no correct answer).",
    "rt_s": "Reaction time from the image's onset, s (n/a: missed).",
    "confidence": "Step of the confidence scale (n/a: not asked for).",
}
TABLES: dict[str, dict[str, str]] = {
    "behaviour": ALL_COLUMNS,
    "runs": RUN_COLUMNS,
    "intervals": INTERVAL_COLUMNS,
    "consistency": CONSISTENCY_COLUMNS,
    "images": IMAGE_COLUMNS,
    "network": JOINED_COLUMNS,
    "trials": TRIAL_COLUMNS,
}

Rows = list[dict[str, Any]]


def behaviour_path(folder: StudyFolder, name: str = "behaviour") -> Path:
    """``derivatives/foolscan/behaviour/behaviour.tsv``, or ``behaviour_runs.tsv`` and the others of `TABLES`."""
    return folder.derived("behaviour") / ("behaviour.tsv" if name == "behaviour" else f"behaviour_{name}.tsv")


def write_behaviour(study: Study, folder: StudyFolder) -> Path:
    """Write the tables of behaviour with their sidecars, from all runs of the analysed task.

    ``behaviour.tsv``: per subject and set; `_runs`: per run; `_intervals`: how sure each number is; `_consistency`:
    agreement of repeats; `_images`: per image, beside the network's label and confidence; `_network`: how the two go
    together; `_trials`: every trial.

    Returns the first. Raises NotReady when there is no run yet.
    """
    task, stimuli = study.analysis.task, read_manifest(folder)
    of_place = {at: runs for at in get_args(Modality) if (runs := folder.runs(task, at))}
    if not of_place:
        raise NotReady(
            f"{folder.root}: no events of task {task}; run a session: foolscan experiment run {study.name} --rig RIG "
            f"--sub 01 --ses 01 --run 1 --to {folder.root}"
        )
    inputs = [folder.manifest, *(folder.events(run, at) for at, runs in of_place.items() for run in runs)]
    bootstrap = study.analysis.bootstrap
    parameters = {
        "task": task,
        "correct_answer": {name: study.stimuli.sets[name].has_correct_answer for name in study.tasks[task].sets},
        "correction": "log-linear (Hautus 1995)",
        "resamples": bootstrap.resamples,
        "interval": bootstrap.interval,
        "subjects_for_group": study.analysis.tests.subjects_for_group,
    }
    paths = {name: behaviour_path(folder, name) for name in TABLES}
    if all(is_current(folder, path, inputs, parameters) for path in paths.values()):
        return paths["behaviour"]
    rows: dict[str, Rows] = {name: [] for name in TABLES}
    for at in of_place:
        found = tables_of(study, load_responses(study, folder, stimuli, at), stimuli, at)
        for name, some in found.items():
            rows[name] += some
    for name, columns in TABLES.items():
        write_table(paths[name], columns, rows[name])
        meaning = {column: {"Description": text} for column, text in columns.items()}
        write_sidecar(
            folder,
            paths[name],
            inputs=inputs,
            parameters=parameters,
            packages=PACKAGES,
            seed=study.seed,
            more=meaning,
        )
    return paths["behaviour"]


def tables_of(
    study: Study, responses: Sequence[Response], stimuli: Sequence[Stimulus], at: Modality
) -> dict[str, Rows]:
    """The rows of every table of `TABLES`, of the runs in a scanner or of those at a desk."""
    scored = {name: recipe.has_correct_answer for name, recipe in study.stimuli.sets.items()}
    plan = study.analysis.bootstrap
    images = image_rows(responses, stimuli, at, scored, plan.interval)
    return {
        "behaviour": behaviour_rows(study, responses, at),
        "runs": [
            {"at": at, "session": run.ses, "run": run.run, **asdict(row)}
            for run, row in behaviour_of_runs(study, responses)
        ],
        "intervals": interval_rows(study, responses, at),
        "consistency": consistency_rows(study, responses, at),
        "images": images,
        "network": joined_rows(
            images, plan.resamples, plan.interval, generator_for(study.seed, f"behaviour/{at}/network")
        ),
        "trials": [_trial(response, at, scored[response.stimulus.set]) for response in responses],
    }


def behaviour_rows(study: Study, responses: Sequence[Response], at: Modality) -> Rows:
    """One row per subject and set, and over all subjects, with the columns of `ALL_COLUMNS`."""
    found = []
    for row in behaviour(study, responses):
        mine = _of(responses, row.subject, row.set)
        scored = mine if study.stimuli.sets[row.set].has_correct_answer else []
        confidence = {
            "confidence": _confidence(mine),
            "confidence_right": _confidence([response for response in scored if response.right is True]),
            "confidence_wrong": _confidence([response for response in scored if response.right is False]),
        }
        found.append({"at": at, **asdict(row), **confidence})
    return found


def interval_rows(study: Study, responses: Sequence[Response], at: Modality) -> Rows:
    """How sure every measure is, over trials, images and (of enough) subjects: `INTERVAL_COLUMNS`."""
    plan, enough, found = study.analysis.bootstrap, study.analysis.tests.subjects_for_group, []
    rows = [asdict(row) for row in behaviour(study, responses)]
    for row in rows:
        subject, name = str(row["subject"]), str(row["set"])
        scored = study.stimuli.sets[name].has_correct_answer
        trials = answered_trials(_of(responses, subject, name), scored=scored)
        if not trials.size:
            continue
        generator = generator_for(study.seed, f"behaviour/{at}/{subject}/{name}")
        who = "these subjects" if subject == POOLED else "this subject"
        bounds = over_images(
            trials, scored=scored, resamples=plan.resamples, coverage=plan.interval, generator=generator, who=who
        )
        bounds += over_trials(
            trials, scored=scored, resamples=plan.resamples, coverage=plan.interval, generator=generator, who=who
        )
        told = {"at": at, "subject": subject, "set": name, "n": trials.size, "images": len(set(trials.image.tolist()))}
        found += [told | _bound(bound, float(row[bound.measure])) for bound in _sorted(bounds)]
    for name in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == name]
        singles = [row for row in of_set if row["subject"] != POOLED]
        wanted = [key for key in MEASURES if key not in OF_SCORED or study.stimuli.sets[name].has_correct_answer]
        mine = _of(responses, POOLED, name)
        told = {
            "at": at,
            "subject": "mean",
            "set": name,
            "images": len({response.stimulus.stim_id for response in mine}),
        }
        told["n"] = sum(response.said_animal is not None for response in mine)
        values: Mapping[str, list[float]] = {key: [float(row[key]) for row in singles] for key in wanted}
        found += [told | _bound(bound, bound.value) for bound in over_subjects(values, plan.interval, enough)]
    return found


def consistency_rows(study: Study, responses: Sequence[Response], at: Modality) -> Rows:
    """Agreement of repeats per subject and set, and pooled: the columns of `CONSISTENCY_COLUMNS`."""
    plan, found = study.analysis.bootstrap, []
    for row in behaviour(study, responses):
        repeats = repeats_of(_of(responses, row.subject, row.set))
        generator = generator_for(study.seed, f"behaviour/{at}/{row.subject}/{row.set}/consistency")
        (low, high), (alpha_low, alpha_high) = consistency_interval(repeats, plan.resamples, plan.interval, generator)
        found.append(
            {
                "at": at,
                "subject": row.subject,
                "set": row.set,
                "images": repeats.images,
                "answers": repeats.answers,
                "agreement": float(agreement(repeats)[0]),
                "agreement_low": low,
                "agreement_high": high,
                "alpha": float(alpha(repeats)[0]) if repeats.images else math.nan,
                "alpha_low": alpha_low,
                "alpha_high": alpha_high,
                "ci_method": f"percentile bootstrap, {plan.resamples} resamples",
                "estimand": ("these subjects" if row.subject == POOLED else "this subject") + ", images like these",
                "resampled": "images, each with all its answers",
            }
        )
    return found


def _trial(response: Response, at: Modality, scored: bool) -> dict[str, Any]:
    return {
        "at": at,
        "subject": response.run.sub,
        "session": response.run.ses,
        "run": response.run.run,
        "stim_id": response.stimulus.stim_id,
        "set": response.stimulus.set,
        "animal": response.is_animal(scored),
        "said_animal": response.said_animal,
        "correct": response.right if scored else None,
        "rt_s": response.rt_s,
        "confidence": response.confidence,
    }


def _of(responses: Sequence[Response], subject: str, name: str) -> list[Response]:
    return [
        response for response in responses if response.stimulus.set == name and subject in (POOLED, response.run.sub)
    ]


def _sorted(bounds: Sequence[Bound]) -> list[Bound]:
    order = list(MEASURES)
    return sorted(bounds, key=lambda bound: order.index(bound.measure))


def _bound(bound: Bound, value: float) -> dict[str, Any]:
    return {
        "measure": bound.measure,
        "value": value,
        "ci_low": bound.low,
        "ci_high": bound.high,
        "ci_method": bound.method,
        "estimand": bound.estimand,
        "resampled": bound.resampled,
    }


def _confidence(responses: Sequence[Response]) -> float:
    """Mean step of the answered and rated trials; NaN when there are none."""
    steps = [
        response.confidence
        for response in responses
        if response.confidence is not None and response.said_animal is not None
    ]
    return fmean(steps) if steps else math.nan
