"""Pairs of windows a pixel or two apart: drawn by seed, spread evenly, asked again, and exported with their manifest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from fragile_maps import picture, seen_of, study_of_windows
from hypothesis import given
from hypothesis import strategies as st
from small_image_study import contents

from protocols.crops import crops_folder, crops_table, pairs_of, read_crops
from protocols.folder import StudyFolder, read_json
from protocols.problems import FoolscanError, NotReady, ProtocolError, WorkWanting
from protocols.provenance import sha256_of
from protocols.study import Study
from protocols.tables import read_table
from stimuli.fragile import run
from stimuli.fragile.activation_maps import apart, cosine_distance, fragile_activations, relative_l2
from stimuli.fragile.definitions import FRAGILE_TYPES, FragileType
from stimuli.fragile.found import SHRINKS, found_in, offsets_of, pictures_of
from stimuli.fragile.pairs import Direction, Pair, Window, drawn_pair, drawn_pairs, overlap, spread, supercategories
from stimuli.fragile.pairs_export import JUDGED_ON, fragile_pairs
from stimuli.fragile.run import fragile
from stimuli.image_files import read_rgb

N_FRAGILE = 5
"""Pictures of the ten that have a right window which becomes wrong when it shrinks."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_windows(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def mapped(study: Study, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Its folder, mapped in full once; read only."""
    folder = StudyFolder(tmp_path_factory.mktemp("mapped"))
    fragile(study, folder.root, "cpu", full=True)
    return folder


@pytest.fixture
def folder(mapped: StudyFolder, tmp_path: Path) -> StudyFolder:
    return StudyFolder(Path(shutil.copytree(mapped.root, tmp_path / "copy")))


def random_maps(seed: int, rows: int = 5, columns: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((rows, columns)) < 0.5, rng.random((rows + 2, columns + 2)) < 0.5


def pair_of(name: str, supercategory: str) -> Pair:
    window = Window(0, 0, 5, True, np.zeros(3, np.float32))
    side = seen_of(*random_maps(0)).side
    return Pair(picture(name, supercategory), side, "loose_shift", window, window, 0)


def a_draw(seed: int, kind: FragileType, direction: Direction = "both", study_seed: int = 1) -> Pair | None:
    return drawn_pair(seen_of(*random_maps(seed)), kind, direction, 1, study_seed)


@pytest.mark.parametrize("kind", FRAGILE_TYPES)
@pytest.mark.parametrize("direction", ["to_incorrect", "to_correct", "both"])
def test_a_pair_is_a_fragile_window_and_one_that_flips(kind: FragileType, direction: Direction) -> None:
    correct, shrunk = np.zeros((5, 6), bool), np.ones((7, 8), bool)
    correct[2, 3] = True
    shrunk[2:5, 3:6] = False
    pair = drawn_pair(seen_of(correct, shrunk), kind, direction, 1, 7)
    if direction == "to_correct" and kind == "strict_shift":
        assert pair is None  # only one neighbour of a wrong window flips
        return
    assert pair is not None
    assert pair.fragile.correct != pair.altered.correct
    assert pair.offset in {tuple(offset) for offset in offsets_of(kind).tolist()}
    after = shrunk if kind in SHRINKS else correct
    assert bool(after[pair.altered.row, pair.altered.column]) == pair.altered.correct
    assert pair.altered.side == (3 if kind in SHRINKS else 5)
    if direction == "to_incorrect":
        assert (pair.fragile.row, pair.fragile.column, pair.fragile.correct) == (2, 3, True)


def test_the_draw_is_the_same_at_every_call_and_differs_between_seeds() -> None:
    def where(study_seed: int) -> tuple[int, int, tuple[int, int]]:
        pair = a_draw(3, "loose_shift", study_seed=study_seed)
        assert pair is not None
        return pair.fragile.row, pair.fragile.column, pair.offset

    assert where(1) == where(1)
    assert len({where(seed) for seed in range(20)}) > 5


def test_every_changed_window_that_flips_may_be_the_twin() -> None:
    correct, shrunk = np.ones((1, 1), bool), np.ones((3, 3), bool)
    shrunk[0, 1] = shrunk[2, 2] = False
    drawn = [drawn_pair(seen_of(correct, shrunk), "loose_shrink", "to_incorrect", 1, seed) for seed in range(40)]
    assert {pair.offset for pair in drawn if pair} == {(0, 1), (2, 2)}


def test_where_nothing_is_fragile_there_is_no_pair() -> None:
    assert drawn_pair(seen_of(np.ones((3, 3), bool), np.ones((5, 5), bool)), "loose_shrink", "both", 1, 0) is None


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 9), min_size=1), st.data())
def test_pairs_are_spread_as_evenly_as_there_are_pictures(room: dict[str, int], data: st.DataObject) -> None:
    n = data.draw(st.integers(0, sum(room.values())))
    counts = spread(room, n, np.random.default_rng(0))
    assert sum(counts.values()) == n
    assert all(counts[name] <= room[name] for name in room)
    not_full = [counts[name] for name in room if counts[name] < room[name]]
    assert all(counts[name] <= min(not_full, default=n) + 1 for name in room)


def test_the_export_has_as_many_of_each_supercategory() -> None:
    pairs = [pair_of(f"{group}{number}", group) for group, n in (("a", 9), ("b", 2), ("c", 9)) for number in range(n)]
    chosen = drawn_pairs(pairs, 10, 5)
    assert supercategories(chosen) == {"a": 4, "b": 2, "c": 4}
    assert chosen == drawn_pairs(pairs, 10, 5)
    assert len({pair.picture.picture_id for pair in chosen}) == 10
    assert drawn_pairs(pairs, 10, 6) != chosen


def test_how_much_of_a_window_lies_in_the_box() -> None:
    window = Window(2, 3, 4, True, np.zeros(3, np.float32))
    assert overlap(window, None) is None
    assert overlap(window, (0, 0, 12, 12)) == 1
    assert overlap(window, (0, 0, 4, 12)) == 0.5
    assert overlap(window, (3, 4, 5, 6)) == 0.25
    assert overlap(window, (8, 8, 9, 9)) == 0


def test_exported_pairs_are_those_of_the_maps(study: Study, folder: StudyFolder) -> None:
    exported = fragile_pairs(study, folder, "cpu")
    crops = read_crops(folder)
    assert [crop.sha256 for crop in crops] == [crop.sha256 for crop in exported.crops]
    found = found_in(study, folder)["picturenet"]
    pictures = {picture.picture_id: picture for picture in pictures_of(study)}
    pairs = [*pairs_of(crops)]
    assert len({fragile.picture_id for fragile, _ in pairs}) == len(pairs) == 3
    assert max(exported.supercategories.values()) == 1
    for one, altered in pairs:
        seen = found.seen(pictures[one.picture_id], found.sides(pictures[one.picture_id])[0])
        assert seen is not None
        signs = seen.looked.signs["loose_shrink"].reshape(seen.side.grid.shape)
        assert signs[one.row, one.column] == 1
        assert (one.correct, altered.correct) == (True, False)
        assert (one.side_px, altered.side_px, one.shown_px, altered.shown_px) == (43, 41, 256, 256)
        assert 0 <= altered.offset_rows <= 2
        assert 0 <= altered.offset_columns <= 2
        assert (altered.row, altered.column) == (one.row + altered.offset_rows, one.column + altered.offset_columns)
        assert one.label_1 == one.network_class
        assert altered.label_1 != altered.network_class
        assert one.confidence == pytest.approx(one.confidence_1, abs=1e-6)
        for crop in (one, altered):
            assert sha256_of(crop.path(folder)) == crop.sha256
            assert read_rgb(crop.path(folder)).shape == (256, 256, 3)
            assert len(crop.labels) == 5


def test_the_same_pairs_have_the_same_bytes_from_maps_and_from_samples(
    study: Study, folder: StudyFolder, tmp_path: Path
) -> None:
    fragile_pairs(study, folder, "cpu")
    once = contents(folder.root)
    fragile_pairs(study, folder, "cpu")
    assert contents(folder.root) == once
    fragile(study, tmp_path / "sampled", "cpu", sample=36)  # that is all of them
    fragile_pairs(study, StudyFolder(tmp_path / "sampled"), "cpu")
    assert crops_table(StudyFolder(tmp_path / "sampled")).read_bytes() == crops_table(folder).read_bytes()


def test_pairs_of_a_few_sampled_windows_are_fragile_in_the_maps(
    study: Study, folder: StudyFolder, tmp_path: Path
) -> None:
    fragile(study, tmp_path / "sampled", "cpu", sample=9)
    fragile_pairs(study, StudyFolder(tmp_path / "sampled"), "cpu")
    found = found_in(study, folder)["picturenet"]
    pictures = {picture.picture_id: picture for picture in pictures_of(study)}
    for one, _ in pairs_of(read_crops(StudyFolder(tmp_path / "sampled"))):
        seen = found.seen(pictures[one.picture_id], found.sides(pictures[one.picture_id])[0])
        assert seen is not None
        assert seen.looked.signs["loose_shrink"].reshape(seen.side.grid.shape)[one.row, one.column] == 1


def test_crops_may_stay_as_they_are(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of_windows(tmp_path, "{proportion: 0.9, n: 2, type: loose_shift, direction: both, shown_px: null}")
    fragile_pairs(study, folder, "cpu")
    pictures = {picture.picture_id: picture.read() for picture in pictures_of(study)}
    for crop in read_crops(folder):
        pixels = pictures[crop.picture_id]
        inside = pixels[crop.row : crop.row + crop.side_px, crop.column : crop.column + crop.side_px]
        np.testing.assert_array_equal(read_rgb(crop.path(folder)), inside)
        assert crop.shown_px == crop.side_px == 43


@pytest.mark.parametrize("seen_by", ["sub-01", "derivatives/foolscan/online/crops.sqlite3"])
def test_crops_that_people_were_shown_are_not_replaced(
    study: Study, folder: StudyFolder, tmp_path: Path, seen_by: str
) -> None:
    fragile_pairs(study, folder, "cpu")
    (folder.root / seen_by).mkdir(parents=True)
    once = contents(folder.root)
    for other in ("{proportion: 0.9, n: 1}", "{proportion: 0.9, n: 2, shown_px: null}"):
        with pytest.raises(FoolscanError, match=f"{Path(seen_by).name} was shown the crops that stand"):
            fragile_pairs(study_of_windows(tmp_path, other), folder, "cpu")
        assert contents(folder.root) == once
    fragile_pairs(study, folder, "cpu")  # the same ones may be made again
    assert contents(folder.root) == once


def test_too_few_pairs_say_how_many_there_are_and_what_to_do(folder: StudyFolder, tmp_path: Path) -> None:
    study = study_of_windows(tmp_path, "{proportion: 0.9, n: 40}")
    before = contents(folder.root)
    with pytest.raises(
        WorkWanting, match=rf"fragile.pairs.n: found {N_FRAGILE} pictures .* expected 40; 10 pictures were"
    ) as told:
        fragile_pairs(study, folder, "cpu")
    assert f"set fragile.pairs.n to at most {N_FRAGILE}" in str(told.value)
    assert contents(folder.root) == before


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("{proportion: 0.5}", r"fragile.pairs.proportion: found 0.5; one of fragile.proportions: 0.9"),
        (
            "{network: picturent}",
            r"fragile.pairs.network: found 'picturent'; a network .* \(did you mean 'picturenet'\?\)",
        ),
    ],
)
def test_pairs_of_what_is_not_mapped_are_refused(folder: StudyFolder, tmp_path: Path, pairs: str, message: str) -> None:
    with pytest.raises(ProtocolError, match=rf"windows.yaml:\d+: {message}"):
        fragile_pairs(study_of_windows(tmp_path, pairs), folder, "cpu")


def test_a_network_that_says_something_else_by_now_stops_the_export(study: Study, folder: StudyFolder) -> None:
    group = zarr.open_group(folder.fragile("picturenet"), mode="r+")
    for name in group.group_keys():
        array = group[f"{name}/side-0041"]
        assert isinstance(array, zarr.Array)
        array[...] = np.where([False, True, False], 0.123, np.asarray(array))  # confidences
    with pytest.raises(
        FoolscanError, match=r"row \d+, column \d+: the store says .* the network now says .*map the picture"
    ):
        fragile_pairs(study, folder, "cpu")
    assert not crops_table(folder).exists()
    assert not crops_folder(folder).exists()


def test_without_readings_there_are_no_pairs(study: Study, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="no readings yet; map the pictures first: foolscan stimuli fragile windows"):
        fragile_pairs(study, StudyFolder(tmp_path), "cpu")


def test_a_new_export_replaces_the_earlier_ones_files_and_no_others(
    study: Study, folder: StudyFolder, tmp_path: Path
) -> None:
    fragile_pairs(study, folder, "cpu")
    (crops_folder(folder) / "mine.png").write_bytes(b"mine")
    fragile_pairs(
        study_of_windows(tmp_path, "{proportion: 0.9, n: 1, type: strict_shift, direction: both}"), folder, "cpu"
    )
    listed = {crop.path(folder).name for crop in read_crops(folder)}
    assert {path.name for path in crops_folder(folder).glob("*.png")} == listed | {"mine.png"}


def test_a_folder_with_pairs_passes_the_bids_validator(study: Study, folder: StudyFolder) -> None:
    fragile_pairs(study, folder, "cpu")
    fragile_activations(study, folder, "cpu", 1)
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    assert program is not None, "it comes with the extra [experiment]"
    done = subprocess.run([program, str(folder.root), "--format", "json"], capture_output=True, text=True)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_distances_of_activations_are_those_of_plane_geometry() -> None:
    a, b = (np.array([[row, [0, 0]]], np.float32) for row in ([3, 0], [0, 4]))
    assert relative_l2(a, b) == pytest.approx(5 / 3.5)
    assert cosine_distance(a, b) == 1
    assert relative_l2(a, a) == cosine_distance(a, 2 * a) == 0
    assert relative_l2(0 * a, 0 * a) == 0
    assert np.isnan(cosine_distance(a, 0 * a))
    both = apart("conv1", np.concatenate([a, a]), np.concatenate([a, b]))
    assert (both.channel, both.channel_share, both.n_channels, both.n_units) == (1, 1.0, 2, 8)
    assert apart("fc6", a.ravel(), b.ravel()).channel is None


def test_activations_of_exported_pairs_are_told_layer_by_layer(study: Study, folder: StudyFolder) -> None:
    with pytest.raises(NotReady, match="foolscan stimuli fragile-pairs"):
        fragile_activations(study, folder, "cpu")
    fragile_pairs(study, folder, "cpu")
    written = fragile_activations(study, folder, "cpu", 2)
    rows = read_table(next(path for path in written if path.suffix == ".tsv"))
    layers = [row["layer"] for row in rows]
    assert layers[:8] == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    assert len(rows) == 16
    assert all(0 < float(row["relative_l2"]) < 2 for row in rows)
    assert all((row["channel"] == "n/a") == row["layer"].startswith("fc") for row in rows)
    pages = [path for path in written if path.suffix == ".png"]
    assert [re.fullmatch(r"p00[13]-[\w-]+\.png", page.name) is not None for page in pages] == [True, True]
    assert read_json(pages[0].with_suffix(".json"))["foolscan"]["sha256"] == sha256_of(pages[0])


def test_pairs_of_a_map_in_half_precision_are_asked_whether_they_are_right_and_no_more(tmp_path: Path) -> None:
    half, folder = study_of_windows(tmp_path, "{proportion: 0.9, n: 1}"), StudyFolder(tmp_path / "to")
    plan = run.plan_of(half)
    half = half.model_copy(update={"fragile": plan.model_copy(update={"precision": "bf16_checked", "batch_size": 8})})
    fragile(half, folder.root, "cpu", full=True)
    group = zarr.open_group(folder.fragile("picturenet"), mode="r+")
    for name in group.group_keys():
        for array in (group[f"{name}/side-0041"], group[f"{name}/side-0043"]):
            assert isinstance(array, zarr.Array)
            array[...] = np.where([False, True, False], np.asarray(array) + 0.05, np.asarray(array))  # confidences
    (pair,) = pairs_of(fragile_pairs(half, folder, "cpu").crops)
    assert sum(crop.correct for crop in pair) == 1
    other = half.model_copy(update={"fragile": run.plan_of(half).model_copy(update={"top_k": 2})})
    with pytest.raises(FoolscanError, match="top_k: found 1, expected 2"):
        found_in(other, folder)


def test_the_sidecar_tells_what_was_judged(study: Study, folder: StudyFolder) -> None:
    fragile_pairs(study, folder, "cpu")
    assert "its own pixels, resized" in json.dumps(read_json(crops_table(folder).with_suffix(".json")))
    assert set(JUDGED_ON) == {"resized", "centred", "in_place"}
    assert "in its picture" in JUDGED_ON["in_place"]
