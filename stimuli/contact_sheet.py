"""Contact sheets: every image of a set with its name, and each source beside what was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from protocols.folder import StudyFolder
from protocols.manifest import Stimulus, in_set, read_manifest
from protocols.study import Study
from stimuli.image_files import read_rgb, write_png
from stimuli.synthesis.starts import ByteImage

CELL_PX = 160
GAP_PX = 14
MARGIN_PX = 40
COLUMNS = 8
AMPLIFIED = 12
INK, FAINT, PAPER = (28, 30, 36), (120, 124, 132), (255, 255, 255)


def contact_sheet(study: Study, folder: StudyFolder) -> list[Path]:
    """Draw one sheet for each set, one of triplets, and one of thumbnails, to be looked at by a person.

    study  : names the sets.
    folder : the study folder, with its images made.

    Returns the PNG files in ``derivatives/foolscan/contact-sheets/``.
    """
    stimuli = read_manifest(folder)
    sheets = folder.derived("contact-sheets")
    written = []
    for name in study.stimuli.sets:
        members = in_set(stimuli, name)
        captions = [(s.category.replace("_", " "), _verdict(s)) for s in members]
        sheet = _grid(
            f"{name}  ·  {len(members)} images", [read_rgb(s.path(folder)) for s in members], captions, CELL_PX
        )
        written.append(_written(sheets / f"{name}.png", sheet))
    regular = [s for s in stimuli if s.source_id is None]
    thumbnails = [read_rgb(s.path(folder)) for s in regular]
    written.append(
        _written(sheets / "thumbnails.png", _grid("At 64 pixels", thumbnails, [("", "")] * len(regular), 64))
    )
    written.append(_written(sheets / "triplets.png", _triplets(study, folder, stimuli)))
    return written


def _verdict(stimulus: Stimulus) -> str:
    label = "" if stimulus.network_label == stimulus.category else f"{stimulus.network_label.replace('_', ' ')}  "
    return f"{label}{100 * stimulus.confidence:.1f} %" + ("" if stimulus.success else "  FAILED")


def _triplets(study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus]) -> Image.Image:
    """A row for every category: the source, what was made of it, and the change of those that keep to the source."""
    by_source: dict[str, list[Stimulus]] = {}
    for stimulus in stimuli:
        by_source.setdefault(stimulus.source_id or stimulus.stim_id, []).append(stimulus)
    order = list(study.stimuli.sets)
    images, captions = [], []
    for members in by_source.values():
        members.sort(key=lambda stimulus: order.index(stimulus.set))
        source = read_rgb(members[0].path(folder))
        for stimulus in members:
            image = read_rgb(stimulus.path(folder))
            images.append(image)
            captions.append((f"{stimulus.set} {stimulus.category.replace('_', ' ')}", _verdict(stimulus)))
            if stimulus.linf is not None:
                images.append(amplified(source, image))
                captions.append((f"change × {AMPLIFIED}", f"at most {stimulus.linf} of 255"))
    return _grid("Source, noise, interference, change", images, captions, CELL_PX)


def amplified(source: ByteImage, image: ByteImage) -> ByteImage:
    """The change from a source image, twelvefold around mid-grey, clipped: (height, width, 3) uint8."""
    change = image.astype(np.int32) - source.astype(np.int32)
    return np.clip(128 + AMPLIFIED * change, 0, 255).astype(np.uint8)


def _grid(title: str, images: Sequence[ByteImage], captions: Sequence[tuple[str, str]], cell_px: int) -> Image.Image:
    caption_px = 36 if any(name for name, _ in captions) else 0
    columns = min(COLUMNS if cell_px >= CELL_PX else 10, len(images))
    rows = -(-len(images) // columns)
    step_x, step_y = cell_px + GAP_PX, cell_px + caption_px + GAP_PX
    size = (2 * MARGIN_PX + columns * step_x - GAP_PX, 3 * MARGIN_PX + rows * step_y - GAP_PX)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN_PX, MARGIN_PX - 8), title, font=ImageFont.load_default(26), fill=INK)
    name_font, fact_font = ImageFont.load_default(14), ImageFont.load_default(12)
    for place, (image, (name, fact)) in enumerate(zip(images, captions, strict=True)):
        x, y = MARGIN_PX + place % columns * step_x, 2 * MARGIN_PX + place // columns * step_y
        sheet.paste(Image.fromarray(image).resize((cell_px, cell_px), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + cell_px + 3), name, font=name_font, fill=INK)
        draw.text((x, y + cell_px + 19), fact, font=fact_font, fill=FAINT)
    return sheet


def _written(path: Path, sheet: Image.Image) -> Path:
    write_png(path, np.asarray(sheet))
    return path
