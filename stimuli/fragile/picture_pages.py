"""The pages of one picture: its maps, a network's confidence across it, and windows that are told apart (figures 3, 4, A.9, A.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stimuli.contact_sheet import INK, QUIET, Line
from stimuli.fragile.definitions import FRAGILE_TYPES, FragileType
from stimuli.fragile.found import Found, Seen
from stimuli.fragile.mapping import Side
from stimuli.fragile.pages import Plate, Row, page
from stimuli.fragile.pairs import Pair, Window, drawn_pair
from stimuli.fragile.plates import (
    TO_RIGHT,
    TO_WRONG,
    correctness_plate,
    enlarged,
    factor,
    fragile_plate,
    scale_plate,
    with_window,
)
from stimuli.fragile.reading import CONFIDENCE, LABEL
from stimuli.fragile.sources import PictureToMap
from stimuli.synthesis.starts import ByteImage

ROOM_PX, CROP_ROOM_PX = 256, 208
"""Sides that maps and crops are enlarged to at most, by whole factors."""
GAP_PX = 6


def maps_page(picture: PictureToMap, pixels: ByteImage, network: str, seen: Sequence[Seen]) -> ByteImage:
    """The picture, its correctness map and its fragile recognition maps, a row for each side of windows.

    pixels : (height, width, 3), of the picture.
    seen   : its whole maps under one network.
    """
    rows = [Row(side_in_words(one.side), (_picture_plate(pixels, one.side), *_map_plates(one))) for one in seen]
    heads = ["picture", "correctness", *(in_words(kind) for kind in FRAGILE_TYPES)]
    notes = [
        f"{network}; {picture.category.replace('_', ' ')}, {picture.width} x {picture.height} px; every pixel of a map is one window, "
        "at stride 1",
        "loose: any changed window flips; strict: all do; shift: by 1 px; shrink: by 2 px; pale ground: light where right, grey where "
        "wrong",
    ]
    return page(f"{picture.picture_id}: fragile recognition", notes, rows, heads)


def confidence_page(picture: PictureToMap, pixels: ByteImage, networks: Mapping[str, Mapping[Side, Seen]]) -> ByteImage:
    """The probability that each network gives the true class in every window, a row for each side, a column a network.

    networks : name -> side -> its whole map.
    """
    rows = []
    for side in dict.fromkeys(side for seen in networks.values() for side in seen):
        plates = [_confidence_plate(seen.get(side)) for seen in networks.values()]
        rows.append(Row(side_in_words(side), (_picture_plate(pixels, side), *plates)))
    notes = [
        f"{picture.category.replace('_', ' ')}, {picture.width} x {picture.height} px; every pixel of a map is one window, at stride 1"
    ]
    title = f"{picture.picture_id}: confidence in the true class"
    return page(title, notes, rows, ["picture", *networks], bar="probability")


def pairs_page(picture: PictureToMap, pixels: ByteImage, found: Found, seen: Sequence[Seen]) -> ByteImage | None:
    """A pair of windows for each side and type: the one that is recognised on the left; None where there is no such pair.

    seen : of the picture, whole maps or samples.
    """
    rows, anything = [], False
    for one in seen:
        plates = []
        for kind in FRAGILE_TYPES:
            pair = drawn_pair(one, kind, "both", found.plan.top_k, found.seed)
            anything = anything or pair is not None
            plates.append(
                Plate(None, (("none found", QUIET),)) if pair is None else pair_plate(pair, pixels, found.classes)
            )
        rows.append(Row(side_in_words(one.side), tuple(plates)))
    if not anything:
        return None
    judged = "top 1" if found.plan.top_k == 1 else f"top {found.plan.top_k}"
    notes = [
        f"{found.name}; {picture.category.replace('_', ' ')}; left: recognised ({judged}), right: not; one pair of each type, drawn at "
        "random",
        "red: the fragile window is right; blue: it is wrong; a shrunk window is drawn where it lies in the fragile one (thin frame)",
    ]
    title = f"{picture.picture_id}: windows a pixel or two apart"
    return page(title, notes, rows, [in_words(kind) for kind in FRAGILE_TYPES])


def pair_plate(pair: Pair, pixels: ByteImage, classes: Sequence[str], room_px: int = CROP_ROOM_PX) -> Plate:
    """Both windows of a pair side by side, and what the network says of them."""
    times = factor((pair.side.grid.side,), room_px)
    right, wrong = pair.right_one_first
    fields = [_in_frame(pair, window, pixels, times) for window in (right, wrong)]
    gap = np.full((fields[0].shape[0], GAP_PX, 3), 255, np.uint8)
    image = np.concatenate([fields[0], gap, fields[1]], axis=1)
    down, across = pair.offset
    change = (
        f"{moved(down, across)}"
        if pair.altered.side == pair.fragile.side
        else f"{pair.fragile.side} to {pair.altered.side} px"
    )
    lines: tuple[Line, ...] = (
        (f"left: {says(right, classes, pair)}", INK),
        (f"right: {says(wrong, classes, pair)}", TO_WRONG if pair.fragile.correct else TO_RIGHT),
        (f"row {pair.fragile.row}, column {pair.fragile.column}; {change}", QUIET),
    )
    return Plate(image, lines)


def says(window: Window, classes: Sequence[str], pair: Pair) -> str:
    """``rabbit (elephant 31.2 %)``: the class named, and the true one's probability."""
    number = int(window.reading[LABEL])
    named = _class(classes[number] if number < len(classes) else f"class {number}")
    true = pair.picture.network_class
    own = _class(true if isinstance(true, str) else classes[true] if true < len(classes) else f"class {true}")
    sure = f"{100 * float(window.reading[CONFIDENCE]):.1f} %"
    return f"{named} {sure}" if named == own else f"{named} ({own} {sure})"


def moved(down: int, across: int) -> str:
    """``1 px up, 1 px left``."""
    parts = [f"{abs(down)} px {'down' if down > 0 else 'up'}"] if down else []
    parts += [f"{abs(across)} px {'right' if across > 0 else 'left'}"] if across else []
    return ", ".join(parts)


def percent(share: float) -> str:
    """``12.3 %``; a share that would be rounded away keeps two digits, ``0.0074 %``."""
    shown = 100 * share
    return f"{shown:.1f} %" if shown >= 0.1 else f"{shown:.2g} %"


def in_words(kind: FragileType) -> str:
    """``loose shift``."""
    return kind.replace("_", " ")


def side_in_words(side: Side) -> str:
    """``P = 0.4: windows of 51 x 51 px``."""
    told = f"windows of {side.grid.side} x {side.grid.side} px"
    return told if side.proportion is None else f"P = {side.proportion:g}: {told}"


def _class(label: str) -> str:
    short = label.replace("_", " ").split(",")[0]
    return short if len(short) <= 18 else f"{short[:16]}..."


def _in_frame(pair: Pair, window: Window, pixels: ByteImage, times: int) -> ByteImage:
    """A window as it lies in the frame of the fragile one, which a shifted window fills itself."""
    crop = enlarged(pixels[window.row : window.row + window.side, window.column : window.column + window.side], times)
    side = pair.fragile.side * times
    field = np.full((side + 2, side + 2, 3), 154, np.uint8)
    field[1:-1, 1:-1] = 255
    shifted = window.side == pair.fragile.side
    top = 1 + (0 if shifted else times * (window.row - pair.fragile.row))
    left = 1 + (0 if shifted else times * (window.column - pair.fragile.column))
    field[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return field


def _picture_plate(pixels: ByteImage, side: Side) -> Plate:
    """The picture with the window in its middle outlined."""
    times, window = factor(pixels.shape, ROOM_PX), side.grid.side
    row, column = (pixels.shape[0] - window) // 2, (pixels.shape[1] - window) // 2
    rows, columns = side.grid.shape
    lines: tuple[Line, ...] = (("outlined: one window", QUIET), (f"of {rows * columns}", QUIET))
    return Plate(with_window(pixels, times, row, column, window), lines)


def _map_plates(seen: Seen) -> list[Plate]:
    shape = seen.side.grid.shape
    times = factor(shape, ROOM_PX)
    correct = seen.looked.correct.reshape(shape)
    size = f"{shape[1]} x {shape[0]} windows, {times} px each"
    plates = [
        Plate(
            enlarged(correctness_plate(correct), times),
            ((f"{percent(float(correct.mean()))} right", INK), ("white: right", QUIET), (size, QUIET)),
        )
    ]
    for kind in FRAGILE_TYPES:
        if kind not in seen.looked.signs:
            plates.append(Plate(None, (("windows too small", QUIET),)))
            continue
        signs = seen.looked.signs[kind].reshape(shape)
        to_incorrect, to_correct = float((signs > 0).mean()), float((signs < 0).mean())
        lines: tuple[Line, ...] = (
            (f"{percent(to_incorrect + to_correct)} fragile", INK),
            (f"right to wrong {percent(to_incorrect)}", TO_WRONG),
            (f"wrong to right {percent(to_correct)}", TO_RIGHT),
        )
        plates.append(Plate(enlarged(fragile_plate(signs, correct), times), lines))
    return plates


def _confidence_plate(seen: Seen | None) -> Plate:
    if seen is None:
        return Plate(None, (("not mapped in full", QUIET),))
    shape = seen.side.grid.shape
    values = seen.itself[:, CONFIDENCE].reshape(shape)
    times = factor(shape, ROOM_PX)
    steps = np.concatenate([np.abs(np.diff(values, axis=0)).ravel(), np.abs(np.diff(values, axis=1)).ravel()])
    steepest = f"largest step of 1 px: {steps.max():.2f}" if steps.size else ""
    lines: tuple[Line, ...] = (
        (f"mean {values.mean():.2f}", INK),
        (steepest, INK),
        (f"{shape[1]} x {shape[0]} windows, {times} px each", QUIET),
    )
    return Plate(enlarged(scale_plate(values), times), lines)
