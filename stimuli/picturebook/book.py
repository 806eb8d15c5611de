"""The picture book: forty categories, and `render`, which draws any picture of any split from its number."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from stimuli.picturebook import (
    birds,
    boats,
    fish,
    food,
    furniture,
    insects,
    instruments,
    land_vehicles,
    mammals,
    reptiles,
)
from stimuli.picturebook.backgrounds import draw_background
from stimuli.picturebook.canvas import Canvas, Drawing, Pose
from stimuli.picturebook.palettes import draw_style, luminance, swatches

SPLITS = ("train", "validation", "test")
ANIMALS: dict[str, dict[str, Drawing]] = {
    "mammals": mammals.DRAWINGS,
    "birds": birds.DRAWINGS,
    "fish": fish.DRAWINGS,
    "reptiles": reptiles.DRAWINGS,
    "insects": insects.DRAWINGS,
}
OBJECTS: dict[str, dict[str, Drawing]] = {
    "land_vehicles": land_vehicles.DRAWINGS,
    "boats": boats.DRAWINGS,
    "furniture": furniture.DRAWINGS,
    "instruments": instruments.DRAWINGS,
    "food": food.DRAWINGS,
}
DRAWINGS: dict[str, Drawing] = {
    name: drawing for drawings in (*ANIMALS.values(), *OBJECTS.values()) for name, drawing in drawings.items()
}


@dataclass(frozen=True)
class Category:
    """A category: its name, its supercategory, whether it is an animal, and its place in `CATEGORIES`."""

    name: str
    supercategory: str
    animal: bool
    index: int


CATEGORIES: tuple[Category, ...] = tuple(
    Category(name, supercategory, supercategory in ANIMALS, index)
    for index, (supercategory, name) in enumerate(
        (supercategory, name) for supercategory, names in {**ANIMALS, **OBJECTS}.items() for name in names
    )
)


def render(category: str, split: str, index: int, size_px: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Draw one picture of the book.

    Parameters
    ----------
    category : name of one of `CATEGORIES`
    split : 'train', 'validation' or 'test'; their backgrounds and palettes come from disjoint families
    index : number of the picture within its category and split, from 0
    size_px : side of the square picture, in pixels
    seed : seed of the whole book

    Returns
    -------
    array of shape (size_px, size_px, 3), uint8 sRGB; the same bytes for the same arguments

    Raises
    ------
    ValueError : unknown category or split
    """
    picture, _ = render_with_figure(category, split, index, size_px, seed)
    return picture


def render_with_figure(
    category: str, split: str, index: int, size_px: int, seed: int = 0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Draw one picture as `render` does; return it and the figure's coverage, (size_px, size_px), uint8 0-255."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}")
    drawing = drawing_of(category)
    rng = picture_generator(category, split, index, seed)
    colours = swatches(split, rng)
    ground = draw_background(split, colours[4:] + colours[:1], size_px, rng)
    figure_colours = [colours[i] for i in rng.permutation(len(colours))]
    mean_r, mean_g, mean_b = ground.mean(axis=(0, 1)).tolist()
    style = draw_style(figure_colours, luminance((mean_r, mean_g, mean_b)), rng)
    canvas = Canvas(size_px, rng, style)
    drawing(canvas)
    figure, coverage = canvas.paint(draw_pose(rng))
    picture = Image.fromarray((ground * 255 + 0.5).astype(np.uint8))
    lift_off(picture, coverage, style.light_deg)
    picture.paste(figure, (0, 0), coverage)
    return photographed(np.asarray(picture), rng), np.asarray(coverage)


def picture_generator(category: str, split: str, index: int, seed: int) -> np.random.Generator:
    """Return the generator of one picture; its seed is a hash of what names the picture."""
    digest = hashlib.sha256(f"picturebook/{seed}/{split}/{category}/{index}".encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest[:16], "big"))))


def draw_pose(rng: np.random.Generator) -> Pose:
    """Return a random pose: size, turn, shear, flip and place."""
    return Pose(
        scale=float(rng.uniform(0.62, 0.95)),
        angle_deg=float(rng.uniform(-18, 18)),
        shear=float(rng.uniform(-0.12, 0.12)),
        flip=bool(rng.random() < 0.5),
        place=(float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.1, 0.9))),
    )


def lift_off(ground: Image.Image, coverage: Image.Image, light_deg: float) -> None:
    """Set the figure off from its ground, in place: a soft shadow away from the light and a paper-white glow."""
    size = ground.width
    soft = coverage.filter(ImageFilter.GaussianBlur(0.018 * size))
    away = math.radians(light_deg + 180)
    offset = (round(0.03 * size * math.cos(away)), round(0.03 * size * math.sin(away)))
    ground.paste((30, 25, 40), offset, soft.point([k * 2 // 5 for k in range(256)]))
    ground.paste((253, 251, 244), (0, 0), soft.point([min(190, 2 * k) for k in range(256)]))


def photographed(picture: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return the picture, (h, w, 3) uint8, under uneven light and with a little pixel noise."""
    gain = rng.uniform(0.9, 1.08)
    slope_x, slope_y = rng.uniform(-0.08, 0.08, 2)
    height, width = picture.shape[:2]
    light = gain + slope_x * np.linspace(-1, 1, width)[None, :] + slope_y * np.linspace(-1, 1, height)[:, None]
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(0, 4))
    lit = picture * light[..., None].astype(np.float32) + noise
    return np.clip(lit + np.float32(0.5), 0, 255).astype(np.uint8)


def drawing_of(category: str) -> Drawing:
    """Return the drawing function of a category; ValueError if there is none of that name."""
    if category not in DRAWINGS:
        raise ValueError(f"category {category!r} is not in the picture book; use one of {', '.join(DRAWINGS)}")
    return DRAWINGS[category]
