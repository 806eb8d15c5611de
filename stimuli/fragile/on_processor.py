"""Pillow's resampling of windows on a processor: a window at a time, so that what is added up stays in its cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stimuli.fragile.resampling import BITS, taps
from stimuli.fragile.windows import Places
from stimuli.synthesis.starts import ByteImage

HALF = 1 << (BITS - 1)


class WindowByWindow:
    """Resamples windows of one side: parts of picture columns that several share across once, then each window down."""

    def __init__(self, picture: ByteImage, side: int, size_px: int) -> None:
        found = taps(side, size_px)
        turned = np.ascontiguousarray(picture.transpose(1, 0, 2)).astype(np.int32)
        # (width, height * 3): what is read of a column lies in one piece
        self.columns = torch.from_numpy(turned).flatten(1)
        self.sources = [torch.from_numpy(part.copy()) for part in found.sources.T]
        self.weights = [torch.from_numpy(part.copy())[:, None] for part in found.weights.T]
        self.side, self.size_px = side, size_px
        self.sum, self.term = torch.empty((2, size_px, size_px * 3), dtype=torch.int32)

    def across(self, column: int, first: int, last: int) -> Tensor:
        """Lines of the windows that begin at a column, of picture rows `first` to before `last`: (n_lines, size_px, 3), 0 to 255."""
        part = self.columns[column : column + self.side, first * 3 : last * 3]
        lines = self._weighed(part, *torch.empty((2, self.size_px, part.shape[1]), dtype=torch.int32))
        return lines.view(self.size_px, -1, 3).transpose(0, 1)

    def down(self, lines: Tensor) -> Tensor:
        """A window of its lines, (side, size_px * 3), to (size_px, size_px * 3); what is returned is overwritten by the next."""
        return self._weighed(lines, self.sum, self.term)

    def cut(self, places: Places, columns: Places, rows: Places, begins: Places) -> Tensor:
        """Windows, (n_windows, 3, size_px, size_px), float32.

        columns, rows, begins : of the lines that they share (see `crops`).
        """
        lines = torch.empty((len(rows), self.size_px, 3), dtype=torch.int32)
        ends = np.flatnonzero((np.diff(columns) != 0) | (np.diff(rows) != 1)) + 1
        for begin, end in zip([0, *ends], [*ends, len(rows)], strict=True):
            lines[begin:end] = self.across(int(columns[begin]), int(rows[begin]), int(rows[end - 1]) + 1)
        flat = lines.flatten(1)
        out = torch.empty((len(places), self.size_px, self.size_px * 3))
        for window, begin in zip(out, begins.tolist(), strict=True):
            window.copy_(self.down(flat[begin : begin + self.side]))
        return out.view(len(places), self.size_px, self.size_px, 3).permute(0, 3, 1, 2)

    def _weighed(self, values: Tensor, total: Tensor, term: Tensor) -> Tensor:
        """The weighted sum over taps of lines of values, rounded to 8 bits, in `total`; `term` is room to work in."""
        torch.index_select(values, 0, self.sources[0], out=total)
        total.mul_(self.weights[0])
        for source, weight in zip(self.sources[1:], self.weights[1:], strict=True):
            torch.index_select(values, 0, source, out=term)
            total.addcmul_(term, weight)
        return total.add_(HALF).bitwise_right_shift_(BITS)
