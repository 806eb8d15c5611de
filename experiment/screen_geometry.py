"""Where things lie on the screen: mirrors and turns, the photodiode patch, a bar in its aperture; pixels only, no window."""

from __future__ import annotations

import math

import numpy as np

from experiment.drawings import Bar
from protocols.geometry import size_on_screen_px
from protocols.rig_display import Display

# The aperture of a bar as a polygon: at 12 degrees on a usual screen its sides are shorter than the circle's own pixels.
CIRCLE_CORNERS = 256
CHECK_DEG = 1.0


def as_sent(pixels: np.ndarray, display: Display) -> np.ndarray:
    """A picture as the graphics card must send it, so that it is seen upright through the rig's mirrors.

    pixels : (height, width, …) upright.

    Returns the same pixels, flipped, then turned counter-clockwise by the rig's rotation.
    """
    if display.flip_horizontal:
        pixels = pixels[:, ::-1]
    if display.flip_vertical:
        pixels = pixels[::-1]
    return np.ascontiguousarray(np.rot90(pixels, display.rotation_deg // 90))


def as_seen(picture: np.ndarray, display: Display) -> np.ndarray:
    """What is sent, as the participant sees it through the rig's mirrors: the way back from `as_sent`."""
    picture = np.rot90(picture, -display.rotation_deg // 90)
    if display.flip_vertical:
        picture = picture[::-1]
    if display.flip_horizontal:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(picture)


def points_as_sent(points: np.ndarray, display: Display) -> np.ndarray:
    """Points as the graphics card must send them (see `as_sent`).

    points : (n, 2) px from the middle of the screen, right and up.
    """
    x, y = points[..., 0], points[..., 1]
    x = -x if display.flip_horizontal else x
    y = -y if display.flip_vertical else y
    for _ in range(display.rotation_deg // 90):
        x, y = -y, x
    return np.stack([x, y], axis=-1)


def middle_of(size_px: tuple[int, int], display: Display) -> tuple[float, float]:
    """Where the middle of a picture goes so that its pixels fall on the screen's pixels.

    size_px : (width, height) of the picture, upright.

    Returns (x, y), px from the middle of what is sent: an odd side on an even screen is moved by half a pixel.
    """
    shift = [0.5 if side % 2 != whole % 2 else 0.0 for side, whole in zip(size_px, display.upright_px, strict=True)]
    x, y = points_as_sent(np.array(shift), display)
    return float(x), float(y)


class PatchCode:
    """What the squares of the photodiode patch show: a sync square that changes with every row, then the row's number."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._last = 0
        self._sync = False

    def squares(self, code: int) -> tuple[bool, ...]:
        """White or black, the sync square first, then the bits of the code, least significant first.

        code : number of the row on screen, from 1; 0 for none. Only its lowest bits are shown.
        """
        if code != self._last:
            self._sync, self._last = not self._sync, code
        return (self._sync, *(bool(code >> bit & 1) for bit in range(self._bits)))


def read_patch(picture: np.ndarray, display: Display) -> tuple[bool, int]:
    """Read the photodiode patch of a picture of the screen.

    picture : (height, width, 3) uint8, as sent.

    Returns the sync square and the code, the row's number modulo 2**bits.
    """
    white = [
        bool(picture[top:bottom, left:right].mean() > 127.5) for left, top, right, bottom in display.patch_squares()
    ]
    return white[0], sum(1 << bit for bit, is_white in enumerate(white[1:]) if is_white)


def bar_outline(bar: Bar, display: Display) -> np.ndarray:
    """The outline of what is seen of a bar: the strip between its edges, cut by the round aperture.

    Edges and aperture are placed by tangent geometry, each by its own angle from the line of sight.

    Returns (n, 2) px from the middle of the screen, right and up, convex; (0, 2) when the bar is outside.
    """
    radius_px = _px(bar.aperture_deg / 2, display)
    turn = np.linspace(0.0, 2 * math.pi, CIRCLE_CORNERS, endpoint=False)
    outline = radius_px * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    angle = math.radians(bar.angle_deg)
    along = np.array([math.cos(angle), math.sin(angle)])
    near_px, far_px = (_px(bar.position_deg + side * bar.width_deg / 2, display) for side in (-1, 1))
    return _cut(_cut(outline, along, far_px), -along, -near_px)


def _px(from_middle_deg: float, display: Display) -> float:
    distance_mm, width_mm, width_px = display.distance_mm, display.width_mm, display.size_px[0]
    inside_deg = min(89.0, abs(from_middle_deg))
    return math.copysign(size_on_screen_px(2 * inside_deg, distance_mm, width_mm, width_px) / 2, from_middle_deg)


def _cut(outline: np.ndarray, along: np.ndarray, limit_px: float) -> np.ndarray:
    """The part of a convex outline whose coordinate along a direction is at most the limit (Sutherland & Hodgman 1974)."""
    if len(outline) == 0:
        return outline
    before = outline
    after = np.roll(outline, -1, axis=0)
    depth, depth_after = before @ along - limit_px, after @ along - limit_px
    kept = depth <= 0
    crosses = kept != (depth_after <= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = depth / (depth - depth_after)
        crossing = before + share[:, None] * (after - before)
    both = np.stack([before, crossing], axis=1).reshape(-1, 2)
    return both[np.stack([kept, crosses], axis=1).reshape(-1)]


def fixation_point(side_px: int) -> np.ndarray:
    """A red disc with a white rim, seen on any picture; (side_px, side_px, 4) uint8 with soft edges.

    side_px : diameter.
    """
    fine = 8
    centre = (side_px * fine - 1) / 2
    y, x = np.mgrid[: side_px * fine, : side_px * fine]
    radius = np.hypot(x - centre, y - centre) / (side_px * fine / 2)
    inside, core = radius <= 1.0, radius <= 0.62
    cover = inside.reshape(side_px, fine, side_px, fine).mean(axis=(1, 3))
    red = core.reshape(side_px, fine, side_px, fine).mean(axis=(1, 3))
    share = np.divide(red, cover, out=np.zeros_like(red), where=cover > 0)[..., None]
    colour = share * np.array([200.0, 0.0, 0.0]) + (1 - share) * 255.0
    return np.rint(np.concatenate([colour, cover[..., None] * 255.0], axis=2)).astype(np.uint8)


def noise_mask(side_px: int, rng: np.random.Generator) -> np.ndarray:
    """A mask: coloured noise with contours of every size, as strong for every image whatever the image is.

    Squares of 1, 2, 4, … px, each size with the same contrast, so that the amplitude falls with spatial frequency as in
    natural images. Whole numbers only: the same bytes everywhere.

    side_px : of the image that is masked.

    Returns (side_px, side_px, 3) uint8 with mean 128 and SD about 60, as in an image.
    """
    sizes = [2**octave for octave in range(16) if 2**octave <= max(1, side_px // 6)]
    total = np.zeros((side_px, side_px, 3), dtype=np.int64)
    for size in sizes:
        n = side_px // size + 2
        brightness = rng.integers(-128, 128, (n, n, 1))
        colour = rng.integers(-128, 128, (n, n, 3))
        squares = (3 * brightness + 2 * colour).repeat(size, axis=0).repeat(size, axis=1)
        down, right = rng.integers(0, size, 2)
        total += squares[down : down + side_px, right : right + side_px]
    # One size has a standard deviation of 74 x sqrt(3² + 2²) = 266; sizes add as their squares do.
    return np.clip(128 + total * 60 // (266 * math.isqrt(100 * len(sizes)) // 10), 0, 255).astype(np.uint8)


def checkerboard(side_px: int, dark: int, light: int) -> np.ndarray:
    """One period of a checkerboard, (2 side_px, 2 side_px, 3) uint8."""
    y, x = np.mgrid[: 2 * side_px, : 2 * side_px] // side_px
    levels = np.where((x + y) % 2 == 0, dark, light).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)
