"""Where an image may go, and how it becomes whole grey levels without leaving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Room:
    """Where the images of a batch are held.

    centres   : (n_images, 3, height, width), whole grey levels.
    radii     : (n_images,), grey levels.
    low, high : (n_images, 3, height, width): least and largest value anywhere in it.
    """

    centres: Tensor
    radii: Tensor
    low: Tensor
    high: Tensor


class Constraint(Protocol):
    """A set of allowed images for each slot of a batch."""

    is_box: bool
    """Whether every value between `low` and `high` is allowed, whatever the others are."""

    def room(self, centres: Tensor, radii: Tensor) -> Room:
        """The room around centres (n, 3, h, w) with radii (n,)."""

    def projected(self, images: Tensor, room: Room) -> Tensor:
        """The nearest allowed images."""

    def rounded(self, images: Tensor, room: Room) -> Tensor:
        """Allowed images of whole grey levels: what would be saved."""


class PixelRange:
    """Grey levels from 0 to 255, nothing more; rounded to the nearest level. The centre may be anything."""

    is_box = True

    def room(self, centres: Tensor, radii: Tensor) -> Room:
        """0 to 255 everywhere."""
        return Room(centres, radii, torch.zeros_like(centres), torch.full_like(centres, 255))

    def projected(self, images: Tensor, room: Room) -> Tensor:
        """Clipped to 0-255."""
        return images.clamp(0, 255)

    def rounded(self, images: Tensor, room: Room) -> Tensor:
        """Clipped and rounded to the nearest level."""
        return images.clamp(0, 255).round()


class LInfBall:
    """At most `radius` grey levels from the centre in every channel of every pixel, and within 0-255.

    Rounding goes toward the centre, so that it cannot leave the ball.
    """

    is_box = True

    def room(self, centres: Tensor, radii: Tensor) -> Room:
        """The ball's interval of each value, within 0-255."""
        reach = radii.view(-1, 1, 1, 1)
        return Room(centres, radii, (centres - reach).clamp(0, 255), (centres + reach).clamp(0, 255))

    def projected(self, images: Tensor, room: Room) -> Tensor:
        """Each value clipped to its own interval."""
        return images.clamp(room.low, room.high)

    def rounded(self, images: Tensor, room: Room) -> Tensor:
        """The change, cut to whole grey levels; the centres must be whole themselves."""
        return _cut_toward(room.centres, self.projected(images, room))


class L2Ball:
    """At most `radius` from the centre in Euclidean distance (grey levels, over all values), and within 0-255.

    Rounding goes toward the centre, so that it cannot leave the ball.
    """

    is_box = False

    def room(self, centres: Tensor, radii: Tensor) -> Room:
        """0 to 255 everywhere; the ball itself is no box."""
        return Room(centres, radii, torch.zeros_like(centres), torch.full_like(centres, 255))

    def projected(self, images: Tensor, room: Room) -> Tensor:
        """Clipped to 0-255, then drawn toward the centre: clipping never lengthens the change, so one pass is enough."""
        change = images.clamp(0, 255) - room.centres
        length = change.square().sum(dim=(1, 2, 3)).sqrt()
        share = (room.radii / length.clamp_min(torch.finfo(length.dtype).tiny)).clamp_max(1)
        return room.centres + share.view(-1, 1, 1, 1) * change

    def rounded(self, images: Tensor, room: Room) -> Tensor:
        """The change, cut to whole grey levels; the centres must be whole themselves."""
        return _cut_toward(room.centres, self.projected(images, room))


def _cut_toward(centres: Tensor, projected: Tensor) -> Tensor:
    """Images whose change from the centre has lost its fractions; `projected` is overwritten.

    Without its fractions is `trunc`, which torch computes value by value on a CPU, at a tenth of the time.
    """
    change = projected.sub_(centres)
    return change.sub_(change.frac()).add_(centres)
