"""The user's own picture files: what can be shown as everyone sees it is converted and told of, the rest is refused."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from protocols.problems import FoolscanError
from stimuli.image_files import bits, opened, refuse_frames, what
from stimuli.synthesis.starts import ByteImage

_ORIENTATION = 0x0112
_UPRIGHT = 1
_PLAIN = ("RGB", "L", "1", "P")
_TRANSPARENT = ("RGBA", "LA", "PA")


@dataclass(frozen=True)
class OwnPicture:
    """A picture as it will be shown.

    pixels    : (height, width, 3) uint8, sRGB.
    converted : what was done to it, in words; empty: its pixels are the file's.
    """

    pixels: ByteImage
    converted: tuple[str, ...]


def read_own(path: Path) -> OwnPicture:
    """Read a picture of the user's, as any viewer shows it.

    Converted without loss: grey, black and white, or a palette to RGB; a photograph turned by its EXIF orientation; an alpha
    channel that hides nothing left out. Converted by its colour profile: RGB or grey of another space than sRGB.

    Raises FoolscanError, with what was found and what to do, for what has no one right conversion: transparent pixels, CMYK,
    more than 8 bits a channel, several pictures in one file; and as `opened` does.
    """
    picture = opened(path)
    refuse_frames(picture, path)
    if bits(picture) > 8:
        raise FoolscanError(
            f"{path}: found {what(picture)}; which of its levels are black and white is not known here (cameras use a part of "
            "the range): save it with 8 bits a channel, as it shall be seen"
        )
    if picture.mode not in (*_PLAIN, *_TRANSPARENT):
        raise FoolscanError(
            f"{path}: found {what(picture)}; its colours depend on a printing profile: save it as RGB (sRGB), as it shall be seen"
        )
    done: list[str] = []
    if picture.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
        done.append("turned by its EXIF orientation")
        picture = ImageOps.exif_transpose(picture)
    profile = picture.info.get("icc_profile")
    grey = picture.convert("L") if picture.mode in ("L", "LA", "1") else None
    if picture.has_transparency_data:
        picture = _opaque(picture, path)
        done.append("alpha channel that hides nothing left out")
    elif picture.mode != "RGB":
        done.append(f"{what(picture)} to RGB")
    if profile:
        picture, name = _in_srgb(picture.convert("RGB"), grey, profile, path)
        if name:
            done.append(f"{name} to sRGB")
    return OwnPicture(np.asarray(picture.convert("RGB")), tuple(done))


def _opaque(picture: Image.Image, path: Path) -> Image.Image:
    with_alpha = picture.convert("RGBA")
    hidden = np.asarray(with_alpha.getchannel("A")) < 255
    if hidden.any():
        raise FoolscanError(
            f"{path}: found {100 * hidden.mean():.3g} % transparent pixels; what is seen through them is not in the file: lay "
            "it on the background that shall be seen"
        )
    return with_alpha.convert("RGB")


def _in_srgb(picture: Image.Image, grey: Image.Image | None, profile: bytes, path: Path) -> tuple[Image.Image, str]:
    """The picture in sRGB, and the name of the space that it was in; no name: it was sRGB."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip() or "an unnamed colour profile"
        space = source.profile.xcolor_space.strip()
        if "srgb" in name.lower():
            return picture, ""
        if (space == "GRAY" and grey is None) or space not in ("GRAY", "RGB"):
            raise FoolscanError(f"{path}: found a {space} colour profile ({name}) in an RGB picture; save it as sRGB")
        target = ImageCms.createProfile("sRGB")
        start = grey if space == "GRAY" and grey is not None else picture
        converted = ImageCms.profileToProfile(start, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise FoolscanError(f"{path}: its colour profile cannot be used ({error}); save it as sRGB") from error
    return converted or picture, name
