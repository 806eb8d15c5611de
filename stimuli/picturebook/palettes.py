"""Palette families of the picture book, and the paints drawn from them, for every category alike."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping

import numpy as np

from stimuli.picturebook.canvas import Colour, Paint, Style

FAMILIES: Mapping[str, Mapping[str, str]] = {
    "train": {
        "meadow": "7fb069 e6aa68 ca3c25 1d1a05 fffbbd 4f8fb8",
        "harbour": "1d3557 457b9d a8dadc e63946 f1c27d 8a9aa3",
        "orchard": "d1495b edae49 66a182 2e4057 8d96a3 f4d6a0",
        "sorbet": "ff8fa3 ffd6a5 caffbf 9bf6ff bdb2ff ffc6ff",
        "forest": "344e41 588157 a3b18a b08968 7f5539 ddb892",
        "sunset": "f94144 f3722c f8961e f9c74f 9d4edd 577590",
        "lagoon": "006d77 83c5be edf6f9 ffddd2 e29578 3a86a8",
        "circus": "e63946 ffb703 219ebc 8ecae6 fb8500 5a189a",
        "clay": "8d5b4c c38d6b e0c1a3 5f7470 889696 b8bdb5",
        "berry": "6a0572 ab83a1 f15bb5 fee440 3c1642 b5179e",
        "slate": "2b2d42 8d99ae c9d1dc ef233c 5b6c8f a0a8b8",
        "spice": "9b2226 ca6702 ee9b00 94d2bd 0a9396 e9d8a6",
        "garden": "2a9d8f 8ab17d e9c46a f4a261 e76f51 264653",
        "night": "10002b 3c096c 7b2cbf c77dff 48cae4 ffd166",
    },
    "validation": {
        "citrus": "d9ed92 99d98c 52b69a 168aad 1e6091 f9a620",
        "poster": "d62828 f77f00 fcbf49 003049 7a9e9f b8d8d8",
        "heather": "5e548e 9f86c0 be95c4 e0b1cb 6b705c cb997e",
    },
    "test": {
        "retro": "e07a5f 3d405b 81b29a f2cc8f a26769 5f797b",
        "candy": "ff6392 5aa9e6 7fc8f8 ffe45e c08497 9d8df1",
        "moss": "606c38 283618 dda15e bc6c25 a7c957 6a994e",
    },
}
"""Swatches (sRGB) of each family, by split; no family occurs in two splits."""


def swatches(split: str, rng: np.random.Generator) -> list[Colour]:
    """Return the colours of one of the split's families, each jittered a little and in random order."""
    families = FAMILIES[split]
    family = families[sorted(families)[rng.integers(len(families))]]
    colours = [_jittered(colour, rng) for colour in family.split()]
    return [colours[i] for i in rng.permutation(len(colours))]


def _jittered(code: str, rng: np.random.Generator) -> Colour:
    hue, light, saturation = colorsys.rgb_to_hls(*(int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)))
    jitter = rng.normal(0.0, (0.025, 0.05, 0.08))
    return colorsys.hls_to_rgb(
        (hue + jitter[0]) % 1.0, min(0.93, max(0.1, light + jitter[1])), min(1.0, max(0.05, saturation + jitter[2]))
    )


def luminance(colour: Colour) -> float:
    """Return the luma (0-1) of an sRGB colour, Rec. 601 weights."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def with_luminance(colour: Colour, wanted: float) -> Colour:
    """Return the colour mixed with black or white until its luma is `wanted` (0-1)."""
    found = luminance(colour)
    target, share = (0.0, 1 - wanted / found) if wanted < found else (1.0, (wanted - found) / (1 - found + 1e-9))
    r, g, b = (c + (target - c) * share for c in colour)
    return (r, g, b)


def livelier(colour: Colour, gain: float = 1.3) -> Colour:
    """Return the colour with its chroma multiplied by `gain`, its luma kept."""
    grey = luminance(colour)
    r, g, b = (min(1.0, max(0.0, grey + gain * (c - grey))) for c in colour)
    return (r, g, b)


def apart_from(colour: Colour, ground: float, distance: float, floor: float = 0.3) -> Colour:
    """Return the colour, its luma at least `distance` from the ground's, the nearer way, and never below `floor`.

    The floor keeps dark markings (eyes, spots, outlines) visible on every body.
    """
    own = max(floor, luminance(colour))
    up, down = ground + distance, ground - distance
    if abs(own - ground) < distance:
        own = down if down >= floor and (own < ground or up > 0.94) else up
    return with_luminance(colour, min(0.94, own))


def draw_style(colours: list[Colour], ground: float, rng: np.random.Generator) -> Style:
    """Return a style painted with `colours` that stands out from a background of mean luma `ground` (0-1)."""
    body = apart_from(livelier(colours[0]), ground, 0.26)
    body2 = apart_from(livelier(colours[1]), ground, 0.18, floor=0.22)
    if math.dist(body, body2) < 0.35:
        body2 = with_luminance(body2, luminance(body) + (0.25 if luminance(body) < 0.5 else -0.25))
    textures = rng.choice(("none", "none", "speckle", "stripes", "soft_noise"), size=2)
    return Style(
        paints={
            "body": Paint(body, str(textures[0])),
            "body2": Paint(body2, str(textures[1])),
            "accent": Paint(colours[2]),
            "dark": Paint(with_luminance(colours[3], rng.uniform(0.06, 0.16))),
            "light": Paint(with_luminance(colours[4], rng.uniform(0.86, 0.96))),
            "glass": Paint(with_luminance(colours[5], rng.uniform(0.66, 0.82))),
        },
        light_deg=float(rng.choice((-1, 1)) * rng.uniform(20, 70) - 90),
        shading=float(rng.uniform(0.22, 0.42)),
        outline=float(rng.uniform(0.008, 0.013)),
        texture_period=float(rng.uniform(0.035, 0.08)),
    )
