"""Runs a run: plan, window, pulses, journal, events and certificate."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import numpy as np

from experiment.attempts import free_run, set_aside_journal
from experiment.certificate import Certificate, write_certificate
from experiment.clock import FrameClock, Pace, VirtualClock, WallClock
from experiment.conductor import SWITCH_INTERVAL_S, Performance, conduct
from experiment.drawings import Words
from experiment.events import write_events
from experiment.journal import JOURNAL_FORMAT, JournalWriter, Record, read_journal
from experiment.participants import enrol
from experiment.responses import ResponseSource
from experiment.rigging import StageKind, interruptible, open_responses, open_triggers, opened_stage, stopper
from experiment.screen_images import check_stimuli, screen_pictures
from experiment.screenshots import rows_to_picture, write_screenshots
from experiment.stage import NullStage, Stage
from experiment.timeline import Timeline, compile_timeline, task_of, write_timeline
from experiment.triggers import TriggerSource
from experiment.virtual_display import ensure_display
from protocols.checks import check
from protocols.folder import REHEARSAL_NOTE, RunId, StudyFolder, exclusive, open_folder
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, ProtocolError
from protocols.provenance import sha256_of_bytes, versions
from protocols.rig import DeskTrigger, Rig
from protocols.session import SessionRecord, open_session
from protocols.study import ImagesTask, Study


class RunAborted(KeyboardInterrupt):
    """The run was ended on purpose; its journal is kept under a name that says so."""


@dataclass(frozen=True)
class RunResult:
    """What a run wrote, and how it went.

    screenshots : back buffers, if any were asked for.
    set_aside   : the journal of an earlier attempt that had been cut off, under its new name.
    """

    run: RunId
    events: Path
    journal: Path
    timeline: Path
    certificate_file: Path
    certificate: Certificate
    screenshots: tuple[Path, ...] = ()
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
    journal_writer: Callable[[Path], JournalWriter] = JournalWriter,
) -> RunResult:
    """Show one run and write what happened.

    study, rig  : as loaded; checked against each other first.
    folder      : the study folder; made if new.
    run_id      : which run; one that exists already is refused.
    stage       : ``window`` (PsychoPy), ``null`` (no screen), or a stage that is open already.
    real_time   : play a rehearsal by the wall's clock. Where scanner or participant are real, that is always so.
    pace        : which frames a simulated clock draws.
    screenshots : how many back buffers to keep as PNG (simulated clock only).

    Raises ProtocolError, NotReady or FoolscanError before anything is shown when something is not right; RunAborted
    when the operator ended it: then there is a journal under an aborted name and no events.tsv.
    """
    task = _checked(study, rig, run_id)
    simulated = rig.emulated and not real_time
    if screenshots and not simulated:
        raise FoolscanError("--screenshots: reading the screen back makes flips late; only a simulated clock allows it")
    place = StudyFolder(Path(folder))
    stimuli = read_manifest(place)
    check_stimuli(place, stimuli)
    if stage == "window":
        ensure_display(rig.display.size_px)  # where there can be none, nothing is written
    open_folder(folder, study.title, rehearsal=rig.rehearsal)
    journal_path = place.journal(run_id)
    with exclusive(journal_path, f"run {run_id.run} of sub-{run_id.sub}, ses-{run_id.ses}"):
        set_aside = free_run(place, run_id)
        record = open_session(place, study, run_id.sub, run_id.ses, run_id.task, rehearsal=rig.rehearsal)
        timeline = compile_timeline(study, rig, record, stimuli, run_id)
        wanted = [stimulus for stimulus in stimuli if stimulus.stim_id in set(timeline.stim_ids)]
        pictures = (
            {} if stage == "null" or isinstance(stage, NullStage) else screen_pictures(place, study, rig, task, wanted)
        )
        timeline_path = write_timeline(place, timeline, rig, record)
        with opened_stage(stage, rig, task) as on:
            on.load(pictures)
            if not simulated and hasattr(on, "check_refresh"):
                on.check_refresh()
            clock: FrameClock = (
                VirtualClock(timeline.refresh_hz, pace)
                if simulated
                else WallClock(timeline.refresh_hz, held=on.holds_flips)
            )
            show = _Show(study, rig, task, record, timeline, on, clock)
            performance = show.play(lambda: journal_writer(journal_path), rows_to_picture(timeline, screenshots), place)
        if not performance.complete:
            _end_aborted(place, run_id, performance)
        saved = write_screenshots(place, run_id, performance.snapshots)
        return _written(place, run_id, timeline_path, saved, set_aside, rig)


def run_many(
    study: Study,
    rig: Rig,
    folder: Path | str,
    run_ids: Sequence[RunId],
    *,
    stage: StageKind | Stage = "window",
    pace: Pace = "changes",
    screenshots: int = 0,
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
            results.append(run(study, rig, folder, run_id, stage=on, pace=pace, screenshots=kept))
            done(results[-1])
    return results


@dataclass(frozen=True)
class _Show:
    """Everything one run needs, ready to be played."""

    study: Study
    rig: Rig
    task: ImagesTask
    record: SessionRecord
    timeline: Timeline
    stage: Stage
    clock: FrameClock

    def play(
        self, journal_writer: Callable[[], JournalWriter], pictures_of: dict[int, str], folder: StudyFolder
    ) -> Performance:
        """Header, run, last word; the journal is closed whatever happens, and set aside when there was an error."""
        if hasattr(self.stage, "keys"):
            self.stage.keys.start_over()
        triggers = open_triggers(self.study, self.rig, self.timeline, self.stage, self.clock)
        try:
            responses = open_responses(self.study, self.rig, self.task, self.record, self.timeline, self.stage)
            journal = journal_writer()
            performance = None
            reason = "an error"
            try:
                journal.put(self.header(triggers, responses, folder))
                performance = self.conduct(triggers, responses, journal, pictures_of)
                reason = performance.reason
            except Exception as error:
                reason = str(error)
                raise
            finally:
                journal.put(self.last_word(performance, reason))
                written = _closed(journal)
                if performance is None:
                    set_aside_journal(journal.path)
        finally:
            triggers.close()
        if not written:
            set_aside_journal(journal.path)
            journal.check()
        return performance

    def conduct(
        self, triggers: TriggerSource, responses: ResponseSource, journal: JournalWriter, pictures_of: dict[int, str]
    ) -> Performance:
        """The run itself; Ctrl-C ends it at the next flip."""
        with interruptible() as interrupted:
            return conduct(
                self.timeline,
                self.stage,
                self.clock,
                triggers,
                responses,
                journal,
                waiting=self.instructions(),
                stop=stopper(self.stage, self.rig, interrupted),
                pictures_of=pictures_of,
            )

    def last_word(self, performance: Performance | None, reason: str) -> Record:
        """The journal's last record."""
        complete = performance is not None and performance.complete
        end: Record = {"kind": "end", "status": "complete" if complete else "aborted", "reason": reason}
        end["t_s"] = round(self.clock.now_s(), 6)
        if performance is not None and not self.clock.virtual:
            end["loop_cost_p99_s"] = round(float(np.percentile(performance.loop_cost_s, 99)), 6)
        return end

    def instructions(self) -> Words:
        """What stands on the screen until the first pulse."""
        text = self.task.instructions.get(self.record.language, "").strip() or self.task.question
        meaning = sorted(
            f"{button}: {answer.replace('_', ' ')}" for answer, button in self.record.button_of_answer.items()
        )
        if isinstance(self.rig.trigger, DeskTrigger):
            meaning.append(f"{self.rig.trigger.key}: start")
        return Words(f"{text}\n\n{'     '.join(meaning)}")

    def header(self, triggers: TriggerSource, responses: ResponseSource, folder: StudyFolder) -> Record:
        """The journal's first record: the whole plan and its circumstances, so that the journal speaks for itself."""
        timeline = self.timeline
        return {
            "kind": "header",
            "format": JOURNAL_FORMAT,
            "run": asdict(timeline.run),
            "rehearsal": self.rig.rehearsal,
            "note": REHEARSAL_NOTE if self.rig.rehearsal else "",
            "study": self.study.name,
            "study_sha256": self.study.sha256,
            "rig": self.rig.name,
            "rig_sha256": sha256_of_bytes(self.rig.model_dump_json().encode()),
            "session": asdict(self.record),
            "question": self.task.question,
            "response_window_s": timeline.response_window_s,
            "refresh_hz": timeline.refresh_hz,
            "length_s": timeline.length_s,
            "scan": asdict(timeline.scan),
            "clock": self.clock.facts(),
            "stage": self.stage.facts(),
            "triggers": triggers.facts(),
            "responses": responses.facts(),
            "switch_interval_s": SWITCH_INTERVAL_S,
            "system": platform.platform(),
            "python": platform.python_version(),
            "versions": versions(["psychopy", "numpy", "pyserial"]),
            "started": None if self.clock.virtual else datetime.now(UTC).isoformat(timespec="seconds"),
            "timeline": {
                "file": folder.relative(folder.timeline(timeline.run)),
                "sha256": timeline.sha256,
                "rows": [row.record() for row in timeline.rows],
            },
        }


def _checked(study: Study, rig: Rig, run_id: RunId) -> ImagesTask:
    problems = [problem for problem in check(study, rig).problems if not problem.needed]
    if problems:
        raise ProtocolError(problems)
    return task_of(study, run_id.task)


def _closed(journal: JournalWriter) -> bool:
    try:
        journal.close()
    except FoolscanError:
        return False
    return True


def _end_aborted(folder: StudyFolder, run_id: RunId, performance: Performance) -> NoReturn:
    kept = set_aside_journal(folder.journal(run_id))
    raise RunAborted(
        f"{run_id.stem}: aborted ({performance.reason}) after {performance.end_s:.1f} s. The journal up to there is "
        f"{kept}; no events were written. Run it again with the same command"
    )


def _written(
    folder: StudyFolder, run_id: RunId, timeline: Path, screenshots: tuple[Path, ...], set_aside: Path | None, rig: Rig
) -> RunResult:
    journal = read_journal(folder.journal(run_id))
    enrol(folder, run_id.sub, simulated=rig.rehearsal)
    events = write_events(folder, journal)
    path, certificate = write_certificate(folder, journal, events)
    return RunResult(run_id, events, journal.path, timeline, path, certificate, screenshots, set_aside)
