"""What is derived from the images: contact sheets, activations, and images at a rig's exact pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from protocols.folder import StudyFolder, read_json, write_json
from protocols.manifest import in_set, read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import read_provenance, sha256_of
from protocols.rig import Rig, load_rig
from protocols.study import Study
from stimuli.activations import activations
from stimuli.contact_sheet import contact_sheet
from stimuli.differences import difference
from stimuli.export import export, exported
from stimuli.image_files import read_rgb
from stimuli.networks import load_network


def test_activations_are_those_of_the_files_in_the_manifest_s_order(study: Study, folder: StudyFolder):
    path, *_ = activations(study, folder, "cpu")
    rows = read_manifest(folder)
    network = load_network("picturenet", device="cpu")
    expected = network.activations(np.stack([read_rgb(row.path(folder)) for row in rows]))
    with h5py.File(path) as file:
        assert file.attrs["format"] == 1
        assert tuple(file.attrs["layers"]) == network.layers
        assert [name.decode() for name in file["stim_id"][()]] == [row.stim_id for row in rows]
        for layer in network.layers:
            found = file[f"layers/{layer}"]
            assert found.dtype == np.float32
            assert np.array_equal(found[()], expected[layer].reshape(len(rows), -1))
    assert read_provenance(path)["inputs"] == {"stimuli/stimuli.tsv": sha256_of(folder.manifest)}


def test_activations_have_the_same_bytes_every_time(study: Study, folder: StudyFolder):
    first = sha256_of(activations(study, folder, "cpu")[0])
    (folder.derived("activations") / "picturenet.h5").unlink()
    assert sha256_of(activations(study, folder, "cpu")[0]) == first


def test_before_there_are_images_the_message_names_the_step_that_makes_them(study: Study, tmp_path: Path):
    for step in (lambda f: activations(study, f), lambda f: contact_sheet(study, f)):
        with pytest.raises(NotReady, match="foolscan stimuli make"):
            step(StudyFolder(tmp_path))


def test_there_is_a_sheet_for_each_set_one_of_triplets_and_one_of_the_book(study: Study, folder: StudyFolder):
    paths = contact_sheet(study, folder)
    assert [path.stem for path in paths] == ["RE", "AN", "AI", "triplets", "picture-book"]
    before = [sha256_of(path) for path in paths]
    assert [sha256_of(path) for path in contact_sheet(study, folder)] == before
    for path in paths:
        assert read_provenance(path)["sha256"] == sha256_of(path)


def test_a_sheet_shows_every_image_pixel_by_pixel(study: Study, folder: StudyFolder):
    sheet = read_rgb(next(path for path in contact_sheet(study, folder) if path.stem == "AN"))
    for row in in_set(read_manifest(folder), "AN"):
        image = read_rgb(row.path(folder))
        windows = np.lib.stride_tricks.sliding_window_view(sheet, (1, 128, 3)).reshape(len(sheet), -1, 128 * 3)
        tops, lefts = np.nonzero((windows == image[0].ravel()).all(axis=2))
        assert any(np.array_equal(sheet[y : y + 128, x : x + 128], image) for y, x in zip(tops, lefts, strict=True))


def test_a_change_is_amplified_around_mid_grey():
    source = np.array([[[100, 100, 100]]], np.uint8)
    image = np.array([[[102, 97, 200]]], np.uint8)
    assert difference(image, source, 15).tolist() == [[[158, 83, 255]]]


def test_images_are_exported_once_at_the_exact_pixels_of_the_rig(study: Study, folder: StudyFolder):
    rig = load_rig("rehearsal")
    index_path = export(study, rig, folder)
    assert index_path == folder.screen_images("rehearsal") / "export.json"
    index = json.loads(index_path.read_text(encoding="utf-8"))
    assert index["side_px"] == rig.display.px(12.0) == 431
    rows = read_manifest(folder)
    assert list(index["images"]) == [row.stim_id for row in rows]
    for row in rows:
        entry = index["images"][row.stim_id]
        path = index_path.parent / entry["file"]
        assert Image.open(path).size == (431, 431)
        assert sha256_of(path) == entry["sha256"]
        assert entry["source_sha256"] == row.sha256
    times = {path: path.stat().st_mtime_ns for path in index_path.parent.glob("*.png")}
    export(study, rig, folder)
    assert {path: path.stat().st_mtime_ns for path in index_path.parent.glob("*.png")} == times


def test_a_task_of_another_image_size_is_exported_beside_the_first(study: Study, folder: StudyFolder):
    rig = load_rig("rehearsal")
    first = export(study, rig, folder)
    before = {path: path.read_bytes() for path in first.parent.iterdir()}
    (name, task), *_ = study.tasks.items()
    both = study.model_copy(update={"tasks": {**study.tasks, "small": task.model_copy(update={"image_deg": 3.0})}})
    second = export(both, rig, folder, task="small")
    assert second.parent != first.parent
    assert read_json(second)["side_px"] == rig.display.px(3.0)
    assert {path: path.read_bytes() for path in first.parent.iterdir()} == before
    assert exported(both, rig, folder, task="small").index == second
    assert exported(both, rig, folder, task=name).index == first
    assert export(both, rig, folder) == first
    assert export(both, rig, folder, task="small") == second


def test_resampling_keeps_the_mean_grey_level_of_every_set_alike(study: Study, folder: StudyFolder):
    index = export(study, load_rig("rehearsal"), folder)
    for row in read_manifest(folder):
        before = read_rgb(row.path(folder)).astype(float)
        after = read_rgb(index.parent / f"{row.stim_id}.png").astype(float)
        assert after.mean() == pytest.approx(before.mean(), abs=1.0)


def linearised(rig: Rig, white_cd_m2: float = 200.0) -> Rig:
    measured = [(level, 0.4 + white_cd_m2 * (level / 255) ** 2.2) for level in (0, 64, 128, 192, 255)]
    light = {"mode": "linearised", "measured": measured}
    return Rig.model_validate({**rig.model_dump(), "display": {**rig.display.model_dump(), "luminance": light}})


def test_images_of_a_linearised_display_are_the_native_ones_decoded_from_srgb(study: Study, folder: StudyFolder):
    rig = load_rig("rehearsal")
    index_path = export(study, rig, folder)
    native = {path.name: read_rgb(path) for path in index_path.parent.glob("*.png")}
    assert read_json(index_path)["luminance"] == {"mode": "native", "curve_sha256": None}
    export(study, linearised(rig), folder)
    assert read_json(index_path)["luminance"]["mode"] == "linearised"
    for name, before in native.items():
        after = read_rgb(index_path.parent / name)
        srgb = before / 255.0
        decoded = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        assert np.abs(after / 255.0 - decoded).max() <= 0.5 / 255 + 1e-12
    export(study, rig, folder)
    assert all((read_rgb(index_path.parent / name) == before).all() for name, before in native.items())


def test_a_new_curve_makes_a_new_export_and_an_old_index_is_native(study: Study, folder: StudyFolder):
    rig = load_rig("rehearsal")
    index_path = export(study, linearised(rig), folder)
    first = read_json(index_path)["luminance"]["curve_sha256"]
    export(study, linearised(rig, 150.0), folder)
    assert read_json(index_path)["luminance"]["curve_sha256"] not in (first, None)
    export(study, rig, folder)
    index = read_json(index_path)
    del index["luminance"]  # as it was written before displays could be linearised
    write_json(index_path, index)
    times = {path: path.stat().st_mtime_ns for path in index_path.parent.glob("*.png")}
    export(study, rig, folder)
    assert {path: path.stat().st_mtime_ns for path in index_path.parent.glob("*.png")} == times


def test_an_image_that_is_not_the_manifest_s_is_not_exported(study: Study, folder: StudyFolder):
    row = read_manifest(folder)[0]
    Image.new("RGB", (128, 128)).save(row.path(folder))
    with pytest.raises(FoolscanError, match="not the image that the manifest describes"):
        export(study, load_rig("rehearsal"), folder)


def test_exporting_needs_no_torch():
    code = "import sys, stimuli.export, stimuli.contact_sheet, stimuli.command_line; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
