"""A chart of fragility over window sizes: each network's rates for each type, with their intervals (figures 5, A.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from protocols.tables import number
from stimuli.contact_sheet import INK, PAPER, QUIET, font
from stimuli.fragile.definitions import FRAGILE_TYPES, FragileType
from stimuli.fragile.rates import EVERYTHING
from stimuli.synthesis.starts import ByteImage

COLOURS = ("#0b6fb8", "#c8401b", "#1f8a5b", "#7b4fa3", "#a67c00", "#3c3f46")
"""Of networks, in the order of the table; told apart by every kind of colour vision together with their marks."""
PANEL_W, PANEL_H, GAP_PX, MARGIN_PX, AXIS_PX = 500, 330, 60, 48, 66
FINE = 3
"""How many times larger lines are drawn, to be smooth when they are reduced."""


@dataclass(frozen=True)
class Point:
    """A mean rate, per cent.

    of_these : interval over all windows of these pictures; None: all were looked at.
    of_such  : interval over pictures like these; None: there is but one.
    """

    proportion: float
    rate: float
    of_these: tuple[float, float] | None
    of_such: tuple[float, float] | None


Series = dict[FragileType, dict[str, list[Point]]]
"""Type -> network -> points, in the order of proportions."""


def series_of(rows: Sequence[Mapping[str, str]]) -> Series:
    """The points of ``rates_mean.tsv``, over all pictures; sides that the study gives in pixels have no place on the axis."""
    found: Series = {kind: {} for kind in FRAGILE_TYPES}
    for row in rows:
        proportion = number(row["proportion"])
        if row["supercategory"] != EVERYTHING or math.isnan(proportion):
            continue
        kind = next(kind for kind in FRAGILE_TYPES if kind == row["type"])
        of_these = _interval(row["ci_low"], row["ci_high"]) if row["estimate"] == "sample" else None
        of_such = _interval(row["ci_low_such_pictures"], row["ci_high_such_pictures"])
        point = Point(proportion, 100 * number(row["rate"]), of_these, of_such)
        found[kind].setdefault(row["network"], []).append(point)
    for networks in found.values():
        for points in networks.values():
            points.sort(key=lambda point: point.proportion)
    return found


def _interval(low: str, high: str) -> tuple[float, float] | None:
    ends = 100 * number(low), 100 * number(high)
    return None if any(map(math.isnan, ends)) else ends


def chart(title: str, notes: Sequence[str], series: Series) -> ByteImage:
    """Four panels, one for each type; loose and strict ones have axes of their own.

    Returns (height, width, 3).
    """
    networks = list(dict.fromkeys(name for of_type in series.values() for name in of_type))
    top = MARGIN_PX + 34 + 26 * len(notes) + 68
    cell_w, cell_h = PANEL_W + AXIS_PX + GAP_PX, PANEL_H + 110
    size = (2 * MARGIN_PX + 2 * cell_w - GAP_PX, top + 2 * cell_h)
    lines = Image.new("RGB", (size[0] * FINE, size[1] * FINE), PAPER)
    corners = {
        kind: (MARGIN_PX + AXIS_PX + place % 2 * cell_w, top + 34 + place // 2 * cell_h)
        for place, kind in enumerate(("loose_shift", "loose_shrink", "strict_shift", "strict_shrink"))
    }
    scales = {kind: _highest(series, kind.split("_")[0]) for kind in FRAGILE_TYPES}
    pen = ImageDraw.Draw(lines)
    for kind in FRAGILE_TYPES:
        _draw_panel(pen, corners[kind], series[kind], networks, scales[kind])
    _draw_legend_marks(pen, networks, top)
    sheet = lines.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN_PX, MARGIN_PX - 14), title, fill=INK, font=font(34))
    for place, note in enumerate(notes):
        draw.text((MARGIN_PX, MARGIN_PX + 36 + 26 * place), note, fill=QUIET, font=font(18))
    for name, left in zip(networks, _legend_lefts(networks), strict=True):
        draw.text((left + 34, top - 34), name, fill=INK, font=font(20), anchor="lm")
    for kind in FRAGILE_TYPES:
        _letter_panel(draw, corners[kind], kind, series[kind], scales[kind])
    return np.asarray(sheet)


def _highest(series: Series, strictness: str) -> float:
    """The upper end of an axis, per cent: a round number above everything that is drawn."""
    ends = [
        end
        for kind, networks in series.items()
        if kind.startswith(strictness)
        for points in networks.values()
        for point in points
        for end in (point.rate, *(point.of_these or ()), *(point.of_such or ()))
    ]
    largest = max([*ends, 0.1])
    step = 10 ** math.floor(math.log10(largest))
    return next(step * times for times in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 20) if step * times >= largest * 0.999)


def _ticks(highest: float) -> list[float]:
    step = 10 ** math.floor(math.log10(highest))
    each = next(part for part in (step / 5, step / 2, step, 2 * step) if highest / part <= 5.001)
    return [each * place for place in range(round(highest / each) + 1)]


def _x(proportion: float, shown: Sequence[float]) -> float:
    """Where a proportion lies across a panel, 0 to 1: from a little before the smallest to a little after the largest."""
    low, high = min(shown), max(shown)
    room = 0.12 * (high - low) or 0.1
    return (proportion - low + room) / (high - low + 2 * room)


def _shown(series: Mapping[str, Sequence[Point]]) -> list[float]:
    return sorted({point.proportion for points in series.values() for point in points})


def _draw_panel(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    series: Mapping[str, Sequence[Point]],
    networks: Sequence[str],
    highest: float,
) -> None:
    left, top = corner

    def at(proportion: float, rate: float, aside: float = 0.0) -> tuple[float, float]:
        x = left + PANEL_W * _x(proportion, _shown(series)) + aside
        return FINE * x, FINE * (top + PANEL_H * (1 - rate / highest))

    for tick in _ticks(highest):
        y = FINE * (top + PANEL_H * (1 - tick / highest))
        pen.line((FINE * left, y, FINE * (left + PANEL_W), y), fill="#e6e8eb", width=FINE)
    pen.line(
        (FINE * left, FINE * (top + PANEL_H), FINE * (left + PANEL_W), FINE * (top + PANEL_H)), fill=INK, width=FINE
    )
    for place, network in enumerate(networks):
        colour, points = COLOURS[place % len(COLOURS)], series.get(network, ())
        aside = 9.0 * (place - (len(networks) - 1) / 2)  # intervals of several networks do not cover one another
        path = [at(point.proportion, point.rate, aside) for point in points]
        if len(path) > 1:
            pen.line([xy for corner in path for xy in corner], fill=colour, width=2 * FINE, joint="curve")
        for point, (x, y) in zip(points, path, strict=True):
            for interval, width in ((point.of_such, 1), (point.of_these, 5)):
                if interval:
                    ends = [at(point.proportion, end, aside)[1] for end in interval]
                    pen.line((x, ends[0], x, ends[1]), fill=colour, width=width * FINE)
            _mark(pen, x, y, colour, place)


def _mark(pen: ImageDraw.ImageDraw, x: float, y: float, colour: str, place: int) -> None:
    """A disc, a square or a diamond: networks are told apart without colours, too."""
    half = 6 * FINE
    if place % 3 == 0:
        pen.ellipse((x - half, y - half, x + half, y + half), fill=colour, outline=PAPER, width=FINE)
    elif place % 3 == 1:
        pen.rectangle((x - half, y - half, x + half, y + half), fill=colour, outline=PAPER, width=FINE)
    else:
        far = 1.35 * half
        pen.polygon((x, y - far, x + far, y, x, y + far, x - far, y), fill=colour, outline=PAPER)


def _legend_lefts(networks: Sequence[str]) -> list[int]:
    lefts, left = [], MARGIN_PX
    for name in networks:
        lefts.append(left)
        left += 34 + int(font(20).getlength(name)) + 40
    return lefts


def _draw_legend_marks(pen: ImageDraw.ImageDraw, networks: Sequence[str], top: int) -> None:
    for place, left in enumerate(_legend_lefts(networks)):
        x, y, colour = FINE * (left + 12), FINE * (top - 34), COLOURS[place % len(COLOURS)]
        pen.line((x - 12 * FINE, y, x + 12 * FINE, y), fill=colour, width=2 * FINE)
        _mark(pen, x, y, colour, place)


def _letter_panel(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    kind: FragileType,
    series: Mapping[str, Sequence[Point]],
    highest: float,
) -> None:
    left, top = corner
    draw.text((left, top - 14), kind.replace("_", " "), fill=INK, font=font(22), anchor="ls")
    for tick in _ticks(highest):
        y = top + PANEL_H * (1 - tick / highest)
        draw.text((left - 10, y), f"{tick:g} %", fill=INK, font=font(17), anchor="rm")
    if not _shown(series):
        draw.text((left + PANEL_W / 2, top + PANEL_H / 2), "nothing looked at", fill=QUIET, font=font(18), anchor="mm")
    for proportion in _shown(series):
        x = left + PANEL_W * _x(proportion, _shown(series))
        draw.text((x, top + PANEL_H + 10), f"{proportion:g}", fill=INK, font=font(17), anchor="mt")
    draw.text((left + PANEL_W / 2, top + PANEL_H + 36), "P, side of windows", fill=QUIET, font=font(17), anchor="mt")
