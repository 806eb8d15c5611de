"""Runs a run: plan, window, pulses, journal, events and certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from experiment.attempts import attempts_of, free_run, order_number, set_aside_journal
from experiment.certificate import Certificate
from experiment.certificate_files import verdict_with, write_certificate
from experiment.clock import FrameClock, Pace, VirtualClock, WallClock
from experiment.compiler import compile_timeline, task_of
from experiment.conductor import Performance
from experiment.design_file import write_design
from experiment.events import events_of, write_events
from experiment.eyetracker import EyeTracker, open_eye_tracker
from experiment.faults import Faults, LateClock, late_flips
from experiment.fonts import check_texts
from experiment.frames import write_frames
from experiment.journal import JournalWriter, check_room, read_journal
from experiment.participants import enrol
from experiment.rigging import StageKind, interruptible, opened_stage
from experiment.screen_images import check_stimuli, screen_pictures
from experiment.screenshots import rows_to_picture, write_screenshots
from experiment.show import Show
from experiment.stage import HashingStage, NullStage, Stage
from experiment.timeline import Timeline, write_timeline
from experiment.virtual_display import ensure_display
from protocols.checks import check
from protocols.folder import RunId, StudyFolder, exclusive, open_folder
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, ProtocolError
from protocols.rig import Rig
from protocols.seeds import generator_for
from protocols.session import open_session
from protocols.study import ImagesTask, Study

# Flips that are not part of the plan (waiting, self-paced screens) for which faults are drawn: ten minutes at 60 Hz.
MOST_WAITING_FLIPS = 36_000


class RunAborted(KeyboardInterrupt):
    """The run was ended on purpose; its journal is kept under a name that says so."""


@dataclass(frozen=True)
class RunResult:
    """What a run wrote, and how it went.

    screenshots : back buffers, if any were asked for.
    frames      : which image was in which frame, if that was asked for.
    set_aside   : the journal of an earlier attempt that had been cut off, under its new name.
    """

    run: RunId
    events: Path
    journal: Path
    timeline: Path
    certificate_file: Path
    certificate: Certificate
    screenshots: tuple[Path, ...] = ()
    frames: Path | None = None
    set_aside: Path | None = None


def run(
    study: Study,
    rig: Rig,
    folder: Path | str,
    run_id: RunId,
    *,
    stage: StageKind | Stage = "window",
    real_time: bool = False,
    pace: Pace = "changes",
    screenshots: int = 0,
    hash_frames: bool = False,
    faults: Faults = (),
    language: str | None = None,
    journal_writer: Callable[[Path], JournalWriter] = JournalWriter,
    begun: Callable[[], None] = lambda: None,
    warn: Callable[[str], None] = lambda warning: None,
) -> RunResult:
    """Show one run and write what happened.

    study, rig  : as loaded; checked against each other first.
    folder      : the study folder; made if new.
    run_id      : which run; one that exists already is refused.
    stage       : ``window`` (PsychoPy), ``null`` (no screen), or a stage that is open already.
    real_time   : play a rehearsal by the wall's clock. Where scanner or participant are real, that is always so.
    pace        : which frames a simulated clock draws.
    screenshots : how many back buffers to keep as PNG (simulated clock only).
    hash_frames : write the hash of every back buffer, too (simulated clock and a window only).
    faults      : what shall go wrong (rehearsals only).
    language    : the participant's, in a session that begins with this run; None: the task's.
    begun       : told when nothing can refuse the run any more: devices and window are open, its journal has begun.
    warn        : told what the operator should know and what refuses nothing: texts that changed since the visit began.

    Raises ProtocolError, NotReady or FoolscanError before anything is shown when something is not right; RunAborted
    when the operator ended it: then there is a journal under an aborted name and no events.tsv.
    """
    task = _checked(study, rig, run_id)
    simulated = rig.emulated and not real_time
    _check_options(rig, stage, simulated=simulated, reads_back=bool(screenshots or hash_frames), faults=faults)
    place = StudyFolder(Path(folder))
    stimuli = read_manifest(place)
    check_stimuli(place, stimuli)
    if stage != "null" and not isinstance(stage, NullStage):
        check_texts(task)
    if stage == "window":
        ensure_display(rig.display.size_px)  # where there can be none, nothing is written
    open_folder(folder, study.title, rehearsal=rig.rehearsal)
    check_room(place.root)
    journal_path = place.journal(run_id)
    with exclusive(journal_path, f"run {run_id.run} of sub-{run_id.sub}, ses-{run_id.ses}"):
        set_aside = free_run(place, run_id)
        visit = (run_id.sub, run_id.ses, run_id.task)
        record = open_session(place, study, *visit, rehearsal=rig.rehearsal, language=language, warn=warn)
        timeline = compile_timeline(study, rig, record, stimuli, run_id, order_number=order_number(place, run_id))
        wanted = [stimulus for stimulus in stimuli if stimulus.stim_id in set(timeline.stim_ids)]
        pictures = (
            {} if stage == "null" or isinstance(stage, NullStage) else screen_pictures(place, study, rig, task, wanted)
        )
        timeline_path = write_timeline(place, timeline, rig, record)
        write_design(place, study, timeline)
        eye_tracker = _eye_tracker(study, rig, run_id)
        with opened_stage(stage, rig, task) as on:
            on.load(pictures)
            if not simulated:
                on.check_refresh()
            hashing = HashingStage(on) if hash_frames else None
            clock = _clock(study, timeline, on, pace if simulated else None, faults)
            shown_on, earlier = hashing or on, attempts_of(place, run_id)
            show = Show(study, rig, task, record, timeline, shown_on, clock, faults, earlier, eye_tracker)
            pictured = rows_to_picture(timeline, screenshots)
            performance = show.play(lambda: journal_writer(journal_path), pictured, place, begun)
        if not performance.complete:
            _end_aborted(place, timeline, performance)
        hashes = hashing.hashes if hashing else None
        with interruptible() as interrupted:  # what came of a run that was shown is written whole
            saved = write_screenshots(place, run_id, performance.snapshots, rig.display)
            try:
                result = _written(place, run_id, timeline_path, saved, hashes, set_aside, rig)
            except FoolscanError as error:
                remedy = (
                    f"the run itself is recorded; what is lacking is made by: foolscan experiment recover {place.root}"
                )
                raise FoolscanError(f"{error} {remedy}") from error
    if interrupted.is_set():
        raise KeyboardInterrupt
    return result


def run_many(
    study: Study,
    rig: Rig,
    folder: Path | str,
    run_ids: Sequence[RunId],
    *,
    stage: StageKind | Stage = "window",
    pace: Pace = "changes",
    screenshots: int = 0,
    hash_frames: bool = False,
    faults: Faults = (),
    done: Callable[[RunResult], None] = lambda result: None,
) -> list[RunResult]:
    """Several runs in one window that stays open (all of one task); arguments as for `run`.

    screenshots : of the first run only.
    done        : told of every run as it ends.
    """
    results: list[RunResult] = []
    if not run_ids:
        return results
    with opened_stage(stage, rig, _checked(study, rig, run_ids[0])) as on:
        for number, run_id in enumerate(run_ids):
            kept = screenshots if number == 0 else 0
            results.append(
                run(
                    study,
                    rig,
                    folder,
                    run_id,
                    stage=on,
                    pace=pace,
                    screenshots=kept,
                    hash_frames=hash_frames,
                    faults=faults,
                )
            )
            done(results[-1])
    return results


def _checked(study: Study, rig: Rig, run_id: RunId) -> ImagesTask:
    problems = [problem for problem in check(study, rig).problems if not problem.needed]
    if problems:
        raise ProtocolError(problems)
    return task_of(study, run_id.task)


def _check_options(rig: Rig, stage: StageKind | Stage, *, simulated: bool, reads_back: bool, faults: Faults) -> None:
    if reads_back and not simulated:
        raise FoolscanError(
            "--screenshots, --hash-frames: reading the screen back makes flips late; only a simulated clock allows it"
        )
    if reads_back and stage == "null":
        raise FoolscanError("--screenshots, --hash-frames: there is no screen to read back; leave out --stage null")
    if faults and not rig.rehearsal:
        raise FoolscanError(
            f"--fault: rig {rig.name} is a real one; faults are for rigs whose scanner or buttons are emulated, such as rehearsal"
        )


def _eye_tracker(study: Study, rig: Rig, run_id: RunId) -> EyeTracker | None:
    """The rig's eye tracker, calibrated before the participant's window opens."""
    tracker = open_eye_tracker(rig.eye_tracker, rig.display, generator_for(study.seed, f"gaze/{run_id.stem}"))
    if tracker is not None:
        tracker.calibrate()
    return tracker


def _clock(study: Study, timeline: Timeline, stage: Stage, pace: Pace | None, faults: Faults) -> FrameClock:
    """The simulated clock of a pace, or the wall's; with late flips where they were asked for."""
    hz = timeline.refresh_hz
    most = round(2 * timeline.length_s * hz) + MOST_WAITING_FLIPS
    late = late_flips(faults, most, generator_for(study.seed, f"faults/flips/{timeline.run.stem}"))
    if pace is not None:
        return VirtualClock(hz, pace, late)
    wall = WallClock(hz, held=stage.holds_flips)
    return LateClock(wall, hz, late) if late else wall


def _end_aborted(folder: StudyFolder, timeline: Timeline, performance: Performance) -> NoReturn:
    kept = set_aside_journal(folder.journal(timeline.run))
    planned = len({row.trial for row in timeline.rows} - {None})
    raise RunAborted(
        f"{timeline.run.stem}: aborted ({performance.reason}) after {len(events_of(read_journal(kept)))} of {planned} "
        f"trials. The journal up to there is {kept}; no events were written. Repeat it with --continue, or from the board "
        "of its session"
    )


def _written(
    folder: StudyFolder,
    run_id: RunId,
    timeline: Path,
    screenshots: tuple[Path, ...],
    hashes: Sequence[str] | None,
    set_aside: Path | None,
    rig: Rig,
) -> RunResult:
    journal = read_journal(folder.journal(run_id))
    enrol(folder, run_id.sub, simulated=rig.rehearsal)
    events = write_events(folder, journal)
    path, certificate = write_certificate(folder, journal, events, verdict_with(folder, [journal]))
    frames = write_frames(folder, journal, hashes) if hashes is not None else None
    return RunResult(run_id, events, journal.path, timeline, path, certificate, screenshots, frames, set_aside)
