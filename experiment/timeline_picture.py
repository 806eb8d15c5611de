"""The plan of a run as a picture: when each image comes, how the types follow one another, what the order can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from experiment.design_efficiency import Design
from experiment.order import type_transitions
from experiment.timeline import Row, Timeline

# Colours that stay apart for colour-blind readers (Okabe & Ito 2008).
COLOURS = {"RE": "#0072B2", "AN": "#D55E00", "AI": "#009E73", "blank": "#999999", "rest": "#E5E5E5"}
COLOURS |= {"mask": "#333333", "response": "#EFEFEF", "confidence": "#E69F00", "chosen": "#B37B00"}
OTHER = "#CC79A7"
INK, PALE = "black", "#555555"
LINE_S = 60.0
LEFT, WIDTH, HEIGHT, GAP = 110, 1400, 46, 18
MAP_PX = 260

Pen = ImageDraw.ImageDraw


@dataclass(frozen=True)
class _Axis:
    """A time axis that is broken into lines of a minute."""

    begin_s: float
    top: int

    def place(self, time_s: float) -> tuple[int, float]:
        """Line, and x of a time."""
        line, second = divmod(time_s - self.begin_s + 1e-9, LINE_S)
        return int(line), LEFT + WIDTH * second / LINE_S

    def y(self, line: int) -> int:
        """Upper edge of a line."""
        return self.top + line * (HEIGHT + GAP)


def timeline_picture(timeline: Timeline, design: Design | None) -> Image.Image:
    """The plan as a picture: a line per minute, a box per row, a tick per pulse; below them the order in numbers.

    timeline : the plan.
    design   : of its order; None where there is none.
    """
    rows = timeline.at_longest
    begin_s = min(0.0, timeline.scan.first_pulse_s)
    end_s = max((row.onset_s + row.duration_s for row in rows), default=begin_s)
    n_lines = int((end_s - begin_s - 1e-9) // LINE_S) + 1 if rows else 0
    axis = _Axis(begin_s, 128)
    below = axis.y(n_lines) + 24
    image = Image.new("RGB", (LEFT + WIDTH + 40, below + MAP_PX + 70), "white")
    pen = ImageDraw.Draw(image)
    pen.text((24, 18), timeline.run.stem, fill=INK, font=_font(26))
    pen.text((24, 54), _summary(timeline), fill=PALE, font=_font(16))
    _legend(pen, rows, 88)
    for line in range(n_lines):
        y = axis.y(line)
        pen.line((LEFT, y + HEIGHT, LEFT + WIDTH, y + HEIGHT), fill="#BBBBBB")
        pen.text((LEFT - 14, y + HEIGHT // 2), f"{begin_s + line * LINE_S:.0f} s", PALE, _font(16), anchor="rm")
    for row in rows:
        _box(pen, axis, row)
    for number in range(timeline.scan.pulses if timeline.scan.end_s is not None else 0):
        line, x = axis.place(timeline.scan.pulse_s(number))
        if line < n_lines:
            pen.line((x, axis.y(line) + HEIGHT, x, axis.y(line) + HEIGHT + 5), fill=INK)
    _transitions(pen, rows, 24, below)
    if design is not None:
        _order_rdm(image, pen, timeline.rows, design, (620, below))
    return image


def _summary(timeline: Timeline) -> str:
    others = [segment for segment in timeline.segments if segment.mode == "response_driven"]
    parts = [
        f"{timeline.length_s:g} s from the first pulse",
        f"{timeline.scan.pulses} pulses, TR {timeline.scan.tr_s:g} s",
    ]
    if others:
        kinds = dict.fromkeys(segment.name.rstrip("0123456789 ").partition(" chosen")[0] for segment in others)
        kinds = dict.fromkeys(kind.rstrip("0123456789 ") for kind in kinds)
        parts.append(f"self-paced, drawn at their time-outs: {', '.join(kinds)}")
    return "   ·   ".join(parts)


def _legend(pen: Pen, rows: Sequence[Row], y: int) -> None:
    x: float = 24
    for kind in dict.fromkeys(row.trial_type for row in rows):
        pen.rectangle((x, y, x + 18, y + 18), fill=COLOURS.get(kind, OTHER))
        pen.text((x + 26, y + 9), kind, INK, _font(17), anchor="lm")
        x += 56 + pen.textlength(kind, font=_font(17))
    pen.text((x, y + 9), "small ticks: pulses", PALE, _font(15), anchor="lm")


def _box(pen: Pen, axis: _Axis, row: Row) -> None:
    onset_s, left_s = row.onset_s, row.duration_s
    while left_s > 1e-9:
        line, x = axis.place(onset_s)
        here_s = min(left_s, LINE_S - (onset_s - axis.begin_s + 1e-9) % LINE_S)
        y = axis.y(line)
        right = x + max(1.0, WIDTH * here_s / LINE_S - 1)
        pen.rectangle((x, y + 8, right, y + HEIGHT - 2), fill=COLOURS.get(row.trial_type, OTHER))
        onset_s, left_s = onset_s + here_s, left_s - here_s


def _transitions(pen: Pen, rows: Sequence[Row], x: int, y: int) -> None:
    """A table: how often each type follows each."""
    trials = [(row.trial_type, "") if row.stim_id else None for row in rows if row.trial is not None]
    counts = type_transitions(trials)
    kinds = list(dict.fromkeys(kind for pair in counts for kind in pair))
    pen.text((x, y), "How often each type follows each", fill=INK, font=_font(18))
    pen.text((x, y + 26), "blank trials left out; rows: before, columns: after", fill=PALE, font=_font(14))
    cell, top = 78, y + 62
    for column, kind in enumerate(kinds, start=1):
        pen.text((x + cell * column + cell / 2, top + 14), kind, COLOURS.get(kind, OTHER), _font(17), anchor="mm")
    for line, before in enumerate(kinds, start=1):
        middle = top + 14 + 40 * line
        pen.text((x + cell / 2, middle), before, COLOURS.get(before, OTHER), _font(17), anchor="mm")
        for column, after in enumerate(kinds, start=1):
            count = str(counts[before, after])
            pen.text((x + cell * column + cell / 2, middle), count, INK, _font(17), anchor="mm")


def _order_rdm(image: Image.Image, pen: Pen, rows: Sequence[Row], design: Design, at: tuple[int, int]) -> None:
    """The order-model RDM as a map, images sorted by type, and the design's numbers beside it."""
    x, y = at
    kinds = {row.stim_id: row.trial_type for row in rows if row.stim_id}
    order = sorted(range(len(design.stim_ids)), key=lambda i: (kinds.get(design.stim_ids[i], ""), design.stim_ids[i]))
    rdm = design.order_rdm[np.ix_(order, order)]
    reach = max(0.05, float(np.abs(rdm[np.triu_indices(len(order), 1)] - 1).max()))
    level = np.clip((rdm - 1) / reach, -1, 1)
    np.fill_diagonal(level, 0)
    low, high = np.array([0, 114, 178.0]), np.array([213, 94, 0.0])
    strength = np.abs(level)[..., None]
    pixels = np.rint(255 * (1 - strength) + strength * np.where(level[..., None] < 0, low, high)).astype(np.uint8)
    scale = max(1, MAP_PX // len(order))
    side = scale * len(order)
    image.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST), (x, y + 54))
    pen.rectangle((x, y + 54, x + side, y + 54 + side), outline="#BBBBBB")
    pen.text((x, y), "What the order alone writes into the patterns", fill=INK, font=_font(18))
    pen.text((x, y + 26), f"order-model RDM, images sorted by type; 1 {_PM} {reach:.2f}", fill=PALE, font=_font(14))
    facts = [
        ("blue", "estimates err together (closer than 1)"),
        ("orange", "estimates err oppositely (farther than 1)"),
        ("", ""),
        ("efficiency", f"{design.efficiency:.3g}  images against rest"),
        ("", f"{design.difference_efficiency:.3g}  between two images"),
        ("inflation", f"{np.median(design.inflation):.2f}  median of the images"),
        ("", f"{design.inflation.max():.2f}  largest"),
    ]
    for line, (name, text) in enumerate(facts):
        pen.text(
            (x + side + 30, y + 58 + 28 * line),
            name,
            {"blue": "#0072B2", "orange": "#D55E00"}.get(name, PALE),
            _font(16),
        )
        pen.text((x + side + 130, y + 58 + 28 * line), text, INK, _font(16))


_PM = "\N{PLUS-MINUS SIGN}"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
