"""Progress as people see it: a table that lives on a terminal, plain lines now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stimuli.progress import Pace, Progress, Tell, duration, per_s

LINE_EVERY_S = 15.0
REFRESHES_PER_S = 4.0
WIDEST_BAR = 30
GAP = 2
LONGEST_DURATION = len("9:59:59")

Clock = Callable[[], float]


@contextmanager
def shown(console: Console, clock: Clock = time.monotonic) -> Iterator[Tell]:
    """What may be told of progress, shown until the block ends.

    console : a terminal has a live table; a file or a pipe gets a line for each piece of work that ends, and one every
              `LINE_EVERY_S` meanwhile, without control codes.
    clock   : seconds, never backward.
    """
    paces: dict[str, Pace] = {}

    def note(progress: Progress) -> Pace:
        now = clock()
        pace = paces.setdefault(progress.what, Pace(progress, now))
        pace.told(progress, now)
        return pace

    def tell(progress: Progress) -> None:
        note(progress)

    if console.is_terminal and not console.is_dumb_terminal:
        with Live(
            get_renderable=lambda: table(in_view([*paces.values()], console.height - 2), clock(), console.width),
            console=console,
            refresh_per_second=REFRESHES_PER_S,
        ):
            yield tell
        return
    line_s = clock()

    def tell_in_lines(progress: Progress) -> None:
        nonlocal line_s
        was_over = progress.what in paces and paces[progress.what].latest.is_over
        pace, now = note(progress), clock()
        ends = progress.is_over and not was_over
        if ends or (progress.begun and now - line_s >= LINE_EVERY_S):
            line_s = now
            console.print(pace.line(now), markup=False, highlight=False, soft_wrap=True)

    yield tell_in_lines


def in_view(paces: Sequence[Pace], n_rows: int) -> Sequence[Pace]:
    """As many pieces of work as fit on a terminal: what is at work and what came before it, then what waits."""
    begun = sum(pace.latest.begun for pace in paces)
    first = max(0, begun - n_rows)
    return paces[first : first + max(1, n_rows)]


def table(paces: Sequence[Pace], now_s: float, width: int) -> Table:
    """One row for each piece of work; columns that nothing is told for are left out.

    now_s : by the clock of the paces.
    width : of the terminal, columns.
    """
    counts = any(pace.latest.failed is not None for pace in paces)
    steps = any(pace.latest.steps for pace in paces)
    heads = ["images", *(["right", "failed"] if counts else []), *(["restarts", "steps/s"] if steps else [])]
    names = max((len(pace.latest.what) for pace in paces), default=0)
    ratios = max((len(_ratio(pace.latest)) for pace in paces), default=0)
    grid = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    grid.add_column("", no_wrap=True)
    room = width - names - max(0, ratios - len("images")) - sum(len(head) + GAP for head in heads)
    room -= 2 * (LONGEST_DURATION + GAP)
    bar = max(0, min(WIDEST_BAR, room - GAP))
    if bar:
        grid.add_column("", width=bar)
    for head in [*heads, "time", "left"]:
        grid.add_column(head, justify="right", no_wrap=True)
    for pace in paces:
        cells = _cells(pace, now_s, counts, steps)
        line = [_bar(pace.latest, bar)] if bar else []
        grid.add_row(pace.latest.what, *line, *cells, style=None if pace.latest.begun else "dim")
    return grid


def _bar(progress: Progress, width: int) -> ProgressBar:
    return ProgressBar(progress.total, progress.done, width=width, complete_style="cyan", finished_style="green")


def _ratio(progress: Progress) -> str:
    return f"{progress.done}/{progress.total}"


def _cells(pace: Pace, now_s: float, counts: bool, steps: bool) -> list[Text]:
    progress, rate, left = pace.latest, pace.steps_per_s(now_s), pace.left_s(now_s)
    cells = [Text(_ratio(progress))]
    if counts:
        failed = progress.failed or 0
        known = progress.failed is not None and progress.begun
        cells.append(Text(f"{progress.done - failed}" if known else "", style="green"))
        cells.append(Text(f"{failed}" if known else "", style="bold red" if failed else "dim"))
    if steps:
        cells.append(Text(f"{progress.restarts}" if rate else "", style="yellow" if progress.restarts else "dim"))
        cells.append(Text(per_s(rate) if rate else ""))
    unknown = "" if progress.is_over or not progress.begun else "…"
    cells.append(Text(duration(pace.elapsed_s(now_s)) if progress.begun else ""))
    cells.append(Text(duration(left) if left is not None else unknown, style="cyan"))
    return cells
