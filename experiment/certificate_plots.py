"""The small plots of a certificate, as SVG: values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np

from experiment.events import Event
from experiment.journal import Journal
from experiment.pulse_report import judged_pulses, scan_of

INK, FAINT, BAND = "#20262e", "#c9ced6", "#eef1f5"
RIGHT, WRONG, NEITHER, MISSED = "#0a7d3c", "#c2182b", "#3568b0", "#b07400"
Cell = Literal["on time", "early", "late", "off grid", "missing", "not awaited"]
CELL_COLOURS: dict[Cell, str] = {
    **dict.fromkeys(("early", "late", "off grid"), "#b07400"),
    "on time": "#3a9c68",
    "missing": "#c2182b",
    "not awaited": FAINT,
}
FONT = "font-family='DejaVu Sans, Arial, sans-serif' font-size='9'"


@dataclass(frozen=True)
class Frame:
    """Where a plot's points go: data ranges, and the box in which they are drawn (px)."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 340.0
    height: float = 124.0
    left: float = 44.0
    bottom: float = 26.0
    top: float = 6.0

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point, px from the upper left."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0]) * (self.width - self.left - 6)
        up = (y - self.y[0]) / (self.y[1] - self.y[0]) * (self.height - self.bottom - self.top)
        return self.left + across, self.height - self.bottom - up


def onset_plot(events: Sequence[Event], frame_s: float, length_s: float) -> str:
    """How far each onset was from its plan, ms, over the run; half a frame to either side is a grey band.

    frame_s, length_s : duration of a frame and of the run, s.
    """
    errors_ms = [1000 * (event.onset - event.planned_onset) for event in events]
    half_ms = 500 * frame_s
    reach = max([1.2 * half_ms, *(1.1 * abs(error) for error in errors_ms)])
    frame = Frame((0.0, max(length_s, 1.0)), (-reach, reach))
    upper, lower = frame.at(0, half_ms), frame.at(frame.x[1], -half_ms)
    parts = [_rect(upper[0], upper[1], lower[0] - upper[0], lower[1] - upper[1], BAND)]
    tick_ms = half_ms if reach < 3 * half_ms else _round_below(reach)
    parts += _axes(frame, "time in the run (s)", (-tick_ms, 0.0, tick_ms), "ms")
    for event, error_ms in zip(events, errors_ms, strict=True):
        x, y = frame.at(event.planned_onset, error_ms)
        parts.append(_dot(x, y, WRONG if abs(error_ms) > 2 * half_ms else INK, 1.7))
    return _svg(frame, parts)


def _round_below(value: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 … that is not above a value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(step for step in (1, 2, 5) if step * power <= value * (1 + 1e-9)))


def interval_plot(journal: Journal, frame_s: float) -> str | None:
    """How many frames lasted how long, in refreshes; counts on a logarithmic scale. None where frames take no real time."""
    if journal.header["clock"]["kind"] == "virtual":
        return None
    stamps_s = [flip["t_s"] for flip in journal.of("flip") if "frame" in flip]
    if len(stamps_s) < 3:
        return None
    intervals = np.diff(np.array(stamps_s)) / frame_s
    edges = np.concatenate([np.arange(0, 4.01, 0.1), [np.inf]])
    counts, _ = np.histogram(intervals, edges)
    frame = Frame((0.0, 4.2), (0.0, max(1.0, float(np.log10(counts.max() + 1)))))
    ticks = tuple(float(power) for power in range(int(frame.y[1]) + 1))
    parts = _axes(
        frame, "interval between flips (refreshes)", ticks, "", [f"{10 ** int(tick)}" for tick in ticks], step=1.0
    )
    for place, count in enumerate(counts):
        if count:
            left, top = frame.at(min(0.1 * place, 4.0), float(np.log10(count + 1)))
            late = place >= 15
            parts.append(_rect(left, top, 6.5, frame.at(0, 0)[1] - top, WRONG if late else INK))
    return _svg(frame, parts)


def pulse_cells(journal: Journal) -> list[Cell]:
    """One cell per volume of the plan: how its pulse came; the run may have ended before it was awaited."""
    slices, pulses = scan_of(journal).slices, judged_pulses(journal)
    cells: list[Cell] = ["missing"] * -(-pulses.awaited // slices)
    cells += ["not awaited"] * (-(-pulses.planned // slices) - len(cells))
    for number, verdict in pulses.verdicts.items():
        if 0 <= number // slices < len(cells):
            cells[number // slices] = verdict if verdict in ("early", "late", "off grid") else "on time"
    return cells


def rows_of_cells(n_cells: int) -> int:
    """How many rows the grid of the pulses has."""
    return -(-n_cells // _per_row(n_cells))


def _per_row(n_cells: int) -> int:
    return 60 if n_cells <= 420 else 100


def pulse_plot(cells: Sequence[Cell]) -> str:
    """The volumes as a grid, in reading order; longer rows when there are many."""
    per_row = _per_row(len(cells))
    size, gap = 9.8, 1.9
    rows = -(-len(cells) // per_row)
    parts = []
    for place, cell in enumerate(cells):
        x, y = (place % per_row) * (size + gap), (place // per_row) * (size + gap)
        if cell in ("missing", "not awaited"):
            parts.append(
                f"<rect x='{x + 0.5:.1f}' y='{y + 0.5:.1f}' width='{size - 1:.1f}' height='{size - 1:.1f}' fill='none' "
                f"stroke='{CELL_COLOURS[cell]}'/>"
            )
        else:
            parts.append(_rect(x, y, size, size, CELL_COLOURS[cell]))
    width, height = min(per_row, max(1, len(cells))) * (size + gap), max(1, rows) * (size + gap)
    return _wrapped(width, height, parts, full=len(cells) >= per_row)


def response_plot(events: Sequence[Event], window_s: float, length_s: float) -> str:
    """Response times over the run; trials without a response stand on the lowest line.

    window_s, length_s : the response window and the length of the run, s.
    """
    images = [event for event in events if event.stim_id is not None]
    times_s = [event.response_time for event in images if event.response_time is not None]
    top_s = min(window_s, max([1.0, *(1.15 * time_s for time_s in times_s)]))
    frame = Frame((0.0, max(length_s, 1.0)), (-0.12 * top_s, top_s), width=520.0, height=140.0)
    ticks = tuple(float(tick) for tick in np.arange(0, top_s + 1e-9, 0.5 if top_s <= 2.5 else 1.0))
    parts = _axes(frame, "time in the run (s)", ticks, "s")
    for event in images:
        x, y = frame.at(event.onset, event.response_time if event.response_time is not None else -0.06 * top_s)
        if event.response_time is None:
            parts.append(_cross(x, y, MISSED))
        elif event.correct is None:
            parts.append(_dot(x, y, NEITHER, 2.2))
        elif event.correct:
            parts.append(_dot(x, y, RIGHT, 2.2))
        else:
            parts.append(_cross(x, y, WRONG))
    return _svg(frame, parts)


def _axes(
    frame: Frame,
    label: str,
    y_ticks: Sequence[float],
    unit: str,
    y_names: Sequence[str] | None = None,
    step: float | None = None,
) -> list[str]:
    base = frame.height - frame.bottom
    parts = [f"<line x1='{frame.left}' y1='{base}' x2='{frame.width - 6}' y2='{base}' stroke='{FAINT}'/>"]
    names = y_names or [f"{tick:.2g} {unit}".strip() for tick in y_ticks]
    for tick, name in zip(y_ticks, names, strict=True):
        _, y = frame.at(frame.x[0], tick)
        parts.append(f"<line x1='{frame.left}' y1='{y:.1f}' x2='{frame.width - 6}' y2='{y:.1f}' stroke='{BAND}'/>")
        parts.append(_text(frame.left - 4, y + 3, name.replace("-", "−"), "end"))
    span = frame.x[1] - frame.x[0]
    step = step or next(size for size in (1, 2, 5, 10, 20, 50, 60, 120, 300, 600, 3600) if span / size <= 8)
    for tick in np.arange(frame.x[0], frame.x[1] + 1e-9, step):
        x, _ = frame.at(float(tick), frame.y[0])
        parts.append(_text(x, base + 11, f"{tick:.0f}", "middle"))
    parts.append(_text((frame.left + frame.width) / 2, frame.height - 3, label, "middle"))
    return parts


def _svg(frame: Frame, parts: Sequence[str]) -> str:
    return _wrapped(frame.width, frame.height, parts)


def _wrapped(width: float, height: float, parts: Sequence[str], *, full: bool = True) -> str:
    size = "width='100%'" if full else f"width='{width:.0f}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' {size}>"
    return "\n".join([head, *parts, "</svg>"])


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' fill='{colour}'/>"


def _dot(x: float, y: float, colour: str, radius: float) -> str:
    return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius}' fill='{colour}'/>"


def _cross(x: float, y: float, colour: str) -> str:
    lines = " ".join(f"M{x - 2.4 * side:.1f},{y - 2.4:.1f}L{x + 2.4 * side:.1f},{y + 2.4:.1f}" for side in (1, -1))
    return f"<path d='{lines}' stroke='{colour}' stroke-width='1.6'/>"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='#5b6470' {FONT}>{escape(text)}</text>"
