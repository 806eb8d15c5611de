"""Measuring a display's curve: levels on the whole screen, a table for the rig file, and the check of a linearised one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from experiment import measure_luminance
from experiment.measure_luminance import grey_screen, levels_to_measure, measure
from protocols.problems import FoolscanError
from protocols.rig import Rig, load_rig
from protocols.rig_display import Luminance


class Photometer:
    """Reads a display of a known curve, which may have a table in its card."""

    def __init__(self, gamma: float = 2.2, ramp: np.ndarray | None = None) -> None:
        self._gamma, self._ramp = gamma, np.linspace(0, 1, 256) if ramp is None else ramp
        self.level = -1

    @contextmanager
    def screen(self, rig: Rig) -> Iterator[Callable[[int], None]]:
        yield lambda level: setattr(self, "level", level)

    def read(self, level: int) -> float:
        assert level == self.level  # asked only for what is on the screen
        return float(0.4 + 200.0 * self._ramp[level] ** self._gamma)


def linearised(measured: Any) -> Rig:
    rig = load_rig("rehearsal")
    light = {"mode": "linearised", "measured": measured}
    return Rig.model_validate({**rig.model_dump(), "display": {**rig.display.model_dump(), "luminance": light}})


def test_the_table_that_is_written_is_one_that_a_rig_takes(rig: Rig):
    photometer = Photometer()
    found = measure(rig, levels_to_measure(17), photometer.read, photometer.screen)
    table = yaml.safe_load(found.yaml())["luminance"]
    assert Luminance.model_validate(table).mode == "linearised"
    assert [level for level, _ in table["measured"]] == list(levels_to_measure(17))
    assert (table["measured"][0], table["measured"][-1][0]) == ([0, 0.4], 255)


def test_a_linearised_rig_is_checked_through_its_own_curve(rig: Rig):
    photometer = Photometer()
    found = measure(rig, levels_to_measure(17), photometer.read, photometer.screen)
    assert found.furthest_from_straight > 0.2
    place = linearised(found.measured)
    curve = place.display.luminance.curve
    assert curve is not None
    through = Photometer(ramp=curve.inverse_ramp(256))
    checked = measure(place, levels_to_measure(9), through.read, through.screen)
    assert checked.through_curve
    assert checked.furthest_from_straight < 0.001


@pytest.mark.parametrize("n", [0, 4, 257])
def test_too_few_levels_are_refused(n: int):
    with pytest.raises(FoolscanError, match=f"--levels: found {n}; a curve needs 5 to 256"):
        levels_to_measure(n)


def test_readings_that_do_not_rise_are_refused(rig: Rig):
    with pytest.raises(FoolscanError, match=r"these readings make no curve: .*the luminance must rise"):
        measure(rig, levels_to_measure(5), lambda level: 5.0, Photometer().screen)


def test_the_command_asks_for_each_reading_and_writes_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from experiment.command_line import app

    monkeypatch.setattr(measure_luminance, "grey_screen", Photometer().screen)
    out = tmp_path / "luminance.yaml"
    typed = "0.4\n9.1\n44.2\n108\n201.5\n"
    done = CliRunner().invoke(app, ["luminance", "--rig", "rehearsal", "--levels", "5", "--out", str(out)], input=typed)
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(out.read_text(encoding="utf-8"))["luminance"]["measured"][2] == [128, 44.2]


def test_each_level_fills_the_whole_screen(display: str | None):
    if display is None and sys.platform not in ("win32", "darwin"):
        pytest.skip("no display and no Xvfb: a window cannot be tested")
    from pyglet import gl

    with grey_screen(load_rig("rehearsal")) as show:
        for level in (0, 77, 255):
            show(level)
            buffer = (gl.GLubyte * (1024 * 768 * 3))()
            gl.glReadPixels(0, 0, 1024, 768, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, buffer)
            assert (np.frombuffer(buffer, dtype=np.uint8) == level).all()
