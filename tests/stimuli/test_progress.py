"""Progress: a time left that can be believed, a table that lives on a terminal, plain lines in a log."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from protocols.folder import StudyFolder
from protocols.study import Study
from stimuli.make import make
from stimuli.progress import Pace, Progress, duration
from stimuli.progress_view import LINE_EVERY_S, in_view, shown, table

CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(*times: tuple[float, int], total: int = 40, found: int = 0) -> Pace:
    pace = Pace(Progress("AN", found, total, 0), 0.0)
    for now, done in times:
        pace.told(Progress("AN", done, total, 0), now)
    return pace


def test_the_time_left_is_unknown_until_an_image_is_made_and_there_is_none_at_the_end():
    assert told().left_s(100.0) is None
    assert told((1.0, 30), found=30).left_s(5.0) is None  # found finished: they say nothing of the pace
    assert told((10.0, 40)).left_s(10.0) is None


def test_images_that_were_there_before_do_not_make_the_rest_seem_quick():
    assert told((10.0, 31), found=30).left_s(10.0) == pytest.approx(90.0)


def test_between_two_images_the_time_left_is_counted_down_and_never_below_one_image():
    pace = told((20.0, 10))
    assert [pace.left_s(now) for now in (20.0, 30.0, 79.5, 300.0)] == pytest.approx([60.0, 50.0, 2.0, 2.0])


@given(slots=st.integers(1, 64), burst_s=st.floats(0.1, 100.0), share=st.floats(0.0, 0.9))
def test_slots_that_finish_together_do_not_make_it_flicker(slots: int, burst_s: float, share: float):
    """Bursts at a steady rate: whatever moment is asked, the time left is what it will be."""
    finishes = [(burst_s * burst, slots * burst - mate) for burst in range(1, 4) for mate in range(slots - 1, -1, -1)]
    pace = told(*finishes, total=slots * 10)
    now = burst_s * (3 + share)
    assert pace.left_s(now) == pytest.approx(burst_s * 10 - now)


def test_a_set_that_waits_has_not_begun_and_one_that_is_over_keeps_its_time():
    pace = Pace(Progress("AI", 0, 4, begun=False), 0.0)
    assert pace.elapsed_s(50.0) == 0.0
    pace.told(Progress("AI", 0, 4, 0), 60.0)
    pace.told(Progress("AI", 4, 4, 1, 2, 300), 70.0)
    assert pace.elapsed_s(500.0) == 10.0
    assert pace.line(500.0) == "AI: 4/4, 3 right, 1 failed, 2 restarts, 30 steps/s, 0:10"


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "0:07"), (59.6, "1:00"), (750.0, "12:30"), (11100.0, "3:05:00")])
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


def at_work(clock: Clock, console: Console) -> None:
    with shown(console, clock) as tell:
        tell(Progress("RE", 0, 4, begun=False))
        tell(Progress("AN", 0, 4, begun=False))
        for done in range(5):
            tell(Progress("RE", done, 4, 0))
        for step in range(1000):
            clock.now += 0.05
            tell(Progress("AN", step // 300, 4, int(step > 700), 2, 8 * step))
        tell(Progress("AN", 4, 4, 1, 2, 8000))
        tell(Progress("AN", 4, 4, 1, 2, 8000))


def test_a_log_gets_a_line_for_each_set_and_one_now_and_then_without_control_codes():
    log, clock = io.StringIO(), Clock()
    at_work(clock, Console(file=log, width=40))
    lines = log.getvalue().splitlines()
    assert lines[0] == "RE: 4/4, 4 right, 0 failed, 0:00"
    assert lines[-1] == "AN: 4/4, 3 right, 1 failed, 2 restarts, 160 steps/s, 0:50"
    assert len(lines) == 2 + int(50 / LINE_EVERY_S)
    assert re.fullmatch(r"AN: 0/4, 0 right, 0 failed, 2 restarts, 1\d\d steps/s, 0:15", lines[1])
    assert all(re.search(r"\d left$", line) for line in lines[2:-1])
    assert not CODES.search(log.getvalue())
    assert "\r" not in log.getvalue()


def test_a_terminal_has_a_table_that_ends_with_every_set_as_it_came_out():
    screen, clock = io.StringIO(), Clock()
    at_work(clock, Console(file=screen, width=80, height=24, force_terminal=True))
    assert CODES.search(screen.getvalue())
    last = CODES.sub("", screen.getvalue()).split("images")[-1]
    assert re.search(r"RE\s+━+\s+4/4\s+4\s+0\s+0:00", last)
    assert re.search(r"AN\s+━+\s+4/4\s+3\s+1\s+2\s+160\s+0:50", last)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_failures_and_the_time_left_are_seen_on_terminals_of_any_width(width: int):
    pace = Pace(Progress("AN", 0, 400, 0), 0.0)
    pace.told(Progress("AN", 100, 400, 7, 3, 5000), 50.0)
    text = io.StringIO()
    Console(file=text, width=width).print(table([pace], 60.0, width))
    assert all(len(line) <= width for line in text.getvalue().splitlines())
    if width >= 60:
        assert re.search(r"100/400\s+93\s+7\s+3\s+83\s+1:00\s+2:20", text.getvalue())


def test_where_nothing_can_fail_nothing_is_said_of_failures():
    pace = Pace(Progress("draw train pictures", 1, 4), 0.0)
    assert pace.line(2.0) == "draw train pictures: 1/4, 0:02"
    text = io.StringIO()
    Console(file=text, width=80).print(table([pace], 2.0, 80))
    assert "failed" not in text.getvalue()


def test_on_a_short_terminal_the_set_at_work_is_in_view():
    over = [told((1.0, 40)) for _ in range(30)]
    waits = [Pace(Progress("later", 0, 4, begun=False), 0.0) for _ in range(30)]
    seen = in_view([*over, told((1.0, 1)), *waits], 10)
    assert (len(seen), seen[-1].latest.done) == (10, 1)
    assert len(in_view([told((1.0, 1)), *waits], 10)) == 10


def test_making_tells_of_every_set_every_step_and_every_image(study: Study, finished: StudyFolder, folder: StudyFolder):
    (folder.stimuli / "AN").rename(folder.root / "away")
    heard: list[Progress] = []
    make(study, folder, "cpu", progress=heard.append)
    assert [(p.what, p.done) for p in heard[:3]] == [("RE", 0), ("AN", 0), ("AI", 0)]
    assert not any(p.begun for p in heard[:3])
    last = {progress.what: progress for progress in heard}
    assert all((p.done, p.total, p.failed, p.is_over) == (4, 4, 0, True) for p in last.values())
    noise = [progress for progress in heard if progress.what == "AN" and progress.begun]
    assert (noise[0].done, noise[-1].done) == (0, 4)
    assert sorted({p.steps for p in noise})[-1] > 4
    assert [p.steps for p in noise] == sorted(p.steps for p in noise)
    assert last["RE"].steps == 0
