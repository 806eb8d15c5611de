"""Trigger and buttons of a rig: presets, rigs that extend rigs, and what must not clash."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.checks import check
from protocols.problems import ProtocolError
from protocols.rig import Rig, load_rig
from protocols.rig_devices import KeyboardTrigger, SerialButtons, SerialTrigger
from protocols.study import load_study
from protocols.yamlfile import shipped_files


def rig_of(folder: Path, text: str) -> Rig:
    path = folder / "mine.yaml"
    path.write_text(f"extends: scanner_example\nname: mine\n{text}\n", encoding="utf-8")
    return load_rig(path)


def problems_of(rig: Rig) -> dict[str, str]:
    return {problem.key: str(problem) for problem in check(load_study("demo"), rig).problems}


def test_a_rig_extends_another(tmp_path: Path):
    rig = rig_of(tmp_path, "display: {distance_mm: 1234.0}")
    assert rig.display.distance_mm == 1234.0
    assert rig.display.width_mm == load_rig("scanner_example").display.width_mm
    assert rig.trigger == load_rig("scanner_example").trigger


def test_presets_give_what_is_known_and_what_is_written_beside_them_counts(tmp_path: Path):
    rig = rig_of(
        tmp_path,
        "trigger: {preset: [siemens, lumina], port: COM3, baud: 9600}\n"
        "buttons: {preset: lumina, port: COM3, baud: 9600, codes: {left: '3', right: '4'}}",
    )
    assert isinstance(rig.trigger, SerialTrigger)
    assert (rig.trigger.per, rig.trigger.byte, rig.trigger.baud) == ("volume", "5", 9600)
    assert isinstance(rig.buttons, SerialButtons)
    assert rig.buttons.codes == {"left": "3", "right": "4"}
    assert problems_of(rig) == {}


@pytest.mark.parametrize("name", sorted(shipped_files("preset")))
def test_every_preset_makes_a_rig_that_passes(tmp_path: Path, name: str):
    text = shipped_files("preset")[name].read_text(encoding="utf-8")
    port = ", port: COM3" if "kind: serial" in text else ""
    box = name if "kind:" in text else f"{name}, current_designs_hid"
    buttons = f"buttons: {{preset: {name}{port}}}" if "buttons:" in text else ""
    rig = rig_of(tmp_path, f"trigger: {{preset: [{box}]{port}}}\n{buttons}")
    assert problems_of(rig) == {}


@pytest.mark.parametrize("name", sorted(shipped_files("preset")))
def test_every_preset_says_where_its_numbers_come_from(name: str):
    comments = [
        line for line in shipped_files("preset")[name].read_text(encoding="utf-8").splitlines() if line.startswith("#")
    ]
    assert any("documented (" in line or "assumed:" in line for line in comments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trigger: {preset: lumena}", "mine.yaml:3: trigger.preset: found 'lumena'; .*lumina"),
        ("buttons: {preset: siemens}", "mine.yaml:3: buttons.preset: found 'siemens', which has trigger"),
        ("trigger: {preset: lumina, key: t, port: COM3}", "mine.yaml:3: trigger.key: found the unknown key 'key'"),
        ("trigger: {preset: lumina}", "trigger.port: found nothing; this key is required"),
        ("extends: mine.yaml", "the same key a second time"),
    ],
)
def test_a_mistake_in_a_preset_says_where_it_is(tmp_path: Path, text: str, words: str):
    with pytest.raises(ProtocolError, match=words):
        rig_of(tmp_path, text)


def test_a_circle_of_rigs_is_refused(tmp_path: Path):
    path = tmp_path / "round.yaml"
    path.write_text("extends: round.yaml\n", encoding="utf-8")
    with pytest.raises(ProtocolError, match="a circle of rigs"):
        load_rig(path)


SERIAL = "{kind: serial, port: COM3, codes: {left: '1', right: '2'}"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("trigger: {kind: keyboard, key: '1'}", "buttons.keys.left", "trigger.key uses it already"),
        ("trigger: {kind: keyboard, key: escape}", "trigger.key", "abort_key uses it already"),
        (
            f"trigger: {{kind: serial, port: COM3, byte: '2'}}\nbuttons: {SERIAL}}}",
            "buttons.codes.right",
            "trigger.byte uses it already",
        ),
        (
            "buttons: {kind: serial, port: COM3, codes: {left: '1', right: '1'}}",
            "buttons.codes.right",
            "buttons.codes.left uses it already",
        ),
        (f"trigger: {{kind: serial, port: COM3}}\nbuttons: {SERIAL}}}", "trigger.byte", "each press would be a pulse"),
        (
            f"trigger: {{kind: serial, port: COM3, byte: '5', baud: 9600}}\nbuttons: {SERIAL}}}",
            "buttons.baud",
            "what trigger says of the same port: 9600 baud",
        ),
        (
            f"trigger: {{kind: serial_line, port: COM3, line: cts}}\nbuttons: {SERIAL}}}",
            "buttons.port",
            "the trigger uses it already",
        ),
        (f"buttons: {SERIAL}, ignore: '2x'}}", "buttons.ignore", "without '2'"),
        ("trigger: {kind: start_key, key: '2'}", "buttons.keys.right", "trigger.key uses it already"),
        ("trigger: {kind: keyboard, key: T}", "trigger.key", "Did you mean t?"),
        ("trigger: {kind: start_key, key: spacebar}", "trigger.key", "Did you mean space?"),
        ("buttons: {kind: keyboard, keys: {left: '1', right: num_pad_2}}", "buttons.keys.right", "Did you mean num_"),
        ("abort_key: esc", "abort_key", "Did you mean escape?"),
        ("abort_key: nosuchkey", "abort_key", "the name of a key: a letter or digit"),
        ("trigger: {kind: serial, port: COM4, byte: 'Ж'}", "trigger.byte", "one byte"),
        ("trigger: {kind: serial, port: COM4, coding: bits, byte: '9'}", "trigger.byte", "a bit, 0 to 7"),
        (f"buttons: {SERIAL}, coding: bits}}".replace("'2'", "'b'"), "buttons.codes.right", "a bit, 0 to 7"),
        ("trigger: {kind: keyboard, key: '5', per: slice}", "trigger.slices", "how many pulses a volume has"),
        ("trigger: {kind: keyboard, key: '5', slices: 30}", "trigger.slices", "no meaning with per: volume"),
    ],
)
def test_what_means_two_things_or_nothing_is_refused_before_a_run(tmp_path: Path, text: str, key: str, words: str):
    found = problems_of(rig_of(tmp_path, text))
    assert words in found[key]


def test_trigger_and_buttons_may_share_a_port(tmp_path: Path):
    rig = rig_of(tmp_path, f"trigger: {{kind: serial, port: COM3, byte: '5'}}\nbuttons: {SERIAL}, ignore: 'x'}}")
    assert problems_of(rig) == {}


def test_keys_of_the_first_release_mean_what_they_did(tmp_path: Path):
    rig = load_rig("scanner_example")
    assert isinstance(rig.trigger, KeyboardTrigger)
    assert (rig.trigger.key, rig.trigger.per) == ("5", "volume")
