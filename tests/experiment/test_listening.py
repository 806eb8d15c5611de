"""What a box sends, and what it means, before anybody lies in the scanner."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial_cable import Cable, serial_cable
from typer.testing import CliRunner

from experiment.command_line import app
from experiment.listening import Heard, listen
from protocols.problems import FoolscanError
from protocols.rig import load_rig


@pytest.fixture
def cable() -> Iterator[Cable]:
    with serial_cable() as cable:
        yield cable


@pytest.fixture
def rig_file(cable: Cable, tmp_path: Path) -> Path:
    path = tmp_path / "box.yaml"
    path.write_text(
        f"extends: scanner_example\nname: box\ntrigger: {{preset: lumina, port: {cable.port}}}\n"
        f"buttons: {{preset: lumina, port: {cable.port}}}\n",
        encoding="utf-8",
    )
    return path


def test_pulses_presses_and_warnings_are_told_as_they_come(cable: Cable, rig_file: Path):
    heard: list[Heard] = []

    def box() -> None:
        time.sleep(0.2)
        for content in (b"5", b"1", b"5", b"2", b"\xfe" * 20):
            cable.send(content)
            time.sleep(0.05)

    thread = threading.Thread(target=box)
    thread.start()
    count = listen(load_rig(rig_file), 1.5, heard.append)
    thread.join()
    assert count == 4
    assert [item.what for item in heard] == ["pulse", "press", "pulse", "press", "warning"]
    assert [item.meaning for item in heard if item.what == "press"] == ["left (1)", "right (2)"]
    assert heard[0].since_s is None
    assert heard[2].since_s is not None
    assert heard[2].since_s >= 0.1
    assert "0xfe" in heard[-1].meaning


def test_silence_is_said_by_the_exit_code(rig_file: Path):
    result = CliRunner().invoke(app, ["listen", "--rig", str(rig_file), "--seconds", "0.2"])
    assert result.exit_code == 1
    assert "nothing came in" in result.output


def test_a_rig_of_keys_is_refused():
    with pytest.raises(FoolscanError, match="are keys or emulated"):
        listen(load_rig("scanner_example"), 1.0, lambda heard: None)
