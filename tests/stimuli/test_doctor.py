"""What the doctor says of devices and weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from stimuli.doctor import checkpoints_folder, probes, torchvision_weights


def test_weights_on_disk_are_named(tmp_path: Path):
    (tmp_path / "alexnet-owt-7be5be79.pth").touch()
    finding = torchvision_weights(tmp_path)
    assert finding.status == "ok"
    assert "alexnet-owt-7be5be79.pth" in finding.what


def test_absent_weights_come_with_what_to_do(tmp_path: Path):
    finding = torchvision_weights(tmp_path / "absent")
    assert finding.status == "limited"
    assert "weights: path.pt" in finding.remedy


def test_torch_looks_for_weights_where_the_doctor_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import torch.hub

    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert checkpoints_folder() == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert checkpoints_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_every_probe_that_is_not_ok_has_a_remedy():
    assert all(finding.remedy for finding in probes() if finding.status != "ok")


def test_the_embedded_network_is_here():
    (finding,) = [finding for finding in probes() if finding.topic == "weights: picturenet"]
    assert finding.status == "ok"
