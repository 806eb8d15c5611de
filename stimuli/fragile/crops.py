"""Windows of a picture as a network's input, cut out and resized where the network computes: no pixel comes back meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from protocols.problems import FoolscanError
from stimuli.fragile.on_processor import WindowByWindow
from stimuli.fragile.resampling import BITS, taps
from stimuli.fragile.windows import Grid, Places
from stimuli.synthesis.starts import ByteImage

How = Literal["resized", "centred", "in_place"]
Filter = Literal["pil_bilinear", "torch_bilinear"]

Cut = Callable[[Places], Tensor]
"""Windows, (n_windows, 2), to a network's input, (n_windows, 3, size_px, size_px), float32, 0 to 255, on its device."""


def cutter(
    picture: ByteImage,
    side: int,
    size_px: int,
    device: torch.device,
    how: How = "resized",
    resize: Filter = "pil_bilinear",
) -> Cut:
    """What cuts windows of one side out of a picture.

    picture : (height, width, 3), uint8.
    side    : of the windows, pixels.
    size_px : side of the network's input.
    how     : 'resized': the window fills the input; 'centred': it lies, not resized, in the middle of black; 'in_place': it
              stays where it is in the picture, of which the rest is black.
    resize  : 'pil_bilinear': Pillow's bytes; 'torch_bilinear': those of `interpolate`, window by window.

    Raises FoolscanError when a window, or for 'in_place' the picture, does not fit into the input without resizing.
    """
    grid = Grid(picture.shape[0], picture.shape[1], side)
    if how == "resized":
        of_filter = {"pil_bilinear": _as_pillow, "torch_bilinear": _as_torch}
        return of_filter[resize](picture, grid, size_px, device)
    if how == "in_place" and picture.shape[:2] != (size_px, size_px):
        raise FoolscanError(
            f"crops: in_place: found a picture of {grid.width} x {grid.height} pixels; the network's input is {size_px} x "
            f"{size_px}: give pictures of that size, or use resized or centred"
        )
    if side > size_px:
        raise FoolscanError(
            f"crops: {how}: found windows of {side} pixels; the network's input is {size_px}: use resized, or smaller windows"
        )
    return _on_black(picture, grid, size_px, device, in_place=how == "in_place")


def _as_torch(picture: ByteImage, grid: Grid, size_px: int, device: torch.device) -> Cut:
    windows = _every_window(picture, grid, device)

    def cut(places: Places) -> Tensor:
        chosen = _chosen(windows, places)
        return functional.interpolate(chosen, size=(size_px, size_px), mode="bilinear", align_corners=False)

    return cut


def _on_black(picture: ByteImage, grid: Grid, size_px: int, device: torch.device, *, in_place: bool) -> Cut:
    windows, middle = _every_window(picture, grid, device), (size_px - grid.side) // 2

    def cut(places: Places) -> Tensor:
        black = torch.zeros((len(places), 3, size_px, size_px), device=device)
        if not in_place:
            black[..., middle : middle + grid.side, middle : middle + grid.side] = _chosen(windows, places)
            return black
        for field, window, (row, column) in zip(black, _chosen(windows, places), places.tolist(), strict=True):
            field[:, row : row + grid.side, column : column + grid.side] = window
        return black

    return cut


def _every_window(picture: ByteImage, grid: Grid, device: torch.device) -> Tensor:
    """A view of the picture with all its windows, (rows, columns, 3, side, side), float32: no pixel is copied."""
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).to(device, torch.float32).permute(2, 0, 1)
    return pixels.unfold(1, grid.side, 1).unfold(2, grid.side, 1).permute(1, 2, 0, 3, 4)


def _chosen(windows: Tensor, places: Places) -> Tensor:
    rows, columns = torch.from_numpy(places.T.copy()).to(windows.device)
    return windows[rows, columns].contiguous()


@dataclass(frozen=True)
class _Bands:
    """Parts of picture columns that several windows share: each is resampled across once, whatever lies in it.

    columns : left column of the windows of every line, (n_lines,).
    rows    : row of the picture of every line, (n_lines,).
    begins  : for each window, the line that it begins at, (n_windows,).
    """

    columns: Places
    rows: Places
    begins: Places


def _bands(places: Places, side: int) -> _Bands:
    """Windows of one column that overlap or touch are one band of lines; others are bands of their own."""
    order = np.lexsort((places[:, 0], places[:, 1]))
    rows, columns = places[order].T
    follows = (np.diff(columns) == 0) & (np.diff(rows) <= side)
    new = np.concatenate([[True], ~follows])
    band = np.cumsum(new) - 1
    first = rows[new]
    last = rows[np.concatenate([~follows, [True]])] + side
    lengths = last - first
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    begins = np.empty(len(places), np.int64)
    begins[order] = offsets[band] + rows - first[band]
    within = np.arange(lengths.sum()) - np.repeat(offsets, lengths)
    return _Bands(np.repeat(columns[new], lengths), np.repeat(first, lengths) + within, begins)


def _as_pillow(picture: ByteImage, grid: Grid, size_px: int, device: torch.device) -> Cut:
    """Pillow resamples across, rounds to 8 bits, then resamples down; lines that windows share are done once."""
    return (_one_by_one if device.type == "cpu" else _all_at_once)(picture, grid, size_px, device)


def _one_by_one(picture: ByteImage, grid: Grid, size_px: int, _device: torch.device) -> Cut:
    windows = WindowByWindow(picture, grid.side, size_px)

    def cut(places: Places) -> Tensor:
        bands = _bands(places, grid.side)
        return windows.cut(places, bands.columns, bands.rows, bands.begins)

    return cut


def _all_at_once(picture: ByteImage, grid: Grid, size_px: int, device: torch.device) -> Cut:
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).to(device)
    found = taps(grid.side, size_px)
    sources = torch.from_numpy(found.sources).to(device)
    weights = torch.from_numpy(found.weights).to(device)

    def cut(places: Places) -> Tensor:
        bands = _bands(places, grid.side)
        columns, rows, begins = (
            torch.from_numpy(part).to(device) for part in (bands.columns, bands.rows, bands.begins)
        )
        lines = _weighed(
            lambda tap: pixels[rows[:, None], columns[:, None] + sources[:, tap]], weights[:, :, None]
        ).flatten(1)
        down = _weighed(
            lambda tap: lines.index_select(0, (begins[:, None] + sources[:, tap]).flatten()).view(
                len(places), size_px, -1
            ),
            weights[:, :, None],
        )
        return down.view(len(places), size_px, size_px, 3).permute(0, 3, 1, 2).to(torch.float32)

    return cut


def _weighed(values: Callable[[int], Tensor], weights: Tensor) -> Tensor:
    """The weighted sum over taps of 8-bit values, rounded to 8 bits: (…, size_px, n), uint8.

    weights : (size_px, n_taps, 1), int32, none negative, so that no sum leaves 0 to 255.
    """
    total = values(0).to(torch.int32).mul_(weights[:, 0])
    for tap in range(1, weights.shape[1]):
        total += values(tap).to(torch.int32).mul_(weights[:, tap])
    return total.add_(1 << (BITS - 1)).bitwise_right_shift_(BITS).to(torch.uint8)
