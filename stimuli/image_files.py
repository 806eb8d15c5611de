"""Images on disk: written whole as PNG, read back strictly as 8-bit RGB."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from protocols.folder import StudyFolder, write_bytes
from protocols.manifest import Stimulus
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of
from stimuli.synthesis.starts import ByteImage

MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "P": "a palette",
    "PA": "a palette with transparency",
    "RGBA": "RGB with transparency",
    "CMYK": "CMYK",
    "I;16": "16-bit grey",
    "I;16B": "16-bit grey",
    "I": "32-bit grey",
    "F": "floating-point grey",
}
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
"""What is opened at all: of other formats the reader could only guess what will be seen."""
BITS_PER_SAMPLE = 258
"""The tag of a TIFF file."""


def png_bytes(image: ByteImage) -> bytes:
    """An image, (height, width, 3) uint8, as a PNG file; the same bytes for the same pixels on one machine."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(content, format="PNG", compress_level=6)
    return content.getvalue()


def write_png(path: Path, image: ByteImage) -> None:
    """Write an image as PNG, whole or not at all."""
    write_bytes(path, png_bytes(image))


def read_rgb(path: Path) -> ByteImage:
    """Read an 8-bit RGB picture, exactly as it is.

    Returns (height, width, 3), uint8.

    Raises FoolscanError when it is missing, empty, cut off, no picture, or not 8-bit RGB: nothing is converted silently.
    """
    picture = opened(path)
    if picture.mode != "RGB" or bits(picture) != 8 or picture.has_transparency_data:
        raise FoolscanError(
            f"{path}: found {what(picture)}, expected 8-bit RGB; convert it so that you see what will be shown"
        )
    refuse_frames(picture, path)
    return np.asarray(picture)


def opened(path: Path) -> Image.Image:
    """Open a picture file and decode all of it.

    Raises FoolscanError when it is missing, empty, cut off, too large, or no picture of `FORMATS`.
    """
    if not path.is_file():
        raise FoolscanError(f"{path}: no such picture; copy or make it again")
    content = path.read_bytes()
    if not content:
        raise FoolscanError(f"{path}: an empty file (0 bytes); copy or make it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
            n_bits = content[24] if picture.format == "PNG" else 8  # PIL reads 16-bit RGB as 8-bit without a word
            if picture.format == "TIFF":
                n_bits = int(np.max(picture.getexif().get(BITS_PER_SAMPLE, 1)))
            picture.load()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise FoolscanError(
            f"{path}: found more pixels than can be taken for a picture ({error}); reduce it to at most {most} million pixels"
        ) from error
    except UnidentifiedImageError as error:
        raise FoolscanError(
            f"{path}: not a picture that can be read; expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise FoolscanError(f"{path}: cut off or damaged ({error}); copy or make it again") from error
    picture.info[_BITS] = n_bits
    return picture


_BITS = "foolscan_bits"


def bits(picture: Image.Image) -> int:
    """Bits per channel, as the file of a picture that was `opened` has them."""
    return max(int(picture.info[_BITS]), 16 if picture.mode.startswith(("I", "F")) else 1, 8)


def what(picture: Image.Image) -> str:
    """What kind of picture was opened, in words."""
    if bits(picture) > 8 and not picture.mode.startswith(("I", "F")):
        return f"{bits(picture)}-bit {picture.mode}"
    if picture.mode == "RGB" and picture.has_transparency_data:
        return "RGB with a transparent colour"
    return MODES.get(picture.mode, f"mode {picture.mode}")


def refuse_frames(picture: Image.Image, path: Path) -> None:
    """Raise FoolscanError when there are several pictures in one file: nobody could know which is meant.

    A camera's MPO is a JPEG whose first picture is the photograph, as every viewer shows it.
    """
    n_frames = getattr(picture, "n_frames", 1)
    if n_frames > 1 and picture.format != "MPO":
        raise FoolscanError(
            f"{path}: found {n_frames} pictures in one file (animated, or pages); save the one that is meant"
        )


def read_stimulus(folder: StudyFolder, stimulus: Stimulus) -> ByteImage:
    """Read an image of the manifest, (height, width, 3) uint8.

    Raises FoolscanError as `read_rgb` does, and when it is not the image that the manifest describes.
    """
    path = stimulus.path(folder)
    image = read_rgb(path)
    if sha256_of(path) != stimulus.sha256:
        raise FoolscanError(
            f"{path}: not the image that the manifest describes (its sha256 differs); make it again: foolscan stimuli make"
        )
    return image
