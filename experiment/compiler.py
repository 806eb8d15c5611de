"""Compiles study, rig, participant and seed into the timeline of a run."""

from __future__ import annotations

from collections.abc import Sequence

from experiment.order import order_of_trials
from experiment.scan import ScanTimes, scan_times
from experiment.screen_segments import closing, introduction, rating_facts, rating_of, waiting_words
from experiment.timeline import Timeline
from experiment.trial_segments import fixed_trials, paced_trials
from protocols.folder import RunId
from protocols.manifest import Stimulus
from protocols.problems import FoolscanError, NotReady
from protocols.rig import Rig
from protocols.seeds import generator_for
from protocols.session import SessionRecord
from protocols.study import ImagesTask, Study


def compile_timeline(
    study: Study, rig: Rig, record: SessionRecord, stimuli: Sequence[Stimulus], run: RunId, *, order_number: int = 1
) -> Timeline:
    """The timeline of one run, the same for the same arguments.

    study   : the study; its task `run.task` is compiled.
    rig     : gives the refresh to which onsets are rounded.
    record  : the session record; gives the order's seed, the language, and which button means what.
    stimuli : the manifest.
    run     : which run.
    order_number : which of its orders; a run that is repeated has a new one (see `experiment.attempts`).

    Raises FoolscanError when the task is unknown or its rules cannot be met, NotReady when images are missing.
    """
    task = task_of(study, run.task)
    images = _images(task, stimuli)
    categories = _categories(study, task, stimuli, run)
    seed = record.order_seed
    repeats = 2 if task.presentation == "half_twice" else 1
    again = f"/order-{order_number}" if order_number > 1 else ""
    rng = generator_for(seed, f"task-{run.task}/run-{run.run}{again}")
    order = order_of_trials(categories, task.sets, repeats, task.blank_trials, task.order, rng)
    rating = rating_of(rig, task, record)
    if task.self_paced:
        scan = ScanTimes(study.scan.tr_s, 0.0, 1, 0.0, None)
        trials = paced_trials(study, rig, task, scan, order, images, rng, rating)
    else:
        scan = scan_times(study.scan, rig)
        trials = fixed_trials(study, rig, task, scan, order, images, rng)
    before = introduction(study, rig, task, record, stimuli, run.run)
    after = closing(study, rig, task, record, run.run)
    return Timeline(
        run,
        rig.display.refresh_hz,
        scan,
        task.response_window_s,
        (*before, *trials, *after),
        seed,
        waiting=waiting_words(rig, task, record),
        rating=rating_facts(task, record),
    )


def task_of(study: Study, name: str) -> ImagesTask:
    """A task of a study by name; FoolscanError lists those there are."""
    if name not in study.tasks:
        raise FoolscanError(f"--task: found {name!r}; study {study.name} has {', '.join(study.tasks)}")
    return study.tasks[name]


def _images(task: ImagesTask, stimuli: Sequence[Stimulus]) -> dict[tuple[str, str], Stimulus]:
    images = {(stimulus.set, stimulus.category): stimulus for stimulus in stimuli}
    categories = dict.fromkeys(stimulus.category for stimulus in stimuli)
    missing = [f"{kind} of {name}" for kind in task.sets for name in categories if (kind, name) not in images]
    if missing or not images:
        some = ", ".join(missing[:5]) or "any image"
        raise NotReady(f"stimuli.tsv lacks {some}; make the images with: foolscan stimuli make STUDY --to FOLDER")
    return images


def _categories(study: Study, task: ImagesTask, stimuli: Sequence[Stimulus], run: RunId) -> list[str]:
    """The categories of this run: all, or this visit's half, drawn per person and even over supercategories."""
    groups: dict[str, list[str]] = {}
    for stimulus in stimuli:
        group = groups.setdefault(stimulus.supercategory, [])
        if stimulus.category not in group:
            group.append(stimulus.category)
    if task.presentation == "all_once":
        return [category for group in groups.values() for category in group]
    rng = generator_for(study.seed, f"halves/sub-{run.sub}")
    dealt = [str(category) for group in groups.values() for category in rng.permutation(group)]
    visit = "".join(filter(str.isdigit, run.ses))
    if not visit:
        raise FoolscanError(
            f"--ses: found {run.ses!r}; half_twice shows one half in odd and the other in even sessions: number them, 01, 02"
        )
    return dealt[int(visit) % 2 :: 2]
