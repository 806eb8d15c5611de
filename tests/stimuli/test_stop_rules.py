"""When an image is finished: every rule can be reached from a study file, and what cannot be reached is told, not tried for ever."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_image_study import small_study

from protocols.folder import StudyFolder
from protocols.manifest import in_set, read_manifest
from stimuli.image_files import read_rgb
from stimuli.make import make
from stimuli.networks import load_network
from stimuli.synthesis.starts import NOISE, mean_image, with_uniform_noise

UNREACHABLE = "sets: {AI: {kind: adversarial_interference, confidence: 0.999999, linf_preferred: 1, linf_max: 1, attempts: 2MORE}}"


@pytest.mark.parametrize(
    ("more", "why"),
    [(", max_steps: 3", "its steps were used up"), (", patience: 2", "it made no further progress")],
    ids=["steps", "no progress"],
)
def test_a_confidence_that_cannot_be_reached_ends_and_the_manifest_says_why(tmp_path: Path, more: str, why: str):
    result = make(small_study(tmp_path, UNREACHABLE.replace("MORE", more)), tmp_path / "to", "cpu")
    rows = in_set(read_manifest(StudyFolder(tmp_path / "to")), "AI")
    assert [(row.success, row.attempts) for row in rows] == [(False, 2)] * 4
    assert all(row.confidence < 0.999999 and (row.linf or 0) <= 1 for row in rows)
    parameters = json.loads(result.sidecar.read_text(encoding="utf-8"))["foolscan"]["parameters"]
    assert parameters["failures"] == {row.stim_id: why for row in rows}
    for row in rows:
        said = f"after 2 attempts ({row.steps} steps in the last): {why}"
        assert sum(row.stim_id in line and said in line for line in result.complaint.splitlines()) == 1
    again = make(small_study(tmp_path, UNREACHABLE.replace("MORE", more)), tmp_path / "to", "cpu")
    assert again.complaint == result.complaint  # a failure is finished too: it is not tried again


def test_a_larger_patience_gives_an_image_more_steps(tmp_path: Path):
    steps = {}
    for patience in (2, 12):
        sets = UNREACHABLE.replace("MORE", f", patience: {patience}")
        result = make(small_study(tmp_path, sets), tmp_path / str(patience), "cpu")
        steps[patience] = sum(row.steps for row in in_set(result.stimuli, "AI"))
    assert steps[12] > steps[2]


def test_noise_of_any_kind_has_the_sd_that_is_asked_for_around_the_mean_image():
    mean = mean_image((0.5, 0.4, 0.6), 96)
    for name in ("gaussian", "uniform"):
        start = NOISE[name]
        one, two = (start(mean, 12.0, np.random.default_rng(3)) for _ in range(2))
        assert np.array_equal(one, two)
        assert np.std(one - mean) == pytest.approx(12.0, rel=0.02)
        assert np.mean(one - mean) == pytest.approx(0.0, abs=0.2)
    uniform = with_uniform_noise(mean, 12.0, np.random.default_rng(3)) - mean
    assert np.abs(uniform).max() == pytest.approx(12.0 * np.sqrt(3), rel=0.01)
    assert np.mean(np.abs(uniform)) == pytest.approx(12.0 * np.sqrt(3) / 2, rel=0.02)  # flat, not bell-shaped
    wide = with_uniform_noise(mean, 200.0, np.random.default_rng(3))
    assert (wide.min(), wide.max()) == (0, 255)


def test_uniform_noise_is_a_start_and_a_control_of_its_own(tmp_path: Path):
    sets = (
        "sets: {AN: {kind: adversarial_noise, start: uniform, noise_sd: 20.0}, "
        "NU: {kind: noise, start: uniform, noise_sd: 20.0, most_confidence: 0.9}}"
    )
    result = make(small_study(tmp_path, sets), tmp_path / "to", "cpu")
    assert result.failures == ()
    mean = np.asarray(load_network("picturenet", device="cpu").preprocessing.mean) * 255
    for row in in_set(result.stimuli, "NU"):
        noise = read_rgb(row.path(StudyFolder(tmp_path / "to"))) - mean
        assert np.abs(noise).max() <= 20 * np.sqrt(3) + 0.5
        assert np.std(noise) == pytest.approx(20.0, rel=0.02)
