"""ImageNet's annotations: where in a picture its objects are."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from protocols.problems import FoolscanError, WorkWanting
from stimuli.fragile.estimates import Box

CORNERS = ("ymin", "xmin", "ymax", "xmax")
MOST_BYTES = 1_000_000
"""Of a file; ImageNet's have a few thousand."""


def annotated_box(path: Path) -> Box | None:
    """The smallest box that holds all annotated objects of a picture (Pascal VOC's XML); None where it has none.

    Of ImageNet's validation pictures every object of the picture's class is boxed, so that "inside" means: where the
    objects of that class are. Corners may lie on the picture's far edges.

    Raises WorkWanting for a file that is not there, FoolscanError for one that cannot be read.
    """
    if not path.is_file():
        raise WorkWanting(
            f"{path}: no such file; put ImageNet's box annotations there (one XML file a picture), or leave out fragile.pictures.boxes"
        )
    text = path.read_bytes()
    if len(text) > MOST_BYTES or b"<!" in text:  # annotations have no document types: entities could grow without end
        raise FoolscanError(f"{path}: found no plain annotation of a picture; expected ImageNet's own files")
    try:
        corners = [_corners(box) for box in ElementTree.fromstring(text).iter("bndbox")]
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        raise FoolscanError(
            f"{path}: found no readable annotation ({error}); expected <bndbox> with whole numbers {', '.join(CORNERS)}"
        ) from None
    if not corners:
        return None
    tops, lefts, bottoms, rights = zip(*corners, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def _corners(box: ElementTree.Element) -> Box:
    top, left, bottom, right = (int(box.findtext(name) or "") for name in CORNERS)
    return top, left, bottom, right
