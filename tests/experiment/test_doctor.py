"""What the doctor says of displays, keyboards and ports; it claims no refresh that it did not measure."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from experiment import doctor
from experiment.doctor import FLIPS, WindowReport


def regular(rate_hz: float) -> WindowReport:
    return WindowReport("NVIDIA GeForce", (1920, 1080), (1 / rate_hz,) * FLIPS, "ptb")


def test_a_regular_display_is_fine_and_its_refresh_is_told():
    finding = doctor.display(regular(59.94))
    assert finding.status == "ok"
    assert "59.94 Hz" in finding.what


def test_no_refresh_is_claimed_for_a_display_drawn_in_software():
    finding = doctor.display(replace(regular(60), renderer="llvmpipe (LLVM 15.0.6, 256 bits)"))
    assert finding.status == "limited"
    assert "Hz" not in finding.what


def test_flips_that_do_not_wait_are_no_refresh():
    assert doctor.display(regular(2500)).status == "limited"


def test_dropped_frames_are_counted():
    intervals_s = (1 / 60,) * (FLIPS - 10) + (2 / 60,) * 10
    finding = doctor.display(replace(regular(60), flip_intervals_s=intervals_s))
    assert finding.status == "limited"
    assert f"10 of {FLIPS} flips late" in finding.what


@pytest.mark.parametrize(("backend", "status"), [("ptb", "ok"), ("iohub", "ok"), ("event", "limited")])
def test_a_keyboard_read_by_polling_is_a_limit(backend: str, status: str):
    assert doctor.keyboard(backend).status == status


def test_without_a_screen_a_virtual_display_is_a_limit_and_none_is_missing():
    assert doctor.no_display(virtual=True).status == "limited"
    assert doctor.no_display(virtual=False).status == "missing"
    assert "xvfb" in doctor.no_display(virtual=False).remedy


def test_where_windows_can_open():
    assert doctor.has_display("linux", {"DISPLAY": ":0"})
    assert doctor.has_display("linux", {"WAYLAND_DISPLAY": "wayland-0"})
    assert doctor.has_display("win32", {})
    assert not doctor.has_display("linux", {"DISPLAY": ""})


def test_a_report_survives_its_way_between_processes():
    report = regular(60)
    assert doctor.parse_report(json.dumps(asdict(report))) == report


def test_a_real_window_reports_its_flips(display: str | None):
    if display is None:
        pytest.skip("no display and no Xvfb on this machine")
    report = doctor.measure_in_a_process()
    assert len(report.flip_intervals_s) == FLIPS
    assert min(report.size_px) > 0
    assert report.keyboard_backend in ("ptb", "iohub", "event")
    assert report.screens[0].startswith("0: ")


def test_several_screens_are_listed_by_the_numbers_that_a_rig_gives():
    two = replace(regular(60), screens=("0: 1920 × 1080 at 0, 0", "1: 1024 × 768 at 1920, 0"))
    assert "1: 1024 × 768 at 1920, 0" in doctor.display(two).what


def test_the_scripts_that_can_be_written_are_named(monkeypatch: pytest.MonkeyPatch):
    from experiment import fonts

    assert "Latin" in doctor.fonts().what
    monkeypatch.setattr(fonts, "_fonts", lambda: ())
    assert doctor.fonts().status == "missing"


def test_a_window_that_cannot_open_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    if sys.platform in ("win32", "darwin"):
        pytest.skip("windows always open here")
    monkeypatch.setenv("DISPLAY", ":987")
    display, keyboard = doctor.window_and_keyboard()
    assert display.status == "missing"
    assert "no window opens" in display.what
    assert keyboard.topic == "keyboard"


def test_a_window_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    def hangs(*arguments: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("python", 5)

    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(RuntimeError, match="no answer within 5 s"):
        doctor.measure_in_a_process(timeout_s=5)


def test_parallel_ports_need_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert doctor.parallel_ports([]).status == "limited"
    monkeypatch.setattr(doctor, "is_installed", lambda name: True)
    (tmp_path / "parport0").touch()
    assert doctor.parallel_ports([tmp_path / "parport0"]).status == "ok"


def test_the_devices_are_listed_each_on_its_line():
    topics = [finding.topic for finding in doctor.ports()]
    assert topics == ["serial", "parallel", "LSL", "other triggers", "urgency"]


def test_a_system_that_grants_no_urgency_is_limited(monkeypatch: pytest.MonkeyPatch):
    for granted, status in (("realtime", "ok"), ("normal", "limited")):
        monkeypatch.setattr(doctor, "make_urgent", lambda granted=granted: granted)
        assert doctor.thread_urgency().status == status


def test_every_probe_that_is_not_ok_has_a_remedy():
    findings = [*doctor.ports(), doctor.fonts(), doctor.browser(), doctor.bids_validator()]
    assert all(finding.remedy for finding in findings if finding.status != "ok")
