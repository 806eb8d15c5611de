"""What the doctor says of the analysis."""

from __future__ import annotations

import pytest

from analysis import doctor


def test_everything_the_analysis_needs_is_here():
    assert [finding.status for finding in doctor.probes()] == ["ok", "ok"]


def test_what_is_absent_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "is_installed", lambda name: name != "nilearn")
    finding = doctor.libraries()
    assert finding.status == "missing"
    assert finding.what.startswith("nilearn")
