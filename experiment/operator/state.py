"""What the operator needs to know of a run, folded from its journal record by record."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from experiment.journal import Record
from experiment.operator.pulses import Pulses
from experiment.pulse_judge import EXTRA_SHARE

Phase = Literal["preparing", "waiting", "self-paced", "running", "complete", "aborted"]
Level = Literal["note", "alarm"]


@dataclass(frozen=True)
class PlannedRow:
    """What the operator's view needs of a row of the timeline."""

    trial: int | None
    trial_type: str
    stim_id: str | None
    expected_answer: str | None
    takes_presses: bool


@dataclass(frozen=True)
class Plan:
    """The part of a journal's header that the view needs.

    length_s : from the first pulse to the end of the last pulse-locked segment, s; 0 where the participant sets the pace.
    pulses   : expected over the run.
    scanner  : False at a desk, where the one "pulse" is the participant's start key.
    """

    run: str
    rehearsal: bool
    virtual: bool
    rows: tuple[PlannedRow, ...]
    n_trials: int
    length_s: float
    pulses: int
    tr_s: float
    pulse_interval_s: float
    scanner: bool
    answer_of_button: dict[str, str]
    response_window_s: float


@dataclass(frozen=True)
class ShownTrial:
    """An image that was on the screen, and the first press within its response window, if any yet.

    until_s : from when on presses belong to something else: the next image, a scale, a screen.
    """

    number: int
    trial_type: str
    stim_id: str
    expected_answer: str | None
    on_s: float
    until_s: float = math.inf
    press_s: float | None = None
    button: str | None = None
    response: str | None = None
    late: int = 0
    extra: int = 0

    @property
    def response_time_s(self) -> float | None:
        """From the flip that showed the image to the press, s."""
        return None if self.press_s is None else self.press_s - self.on_s

    @property
    def correct(self) -> bool | None:
        """Whether it was answered right; None without an answer, and where there is no right one (AN)."""
        if self.response is None or self.expected_answer is None:
            return None
        return self.response == self.expected_answer


@dataclass(frozen=True)
class Alert:
    """Something the operator should know.

    level : ``note``: it is logged, nothing need be done; ``alarm``: do something, or the run is lost.
    """

    level: Level
    text: str


@dataclass(frozen=True)
class RunState:
    """A run as its journal tells it up to some record; `at_start` is before the first.

    now_s  : the latest time in the journal, s on the run's clock.
    trial  : the trial that was shown last, from 1 (0: none yet).
    images : the trials with an image so far, in order.
    told   : what records themselves reported as wrong, keyed by what it is about.
    """

    plan: Plan | None = None
    phase: Phase = "preparing"
    segment: str = ""
    now_s: float = 0.0
    trial: int = 0
    showing: str = ""
    images: tuple[ShownTrial, ...] = ()
    pulses: Pulses = field(default_factory=Pulses)
    flips: int = 0
    late_flips: int = 0
    frames_dropped: int = 0
    presses: int = 0
    fixation_breaks: int = 0
    stopped: bool = False
    reason: str = ""
    told: tuple[tuple[str, Alert], ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the journal has its last word."""
        return self.phase in ("complete", "aborted")

    @property
    def elapsed_s(self) -> float:
        """Since the first pulse, s; 0 before it."""
        return max(0.0, self.now_s - self.pulses.first_s) if self.pulses.seen else 0.0

    @property
    def left_s(self) -> float:
        """To the planned end, s."""
        return max(0.0, self.plan.length_s - self.elapsed_s) if self.plan else 0.0

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the scanner's clock runs than this computer's, in parts per million (as in the certificate)."""
        slope_s = self.pulses.interval_s
        return None if slope_s is None or self.plan is None else (self.plan.pulse_interval_s / slope_s - 1.0) * 1e6

    @property
    def tr_s(self) -> float | None:
        """The scanner's TR as the pulses so far give it, s; None before the second."""
        slope_s = self.pulses.interval_s
        return None if slope_s is None or self.plan is None else slope_s / self.plan.pulse_interval_s * self.plan.tr_s

    @property
    def answered(self) -> int:
        """Image trials with a response within the window."""
        return sum(trial.press_s is not None for trial in self.images)

    @property
    def missed(self) -> int:
        """Image trials whose time for a response is over without one."""
        return sum(self.over(place) for place in range(len(self.images)) if self.images[place].press_s is None)

    @property
    def missed_streak(self) -> int:
        """How many of the latest trials whose time is over have no response, without a break."""
        streak = 0
        for place in range(len(self.images) - 1, -1, -1):
            if self.images[place].press_s is not None:
                break
            streak += self.over(place)
        return streak

    def over(self, place: int) -> bool:
        """Whether the time for a response to the image trial at a place is over."""
        window_s = self.plan.response_window_s if self.plan else 0.0
        trial = self.images[place]
        return trial.until_s < math.inf or self.ended or self.now_s - trial.on_s > window_s

    @property
    def accuracy(self) -> dict[str, tuple[int, int]]:
        """Stimulus set -> (right, answered), for sets whose images have a right answer (never AN)."""
        found: dict[str, tuple[int, int]] = {}
        for trial in self.images:
            if trial.correct is not None:
                right, of = found.get(trial.trial_type, (0, 0))
                found[trial.trial_type] = (right + trial.correct, of + 1)
        return found


at_start = RunState()


def fold(records: Iterable[Record], state: RunState = at_start) -> RunState:
    """The state after some records; records of unknown kinds, or that lack what they should have, change nothing."""
    for record in records:
        state = after(state, record)
    return state


def after(state: RunState, record: Record) -> RunState:
    """The state after one record."""
    step = _STEPS.get(record.get("kind", ""))
    if step is None:
        return state
    try:
        state = step(state, record)
        return replace(state, now_s=max(state.now_s, float(record.get("t_s", state.now_s))))
    except (KeyError, TypeError, ValueError, IndexError):
        return state


def _header(state: RunState, record: Record) -> RunState:
    scan, rows = record["scan"], tuple(_planned(row) for row in record["timeline"]["rows"])
    segments = {row.get("segment", "") for row in record["timeline"]["rows"] if row["trial"] is not None}
    run = record["run"]
    plan = Plan(
        run=f"sub-{run['sub']}_ses-{run['ses']}_task-{run['task']}_run-{run['run']:02d}",
        rehearsal=bool(record.get("rehearsal")),
        virtual=record.get("clock", {}).get("kind") == "virtual",
        rows=rows,
        n_trials=sum(row.trial is not None for row in rows),
        length_s=0.0 if len(segments) > 1 else float(record["length_s"]),
        pulses=int(scan["pulses"]),
        tr_s=float(scan["tr_s"]),
        pulse_interval_s=float(scan["tr_s"]) / int(scan.get("slices", 1)),
        scanner=scan.get("end_s") is not None,
        answer_of_button={button: answer for answer, button in record["session"]["button_of_answer"].items()},
        response_window_s=float(record["response_window_s"]),
    )
    return RunState(plan=plan, phase="waiting")


def _planned(row: dict[str, Any]) -> PlannedRow:
    takes_presses = not str(row["drawing"]).startswith(("nothing", "mask"))
    return PlannedRow(row["trial"], row["trial_type"], row["stim_id"], row["expected_answer"], takes_presses)


def _segment(state: RunState, record: Record) -> RunState:
    paced = state.plan is not None and not state.plan.length_s
    phase: Phase = "running" if state.pulses.seen else "waiting"
    if record["mode"] == "response_driven" and not (paced and state.pulses.seen):
        phase = "self-paced"
    return replace(state, phase=phase, segment=str(record["name"]))


def _flip(state: RunState, record: Record) -> RunState:
    state = replace(state, flips=state.flips + 1)
    if "shows" not in record or state.plan is None:
        return state
    place = record.get("row")
    if place is None or place < 0:
        waits = record["shows"] == "waiting" and not state.pulses.seen
        return replace(state, showing="", phase="waiting" if waits else state.phase)
    row = state.plan.rows[place]
    if row.takes_presses and state.images and state.images[-1].until_s == math.inf:
        before = replace(state.images[-1], until_s=float(record["t_s"]))
        state = replace(state, images=(*state.images[:-1], before))
    if row.trial is None:
        return replace(state, showing=row.stim_id or "")
    state = replace(state, trial=max(state.trial, row.trial), showing=row.stim_id or row.trial_type)
    if row.stim_id is None:
        return state
    shown = ShownTrial(row.trial, row.trial_type, row.stim_id, row.expected_answer, float(record["t_s"]))
    return replace(state, images=(*state.images, shown))


def _late(state: RunState, record: Record) -> RunState:
    dropped, late = state.frames_dropped + int(record["lost"]), state.late_flips + 1
    text = f"{dropped} frame{'s' * (dropped != 1)} dropped in {late} flip{'s' * (late != 1)}"
    return _tell(replace(state, frames_dropped=dropped, late_flips=late), "late", Alert("note", text))


def _pulse(state: RunState, record: Record) -> RunState:
    pulses, t_s = state.pulses, float(record["t_s"])
    phase: Phase = "running" if state.phase in ("preparing", "waiting") else state.phase
    interval_s = state.plan.pulse_interval_s if state.plan else 1.0
    verdict = record.get("verdict")
    extra = verdict == "extra" or (verdict is None and pulses.seen and t_s - pulses.last_s < EXTRA_SHARE * interval_s)
    if extra:
        pulses = replace(pulses, extra=pulses.extra + 1)
        text = f"{pulses.extra} extra pulse{'s' * (pulses.extra != 1)}: does the trigger line bounce?"
        return _tell(replace(state, pulses=pulses, phase=phase), "extra", Alert("note", text))
    if verdict == "off grid":
        pulses = replace(pulses, strays=pulses.strays + 1)
        text = f"a pulse came {1000 * float(record.get('error_s', 0.0)):+.0f} ms off its time: a volume's, or noise?"
        return _tell(replace(state, pulses=pulses, phase=phase), "off grid", Alert("note", text))
    missed_before = pulses.missed
    pulses = pulses.after(t_s, interval_s)
    if pulses.seen == 1:
        return replace(state, pulses=pulses, phase=phase)
    told = tuple(item for item in state.told if item[0] != "scanner")
    state = replace(state, pulses=pulses, phase=phase, stopped=False, told=told)
    if pulses.missed > missed_before:
        text = f"{pulses.missed} pulse{'s' * (pulses.missed != 1)} missed, the last before volume {pulses.number + 1}"
        return _tell(state, "missed", Alert("alarm", text))
    return state


def _scanner(state: RunState, record: Record) -> RunState:
    """What the judge of the pulses found between them (see `experiment.pulse_judge.PulseJudge.tick`)."""
    what = str(record["what"])
    if what == "finished":
        return replace(state, stopped=False)
    if what == "resumed":
        state = replace(state, stopped=False, told=tuple(item for item in state.told if item[0] != "scanner"))
        return _tell(
            state, "resumed", Alert("alarm", "the scanner had stopped and started again: is it the same scan?")
        )
    text = {
        "stopped": "the scanner has stopped",
        "pulse before start": "a pulse came while nobody waited for one: is the scanner running already?",
        "shifted": f"pulses come {1000 * float(record.get('shift_s', 0.0)):+.0f} ms beside their old times",
        "tr": f"a pulse every {float(record.get('interval_s', 0.0)):.4g} s, not every {record.get('planned_s', 0.0):.4g} s: "
        "is this the study's scan protocol?",
    }.get(what, f"scanner: {what}")
    about = "scanner" if what == "stopped" else f"scanner {what}"
    return _tell(replace(state, stopped=state.stopped or what == "stopped"), about, Alert("alarm", text))


def _press(state: RunState, record: Record) -> RunState:
    state = replace(state, presses=state.presses + 1)
    t_s, place = float(record["t_s"]), len(state.images) - 1
    while place >= 0 and state.images[place].on_s > t_s:
        place -= 1
    if place < 0 or state.plan is None or t_s >= state.images[place].until_s:
        return state
    trial = state.images[place]
    if t_s - trial.on_s > state.plan.response_window_s:
        trial = replace(trial, late=trial.late + 1)
    elif trial.press_s is not None and trial.press_s <= t_s:
        trial = replace(trial, extra=trial.extra + 1)
    else:
        button, more = str(record["button"]), trial.extra + (trial.press_s is not None)
        response = state.plan.answer_of_button.get(button)
        trial = replace(trial, press_s=t_s, button=button, response=response, extra=more)
    return replace(state, images=(*state.images[:place], trial, *state.images[place + 1 :]))


def _fault(state: RunState, record: Record) -> RunState:
    return _tell(state, f"fault {record['what']}", Alert("alarm", str(record["what"])))


def _gaze(state: RunState, record: Record) -> RunState:
    if record.get("what") != "fixation break":
        return state
    n = state.fixation_breaks + 1
    return _tell(replace(state, fixation_breaks=n), "gaze", Alert("note", f"{n} fixation break{'s' * (n != 1)}"))


def _end(state: RunState, record: Record) -> RunState:
    phase: Phase = "complete" if record.get("status") == "complete" else "aborted"
    return replace(state, phase=phase, reason=str(record.get("reason", "")), showing="")


def _tell(state: RunState, about: str, alert: Alert) -> RunState:
    """One alert per thing: what is told again replaces what was told before."""
    return replace(state, told=(*(item for item in state.told if item[0] != about), (about, alert)))


_STEPS = {
    "header": _header,
    "segment": _segment,
    "flip": _flip,
    "late": _late,
    "pulse": _pulse,
    "scanner": _scanner,
    "press": _press,
    "fault": _fault,
    "gaze": _gaze,
    "end": _end,
}
