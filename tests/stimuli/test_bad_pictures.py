"""Pictures of the user's own that are no plain 8-bit RGB: shown as everyone sees them, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.study import Study, load_study
from stimuli.make import make
from stimuli.own_pictures import read_own
from stimuli.pictures import pictures_of

SIDE = 150
RGB = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE + 20, 3), np.uint8)
GREY = RGB[..., 0]


def saved(picture: Image.Image, form: str = "PNG", **more: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, format=form, **more)
    return content.getvalue()


def of(pixels: np.ndarray, mode: str | None = None) -> Image.Image:
    picture = Image.fromarray(pixels)
    return picture if mode is None else picture.convert(mode)


def alpha(value: int) -> Image.Image:
    picture = of(RGB, "RGBA")
    hidden = np.full(RGB.shape[:2], 255, np.uint8)
    hidden[0, 0] = value
    picture.putalpha(Image.fromarray(hidden))
    return picture


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(side: int = SIDE, colour: int = 2) -> bytes:
    """RGB (2) or grey (0) of 16 bits a channel, which Pillow opens as 8-bit RGB without a word."""
    channels = 3 if colour == 2 else 1
    header = struct.pack(">IIBBBBB", side, side, 16, colour, 0, 0, 0)
    rows = (b"\0" + bytes(2 * channels * side)) * side
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff16(side: int = SIDE) -> bytes:
    """RGB of 16 bits a channel, which Pillow opens as 8-bit RGB too."""
    data = bytes(6 * side * side)
    tags = [
        (256, side),
        (257, side),
        (258, None),
        (259, 1),
        (262, 2),
        (273, 8),
        (277, 3),
        (278, side),
        (279, len(data)),
    ]
    first = 8 + len(data)
    bits_at = first + 2 + 12 * len(tags) + 4
    out = b"II*\0" + struct.pack("<I", first) + data + struct.pack("<H", len(tags))
    for tag, value in tags:
        out += struct.pack("<HHII", tag, 3, 3, bits_at) if value is None else struct.pack("<HHII", tag, 4, 1, value)
    return out + struct.pack("<I", 0) + struct.pack("<HHH", 16, 16, 16)


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it has side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def moving(form: str) -> bytes:
    first, *others = (of(np.roll(RGB, shift, axis=0)) for shift in range(3))
    return saved(first, form, save_all=True, append_images=others)


PALETTE = of(RGB).quantize(16)
KEYED = saved(of(RGB), transparency=tuple(int(value) for value in RGB[3, 4]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"an empty file \(0 bytes\)"),
        (b"not a picture at all", "not a picture that can be read; expected PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture that can be read"),
        (saved(of(RGB))[:4000], "cut off or damaged"),
        (saved(of(RGB), "JPEG")[:4000], "cut off or damaged"),
        (saved(alpha(0)), "found 0.00392 % transparent pixels; .* lay it on the background"),
        (saved(alpha(254)), "transparent pixels"),
        (saved(of(GREY, "LA").convert("RGBA"), "WEBP", lossless=True)[:60], "cut off or damaged|not a picture"),
        (KEYED, "transparent pixels"),
        (saved(PALETTE, transparency=3), "transparent pixels"),
        (saved(of(RGB, "CMYK"), "JPEG"), r"found CMYK; .* save it as RGB"),
        (saved(of(RGB, "CMYK"), "TIFF"), "found CMYK"),
        (saved(of(GREY.astype(np.uint16) * 16)), "found 16-bit grey; .* save it with 8 bits"),
        (saved(of(GREY.astype(np.uint16) * 16), "TIFF"), "found 16-bit grey"),
        (saved(of(GREY.astype(np.float32)), "TIFF"), "found floating-point grey"),
        (png16(), "found 16-bit RGB"),
        (tiff16(), "found 16-bit RGB"),
        (moving("GIF"), "found 3 pictures in one file"),
        (moving("PNG"), "found 3 pictures in one file"),
        (moving("WEBP"), "found 3 pictures in one file"),
        (moving("TIFF"), "found 3 pictures in one file"),
        (bomb(10_000), "found more pixels than can be taken for a picture .* reduce it to at most 89 million pixels"),
        (bomb(100_000), "found more pixels"),
    ],
)
def test_what_has_no_one_right_conversion_is_refused_by_name(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "otter.png"
    path.write_bytes(content)
    with pytest.raises(FoolscanError, match=message) as caught:
        read_own(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_plain_picture_is_the_file_s_pixels(tmp_path: Path):
    path = tmp_path / "otter.png"
    path.write_bytes(saved(of(RGB)))
    picture = read_own(path)
    assert np.array_equal(picture.pixels, RGB)
    assert picture.converted == ()


@pytest.mark.parametrize(
    ("content", "expected", "told"),
    [
        (saved(of(GREY)), np.stack([GREY] * 3, axis=-1), "grey to RGB"),
        (saved(of(GREY), "TIFF"), np.stack([GREY] * 3, axis=-1), "grey to RGB"),
        (saved(of(GREY > 99)), np.stack([255 * (GREY > 99)] * 3, axis=-1), "black and white to RGB"),
        (saved(PALETTE), np.asarray(PALETTE.convert("RGB")), "a palette to RGB"),
        (saved(PALETTE, "GIF"), np.asarray(PALETTE.convert("RGB")), "a palette to RGB"),
        (saved(alpha(255)), RGB, "alpha channel that hides nothing left out"),
        (saved(of(GREY, "LA")), np.stack([GREY] * 3, axis=-1), "alpha channel that hides nothing left out"),
    ],
)
def test_what_everyone_sees_alike_is_converted_without_loss_and_told(
    tmp_path: Path, content: bytes, expected: np.ndarray, told: str
):
    path = tmp_path / "otter.png"
    path.write_bytes(content)
    picture = read_own(path)
    assert np.array_equal(picture.pixels, expected)
    assert picture.converted == (told,)


@pytest.mark.parametrize(("orientation", "turned"), [(3, np.rot90(RGB, 2)), (6, np.rot90(RGB, 3)), (8, np.rot90(RGB))])
def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path, orientation: int, turned: np.ndarray):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "otter.png"
    path.write_bytes(saved(of(RGB), exif=exif))
    picture = read_own(path)
    assert np.array_equal(picture.pixels, turned)
    assert picture.converted == ("turned by its EXIF orientation",)


def test_srgb_s_own_profile_changes_nothing_and_another_space_is_brought_to_srgb(tmp_path: Path):
    path = tmp_path / "otter.png"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    path.write_bytes(saved(of(RGB), icc_profile=srgb.tobytes()))
    assert np.array_equal(read_own(path).pixels, RGB)
    assert read_own(path).converted == ()
    linear = wide_profile()
    path.write_bytes(saved(of(RGB), icc_profile=linear))
    picture = read_own(path)
    assert picture.converted == ("test light to sRGB",)
    grey = np.array([[[64, 64, 64]]], np.uint8)
    path.write_bytes(saved(of(grey), icc_profile=linear))
    # a quarter of the light is sRGB level 137 (IEC 61966-2-1)
    assert np.abs(read_own(path).pixels.astype(int) - 137).max() <= 1
    path.write_bytes(saved(of(RGB), icc_profile=b"nothing of the kind"))
    with pytest.raises(FoolscanError, match="its colour profile cannot be used"):
        read_own(path)


def wide_profile() -> bytes:
    """A profile of linear light with sRGB's primaries (ICC.1:2001-04), called "test light"."""

    def s15(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(s15, values))

    name = b"test light\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(8 + 3 + 67)
    straight = b"curv\0\0\0\0" + struct.pack(">I", 0)
    tags = {
        b"desc": description,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.4360, 0.2225, 0.0139),
        b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
        b"bXYZ": xyz(0.1431, 0.0606, 0.7141),
        b"rTRC": straight,
        b"gTRC": straight,
        b"bTRC": straight,
    }
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + s15(0.9642) + s15(1.0) + s15(0.8249)
    return header.ljust(128, b"\0") + table + data


def study_of(folder: Path, contents: dict[str, bytes]) -> Study:
    """A study of pictures named cat, car, …, one category each."""
    (folder / "pictures").mkdir()
    table = "file\tcategory\tsupercategory\tanimal\tnetwork_class\n"
    for name, content in contents.items():
        (folder / "pictures" / f"{name}.png").write_bytes(content)
        table += (
            f"{name}.png\t{name}\t{'mammals' if name == 'cat' else 'vehicles'}\t{str(name == 'cat').lower()}\t{name}\n"
        )
    (folder / "pictures" / "labels.tsv").write_text(table, encoding="utf-8")
    (folder / "own.yaml").write_text(
        "format: 1\nextends: demo\nname: own\ntitle: own pictures\nstimuli:\n"
        "  n_categories: 2\n  pictures: {kind: folder, folder: pictures}\ntasks: {animals: {stimulus_trials: 6}}\n",
        encoding="utf-8",
    )
    return load_study(folder / "own.yaml")


def test_all_that_was_converted_is_told_by_file(tmp_path: Path):
    pictures = pictures_of(study_of(tmp_path, {"cat": saved(of(GREY)), "car": saved(of(RGB))}))
    assert pictures.conversions() == {"cat.png": ("grey to RGB",)}
    image = pictures.image(pictures.categories[0], 0)
    assert image.shape == (128, 128, 3)
    assert np.array_equal(image[..., 0], image[..., 1])


@pytest.mark.parametrize(
    "spoil",
    [lambda: saved(alpha(0)), lambda: saved(of(RGB[:100, :100])), lambda: b"", lambda: moving("GIF"), lambda: tiff16()],
    ids=["transparent", "small", "empty", "moving", "16-bit"],
)
def test_a_picture_that_is_refused_leaves_nothing_written(tmp_path: Path, spoil: Callable[[], bytes]):
    study = study_of(tmp_path, {"cat": saved(of(RGB)), "car": spoil()})
    with pytest.raises(FoolscanError, match=r"car\.png: "):
        make(study, StudyFolder(tmp_path / "made"), "cpu")
    assert not (tmp_path / "made").exists()
