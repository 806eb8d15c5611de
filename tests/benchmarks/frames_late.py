"""Frames that come late at random: are they logged exactly, do they move a later onset, and when does the run end?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from _record import measure_once
from _small_study import stimuli_of

from experiment.clock import VirtualClock
from experiment.compiler import compile_timeline
from experiment.conductor import conduct
from experiment.responses import EmulatedResponses
from experiment.stage import NullStage
from experiment.timeline import Timeline
from experiment.triggers import EmulatedTriggers
from protocols.folder import RunId
from protocols.rig import load_rig
from protocols.session import record_for
from protocols.study import load_study

RUNS = 24
SHARES = (0.002, 0.02, 0.1)  # of the flips; a run with many late frames is as exact as one with few
MOST_LATE = 6  # frames

TARGETS = {
    "late_flips_injected": "many",
    "late_flips_logged_wrongly": "0",
    "onsets_moved_by_an_earlier_late_frame": "0",
    "runs_ended_off_their_planned_frame": "0",
}


@dataclass
class Memory:
    """A journal kept in memory."""

    failure: OSError | None = None
    records: list[dict[str, Any]] = field(default_factory=list)

    def put(self, record: dict[str, Any]) -> None:
        """Keep one record."""
        self.records.append(record)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The records of one kind."""
        return [record for record in self.records if record["kind"] == kind]


def timelines() -> Iterator[Timeline]:
    """Runs of the published experiment: 278 volumes of 2 s, 120 images and blank trials."""
    study, rig = load_study("zhang2018"), load_rig("rehearsal")
    stimuli = stimuli_of(study.stimuli.n_categories)
    for number in range(RUNS):
        run = RunId(f"{number // 4 + 1:02d}", "01", study.analysis.task, number % 4 + 1)
        record = record_for(study, run.sub, run.ses, run.task, rehearsal=True)
        timeline = compile_timeline(study, rig, record, stimuli, run)
        locked = tuple(segment for segment in timeline.segments if segment.mode == "pulse_locked")
        yield replace(timeline, segments=locked)  # self-paced screens have no planned frames


def injected(timeline: Timeline, first: int, rng: np.random.Generator, share: float) -> dict[int, int]:
    """Late flips of a run from its flip `first` on; the last frames are spared, so that the end itself can be on time."""
    late: dict[int, int] = {}
    end_frame = round(timeline.length_s * timeline.refresh_hz)
    due, flip = 0, first
    while due < end_frame - MOST_LATE:
        frames = int(rng.integers(1, MOST_LATE + 1)) if rng.random() < share else 0
        if frames:
            late[flip] = frames
        due, flip = due + frames + 1, flip + 1
    return late


def landings(timeline: Timeline, begin: int, late: Mapping[int, int], first: int) -> list[tuple[int, int]]:
    """The frame each flip was due in and the frame it came in, worked out from the late flips alone.

    begin : frame, counted from the first pulse, in which flip `first` is due.
    """
    end_frame = round(timeline.length_s * timeline.refresh_hz)
    found, due, flip = [], begin, first
    while True:
        found.append((due, due + late.get(flip, 0)))
        if due >= end_frame:
            return found
        due, flip = found[-1][1] + 1, flip + 1


def measure() -> dict[str, float]:
    """Play all runs with a simulated clock that draws every frame, and hold each journal against what was injected."""
    counts = dict.fromkeys(TARGETS, 0)
    for number, timeline in enumerate(timelines()):
        rng = np.random.default_rng(number)
        hz = timeline.refresh_hz
        plan = load_rig("rehearsal").trigger
        waiting = round(plan.delay_s * hz) + 1  # flips before the first one that has a plan
        late = injected(timeline, waiting, rng, SHARES[number % len(SHARES)])
        journal = Memory()
        conduct(
            timeline,
            NullStage(),
            VirtualClock(hz, "every", late),
            EmulatedTriggers(plan, timeline.scan, rng),
            EmulatedResponses({}),
            journal,
        )
        played = [flip for flip in journal.of("flip") if "frame" in flip]
        logged = {record["n"]: record["lost"] for record in journal.of("late")}
        counts["late_flips_injected"] += len(late)
        counts["late_flips_logged_wrongly"] += sum(
            late.get(flip["n"], 0) != logged.get(flip["n"], 0) for flip in played
        ) + len(late.keys() - {flip["n"] for flip in played})
        expected = landings(timeline, played[0]["frame"], late, played[0]["n"])
        zero_s = journal.of("pulse")[0]["t_s"]
        onset_of = {flip["row"]: round((flip["t_s"] - zero_s) * hz) for flip in played if flip.get("row") is not None}
        for index, row in enumerate(timeline.rows):
            right = next((came for due, came in expected if due >= row.frame), None)
            ended = next((due for due, _ in expected if due >= row.frame), 0) >= row.frame + row.n_frames
            counts["onsets_moved_by_an_earlier_late_frame"] += not ended and onset_of.get(index) != right
        end_frame = round((played[-1]["t_s"] - zero_s) * hz)
        counts["runs_ended_off_their_planned_frame"] += end_frame != round(timeline.length_s * hz)
    return {name: float(count) for name, count in counts.items()}


def met(figures: Mapping[str, float]) -> bool:
    """Whether every late frame was logged exactly, none moved an onset, and every run ended on time."""
    return figures["late_flips_injected"] > 1000 and not any(
        value for name, value in figures.items() if name != "late_flips_injected"
    )


if __name__ == "__main__":
    what = f"{RUNS} runs of 556 s with up to {MOST_LATE} frames lost at random flips ({', '.join(map(str, SHARES))} of them)"
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met))
