"""Source, adversary and the difference made visible, side by side: one picture for each image, one page for each set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from protocols.folder import StudyFolder
from protocols.image_sets import (
    AdversarialInterferenceRecipe,
    ControlRecipe,
    FeatureAdversaryRecipe,
    LabelAdversaryRecipe,
    NetworkPlan,
    Recipe,
)
from protocols.manifest import Stimulus, in_set, read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of, write_sidecar
from protocols.study import Study
from stimuli.contact_sheet import BAD, GOOD, INK, PAPER, QUIET, WHAT, Block, Cell, Line, fitted, font, sheet
from stimuli.differences import CUT, changes, difference, gain_of
from stimuli.image_files import read_stimulus, write_png
from stimuli.records import only_maker
from stimuli.synthesis.starts import ByteImage

PANEL_PX = 360
"""Images are enlarged by a whole factor to at least this side, so that every pixel stays a square."""
LARGEST_PANEL_PX = 640
"""Larger ones are reduced to it."""
MARGIN_PX, GAP_PX = 56, 36
TITLE_PT, NOTE_PT, HEAD_PT, TEXT_PT = 38, 21, 25, 21
LINE_PX = 30


@dataclass(frozen=True)
class Panel:
    """One image of a triptych.

    head  : above it.
    image : (height, width, 3).
    lines : below it.
    """

    head: str
    image: ByteImage
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Triptych:
    """An image beside its source, with the difference, and beside the image whose representation or change it takes."""

    title: str
    note: str
    verdict: Line
    panels: tuple[Panel, ...]


def triptychs(
    study: Study, folder: StudyFolder, *, told: Callable[[str, int, int], None] = lambda what, done, n: None
) -> list[Path]:
    """Draw a triptych of every image that is a changed source, and a page of each such set.

    study  : names the sets.
    folder : the study folder, with its images made.
    told   : progress, (set, images done, images in all).

    Returns the pages, ``derivatives/foolscan/triptychs/<set>.png``; the triptychs of a set stand in a folder beside its page,
    and their hashes in the page's sidecar.

    Raises NotReady when there is no manifest, FoolscanError when no set changes its source, for an image that cannot be
    read, or when another command makes images in the folder.
    """
    read_manifest(folder)  # where there are no images yet, nothing is locked or written
    with only_maker(folder):
        return _triptychs(study, folder, told)


def _triptychs(study: Study, folder: StudyFolder, told: Callable[[str, int, int], None]) -> list[Path]:
    stimuli = read_manifest(folder)
    changing = {name: recipe for name, recipe in study.stimuli.sets.items() if recipe.changes_source}
    if not changing:
        raise FoolscanError(
            f"stimuli.sets: found {', '.join(study.stimuli.sets)}; none of them are changed sources, so there is no "
            "difference to show; see them with: foolscan stimuli contact-sheet"
        )
    absent = [name for name in changing if not in_set(stimuli, name)]
    if absent:
        raise FoolscanError(
            f"{folder.manifest}: no images of set {', '.join(absent)}; make them: foolscan stimuli make {study.name}"
        )
    by_id = {stimulus.stim_id: stimulus for stimulus in stimuli}
    images = {stimulus.stim_id: read_stimulus(folder, stimulus) for stimulus in stimuli}
    pages = []
    for name, recipe in changing.items():
        rows = in_set(stimuli, name)
        gain = gain_of(changes(rows, images))
        drawn = {}
        for done, row in enumerate(rows, start=1):
            path = folder.derived("triptychs") / name / f"{row.stim_id}.png"
            write_png(path, picture(triptych(row, recipe, by_id, images, gain)))
            drawn[row.stim_id] = {"file": f"{name}/{path.name}", "sha256": sha256_of(path)}
            told(name, done, len(rows))
        page = folder.derived("triptychs") / f"{name}.png"
        write_png(page, page_of(name, recipe, rows, by_id, images, gain))
        write_sidecar(
            folder,
            page,
            inputs=[folder.manifest],
            parameters={"set": name, "difference_times": gain},
            packages=("numpy", "pillow"),
            more={"Triptychs": drawn},
        )
        pages.append(page)
    return pages


def triptych(
    row: Stimulus, recipe: Recipe, by_id: dict[str, Stimulus], images: dict[str, ByteImage], gain: float
) -> Triptych:
    """What is drawn of one image.

    row    : the changed image.
    recipe : of its set.
    by_id  : stim_id -> every image of the manifest.
    images : stim_id -> (height, width, 3).
    gain   : of the set's differences.
    """
    source, guide = _of(row, row.source_id, by_id), by_id.get(row.guide_id or "")
    adversary = [_says(row)]
    if row.network_label != row.target_class:
        whose = "own class" if row.target_class == source.target_class else "target"
        adversary.append((f"{whose}: {_words(row.target_class)} {100 * row.confidence:.1f} %", QUIET))
    if row.representation_ratio is not None:
        adversary.append((f"distance ratio to guide {row.representation_ratio:.2f}", QUIET))
    panels = [
        Panel("Source", images[source.stim_id], (_says(source), (source.stim_id, QUIET))),
        Panel(_one_of(recipe), images[row.stim_id], tuple(adversary)),
        Panel(
            f"Difference, {gain:g} times",
            difference(images[row.stim_id], images[source.stim_id], gain),
            ((f"{_lengths(row)} grey levels", INK), ("mid-grey: no change", QUIET)),
        ),
    ]
    if guide is not None:
        head = "Control of" if isinstance(recipe, ControlRecipe) else "Guide"
        panels.append(Panel(head, images[guide.stim_id], (_says(guide), (guide.stim_id, QUIET))))
    met = ("meets its criterion", GOOD) if row.success else ("does not meet its criterion", BAD)
    return Triptych(row.stim_id, f"{recipe_in_words(recipe)}; classes by {row.network}", met, tuple(panels))


def _of(row: Stimulus, name: str | None, by_id: dict[str, Stimulus]) -> Stimulus:
    if name not in by_id:
        raise FoolscanError(f"{row.stim_id}: source_id: found {name}, which the manifest does not have; make it again")
    return by_id[name]


def _says(row: Stimulus) -> Line:
    """The class that the network gives; its posterior where that is known (it is told of the target)."""
    named = _words(row.network_label)
    return (f"{named} {100 * row.confidence:.1f} %" if row.network_label == row.target_class else named, INK)


def _lengths(row: Stimulus) -> str:
    return f"L-inf {row.linf}, L2 {row.l2 or 0:.0f}"


def _words(label: str) -> str:
    return label.replace("_", " ")


def _one_of(recipe: Recipe) -> str:
    return "Control" if isinstance(recipe, ControlRecipe) else "Adversary"


def recipe_in_words(recipe: Recipe) -> str:
    """What a set is, in a line."""
    what = WHAT[recipe.kind]
    match recipe:
        case FeatureAdversaryRecipe():
            seen_by = f" of {_network_in_words(recipe.network)}" if recipe.network else ""
            return f"{what}: layer {recipe.layer}{seen_by}, {recipe.method}, within {recipe.epsilon:g} grey levels"
        case LabelAdversaryRecipe():
            room = "as little change as will do" if recipe.attack == "szegedy" else f"{recipe.epsilon:g} grey levels"
            room += " root mean square" if recipe.attack == "fast_gradient" or recipe.norm == "l2" else ""
            return f"{what}: {recipe.attack}, {room}"
        case AdversarialInterferenceRecipe():
            return f"{what}: confidence {recipe.confidence:g}, within {recipe.linf_max} grey levels"
        case ControlRecipe():
            return f"{what}: the change of {recipe.of}, {recipe.change.replace('_', ' ')}"
        case _:
            return what


def _network_in_words(plan: NetworkPlan) -> str:
    seed = f", seed {plan.seed}" if plan.seed else ""
    return f"{plan.name} ({plan.weights}{seed})" if plan.weights else plan.name


def picture(shown: Triptych) -> ByteImage:
    """Lay a triptych out.

    Returns (height, width, 3).
    """
    panels = [_enlarged(panel.image) for panel in shown.panels]
    width, height = panels[0].size
    top = MARGIN_PX + TITLE_PT + NOTE_PT + 54 + HEAD_PT + 14
    n_lines = max(len(panel.lines) for panel in shown.panels)
    size = (
        2 * MARGIN_PX + len(panels) * width + (len(panels) - 1) * GAP_PX,
        top + height + 14 + n_lines * LINE_PX + MARGIN_PX - 12,
    )
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    right = size[0] - MARGIN_PX
    draw.text((MARGIN_PX, MARGIN_PX - 12), shown.title, fill=INK, font=font(TITLE_PT))
    text, colour = shown.verdict
    draw.text((right, MARGIN_PX - 12 + TITLE_PT), text, fill=colour, font=font(NOTE_PT), anchor="rs")
    note = fitted(shown.note, right - MARGIN_PX, NOTE_PT)
    draw.text((MARGIN_PX, MARGIN_PX + TITLE_PT + 6), note, fill=QUIET, font=font(NOTE_PT))
    for place, (panel, image) in enumerate(zip(shown.panels, panels, strict=True)):
        left = MARGIN_PX + place * (width + GAP_PX)
        draw.text((left, top - HEAD_PT - 14), panel.head, fill=INK, font=font(HEAD_PT))
        page.paste(image, (left, top))
        for number, (text, colour) in enumerate(panel.lines):
            at = (left, top + height + 14 + number * LINE_PX)
            draw.text(at, fitted(text, width, TEXT_PT), fill=colour, font=font(TEXT_PT))
    return np.asarray(page)


def _enlarged(image: ByteImage) -> Image.Image:
    shown = Image.fromarray(image)
    factor = -(-PANEL_PX // max(shown.size))
    if max(shown.size) > LARGEST_PANEL_PX:
        scale = LARGEST_PANEL_PX / max(shown.size)
        return shown.resize((round(shown.width * scale), round(shown.height * scale)), Image.Resampling.LANCZOS)
    return shown.resize((shown.width * factor, shown.height * factor), Image.Resampling.NEAREST)


def page_of(
    name: str,
    recipe: Recipe,
    rows: Sequence[Stimulus],
    by_id: dict[str, Stimulus],
    images: dict[str, ByteImage],
    gain: float,
) -> ByteImage:
    """All triptychs of a set on one page.

    rows : the set's part of the manifest.
    """
    shown = [triptych(row, recipe, by_id, images, gain).panels for row in rows]
    blocks = []
    for row, panels in zip(rows, shown, strict=True):
        lines = [panel.lines[:2] for panel in panels]
        lines[1] = ((lines[1][0][0], GOOD if row.success else BAD), *lines[1][1:])
        if row.representation_ratio is not None:
            lines[1] = (lines[1][0], (f"ratio {row.representation_ratio:.2f}", QUIET))
        lines[2] = ((_lengths(row), QUIET),)
        cells = [Cell(panel.image, said) for panel, said in zip(panels, lines, strict=True)]
        blocks.append(Block("", tuple(cells)))
    titles = [panel.head.split(",")[0] for panel in shown[0]]
    n_columns = 1 if len(blocks) <= 4 else 2 if len(blocks) <= 16 else 3
    depth = -(-len(blocks) // n_columns)
    columns = [blocks[start : start + depth] for start in range(0, len(blocks), depth)]
    failures = sum(not row.success for row in rows)
    note = f"differences are shown {gain:g} times ({CUT}), mid-grey is no change; classes by {rows[0].network}"
    if failures:
        note += f"; {failures} of {len(rows)} do not meet their criterion"
    return sheet(f"{name}: {recipe_in_words(recipe)}", note, columns, across=len(titles), titles=titles)
