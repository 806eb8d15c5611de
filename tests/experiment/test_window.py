"""A real PsychoPy window on the display of the tests: what is in its back buffer, pixel by pixel, and its keys."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiment_study import fill, small_study
from PIL import Image

from experiment.bids import validate
from experiment.drawings import Nothing, Picture, Words
from experiment.journal import read_journal
from experiment.rehearse import rehearse
from experiment.rigging import open_stage
from experiment.run import RunAborted, run
from experiment.stage import HashingStage, hash_of
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig, load_rig
from protocols.study import Study


def picture_of(window: Any, still: Any) -> np.ndarray:
    window.draw(still)
    shown = window.snapshot()
    window.flip()
    return shown


def saved(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("side", [430, 431, 64, 65])
def test_an_image_is_shown_pixel_by_pixel_in_the_middle(window: Any, tmp_path: Path, side: int):
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    window.load({f"noise{side}": saved(tmp_path / "noise.png", pixels)})
    shown = picture_of(window, Picture(f"noise{side}"))
    top, left = (768 - side) // 2, (1024 - side + 1) // 2
    seen = shown[top : top + side, left : left + side]
    middle = slice(side // 2 - 6, side // 2 + 7)
    wrong = (seen != pixels).any(axis=2)
    wrong[middle, middle] = False  # the fixation point
    assert not wrong.any()
    around = np.ones((768, 1024), dtype=bool)
    around[top : top + side, left : left + side] = False
    assert (shown[around] == 128).all()


@pytest.mark.parametrize("grey", [0, 1, 64, 127, 128, 129, 200, 254, 255])
def test_every_grey_level_comes_out_as_it_went_in(window: Any, tmp_path: Path, grey: int):
    pixels = np.full((64, 64, 3), grey, dtype=np.uint8)
    window.load({f"grey{grey}": saved(tmp_path / "grey.png", pixels)})
    shown = picture_of(window, Picture(f"grey{grey}"))
    assert (shown[384 - 32 : 384 - 8, 512 - 32 : 512 + 32] == grey).all()


def test_without_an_image_the_screen_is_the_background_and_the_fixation_point(window: Any):
    shown = picture_of(window, Nothing())
    point = np.argwhere((shown != 128).any(axis=2))
    assert np.ptp(point, axis=0).tolist() == [6, 6]  # 0.2 degrees: 7 px
    assert shown[383, 512].tolist() == [200, 0, 0]


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_the_fixation_point_is_seen_on_any_image(window: Any, tmp_path: Path, grey: int):
    name = f"plain{grey}"
    window.load({name: saved(tmp_path / "plain.png", np.full((100, 100, 3), grey, dtype=np.uint8))})
    shown = picture_of(window, Picture(name)).astype(int)
    contrast = np.abs(shown[380:388, 508:516] - grey).max(axis=(0, 1))
    assert contrast.max() >= 100


def test_words_are_light_on_the_background_and_without_a_fixation_point(window: Any):
    shown = picture_of(window, Words("Ist ein Tier zu sehen?\n动物"))
    assert shown.max() == 255
    assert (shown[0] == 128).all()
    assert (shown[..., 0] == shown[..., 1]).all()


def test_what_was_on_the_screen_in_every_flip_is_proved_by_its_hash(
    window: Any, study: Study, rig: Rig, folder: StudyFolder
):
    hashing = HashingStage(window)
    result = run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage=hashing)
    journal = read_journal(result.journal)
    flips = journal.of("flip")
    assert len(hashing.hashes) == len(flips)
    expected = {row["drawing"]: "" for row in journal.header["timeline"]["rows"]}
    for drawing in expected:
        kind, _, stim_id = drawing.partition(" ")
        window.draw(Picture(stim_id) if kind == "picture" else Nothing())
        expected[drawing] = hash_of(window.snapshot())
        window.flip()
    assert len(set(expected.values())) == 13  # 12 images, and nothing
    shows = [flip.get("shows") for flip in flips]
    first = shows.index("nothing")
    current = ""
    for name, seen in zip(shows[first:], hashing.hashes[first:], strict=True):
        current = name or current
        assert seen == expected[current]


def test_screenshots_show_the_waiting_screen_and_each_type(study: Study, rig: Rig, folder: StudyFolder, window: Any):
    result = run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage=window, screenshots=5)
    names = [path.name for path in result.screenshots]
    assert names[0].endswith("_screen-01_waiting.png")
    assert {kind for kind in ("RE", "AN", "AI", "blank") for name in names if kind in name} == {
        "RE",
        "AN",
        "AI",
        "blank",
    }
    image = next(path for path in result.screenshots if "_RE-" in path.name)
    stim_id = image.stem.rsplit("_", 1)[1]
    exported = np.asarray(Image.open(folder.screen_images("rehearsal") / f"{stim_id}.png"))
    with Image.open(image) as shot:
        seen = np.asarray(shot)[330 : 330 + 107, 459 : 459 + 107]
    assert (seen == exported).all(axis=2).mean() > 0.99


def test_a_rehearsal_of_all_runs_in_one_window(study: Study, rig: Rig, folder: StudyFolder):
    results = rehearse(study, rig, folder.root, screenshots=1)
    assert [result.certificate.passed for result in results] == [True] * 4
    assert results[0].certificate.keyboard in ("ptb", "event", "iohub")


def test_a_window_of_another_size_than_the_rigs_is_refused(on_display: None, study: Study, rig: Rig):
    wide = {"size_px": (5000, 4000), "full_screen": True}
    other = rig.model_copy(update={"display": rig.display.model_copy(update=wide)})
    with pytest.raises(FoolscanError, match=r"display\.size_px: rig rehearsal says 5000 × 4000"):
        open_stage("window", other, study.tasks["animals"])


# --- keys -----------------------------------------------------------------------------------------------------------


class Typist:
    """Presses keys from another process, as a scanner's interface or a participant does, once the run is waiting.

    presses : (time in s from then, key as X calls it).
    """

    def __init__(self, folder: StudyFolder, *presses: tuple[float, str]) -> None:
        if shutil.which("xdotool") is None:
            pytest.skip("xdotool is not installed: keys cannot be pressed from outside")
        words: list[str] = []
        now_s = 0.0
        for at_s, key in sorted(presses):
            words += ["sleep", f"{at_s - now_s:.2f}", "key", key]
            now_s = at_s
        self._folder, self._command = folder, ["xdotool", *words]
        self._thread = threading.Thread(target=self._type)

    def _type(self) -> None:
        wait_for(self._folder, '"waiting"')
        subprocess.run(self._command, timeout=60)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._thread.join()


def keyboard_rig(folder: Path) -> Rig:
    path = folder / "keys.yaml"
    path.write_text(
        "format: 1\nname: keys\n"
        "display: {width_mm: 400.0, distance_mm: 800.0, size_px: [1024, 768], refresh_hz: 60.0, full_screen: false}\n"
        'trigger: {kind: keyboard, key: "5"}\nbuttons: {kind: keyboard, keys: {left: "1", right: "2"}}\n',
        encoding="utf-8",
    )
    return load_rig(path)


@pytest.fixture
def keys_folder(tmp_path: Path) -> tuple[Study, Rig, StudyFolder]:
    study, rig = small_study(tmp_path, scan="{tr_s: 1.0, volumes: 4}", times=0.1), keyboard_rig(tmp_path)
    return study, rig, fill(tmp_path / "people", study, rig)


def wait_for(folder: StudyFolder, text: str) -> None:
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        if any(text in path.read_text(encoding="utf-8") for path in folder.journals.glob("*.jsonl")):
            return
        time.sleep(0.02)
    raise AssertionError(f"no journal with {text}")


def test_pulses_and_buttons_arrive_as_real_keys(window: Any, keys_folder: tuple[Study, Rig, StudyFolder]):
    study, rig, folder = keys_folder
    pulses = [(0.3 + k, "5") for k in range(4)]
    with Typist(folder, *pulses, (1.15, "1"), (1.9, "2")):
        result = run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage=window)
    journal = read_journal(result.journal)
    assert len(journal.of("pulse")) == 4
    assert [press["button"] for press in journal.of("press")] == ["left", "right"]
    assert json.loads(result.events.with_suffix(".json").read_text(encoding="utf-8")).get("Simulated") is None
    with result.events.open(encoding="utf-8", newline="") as lines:
        events = list(csv.DictReader(lines, delimiter="\t"))
    assert len(events) == 14
    assert journal.header["rehearsal"] is False
    assert journal.header["started"]


def test_at_a_desk_the_participants_own_key_starts_and_events_go_to_beh(window: Any, tmp_path: Path):
    keyboard_rig(tmp_path)
    path = tmp_path / "keys.yaml"
    text = path.read_text(encoding="utf-8").replace('{kind: keyboard, key: "5"}', "{kind: start_key, key: space}")
    path.write_text(text, encoding="utf-8")
    study, rig = small_study(tmp_path, times=0.05), load_rig(path)
    folder = fill(tmp_path / "desk", study, rig)
    with Typist(folder, (0.3, "space"), (0.9, "1")):
        result = run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage=window)
    assert result.events.parent.name == "beh"
    assert (result.certificate.pulses_seen, result.certificate.pulses_expected) == (1, 1)
    assert result.certificate.length_s == pytest.approx(1.7, abs=0.1)
    assert validate(folder.root).errors == ()


def test_the_abort_key_ends_a_run_only_when_pressed_twice(window: Any, keys_folder: tuple[Study, Rig, StudyFolder]):
    study, rig, folder = keys_folder
    keys = [(0.2, "5"), (0.4, "Escape"), (2.0, "Escape"), (2.2, "Escape")]
    with Typist(folder, *keys), pytest.raises(RunAborted, match="escape was pressed twice"):
        run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage=window)
    journal = read_journal(next(folder.journals.glob("*_aborted-01_journal.jsonl")))
    begin_s = journal.of("pulse")[0]["t_s"]
    assert (journal.end or {})["t_s"] - begin_s > 1.5


def test_a_display_whose_refresh_is_not_the_rigs_is_refused(window: Any):
    if window.holds_flips:
        pytest.skip("a real display: its refresh is the rig's, or foolscan doctor says so")
    assert window.check_refresh() is None  # a virtual display has none to measure
    window.holds_flips = True
    try:
        with pytest.raises(FoolscanError, match=r"display\.refresh_hz: rig rehearsal says 60 Hz; measured"):
            window.check_refresh()
    finally:
        window.holds_flips = False
