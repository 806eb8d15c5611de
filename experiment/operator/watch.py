"""Shows a run while it lasts: drawn where there is a terminal, in plain lines where there is none."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from experiment.operator.alerts import alerts
from experiment.operator.follow import Follower, newest_journal
from experiment.operator.state import RunState
from experiment.operator.view import LiveView, plain_line
from protocols.folder import StudyFolder

LOOK_S = 0.2  # five looks a second: enough to read by, and nothing that the run could feel
SAY_S = 15.0  # without a terminal, a line at least this often
GONE_S = 30.0  # after this long without a word a run that has not ended never will: its program was killed


class Screen:
    """Where the state of a run is shown.

    console : the operator's terminal, or a file.
    """

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console, self._now = console, now
        self._live = (
            Live(console=console, screen=True, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._said: tuple[object, ...] | None = None
        self._said_s = 0.0

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, state: RunState, silent_s: float = 0.0, asking: str = "") -> None:
        """Show the state as it is now; plain lines come when something has changed."""
        if self._live is not None:
            self._live.update(LiveView(state, silent_s, asking), refresh=True)
            return
        levels = tuple(alert.level for alert in alerts(state, silent_s))
        news = (asking,) if asking else (state.phase, state.plan is None, levels)
        if news != self._said or self._now() - self._said_s > SAY_S:
            self._said, self._said_s = news, self._now()
            line = asking or plain_line(state, silent_s)
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def counted_interrupts() -> Iterator[Callable[[], int]]:
    """While the block runs Ctrl-C is only counted; gives a function that says how often it came."""
    count = [0]
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return

    def add(number: int, frame: FrameType | None) -> None:
        count[0] += 1

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, add)
    try:
        yield lambda: count[0]
    finally:
        signal.signal(signal.SIGINT, before)


def watch(
    root: Path,
    console: Console,
    *,
    sub: str = "",
    ses: str = "",
    run: int | None = None,
    until_end: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> RunState:
    """Follow the journal that was written to last, and the next one when a run has ended; Ctrl-C ends the view only.

    root          : the study folder.
    sub, ses, run : only journals of these (empty, None: any).
    until_end     : return when the run has ended, or has said nothing for `GONE_S`.

    Returns the state that was shown last.
    """
    folder, follower, state = StudyFolder(root), None, RunState()
    with counted_interrupts() as interrupts, Screen(console) as screen:
        while not interrupts():
            newest = newest_journal(folder, sub, ses, run)
            gone = follower is not None and follower.silent_s > GONE_S
            over = follower is None or ((follower.state.ended or gone) and newest != follower.reading)
            if newest is not None and over:
                follower, gone = Follower(newest), False
            if follower is not None:
                state = follower.look()
                screen.show(state, follower.silent_s)
                if until_end and (state.ended or gone):
                    return state
            else:
                screen.show(state)
            sleep(LOOK_S)
    return state
