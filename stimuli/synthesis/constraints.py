"""Where an image may go, and how it becomes whole grey levels without leaving."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Constraint(Protocol):
    """A set of allowed images for each slot of a batch: images, centres (n, 3, h, w); radii (n,), grey levels."""

    def projected(self, images: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
        """The nearest allowed images."""

    def rounded(self, images: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
        """Allowed images of whole grey levels: what would be saved."""


class PixelRange:
    """Grey levels from 0 to 255, nothing more; rounded to the nearest level."""

    def projected(self, images: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
        """Clipped to 0-255."""
        return images.clamp(0, 255)

    def rounded(self, images: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
        """Clipped and rounded to the nearest level."""
        return images.clamp(0, 255).round()


class LInfBall:
    """At most `radius` grey levels from the centre in every channel of every pixel, and within 0-255.

    Rounding goes toward the centre, so that it cannot leave the ball.
    """

    def projected(self, images: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
        """Each value clipped to its own interval."""
        reach = radii.view(-1, 1, 1, 1)
        return images.clamp(0, 255).clamp(centres - reach, centres + reach)

    def rounded(self, images: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
        """The change, cut to whole grey levels; the centres must be whole themselves."""
        return centres + (self.projected(images, centres, radii) - centres).trunc()
