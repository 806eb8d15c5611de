"""The canvas every drawing is made on: parts are recorded in the object's frame, then painted in a pose."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw

Array = npt.NDArray[np.float64]
Point = tuple[float, float]
Colour = tuple[float, float, float]

ROLES = ("body", "body2", "accent", "dark", "light", "glass")
TEXTURES = ("none", "speckle", "stripes", "soft_noise")
SUPERSAMPLE = 3


@dataclass(frozen=True)
class Paint:
    """The colour of a role (sRGB, each 0-1) and the texture drawn over it (one of `TEXTURES`)."""

    colour: Colour
    texture: str = "none"


@dataclass(frozen=True)
class Style:
    """How parts are painted: the paint of each role, the light and the pen.

    `light_deg` is where the light comes from (0 right, 90 below), `shading` its strength (0-1),
    `outline` the pen's width as a fraction of the picture, `texture_period` that of the textures, in fractions too.
    """

    paints: Mapping[str, Paint]
    light_deg: float = -120.0
    shading: float = 0.3
    outline: float = 0.010
    texture_period: float = 0.06


@dataclass(frozen=True)
class Pose:
    """Where the drawing lies in the picture: its longer side as a fraction of the picture, turn, shear, flip and place.

    `place` is the share (0-1) of the free room that lies left of and above the drawing, so nothing is ever cut off.
    """

    scale: float = 0.85
    angle_deg: float = 0.0
    shear: float = 0.0
    flip: bool = False
    place: Point = (0.5, 0.5)

    def matrix(self) -> Array:
        """Return the (2, 2) linear map of the pose, without its scale."""
        turn = math.radians(self.angle_deg)
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        return rotation @ np.array([[1.0, self.shear], [0.0, 1.0]]) @ np.diag([-1.0 if self.flip else 1.0, 1.0])


@dataclass(frozen=True)
class Part:
    """One part of a drawing: the union of closed polygons, each (n, 2) in the object's frame, in one role's paint."""

    polygons: tuple[Array, ...]
    role: str
    outlined: bool = True
    shaded: bool = True


class Canvas:
    """What a drawing function draws on; the object's frame has x to the right and y down, about [-1, 1] each way."""

    def __init__(self, size_px: int, rng: np.random.Generator, style: Style) -> None:
        """Make an empty canvas for a square picture of `size_px`, with the generator of all that varies and a style."""
        self.size_px = size_px
        self.style = style
        self.parts: list[Part] = []
        self._rng = rng
        self._steps = 6 if size_px <= 160 else 12
        self._frame: tuple[Array, Array] = (np.eye(2), np.zeros(2))

    def vary(self, low: float, high: float) -> float:
        """Return a uniform draw from [low, high)."""
        return low + (high - low) * self._rng.random()

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return bool(self._rng.random() < probability)

    @contextmanager
    def at(self, x: float, y: float, angle_deg: float = 0.0, scale: float = 1.0, flip: bool = False) -> Iterator[None]:
        """Draw, inside the `with` block, in a frame moved to (x, y), turned clockwise, scaled and maybe mirrored."""
        outer, (linear, shift) = self._frame, self._frame
        inner = Pose(angle_deg=angle_deg, flip=flip).matrix() * scale
        self._frame = (linear @ inner, linear @ np.array([x, y]) + shift)
        try:
            yield
        finally:
            self._frame = outer

    @contextmanager
    def joined(self, paint: str) -> Iterator[None]:
        """Make one part, without inner outlines, of all shapes drawn inside the `with` block."""
        first = len(self.parts)
        yield
        polygons = tuple(p for part in self.parts[first:] for p in part.polygons)
        del self.parts[first:]
        self.parts.append(Part(polygons, _role(paint)))

    def blob(self, points: Sequence[Point], paint: str) -> None:
        """Fill the smooth closed curve (Catmull-Rom) through `points`."""
        self._add([closed_curve(np.asarray(points, dtype=float), self._steps)], paint)

    def polygon(self, points: Sequence[Point], paint: str) -> None:
        """Fill the straight-edged closed shape with corners `points`."""
        self._add([np.asarray(points, dtype=float)], paint)

    def ellipse(self, x: float, y: float, rx: float, ry: float, paint: str, angle_deg: float = 0.0) -> None:
        """Fill the ellipse around (x, y) with radii rx and ry, turned clockwise by `angle_deg`."""
        self._add([ellipse_points(x, y, rx, ry, angle_deg, 6 * self._steps)], paint)

    def spot(self, x: float, y: float, rx: float, ry: float, paint: str, angle_deg: float = 0.0) -> None:
        """Fill an ellipse flatly, without outline or shading: a marking on a part drawn before."""
        self._add([ellipse_points(x, y, rx, ry, angle_deg, 4 * self._steps)], paint, outlined=False, shaded=False)

    def patch(self, points: Sequence[Point], paint: str) -> None:
        """Fill the smooth closed curve through `points` flatly, without outline: a marking on a part drawn before."""
        curve = closed_curve(np.asarray(points, dtype=float), self._steps)
        self._add([curve], paint, outlined=False, shaded=False)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, paint: str, radius: float = 0.0) -> None:
        """Fill the rectangle from (x0, y0) to (x1, y1), its corners rounded by `radius`."""
        self._add([rounded_rectangle(x0, y0, x1, y1, radius, self._steps)], paint)

    def limb(self, points: Sequence[Point], widths: Sequence[float], paint: str) -> None:
        """Fill a smooth stroke through `points`, as wide as `widths` (one per point) there, with round ends."""
        path, spread = open_curve(np.asarray(points, dtype=float), np.asarray(widths, dtype=float), self._steps)
        joints = [
            ellipse_points(x, y, w / 2, w / 2, 0.0, 16) for (x, y), w in zip(points[1:-1], widths[1:-1], strict=True)
        ]
        self._add([stroke(path, spread), *joints], paint)

    def line(self, points: Sequence[Point], width: float, paint: str) -> None:
        """Draw straight segments through `points` with a pen of `width` and round joints and ends."""
        corners = np.asarray(points, dtype=float)
        segments = [stroke(corners[i : i + 2], np.full(2, width)) for i in range(len(corners) - 1)]
        self._add(segments, paint, outlined=paint != "dark", shaded=False)

    def arc(
        self, x: float, y: float, rx: float, ry: float, start_deg: float, end_deg: float, width: float, paint: str
    ) -> None:
        """Draw an elliptic arc from `start_deg` clockwise to `end_deg` (0 right, 90 below) with a pen of `width`."""
        count = max(4, round(abs(end_deg - start_deg) / 60 * self._steps))
        angles = np.radians(np.linspace(start_deg, end_deg, count + 1))
        path = np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)
        self._add([stroke(path, np.full(len(path), width))], paint, outlined=paint != "dark", shaded=False)

    def eye(self, x: float, y: float, r: float) -> None:
        """Draw a round eye that looks ahead: white, pupil and a glint."""
        self._add([ellipse_points(x, y, r, r, 0.0, 24)], "light", shaded=False)
        self._add([ellipse_points(x + 0.18 * r, y, 0.66 * r, 0.66 * r, 0.0, 20)], "dark", outlined=False, shaded=False)
        self._add(
            [ellipse_points(x + 0.36 * r, y - 0.26 * r, 0.24 * r, 0.24 * r, 0.0, 12)],
            "light",
            outlined=False,
            shaded=False,
        )

    def paint(self, pose: Pose) -> tuple[Image.Image, Image.Image]:
        """Return the drawing in a pose: an RGB picture and its coverage (mode L), both `size_px` square."""
        return paint_parts(self.parts, self.style, pose, self.size_px, self._rng)

    def _add(self, polygons: Sequence[Array], role: str, outlined: bool = True, shaded: bool = True) -> None:
        linear, shift = self._frame
        self.parts.append(Part(tuple(p @ linear.T + shift for p in polygons), _role(role), outlined, shaded))


Drawing = Callable[[Canvas], None]


@lru_cache(maxsize=8)
def _catmull_rom_weights(steps: int) -> Array:
    t = np.arange(steps) / steps
    powers = np.stack([np.ones_like(t), t, t**2, t**3], axis=1)
    basis = 0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]], dtype=float)
    return np.asarray(powers @ basis)


def closed_curve(points: Array, steps: int) -> Array:
    """Return the closed uniform Catmull-Rom curve, (n * steps, 2), through `points`, (n, 2)."""
    neighbours = np.stack([np.roll(points, shift, axis=0) for shift in (1, 0, -1, -2)])
    return np.einsum("sk,knd->nsd", _catmull_rom_weights(steps), neighbours).reshape(-1, 2)


def open_curve(points: Array, widths: Array, steps: int) -> tuple[Array, Array]:
    """Return the open Catmull-Rom curve, (m, 2), through `points`, (n, 2), and the widths along it, (m,)."""
    values = np.column_stack([points, widths])
    padded = np.vstack([2 * values[0] - values[1], values, 2 * values[-1] - values[-2]])
    windows = np.stack([padded[k : k + len(values) - 1] for k in range(4)])
    curve = np.einsum("sk,knd->nsd", _catmull_rom_weights(steps), windows).reshape(-1, 3)
    curve = np.vstack([curve, values[-1]])
    return curve[:, :2], np.maximum(curve[:, 2], 1e-3)


def ellipse_points(x: float, y: float, rx: float, ry: float, angle_deg: float, count: int) -> Array:
    """Return `count` points, (count, 2), on an ellipse turned clockwise by `angle_deg`."""
    circle = _circle(count) * (rx, ry)
    turn = math.radians(angle_deg)
    return circle @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]) + (x, y)


@lru_cache(maxsize=32)
def _circle(count: int) -> Array:
    angles = np.arange(count) * (2 * math.pi / count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def rounded_rectangle(x0: float, y0: float, x1: float, y1: float, radius: float, steps: int) -> Array:
    """Return the corners, (4, 2), of a rectangle, or its outline, (n, 2), when they are rounded."""
    left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    if radius <= 0:
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    r = min(radius, (right - left) / 2, (bottom - top) / 2)
    centres = [(right - r, bottom - r), (left + r, bottom - r), (left + r, top + r), (right - r, top + r)]
    starts = (0.0, 0.5 * math.pi, math.pi, 1.5 * math.pi)
    quarter = np.linspace(0, 0.5 * math.pi, steps)
    return np.vstack(
        [
            np.stack([cx + r * np.cos(start + quarter), cy + r * np.sin(start + quarter)], axis=1)
            for (cx, cy), start in zip(centres, starts, strict=True)
        ]
    )


def stroke(path: Array, widths: Array) -> Array:
    """Return the outline, (m, 2), of a round-ended stroke along `path`, (n, 2), with `widths`, (n,)."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-12
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    half = widths[:, None] / 2
    turns = np.linspace(0, math.pi, 7)[1:-1, None]
    end = path[-1] + half[-1] * (np.cos(turns) * normal[-1] + np.sin(turns) * tangent[-1])
    start = path[0] - half[0] * (np.cos(turns) * normal[0] + np.sin(turns) * tangent[0])
    return np.vstack([path + half * normal, end, (path - half * normal)[::-1], start])


def grown(polygon: Array, by: float) -> Array:
    """Return the polygon, (n, 2), with its edges moved outwards by `by`; sharp corners are blunted."""
    corner = polygon[:, 0] + 1j * polygon[:, 1]
    edge = np.concatenate([corner[1:], corner[:1]]) - corner
    normal = -1j * edge / (np.abs(edge) + 1e-9)
    both = normal + np.concatenate([normal[-1:], normal[:-1]])
    mitre = both / np.maximum((both * both.conj()).real / 2, 0.6)
    area = float((corner.conj() * edge).imag.sum())
    moved = corner + mitre * math.copysign(by, area)
    return np.stack([moved.real, moved.imag], axis=1)


def placed(parts: Sequence[Part], pose: Pose, size: float, margin: float) -> list[list[Array]]:
    """Return each part's polygons, (n, 2) in pixels of a picture `size` wide, fitted to the pose less a margin."""
    matrix = pose.matrix()
    turned = [[p @ matrix.T for p in part.polygons] for part in parts]
    points = np.vstack([p for polygons in turned for p in polygons])
    low, high = points.min(axis=0), points.max(axis=0)
    factor = (pose.scale * size - 2 * margin) / float((high - low).max())
    room = size - 2 * margin - factor * (high - low)
    shift = room * np.asarray(pose.place) + margin - factor * low
    return [[p * factor + shift for p in polygons] for polygons in turned]


def paint_parts(
    parts: Sequence[Part], style: Style, pose: Pose, size_px: int, rng: np.random.Generator
) -> tuple[Image.Image, Image.Image]:
    """Paint parts in order, supersampled, and return the RGB picture and its coverage (mode L), `size_px` square."""
    size = size_px * SUPERSAMPLE
    ink = _bytes(_mixed(style.paints["dark"].colour, (0.0, 0.0, 0.0), 0.3))
    picture = Image.new("RGB", (size, size), ink)
    coverage = Image.new("L", (size, size), 0)
    draw, cover = ImageDraw.Draw(picture), ImageDraw.Draw(coverage)
    pen = max(1.5, style.outline * size)
    tiles = {role: shaded_tile(style.paints[role].colour, style) for role in {part.role for part in parts}}
    textures: dict[str, Image.Image] = {}
    for part, polygons in zip(parts, placed(parts, pose, size, pen), strict=True):
        paint = style.paints[part.role]
        edge = _bytes(_mixed(paint.colour, (0.02, 0.02, 0.06), 0.68))
        for polygon in polygons:
            outer = _flat(grown(polygon, pen) if part.outlined else polygon)
            cover.polygon(outer, fill=255)
            if part.outlined:
                draw.polygon(outer, fill=edge)
        corners = np.vstack(polygons)
        x0, y0 = np.floor(corners.min(axis=0)).astype(int)
        x1, y1 = np.ceil(corners.max(axis=0)).astype(int) + 1
        if not part.shaded or min(x1 - x0, y1 - y0) < 0.045 * size:
            for polygon in polygons:
                draw.polygon(_flat(polygon), fill=_bytes(paint.colour))
            continue
        box = (int(x0), int(y0), int(x1), int(y1))
        local = [polygon - (x0, y0) for polygon in polygons]
        mask = _mask(local, (x1 - x0, y1 - y0), 255)
        picture.paste(tiles[part.role].resize(mask.size, Image.Resampling.BILINEAR), box, mask)
        if paint.texture != "none" and min(mask.size) > 0.05 * size:
            if paint.texture not in textures:
                textures[paint.texture] = texture_mask(paint.texture, size, style, rng)
            picture.paste(edge, box, ImageChops.multiply(mask, textures[paint.texture].crop(box)))
        picture.paste(edge, box, _shade(local, mask.size, style))
    return picture.reduce(SUPERSAMPLE), coverage.reduce(SUPERSAMPLE)


def _mask(polygons: Sequence[Array], size: tuple[int, int], value: int) -> Image.Image:
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    for polygon in polygons:
        draw.polygon(_flat(polygon), fill=value)
    return mask


def _shade(polygons: Sequence[Array], size: tuple[int, int], style: Style) -> Image.Image:
    """Return the crescent of shade on the side away from the light, as a mask."""
    mask = _mask(polygons, size, round(130 * style.shading))
    draw = ImageDraw.Draw(mask)
    towards = np.array([math.cos(math.radians(style.light_deg)), math.sin(math.radians(style.light_deg))])
    for polygon in polygons:
        draw.polygon(_flat(polygon + towards * 0.14 * min(size)), fill=0)
    return mask


def shaded_tile(colour: Colour, style: Style, size: int = 24) -> Image.Image:
    """Return a small RGB tile of a colour, lighter towards the light; stretched over a part, it is its shading."""
    lit = _light(size, round(style.light_deg)) * style.shading
    lighter, darker = np.clip(lit, 0, None)[..., None], np.clip(-lit, 0, None)[..., None]
    base = np.asarray(colour)
    rgb = base * (1 - 0.85 * darker) + (1 - base) * 0.75 * lighter
    return Image.fromarray((rgb.clip(0, 1) * 255 + 0.5).astype(np.uint8))


@lru_cache(maxsize=512)
def _light(size: int, light_deg: int) -> Array:
    v, u = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return u * math.cos(math.radians(light_deg)) + v * math.sin(math.radians(light_deg))


def texture_mask(texture: str, size: int, style: Style, rng: np.random.Generator) -> Image.Image:
    """Return a texture as a mask (mode L, `size` square, 0 where the paint shows untouched)."""
    period = max(3.0, style.texture_period * size)
    if texture == "stripes":
        angle, phase = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
        along = np.arange(size // 3, dtype=np.float32) * np.float32(6 * math.pi / period)
        wave = np.sin(
            along[None, :] * np.float32(math.cos(angle))
            + along[:, None] * np.float32(math.sin(angle))
            + np.float32(phase)
        )
        stripes = Image.fromarray(np.clip(wave * 90 - 10, 0, 46).astype(np.uint8))
        return stripes.resize((size, size), Image.Resampling.BILINEAR)
    if texture == "soft_noise":
        cells = max(4, round(size / period))
        noise = Image.fromarray(rng.integers(0, 110, (cells, cells), dtype=np.uint8))
        return noise.resize((size, size), Image.Resampling.BICUBIC)
    mask = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(mask)
    for x, y, r in rng.random((round(0.35 * (size / period) ** 2) + 1, 3)) * (size, size, 0.22 * period):
        r += 0.08 * period
        draw.ellipse((x - r, y - r, x + r, y + r), fill=80)
    return mask


def _flat(polygon: Array) -> list[float]:
    flat: list[float] = np.rint(polygon).ravel().tolist()
    return flat


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    r, g, b = ((1 - share) * c + share * o for c, o in zip(colour, other, strict=True))
    return (r, g, b)


def _role(name: str) -> str:
    if name not in ROLES:
        raise ValueError(f"paint {name!r} is not a role; use one of {', '.join(ROLES)}")
    return name


def _bytes(colour: Colour) -> tuple[int, int, int]:
    r, g, b = (min(255, max(0, round(255 * c))) for c in colour)
    return (r, g, b)
