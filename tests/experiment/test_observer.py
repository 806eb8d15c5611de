"""The emulated observer does what the study file says of it."""

from __future__ import annotations

import numpy as np
import pytest
from experiment_study import stimulus

from experiment.drawings import Picture, Rating, Words
from experiment.observer import paced_reactions, reactions
from experiment.rows import RowMaker
from experiment.scan import ScanTimes
from experiment.timeline import Row, Segment, Timeline
from protocols.folder import RunId
from protocols.rig import load_rig
from protocols.study import SimulatedObserver

OBSERVER = SimulatedObserver(
    accuracy={"RE": 0.9, "AI": 0.8, "AN": 0.5},
    animal_bias=0.3,
    miss_rate=0.05,
    rt_median_s=0.65,
    rt_spread=0.3,
    rt_floor_s=0.25,
)
BUTTONS = {"animal": "left", "not_animal": "right"}


def trials(kind: str, n: int = 4000) -> list[Row]:
    image = stimulus(kind, "otter")
    answer = None if kind == "AN" else "animal"
    return [
        Row(0.0, 0, 60, 1.0, k + 1, kind, image.stim_id, "f", "s", "otter", True, answer, 0, Picture(image.stim_id))
        for k in range(n)
    ]


def pressed(kind: str) -> tuple[float, np.ndarray]:
    """Share of animal answers among those given, and all reaction times."""
    found = reactions(OBSERVER, trials(kind), ("animal", "not_animal"), BUTTONS, 1, "run")
    assert len(found) / 4000 == pytest.approx(0.95, abs=0.02)
    return float(np.mean([r.button == "left" for r in found.values()])), np.array([r.time_s for r in found.values()])


@pytest.mark.parametrize(("kind", "share"), [("RE", 0.9), ("AI", 0.8), ("AN", 0.3)])
def test_it_answers_with_the_accuracy_of_the_set_and_by_bias_where_nothing_is_right(kind: str, share: float):
    assert pressed(kind)[0] == pytest.approx(share, abs=0.03)


def test_reaction_times_are_a_floor_plus_a_log_normal():
    _, times_s = pressed("RE")
    assert times_s.min() > 0.25
    assert np.median(times_s) == pytest.approx(0.65, abs=0.02)
    assert np.std(np.log(times_s - 0.25)) == pytest.approx(0.3, abs=0.02)


def test_one_trial_does_not_change_the_others():
    every = reactions(OBSERVER, trials("RE", 50), ("animal", "not_animal"), BUTTONS, 1, "run")
    later = reactions(OBSERVER, trials("RE", 50)[10:], ("animal", "not_animal"), BUTTONS, 1, "run")
    assert {number: reaction for number, reaction in every.items() if number > 10} == later
    assert every != reactions(OBSERVER, trials("RE", 50), ("animal", "not_animal"), BUTTONS, 1, "run2")


def test_it_is_surer_when_it_is_right_and_reads_every_screen():
    rig = load_rig("rehearsal")
    images = [stimulus("RE", "otter")] * 600
    segments = []
    for number, image in enumerate(images, start=1):
        make = RowMaker(f"trial {number}", rig).row
        shown = make(0.0, 0.1, "RE", trial=number, stimulus=image, answer="animal")
        segments.append(Segment(f"trial {number}", "response_driven", (shown,), until=("left", "right"), timeout_s=2.0))
        scale = RowMaker(f"confidence {number}", rig).row(0.0, 1.0, "confidence", drawing=Rating(("a", "b", "c", "d")))
        buttons = ("1", "2", "3", "4")
        segments.append(Segment(f"confidence {number}", "response_driven", (scale,), until=buttons, timeout_s=2.0))
    screen = RowMaker("end", rig).row(0.0, 1.0, "screen", drawing=Words("The end"))
    segments.append(Segment("end", "response_driven", (screen,), until=("right",)))
    scan = ScanTimes(1.0, 0.0, 1, 0.0, None)
    timeline = Timeline(RunId("01", "01", "animals", 1), 60.0, scan, 2.0, tuple(segments), 0)
    of_trials = reactions(OBSERVER, timeline.trials, ("animal", "not_animal"), BUTTONS, 1, "run")
    found = paced_reactions(OBSERVER, timeline, of_trials, BUTTONS, 1)
    assert found[screen].button == "right"
    assert found[screen].time_s > 1.5
    sure: dict[bool, list[int]] = {True: [], False: []}
    for segment in timeline.segments:
        if segment.name.startswith("confidence"):
            number = int(segment.name.split()[1])
            if number in of_trials:
                sure[of_trials[number].button == "left"].append(int(found[segment.rows[0]].button))
    assert np.mean(sure[True]) == pytest.approx(1 + 3 * 0.75, abs=0.15)
    assert np.mean(sure[False]) == pytest.approx(1 + 3 * 0.4, abs=0.4)
