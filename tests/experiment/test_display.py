"""Windows of rigs with mirrors, photodiode patches and measured light: what is in the back buffer, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiment_study import fill, small_study
from PIL import Image

from experiment.drawings import Bar, Mask, Nothing, Picture, Rating, Still, Words
from experiment.gamma_ramp import READ_BACK_TOLERANCE, GammaRamp, XCard
from experiment.journal import read_journal
from experiment.rigging import open_stage
from experiment.run import run
from experiment.screen_geometry import as_sent, read_patch
from experiment.screen_list import Screen, chosen_screen, screens
from experiment.stage import HashingStage
from protocols.folder import RunId
from protocols.luminance import Curve, linear_levels
from protocols.problems import FoolscanError, NotReady
from protocols.rig import Rig, load_rig
from protocols.study import load_study

CURVE = tuple((level, 0.4 + 200.0 * (level / 255) ** 2.2) for level in (0, 32, 64, 96, 128, 160, 192, 224, 255))
LINEARISED = {"luminance": {"mode": "linearised", "measured": CURVE}}
TURNS = [{"flip_horizontal": h, "rotation_deg": deg} for h in (False, True) for deg in (0, 90, 180, 270)]

Opener = Callable[..., Any]


def rig_with(rig: Rig, **display: Any) -> Rig:
    """The rehearsal rig with other display keys, checked again as a file would be."""
    return Rig.model_validate({**rig.model_dump(), "display": {**rig.display.model_dump(), **display}})


@pytest.fixture
def opened(display: str | None) -> Iterator[Opener]:
    """Opens a window for a rig; closed when the test ends."""
    if display is None and sys.platform not in ("win32", "darwin"):
        pytest.skip("no display and no Xvfb: a window cannot be tested")
    stages = []

    def opener(**keys: Any) -> Any:
        stages.append(
            open_stage("window", rig_with(load_rig("rehearsal"), **keys), load_study("demo").tasks["animals"])
        )
        return stages[-1]

    yield opener
    for stage in stages:
        stage.close()


def shown(stage: Any, still: Still, code: int = 0) -> np.ndarray:
    stage.draw(still, code)
    picture = stage.snapshot()
    stage.flip()
    return picture


def noise(folder: Path, side: int, seed: int = 0) -> tuple[Path, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    path = folder / f"noise{side}.png"
    Image.fromarray(pixels).save(path)
    return path, pixels


# --- mirrors and turns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_all_that_is_drawn_is_sent_as_the_mirrors_need_it(opened: Opener, tmp_path: Path, turn: dict[str, Any]):
    path, pixels = noise(tmp_path, 221)
    stills = {
        "picture": Picture("noise"),
        "mask": Mask("noise"),
        "words": Words("Is an animal to be seen?\nleft: animal"),
        "rating": Rating(("guess", "rather", "sure"), 2, "How sure are you?"),
        "bar": Bar(35.0, 1.5, 2.0, 10.0),
    }
    seen: list[dict[str, np.ndarray]] = []
    for keys in ({}, turn):
        stage = opened(size_px=(600, 600), **keys)
        stage.load({"noise": path})
        seen.append({name: shown(stage, still) for name, still in stills.items()})
        stage.close()
    upright, sent = seen
    display = rig_with(load_rig("rehearsal"), size_px=(600, 600), **turn).display
    for name in ("picture", "mask", "words", "rating"):
        assert (sent[name] == as_sent(upright[name], display)).all(), name
    # The edge of a bar cuts through pixels: a driver may give those to either side.
    assert (sent["bar"] != as_sent(upright["bar"], display)).any(axis=2).mean() < 0.002
    png = as_sent(pixels, display)
    top = next(k for k in (189, 190) if (sent["picture"][k, 300] != 128).any())
    left = next(k for k in (189, 190) if (sent["picture"][300, k] != 128).any())
    wrong = (sent["picture"][top : top + 221, left : left + 221] != png).any(axis=2)
    wrong[100:121, 100:121] = False  # the fixation point
    assert not wrong.any()


@pytest.mark.parametrize("deg", [90, 270])
def test_on_a_screen_turned_on_its_side_text_keeps_to_the_width_that_is_seen(opened: Opener, deg: int):
    stage = opened(rotation_deg=deg)
    ink = np.argwhere((shown(stage, Words("Keep your eyes on the red point and lie still. " * 4)) != 128).any(axis=2))
    assert np.ptp(ink[:, 0]) <= 0.8 * 768 + 2
    assert np.ptp(ink[:, 0]) > np.ptp(ink[:, 1])


# --- bar, mask ------------------------------------------------------------------------------------------------------


def test_a_bar_is_a_checkerboard_inside_its_outline_under_the_fixation_point(opened: Opener):
    stage = opened()
    picture = shown(stage, Bar(0.0, 2.0, 2.0, 12.0))
    px = 800 * np.tan(np.radians([1.0, 3.0])) * 1024 / 400
    columns = np.flatnonzero((picture[300] != 128).any(axis=1))
    assert (columns[0], columns[-1]) == (round(512 + px[0]), round(512 + px[1]) - 1)
    inside = picture[300:460, columns[0] : columns[-1] + 1]
    assert set(np.unique(inside)) == {0, 255}
    assert 0.3 < (inside == 255).mean() < 0.7
    assert picture[383, 512].tolist() == [200, 0, 0]
    assert (shown(stage, Nothing()) == shown(stage, Bar(0.0, 30.0, 2.0, 12.0))).all()  # outside the aperture


def test_what_was_drawn_before_leaves_no_trace(opened: Opener, tmp_path: Path):
    stage = opened(patch={"corner": "top_left", "size_px": 24, "bits": 4})
    stage.load({"noise": noise(tmp_path, 300)[0]})
    stills = [
        Picture("noise"),
        Bar(20.0, 1.0, 2.0, 12.0),
        Words("Read this."),
        Nothing(),
        Mask("m"),
        Rating(("a", "b")),
    ]
    alone = [shown(stage, still) for still in stills]
    order = [0, 1, 0, 2, 1, 3, 1, 4, 1, 5, 0, 3, 2, 4, 0]
    assert all((shown(stage, stills[k]) == alone[k]).all() for k in order)


def test_a_mask_covers_exactly_its_image_under_the_fixation_point(opened: Opener):
    stage = opened()
    stage.prepare([Mask("RE-otter"), Mask("AN-otter")])
    picture = shown(stage, Mask("RE-otter"))
    covered = np.zeros((768, 1024), dtype=bool)
    covered[168 : 168 + 431, 297 : 297 + 431] = True  # 12 degrees
    assert (picture[~covered] == 128).all()
    assert (picture[covered] != 128).mean() > 0.95
    assert picture[383, 512].tolist() == [200, 0, 0]
    assert (picture == shown(stage, Mask("RE-otter"))).all()
    assert (picture != shown(stage, Mask("AN-otter"))).any()


# --- photodiode patch -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("corner", ["top_left", "top_right", "bottom_left", "bottom_right"])
def test_the_patch_codes_the_row_in_its_corner_and_leaves_the_rest(opened: Opener, corner: str):
    patch = {"corner": corner, "size_px": 24, "bits": 6}
    stage = opened(patch=patch, flip_horizontal=True)
    display = rig_with(load_rig("rehearsal"), patch=patch).display
    sync = False
    for code in (1, 2, 63, 64, 65, 5):
        sync = not sync
        for _ in range(2):
            picture = shown(stage, Nothing(), code)
            assert read_patch(picture, display) == (sync, code % 64)
    covered = np.zeros((768, 1024), dtype=bool)
    for left, top, right, bottom in display.patch_squares():
        assert len(np.unique(picture[top:bottom, left:right])) == 1
        covered[top:bottom, left:right] = True
    assert covered[0 if "top" in corner else -1, 0 if "left" in corner else -1]
    assert (picture[~covered][:, 1] == 128).mean() > 0.9999  # all but the fixation point


class ReadingStage(HashingStage):
    """Reads every back buffer's patch at its flip, and keeps the picture's middle."""

    def __init__(self, stage: Any, rig: Rig) -> None:
        super().__init__(stage)
        self._rig, self.read, self.pictures = rig, [], []  # type: ignore[var-annotated]

    def flip(self) -> None:
        picture = self.snapshot()
        self.read.append(read_patch(picture, self._rig.display))
        self.pictures.append(picture)
        super().flip()


def test_in_every_flip_of_a_run_the_patch_names_the_row_and_the_screen_shows_its_file(
    opened: Opener, tmp_path: Path, rig: Rig
):
    keys = {"patch": {"corner": "bottom_right", "size_px": 16, "bits": 5}, "flip_horizontal": True, "rotation_deg": 180}
    place = rig_with(rig, **keys)
    study = small_study(tmp_path)
    folder = fill(tmp_path / "study", study, place)
    stage = ReadingStage(opened(**keys), place)
    result = run(study, place, folder.root, RunId("01", "01", "animals", 1), stage=stage)
    journal = read_journal(result.journal)
    flips, rows = journal.of("flip"), journal.header["timeline"]["rows"]
    assert len(flips) == len(stage.read)
    row, sync, before = -1, False, 0
    for flip, (white, code), picture in zip(flips, stage.read, stage.pictures, strict=True):
        if "shows" in flip:
            row = -1 if flip["row"] is None else flip["row"]
        now = row + 1 if row >= 0 else 0
        sync, before = sync != (now != before), now
        assert (white, code) == (sync, now % 32)
        if row >= 0 and flip.get("shows", "").startswith("picture"):
            stim_id = rows[row]["drawing"].removeprefix("picture ")
            with Image.open(folder.screen_images(place.name) / f"{stim_id}.png") as image:
                pixels = np.asarray(image)
            upright = np.full((768, 1024, 3), 128, dtype=np.uint8)
            upright[330 : 330 + 107, 459 : 459 + 107] = pixels
            wrong = (picture != as_sent(upright, place.display)).any(axis=2)
            wrong[380:389, 508:517] = wrong[-16 * 6 :, -16:] = False  # the fixation point, the patch
            assert not wrong.any(), flip
    assert sum("picture" in str(flip.get("shows")) for flip in flips) == 12
    assert journal.header["stage"]["patch"] == keys["patch"]
    assert journal.header["stage"]["seen"]["rotation_deg"] == 180


# --- light ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a real screen's gamma ramp is not changed by tests")
def test_a_linearised_display_has_the_inverse_curve_in_the_card_while_the_window_is_open(opened: Opener):
    card = XCard(screens()[0])
    before = card.read()
    stage = opened(**LINEARISED)
    wanted = Curve(CURVE).inverse_ramp(before.shape[1])
    assert np.abs(card.read() - wanted).max() < READ_BACK_TOLERANCE
    facts = stage.facts()["luminance"]
    assert (facts["mode"], facts["gamma_ramp"]) == ("linearised", "inverse of the measured curve")
    assert facts["curve_sha256"] == Curve(CURVE).sha256
    assert (facts["background_level"], facts["background_cd_m2"]) == (55, pytest.approx(0.4 + 200 * 55 / 255, abs=1e-3))
    stage.check_refresh()
    card.write(np.tile(np.linspace(0, 1, before.shape[1]), (3, 1)))
    with pytest.raises(FoolscanError, match="holds another table than was put in"):
        stage.check_refresh()
    stage.close()
    assert np.abs(card.read() - before).max() < READ_BACK_TOLERANCE


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a real screen's gamma ramp is not changed by tests")
def test_on_a_linearised_display_background_text_and_fixation_take_the_images_path(opened: Opener):
    stills, decoded = (Nothing(), Words("Is an animal to be seen?")), linear_levels()
    native = opened()
    befores = [shown(native, still) for still in stills]
    native.close()
    linearised = opened(**LINEARISED)
    for before, still in zip(befores, stills, strict=True):
        after = shown(linearised, still)
        whole = (before == 128).all(axis=2) | (before == 255).all(axis=2) | (before == (200, 0, 0)).all(axis=2)
        assert whole.mean() > 0.97
        off = np.abs(after[whole].astype(int) - decoded[before[whole]])
        assert off.max() <= 1  # the faintest cover at the edge of a letter changes 55 where it does not change 128
        assert (off == 0).mean() > 0.999


def test_the_rig_s_background_takes_the_place_of_the_study_s(opened: Opener):
    stage = opened(luminance={"mode": "native", "measured": CURVE}, background_cd_m2=20.0)
    level = int(shown(stage, Nothing())[0, 0, 0])
    assert 0.4 + 200.0 * (level / 255) ** 2.2 == pytest.approx(20.0, abs=0.2)
    assert stage.facts()["luminance"]["background_cd_m2"] == pytest.approx(20.0, abs=0.2)
    assert stage.facts()["luminance"]["mode"] == "native"


def test_every_background_level_is_sent_exactly(opened: Opener):
    stage = opened()
    for level in range(256):
        stage.window.color = (level,) * 3
        stage.window.clearBuffer()
        assert (stage.snapshot() == level).all()


class StubbornCard:
    """A driver that keeps a straight line whatever it is given, or refuses."""

    def __init__(self, *, refuses: bool = False, shows: bool = True) -> None:
        self._refuses, self._shows = refuses, shows

    def read(self) -> np.ndarray:
        if not self._shows:
            raise OSError("no table")
        return np.tile(np.linspace(0, 1, 256), (3, 1))

    def write(self, ramp: np.ndarray) -> None:
        if self._refuses:
            raise OSError("SetDeviceGammaRamp was refused")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (StubbornCard(), r"holds another table than was put in: entry \d+ is 0\.\d+ instead of 0\.\d+"),
        (StubbornCard(refuses=True), "does not take the table .SetDeviceGammaRamp was refused"),
        (StubbornCard(shows=False), "does not show its table .no table"),
    ],
)
def test_a_driver_that_does_not_take_the_ramp_is_named_with_the_remedy(card: StubbornCard, message: str):
    with pytest.raises(FoolscanError, match=message) as error:
        GammaRamp(card).put(Curve(CURVE).inverse_ramp(256))
    assert "luminance.mode: native" in str(error.value)


def test_a_ramp_that_is_already_straight_is_known():
    assert GammaRamp(StubbornCard()).is_identity() is True
    assert GammaRamp(StubbornCard(shows=False)).is_identity() is None


def test_images_exported_for_another_light_are_refused(tmp_path: Path, rig: Rig, opened: Opener):
    study = small_study(tmp_path)
    folder = fill(tmp_path / "study", study, rig)
    place = rig_with(rig, **LINEARISED)
    with pytest.raises(
        NotReady, match="made for a native display; rig rehearsal is a linearised display with the measured curve"
    ):
        run(study, place, folder.root, RunId("01", "01", "animals", 1), stage=opened(**LINEARISED))


def test_a_run_whose_text_no_font_can_write_leaves_nothing_behind(opened: Opener, tmp_path: Path, rig: Rig):
    study = small_study(tmp_path)
    task = study.tasks["animals"].model_copy(update={"instructions": {"en": "Press \ue0ff."}, "screens": None})
    unwritten = study.model_copy(update={"tasks": {"animals": task}})
    folder, run_id, stage = fill(tmp_path / "study", study, rig), RunId("01", "01", "animals", 1), opened()
    with pytest.raises(FoolscanError, match=r"no font on this computer has .* \(U\+E0FF\); install one"):
        run(unwritten, rig, folder.root, run_id, stage=stage)
    assert not folder.journals.exists()
    assert run(study, rig, folder.root, run_id, stage=stage).certificate.passed


# --- screens, refresh, a window that does not open --------------------------------------------------------------------


def test_a_screen_that_is_not_there_is_refused_with_the_ones_that_are(rig: Rig):
    there = [Screen((0, 0), (1920, 1080)), Screen((1920, 0), (1024, 768))]
    assert chosen_screen(rig_with(rig, screen=1).display, there) == there[1]
    with pytest.raises(
        FoolscanError, match=r"says screen 2; this computer has 0: 1920 × 1080 at 0, 0; 1: 1024 × 768 at 1920, 0"
    ):
        chosen_screen(rig_with(rig, screen=2).display, there)


def test_a_window_on_a_screen_that_is_not_there_is_refused(opened: Opener):
    n = len(screens())
    with pytest.raises(FoolscanError, match=rf"says screen {n}; this computer has 0: \d+ × \d+ at 0, 0"):
        opened(screen=n)


def test_a_window_that_the_driver_refuses_is_one_clear_message(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    opened()
    from experiment import psychopy_stage

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("could not create a GL context")

    monkeypatch.setattr(psychopy_stage.visual, "Window", refuse)
    with pytest.raises(
        FoolscanError, match=r"no window opens on screen 0 \(could not create a GL context\); see foolscan doctor"
    ):
        opened()


@pytest.mark.parametrize(
    ("hz", "fits"), [(60.0, True), (59.94, True), (60.25, True), (59.6, False), (50.0, False), (75.0, False)]
)
def test_59_94_hz_is_60_hz_and_other_modes_are_not(
    opened: Opener, monkeypatch: pytest.MonkeyPatch, hz: float, fits: bool
):
    from experiment import psychopy_stage

    stage, now_s = opened(), [0.0]

    def flip() -> None:
        now_s[0] += 1 / hz

    stage.holds_flips = True
    monkeypatch.setattr(stage.window, "flip", flip)
    monkeypatch.setattr(psychopy_stage.time, "perf_counter", lambda: now_s[0])
    if fits:
        assert stage.check_refresh() == pytest.approx(hz, abs=0.01)
        assert stage.facts()["refresh_tolerance"] == 0.005
    else:
        with pytest.raises(FoolscanError, match=rf"says 60 Hz; measured {hz:g} Hz, more than 0.5% off"):
            stage.check_refresh()
