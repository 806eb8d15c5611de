"""How far the mapping is, as people see it: a live line for each network on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from stimuli.fragile.mapping import Told
from stimuli.progress import duration, per_s

LINE_EVERY_S = 15.0

Clock = Callable[[], float]
Tell = Callable[[str, Told], None]


@contextmanager
def shown(console: Console, clock: Clock = time.monotonic) -> Iterator[Tell]:
    """What may be told of the mapping, shown until the block ends.

    console : a terminal has a live line for each network; a file or a pipe gets one every `LINE_EVERY_S` and at the end.
    clock   : seconds, never backward.
    """
    begun: dict[str, float] = {}
    if not console.is_terminal or console.is_dumb_terminal:
        yield _in_lines(console, clock, begun)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24, complete_style="cyan", finished_style="green"),
        TextColumn("{task.fields[line]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as progress:

        def tell(network: str, told: Told) -> None:
            if network not in tasks:
                tasks[network], begun[network] = progress.add_task(network, total=told.total, line=""), clock()
            text = line(told, clock() - begun[network])
            progress.update(tasks[network], completed=told.done, total=told.total, line=text)

        yield tell


def _in_lines(console: Console, clock: Clock, begun: dict[str, float]) -> Tell:
    latest_s = clock()

    def tell(network: str, told: Told) -> None:
        nonlocal latest_s
        now = clock()
        first = network not in begun
        begun.setdefault(network, now)
        if now - latest_s >= LINE_EVERY_S or (told.done >= told.total and not first):
            latest_s = now
            console.print(
                f"{network}: {line(told, now - begun[network])}", markup=False, highlight=False, soft_wrap=True
            )

    return tell


def line(told: Told, elapsed_s: float) -> str:
    """``4481/90720 windows, 212/s, 6:47 left, 11.5 % loose shift so far``."""
    made = told.done - told.found
    parts = [f"{told.done}/{told.total} windows"]
    if made > 0 and elapsed_s > 0:
        rate = made / elapsed_s
        parts.append(f"{per_s(rate)}/s")
        parts.append(
            f"{duration((told.total - told.done) / rate)} left" if told.done < told.total else duration(elapsed_s)
        )
    if told.fragile is not None:
        parts.append(f"{100 * told.fragile:.1f} % loose shift so far")
    return ", ".join(parts)
