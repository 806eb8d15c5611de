"""Images are saved exactly and read strictly: nothing is converted without a word."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from protocols.problems import FoolscanError
from stimuli.image_files import png_bytes, read_rgb, write_png


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_a_saved_image_comes_back_pixel_by_pixel(tmp_path_factory: pytest.TempPathFactory, image: np.ndarray):
    path = tmp_path_factory.mktemp("png") / "image.png"
    write_png(path, image)
    assert np.array_equal(read_rgb(path), image)
    assert path.read_bytes() == png_bytes(image)


def rgb16(path: Path) -> None:
    """A 2 x 2 PNG of 16 bits per channel, which PIL would open as 8-bit RGB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(12) for _ in range(2))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def of_mode(mode: str, suffix: str = ".png") -> Callable[[Path], None]:
    return lambda path: Image.new(mode, (16, 16)).save(path, format="TIFF" if suffix == ".tif" else None)


def cut_off(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    path.write_bytes(png_bytes(noise)[:1500])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: None, "no such picture"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.write_bytes(b"not a picture"), "not a picture"),
        (cut_off, "cut off or damaged"),
        (of_mode("L"), "found grey"),
        (of_mode("RGBA"), "transparency"),
        (of_mode("P"), "a palette"),
        (of_mode("CMYK", ".tif"), "found CMYK"),
        (of_mode("I;16"), "16-bit grey"),
        (rgb16, "16-bit RGB"),
    ],
)
def test_what_is_not_an_8_bit_rgb_picture_is_refused_by_name(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
):
    path = tmp_path / "otter.png"
    spoil(path)
    with pytest.raises(FoolscanError, match=message) as caught:
        read_rgb(path)
    assert "otter.png" in str(caught.value)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_path: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FoolscanError, match="No space left on device"):
        write_png(tmp_path / "image.png", np.zeros((4, 4, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
