"""Whether images still fool at a rig's pixels and in its light."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.folder import StudyFolder, read_json
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import read_provenance, sha256_of
from protocols.rig import Rig, load_rig
from protocols.study import Study
from stimuli.export import export, overshoot, resampled
from stimuli.judge_export import COLUMNS, STAGES, averaged, judge_export, resized
from stimuli.make import network_of
from stimuli.networks import load_network

Made = tuple[Study, StudyFolder]
POWER = [(level, 0.4 + 200.0 * (level / 255) ** 2.2) for level in (0, 64, 128, 192, 255)]
STRAIGHT = [(level, 0.4 + 200.0 * level / 255) for level in (0, 64, 128, 192, 255)]


def rig_of(side_px: int = 200, **display: Any) -> Rig:
    """A screen on which 12 degrees are so many pixels."""
    rig = load_rig("rehearsal")
    width_mm = 2 * 800.0 * math.tan(math.radians(6)) * 1024 / side_px
    shown = {**rig.display.model_dump(), "width_mm": width_mm, **display}
    return Rig.model_validate({**rig.model_dump(), "display": shown})


def judged(study: Study, rig: Rig, folder: StudyFolder) -> Any:
    export(study, rig, folder)
    return judge_export(study, rig, folder, "cpu")


def test_where_nothing_is_resampled_or_lost_the_numbers_are_the_manifest_s(several: Made):
    study, folder = several
    result = judged(study, rig_of(128), folder)
    assert result.side_px == 128
    assert [image.stim_id for image in result.images] == [row.stim_id for row in read_manifest(folder)]
    for image, row in zip(result.images, read_manifest(folder), strict=True):
        assert (image.confidence, image.label, image.success) == (row.confidence, row.network_label, row.success)
        for stage in STAGES:
            assert getattr(image, f"confidence{stage}") == pytest.approx(row.confidence, abs=1e-6)
            assert getattr(image, f"label{stage}") == row.network_label
            if row.set != "CO":  # its criterion is a length; here it tells whether the class is kept
                assert getattr(image, f"success{stage}") == row.success
            ratio = getattr(image, f"ratio{stage}")
            assert ratio == (
                None if row.representation_ratio is None else pytest.approx(row.representation_ratio, rel=1e-4)
            )
        assert image.clipped_by_resampling == image.clipped_by_screen == image.merged_by_screen == 0.0


def test_the_table_has_described_columns_and_says_what_was_assumed(several: Made):
    study, folder = several
    result = judged(study, rig_of(), folder)
    assert result.table == folder.screen_images("rehearsal") / "judged.tsv"
    with result.table.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines, delimiter="\t")
    assert header == list(COLUMNS)
    assert len(rows) == len(read_manifest(folder))
    sidecar = read_json(result.sidecar)
    assert all(sidecar[column]["Description"] for column in COLUMNS)
    assert "no curve was measured: the display is assumed to follow sRGB" in sidecar["Assumption"]
    assert "assumed" in result.display
    inputs = read_provenance(result.table)["inputs"]
    assert inputs["derivatives/foolscan/screen/rehearsal/export.json"] == sha256_of(
        folder.screen_images("rehearsal") / "export.json"
    )
    assert [line.split()[0] for line in result.summary[1:-1]] == list(study.stimuli.sets)


def test_a_table_that_stands_is_read_and_another_light_asks_again(several: Made):
    study, folder = several
    first = judged(study, rig_of(), folder)
    asked: list[object] = []

    def counted(plan: Any, place: Path, device: str) -> Any:
        network = network_of(plan, place, device)
        asks = network.probabilities
        network.probabilities = lambda *a, **k: (asked.append(a), asks(*a, **k))[1]  # type: ignore[method-assign]
        return network

    again = judge_export(study, rig_of(), folder, "cpu", load=counted)
    assert not asked
    assert [image.stim_id for image in again.images] == [image.stim_id for image in first.images]
    assert [image.label_on_screen for image in again.images] == [image.label_on_screen for image in first.images]
    # the curve of a native display changes no exported image, but what is seen of it
    straight = rig_of(luminance={"mode": "native", "measured": STRAIGHT})
    other = judge_export(study, straight, folder, "cpu", load=counted)
    assert asked
    assert "measured 0.4 to 200.4" in other.display
    for before, after in zip(first.images, other.images, strict=True):
        assert after.confidence_at_pixels == pytest.approx(before.confidence_at_pixels, abs=1e-6)
    assert any(
        abs(after.confidence_on_screen - before.confidence_on_screen) > 0.01
        for before, after in zip(first.images, other.images, strict=True)
    )


def test_a_linearised_display_is_decoded_before_the_network_sees_it(several: Made):
    study, folder = several
    native = judged(study, rig_of(), folder)
    result = judged(study, rig_of(luminance={"mode": "linearised", "measured": POWER}), folder)
    regular = [(a, b) for a, b in zip(native.images, result.images, strict=True) if a.set == "RE"]
    for before, after in regular:
        assert after.success_at_pixels
        assert after.confidence_at_pixels == pytest.approx(before.confidence_at_pixels, abs=0.02)
    assert all(0.0 < image.merged_by_screen < 1.0 for image in result.images)
    assert result.light.n_levels < 184


def test_images_that_are_not_exported_or_changed_name_the_command(several: Made):
    study, folder = several
    rig = rig_of()
    with pytest.raises(NotReady, match="foolscan stimuli export small --rig rehearsal"):
        judge_export(study, rig, folder, "cpu")
    export(study, rig, folder)
    with pytest.raises(NotReady, match="another size, light or version"):
        judge_export(study, rig_of(luminance={"mode": "linearised", "measured": POWER}), folder, "cpu")
    path = next(folder.screen_images("rehearsal").glob("AI-*.png"))
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(NotReady, match=path.stem):
        judge_export(study, rig, folder, "cpu")
    assert not (folder.screen_images("rehearsal") / "judged.tsv").exists()


def test_an_image_enlarged_pixel_by_pixel_comes_back_by_area():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for factor in (2, 3, 5):
        assert np.array_equal(averaged(np.kron(image, np.ones((factor, factor, 1))), 32), image)


def test_the_network_s_own_resize_keeps_what_is_smooth_and_takes_the_finest_grain():
    network = load_network("picturenet", device="cpu")
    ramp = np.tile(np.linspace(20.0, 230.0, 96)[:, None, None], (1, 96, 3))
    assert np.abs(resized(network, ramp, 32)[4:-4].astype(float) - averaged(ramp, 32)[4:-4]).max() <= 1
    chequered = 128.0 + 64.0 * np.kron((np.indices((32, 32)).sum(axis=0) % 2 * 2 - 1)[..., None], np.ones((3, 3, 1)))
    chequered = np.repeat(chequered, 3, axis=-1)
    assert resized(network, chequered, 32).std() < 0.7 * averaged(chequered, 32).std()


def test_overshoot_is_what_the_filter_puts_outside_the_range():
    assert overshoot(np.full((16, 16, 3), 200, np.uint8), 50) == 0.0
    edge = np.zeros((16, 16, 3), np.uint8)
    edge[:, 8:] = 255
    assert overshoot(edge, 48) > 0.05
    assert resampled(edge, 48).shape == (48, 48, 3)


def test_only_the_judging_needs_torch():
    code = "import sys, stimuli.export, stimuli.screen_light, stimuli.triptychs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_command_prints_the_table_and_what_it_wrote(several: Made, monkeypatch: pytest.MonkeyPatch):
    from typer.testing import CliRunner

    from stimuli.command_line import app

    study, folder = several
    path = str(study.file) if hasattr(study, "file") else str(study.folder / "small.yaml")
    arguments = ["judge-export", path, "--rig", "rehearsal", "--to", str(folder.root), "--device", "cpu"]
    assert CliRunner().invoke(app, arguments).exit_code != 0
    export(study, load_rig("rehearsal"), folder)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "judged.tsv" in done.stdout
    assert "431 px, native; no curve was measured" in done.stdout
    assert "same class" in done.stdout


def test_without_torch_the_command_says_where_to_run_it(monkeypatch: pytest.MonkeyPatch):
    import protocols.doctor
    import stimuli.command_line

    monkeypatch.setattr(protocols.doctor, "is_installed", lambda name: name != "torch")
    with pytest.raises(FoolscanError, match=r"torch is not installed here; .*'foolscan\[stimuli\]"):
        stimuli.command_line.judge_export("demo", Path("nowhere"), "rehearsal")
