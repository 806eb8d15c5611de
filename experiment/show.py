"""Everything one run needs, ready to be played; its journal is closed whatever happens."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np

from experiment.attempts import Attempt, set_aside_journal
from experiment.clock import FrameClock
from experiment.conductor import SWITCH_INTERVAL_S, Log, Performance, conduct
from experiment.eyetracker import EyeTracker
from experiment.faults import Faults, FaultyTriggers, StormyResponses, value_of
from experiment.gaze_log import with_gaze
from experiment.journal import JOURNAL_FORMAT, JournalWriter, Record
from experiment.ports import Ports
from experiment.pulse_judge import PulseJudge
from experiment.responses import ResponseSource
from experiment.rigging import interruptible, open_responses, open_triggers, stopper
from experiment.stage import Stage
from experiment.timeline import Timeline
from experiment.triggers import TriggerSource
from protocols.folder import REHEARSAL_NOTE, StudyFolder
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of_bytes, versions
from protocols.rig import Rig
from protocols.seeds import generator_for
from protocols.session import SessionRecord
from protocols.study import ImagesTask, Study


@dataclass(frozen=True)
class Show:
    """Everything one run needs, ready to be played."""

    study: Study
    rig: Rig
    task: ImagesTask
    record: SessionRecord
    timeline: Timeline
    stage: Stage
    clock: FrameClock
    faults: Faults = ()
    earlier: tuple[Attempt, ...] = ()
    eye_tracker: EyeTracker | None = None

    def play(
        self,
        journal_writer: Callable[[], JournalWriter],
        pictures_of: dict[int, str],
        folder: StudyFolder,
        begun: Callable[[], None] = lambda: None,
    ) -> Performance:
        """Header, run, last word; the journal is closed whatever happens, and set aside when there was an error.

        begun : told when all is open and the run begins.
        """
        if self.stage.keys is not None:
            self.stage.keys.start_over()
        with closing(Ports(self.rig, self.clock.now_s)) as ports, closing(self.triggers(ports)) as triggers:
            responses = self.responses(ports)
            journal = journal_writer()
            performance = None
            reason = "an error"
            try:
                journal.put(self.header(triggers, responses, folder))
                begun()
                with self.with_gaze(journal, folder) as log:
                    performance = self.conduct(triggers, responses, log, pictures_of, ports.news)
                reason = performance.reason
            except Exception as error:
                reason = str(error)
                raise
            finally:
                journal.put(self.last_word(performance, reason))
                written = _closed(journal)
                if performance is None:
                    set_aside_journal(journal.path)
        if not written:
            set_aside_journal(journal.path)
            journal.check()
        return performance

    def triggers(self, ports: Ports) -> TriggerSource:
        """The rig's pulses, and what shall go wrong with them."""
        source = open_triggers(self.study, self.rig, self.timeline, self.stage, self.clock, ports)
        if not self.faults:
            return source
        return FaultyTriggers(source, self.faults, self.generator("pulses"))

    def responses(self, ports: Ports) -> ResponseSource:
        """The rig's buttons, and what shall go wrong with them."""
        source = open_responses(self.study, self.rig, self.task, self.record, self.timeline, self.stage, ports)
        per_s = value_of(self.faults, "button-storm")
        if per_s is None:
            return source
        return StormyResponses(source, self.task.buttons, per_s, self.generator("buttons"))

    def generator(self, faults_of: str) -> np.random.Generator:
        """Where one source's faults come from."""
        return generator_for(self.study.seed, f"faults/{faults_of}/{self.timeline.run.stem}")

    def with_gaze(self, journal: JournalWriter, folder: StudyFolder) -> AbstractContextManager[Log]:
        """The journal, through which the rig's eye tracker hears every event."""
        radius_deg = self.rig.eye_tracker.fixation_radius_deg if self.rig.eye_tracker is not None else 0.0
        kept = folder.root / "sourcedata" / "eyetracking"
        return with_gaze(journal, self.eye_tracker, radius_deg, self.timeline.run.stem, self.clock, kept)

    def conduct(
        self,
        triggers: TriggerSource,
        responses: ResponseSource,
        journal: Log,
        pictures_of: dict[int, str],
        warnings: Callable[[], list[str]],
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
                waiting=self.timeline.waiting,
                judge=PulseJudge(self.timeline.scan),
                stop=stopper(self.stage, self.rig, interrupted),
                warnings=warnings,
                pictures_of=pictures_of,
            )

    def last_word(self, performance: Performance | None, reason: str) -> Record:
        """The journal's last record."""
        complete = performance is not None and performance.complete
        end: Record = {"kind": "end", "status": "complete" if complete else "aborted", "reason": reason}
        end["t_s"] = round(self.clock.now_s(), 6)
        if performance is not None and not self.clock.virtual:
            end["urgency"] = performance.urgency
            cost_s = performance.loop_cost_s
            for name, value in (
                ("median", np.median(cost_s)),
                ("p99", np.percentile(cost_s, 99)),
                ("max", cost_s.max()),
            ):
                end[f"loop_cost_{name}_s"] = round(float(value), 6)
        return end

    def header(self, triggers: TriggerSource, responses: ResponseSource, folder: StudyFolder) -> Record:
        """The journal's first record: the whole plan and its circumstances, so that the journal speaks for itself."""
        timeline = self.timeline
        return {
            "kind": "header",
            "format": JOURNAL_FORMAT,
            "run": asdict(timeline.run),
            "attempt": len(self.earlier) + 1,
            "continues": folder.relative(self.earlier[-1].journal) if self.earlier else None,
            "rehearsal": self.rig.rehearsal,
            "note": REHEARSAL_NOTE if self.rig.rehearsal else "",
            "study": self.study.name,
            "study_sha256": self.study.sha256,
            "rig": self.rig.name,
            "rig_sha256": sha256_of_bytes(self.rig.model_dump_json().encode()),
            "session": {name: value for name, value in asdict(self.record).items() if name != "study_keys"},
            "question": self.task.question,
            "instructions": timeline.waiting.text,
            "response_window_s": timeline.response_window_s,
            "rating": timeline.rating,
            "refresh_hz": timeline.refresh_hz,
            "display": self.rig.display.model_dump(include={"width_mm", "distance_mm", "size_px"}),
            "length_s": timeline.length_s,
            "scan": asdict(timeline.scan),
            "clock": self.clock.facts(),
            "stage": self.stage.facts(),
            "triggers": triggers.facts(),
            "responses": responses.facts(),
            "eye_tracker": None if self.eye_tracker is None else self.eye_tracker.facts(),
            "faults": [str(fault) for fault in self.faults],
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


def _closed(journal: JournalWriter) -> bool:
    try:
        journal.close()
    except FoolscanError:
        return False
    return True
