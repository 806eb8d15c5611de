"""Images on disk: written whole as PNG, read back strictly as 8-bit RGB."""

from __future__ import annotations

import io
import warnings
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
    "RGBA": "RGB with transparency",
    "CMYK": "CMYK",
    "I;16": "16-bit grey",
    "I;16B": "16-bit grey",
    "I": "32-bit grey",
    "F": "floating-point grey",
}


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
    if not path.is_file():
        raise FoolscanError(f"{path}: no such picture; copy or make it again")
    content = path.read_bytes()
    if not content:
        raise FoolscanError(f"{path}: an empty file (0 bytes); copy or make it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
            mode = picture.mode
            picture.load()
    except (UnidentifiedImageError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        raise FoolscanError(f"{path}: not a picture that can be read{why}; expected PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise FoolscanError(f"{path}: cut off or damaged ({error}); copy or make it again") from error
    if mode != "RGB" or _bits(picture, content) != 8:
        what = "16-bit RGB" if mode == "RGB" else MODES.get(mode, f"mode {mode}")
        raise FoolscanError(f"{path}: found {what}, expected 8-bit RGB; convert it so that you see what will be shown")
    return np.asarray(picture)


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


def _bits(picture: Image.Image, content: bytes) -> int:
    """Bits per channel as the file has them: PIL reads 16-bit RGB PNGs as 8-bit without a word."""
    return content[24] if picture.format == "PNG" else 8
