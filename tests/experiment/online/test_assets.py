"""Images as they are sent: the pixels, and nothing by which one could be told from another."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from online_study import crop_study
from PIL import Image, PngImagePlugin

from experiment.online.assets import PADDING_CHUNK, chunks, read_assets
from experiment.online.items import Item, items_of
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError


@pytest.fixture
def made(tmp_path: Path) -> tuple[list[Item], StudyFolder]:
    study, folder = crop_study(tmp_path)
    assert study.online
    return items_of(study.online, folder), folder


def replaced(items: list[Item], folder: StudyFolder, place: int, picture: Image.Image, **saved: object) -> list[Item]:
    """Another picture in the place of an item's, with its hash in the manifest."""
    path = folder.stimuli / items[place].file
    picture.save(path, format="PNG", **saved)
    changed = replace(items[place], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return [*items[:place], changed, *items[place + 1 :]]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_every_image_has_the_same_number_of_bytes(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    flat = replaced(items, folder, 0, Image.new("RGB", (32, 32), (7, 7, 7)))  # compresses to nothing
    with read_assets(flat, folder) as assets:
        assert {len(assets.png(item.item_id)) for item in flat} == {assets.n_bytes}
        assert len(assets) == len(flat)


def test_what_is_sent_are_the_pixels_of_the_file(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    with read_assets(items, folder) as assets:
        for item in items:
            sent = pixels(assets.png(item.item_id))
            assert np.array_equal(sent, pixels((folder.stimuli / item.file).read_bytes()))


def test_an_image_has_four_chunks_and_no_word_of_where_it_comes_from(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    told = PngImagePlugin.PngInfo()
    told.add_text("Title", f"{items[0].item_id} fragile")
    picture = Image.open(folder.stimuli / items[0].file).copy()
    items = replaced(items, folder, 0, picture, pnginfo=told, dpi=(72, 72), icc_profile=b"a profile")
    with read_assets(items, folder) as assets:
        for item in items:
            png = assets.png(item.item_id)
            assert [name for name, _ in chunks(png)] == [b"IHDR", b"IDAT", PADDING_CHUNK, b"IEND"]
            for word in (item.item_id, item.file, item.source_id, "fragile", "altered"):
                assert word.encode() not in png


def test_the_padding_cannot_be_compressed_away(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    items = replaced(items, folder, 0, Image.new("RGB", (32, 32)))
    with read_assets(items, folder) as assets:
        padding = dict(chunks(assets.png(items[0].item_id)))[PADDING_CHUNK]
    assert len(padding) > 1000
    assert len(set(padding)) > 200


def test_the_padding_chunk_is_ancillary_private_and_safe_to_copy() -> None:
    assert [letter & 0x20 != 0 for letter in PADDING_CHUNK] == [True, True, False, True]


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA"])
def test_grey_and_palette_pictures_look_like_the_others(made: tuple[list[Item], StudyFolder], mode: str) -> None:
    items, folder = made
    picture = Image.open(folder.stimuli / items[0].file).convert(mode)
    items = replaced(items, folder, 0, picture)
    with read_assets(items, folder) as assets:
        headers = {dict(chunks(assets.png(item.item_id)))[b"IHDR"] for item in items}
        assert len(headers) == 1
        assert np.array_equal(pixels(assets.png(items[0].item_id)), np.asarray(picture.convert("RGB")))


def test_images_in_a_file_are_those_in_memory(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    with read_assets(items, folder) as memory, read_assets(items, folder, most_in_memory=0) as file:
        assert file.n_bytes == memory.n_bytes
        for item in items:
            assert np.array_equal(pixels(file.png(item.item_id)), pixels(memory.png(item.item_id)))
            assert len(file.png(item.item_id)) == file.n_bytes


def test_images_of_several_sizes_are_said(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    with read_assets(items, folder) as assets:
        assert not assets.remarks()
    items = replaced(items, folder, 0, Image.new("RGB", (30, 30)))
    with read_assets(items, folder) as assets:
        (remark,) = assets.remarks()
    assert "2 sizes: 30 × 30 px (1), 32 × 32 px" in remark
    assert "shown_px" in remark


def test_a_missing_file_is_named(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    (folder.stimuli / items[3].file).unlink()
    with pytest.raises(FoolscanError, match=Path(items[3].file).name):
        read_assets(items, folder)


def test_a_changed_file_is_named(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    path = folder.stimuli / items[3].file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(FoolscanError, match=rf"{path.name}.*other content than its manifest says"):
        read_assets(items, folder)


def test_a_file_that_is_no_picture_is_named(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    path = folder.stimuli / items[0].file
    for content in (b"no picture", path.read_bytes()[:200]):
        path.write_bytes(content)
        broken = [replace(items[0], sha256=hashlib.sha256(content).hexdigest())]
        with pytest.raises(FoolscanError, match=rf"{path.name}.*not readable as a picture"):
            read_assets(broken, folder)


def test_what_would_be_seen_otherwise_is_refused(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    clear = replaced(items, folder, 0, Image.new("RGBA", (32, 32), (1, 2, 3, 128)))
    with pytest.raises(FoolscanError, match="transparent"):
        read_assets(clear, folder)
    deep = replaced(items, folder, 0, Image.fromarray(np.full((32, 32), 40_000, np.uint16)))
    with pytest.raises(FoolscanError, match="expected 8 bits"):
        read_assets(deep, folder)


def test_an_item_that_is_not_shown_has_no_image(made: tuple[list[Item], StudyFolder]) -> None:
    items, folder = made
    with read_assets(items[:2], folder) as assets:
        assert items[0].item_id in assets
        assert items[5].item_id not in assets
        with pytest.raises(KeyError):
            assets.png(items[5].item_id)


def test_a_wrong_checksum_is_seen() -> None:
    with pytest.raises(ValueError, match="signature"):
        list(chunks(b"GIF89a"))
