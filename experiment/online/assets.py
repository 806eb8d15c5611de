"""Images as participants get them: the pixels alone, all of one number of bytes, so that nothing but the picture tells them apart."""

from __future__ import annotations

import hashlib
import io
import mmap
import secrets
import struct
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from PIL import Image, UnidentifiedImageError

from experiment.online.items import Item
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError

PADDING_CHUNK = b"paDd"
"""Ancillary, private, safe to copy: decoders pass over it (PNG specification, section 5.4)."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"
SHOWN_MODES = ("1", "L", "P", "RGB", "RGBA")
MOST_IN_MEMORY = 256 * 2**20
"""Bytes; more stand in a temporary file, of which the system keeps in memory what is asked for."""
MOST_BYTES = 8 * 2**30
"""Bytes of all images together."""
MOST_PIXELS = 4096 * 4096


class _Bytes(Protocol):
    """Memory or a file in memory's clothes."""

    def __getitem__(self, key: slice, /) -> bytes: ...


@dataclass(frozen=True)
class Picture:
    """What was read of one image file.

    item_id : whose.
    size_px : (width, height).
    """

    item_id: str
    size_px: tuple[int, int]


class Assets:
    """The images of a study by item, each `n_bytes` long.

    pictures : what was read, in order.
    n_bytes  : of every image.

    Made by `read_assets`; close it to let go of its temporary file.
    """

    def __init__(self, pictures: tuple[Picture, ...], n_bytes: int, content: _Bytes, file: IO[bytes] | None) -> None:
        self.pictures = pictures
        self.n_bytes = n_bytes
        self._content = content
        self._file = file
        self._place = {picture.item_id: place for place, picture in enumerate(pictures)}

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._place

    def __len__(self) -> int:
        return len(self._place)

    def png(self, item_id: str) -> bytes:
        """The PNG of an item, as it is sent. Raises KeyError for an item that is not shown."""
        begin = self._place[item_id] * self.n_bytes
        return self._content[begin : begin + self.n_bytes]

    @property
    def sizes_px(self) -> Mapping[tuple[int, int], int]:
        """How many images there are of each (width, height)."""
        return Counter(picture.size_px for picture in self.pictures)

    def remarks(self) -> list[str]:
        """What about the images themselves could tell one from another, in sentences."""
        if len(self.sizes_px) <= 1:
            return []
        sizes = ", ".join(f"{width} × {height} px ({n})" for (width, height), n in sorted(self.sizes_px.items()))
        return [
            f"images are of {len(self.sizes_px)} sizes: {sizes}; the page shows all of them equally large, but who looks into the "
            "page can tell them apart by it. Their pixels are left as they are; to have one size set fragile.pairs.shown_px"
        ]

    def close(self) -> None:
        """Let go of memory and temporary file."""
        if isinstance(self._content, mmap.mmap):
            self._content.close()
        self._content = b""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def read_assets(items: Iterable[Item], folder: StudyFolder, *, most_in_memory: int = MOST_IN_MEMORY) -> Assets:
    """Read the images of a study, check each against its manifest, and make them equal in everything but their pixels.

    items          : those that are shown; one that comes twice is read once.
    folder         : with the image files.
    most_in_memory : bytes; more stand in a temporary file.

    Raises FoolscanError naming the first file that is missing, differs from its manifest, or is no picture that can be shown.
    """
    every = list({item.item_id: item for item in items}.values())
    with tempfile.TemporaryFile(prefix="foolscan-assets-") as spooled:
        pictures, lengths = [], []
        for item in every:
            picture, pixels = _read(item, folder)
            encoded = _encoded(picture.size_px, pixels)
            pictures.append(picture)
            lengths.append(len(encoded))
            spooled.write(encoded)
        n_bytes = max(lengths, default=0) + 12
        if n_bytes * len(every) > MOST_BYTES:
            raise FoolscanError(
                f"{folder.stimuli}: {len(every)} images of {n_bytes} bytes each, as all are made as long as the longest; expected "
                f"at most {MOST_BYTES // 2**30} GiB together; make the images smaller"
            )
        padded = _padded(spooled, lengths, n_bytes)
        if n_bytes * len(every) <= most_in_memory:
            return Assets(tuple(pictures), n_bytes, b"".join(padded), None)
        file = tempfile.TemporaryFile(prefix="foolscan-assets-")  # noqa: SIM115 - lives as long as the assets
        try:
            file.writelines(padded)
            file.flush()
            return Assets(tuple(pictures), n_bytes, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), file)
        except BaseException:
            file.close()
            raise


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG: (name, content). Raises ValueError where it is none or a checksum is wrong."""
    if not png.startswith(SIGNATURE):
        raise ValueError("found no PNG signature")
    at = len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", png, at + 8 + length)
        if zlib.crc32(name + content) != checksum:
            raise ValueError(f"chunk {name!r}: wrong checksum")
        yield name, content
        at += 12 + length


def _read(item: Item, folder: StudyFolder) -> tuple[Picture, bytes]:
    path = folder.stimuli / item.file
    remedy = "restore it, or make the images again"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FoolscanError(
            f"{path}: {error.strerror or error}; it is an image of the online task: {remedy}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != item.sha256:
        raise FoolscanError(
            f"{path}: found other content than its manifest says (SHA-256 {found[:12]}…, expected {item.sha256[:12]}…): {remedy}"
        )
    return _pixels(item.item_id, content, path, remedy)


def _pixels(item_id: str, content: bytes, path: Path, remedy: str) -> tuple[Picture, bytes]:
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise FoolscanError(
                    f"{path}: found {opened.width} × {opened.height} pixels, expected at most {MOST_PIXELS}"
                )
            if opened.mode not in SHOWN_MODES:
                raise FoolscanError(
                    f"{path}: found a picture of mode {opened.mode}, expected 8 bits a channel: {remedy}"
                )
            opened.load()
            if "transparency" in opened.info or opened.mode == "RGBA":
                clear = opened.convert("RGBA").getchannel("A").getextrema()
                if clear != (255, 255):
                    raise FoolscanError(
                        f"{path}: found transparent pixels; what is seen would hang on the page: {remedy}"
                    )
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FoolscanError(f"{path}: not readable as a picture ({error}): {remedy}") from error
    return Picture(item_id, picture.size), picture.tobytes()


def _encoded(size_px: tuple[int, int], pixels: bytes) -> bytes:
    """A PNG of exactly three chunks."""
    content = io.BytesIO()
    Image.frombytes("RGB", size_px, pixels).save(content, format="PNG", compress_level=6)
    drawn = b"".join(part for name, part in chunks(content.getvalue()) if name == b"IDAT")
    header = struct.pack(">IIBBBBB", *size_px, 8, 2, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", drawn) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _pad(encoded: bytes, n_bytes: int) -> bytes:
    """The PNG, as long as asked for. The padding is random: compressing on the way does not make it shorter."""
    end = len(_chunk(b"IEND", b""))
    padding = secrets.token_bytes(n_bytes - len(encoded) - 12)
    return encoded[:-end] + _chunk(PADDING_CHUNK, padding) + encoded[-end:]


def _padded(spooled: IO[bytes], lengths: Iterable[int], n_bytes: int) -> Iterator[bytes]:
    spooled.seek(0)
    for length in lengths:
        yield _pad(spooled.read(length), n_bytes)
