"""Betas: exact on data without noise, nilearn's own on data with it, and nothing is fitted to what does not belong together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.betas import design_of, estimate_betas, fit, percent_signal
from analysis.confounds import confounds_path
from analysis.events import Event
from analysis.nifti import open_nifti, write_nifti
from analysis.rois import load_rois, read_mask, roi_path, write_mask
from analysis.stored_betas import betas_path, load_patterns, table_path
from protocols.folder import StudyFolder, read_json, write_json, write_text
from protocols.glm_plan import GlmPlan
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import sidecar_path
from protocols.study import ScanProtocol, Study

Simulated = tuple[Study, StudyFolder]
SCAN = ScanProtocol(tr_s=2.0, volumes=90)
IDS = tuple(f"RE-{i:02d}" for i in range(12))


def images(seed: int = 0, times: int = 1) -> list[Event]:
    rng = np.random.default_rng(seed)
    order = [str(name) for _ in range(times) for name in rng.permutation(IDS)]
    return [Event(i + 2, 10.0 + 12.0 / times * i, 1.0, "RE", name, {}) for i, name in enumerate(order)]


@pytest.mark.parametrize("drift", ["cosine", "polynomial"])
@pytest.mark.parametrize("hrf", ["spm", "glover"])
@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_a_signal_made_of_the_regressors_gives_back_its_betas(drift: str, hrf: str, noise: str) -> None:
    plan = GlmPlan(hrf=hrf, drift=drift)  # type: ignore[arg-type]
    motion = np.random.default_rng(5).normal(0, 0.1, (90, 6))
    design = design_of(images(), IDS, SCAN, 1.0, plan, motion)
    true = np.random.default_rng(1).normal(0, 1, (design.matrix.shape[1], 8))
    found = fit(design, design.matrix @ true, noise)
    np.testing.assert_allclose(found, true[:12] * design.peak, atol=1e-6)


def test_ordinary_least_squares_agree_with_an_independent_solver() -> None:
    design = design_of(images(), IDS, SCAN, 1.0, GlmPlan())
    data = np.random.default_rng(2).normal(0, 2, (90, 30))
    expected = np.linalg.lstsq(design.matrix, data, rcond=None)[0][:12] * design.peak
    np.testing.assert_allclose(fit(design, data, "ols"), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_the_whole_model_agrees_with_nilearns_first_level_model(
    finished: Simulated, noise: str, tmp_path: Path
) -> None:
    """An independent path: nilearn reads the image and the events and does everything itself."""
    from nilearn.glm.first_level import FirstLevelModel

    study, folder = finished
    run = folder.runs("animals")[0]
    mask = load_rois(study, folder, "01")["V1"]
    write_mask(tmp_path / "mask.nii.gz", mask, open_nifti(folder.bold(run)).affine)
    table = pd.read_csv(folder.events(run), sep="\t")
    table = table[table.stim_id.notna()]
    events = pd.DataFrame(
        {"onset": table.onset, "duration": table.duration, "trial_type": table.stim_id.str.replace("-", "_")}
    )
    motion = pd.read_csv(confounds_path(folder, run), sep="\t")
    model = FirstLevelModel(
        t_r=2.0,
        slice_time_ref=0.5,
        hrf_model="spm",
        drift_model="cosine",
        high_pass=0.01,
        noise_model=noise,
        mask_img=tmp_path / "mask.nii.gz",
        signal_scaling=0,
        minimize_memory=True,
    )
    model.fit(str(folder.bold(run)), events, confounds=motion - motion.mean())
    ours = design_of(
        [Event(2, row.onset, row.duration, row.trial_type, row.stim_id, {}) for row in table.itertuples()],
        sorted(table.stim_id),
        study.scan,
        1.0,
        study.analysis.glm,
        (motion - motion.mean()).to_numpy(),
    )
    series = np.asarray(nibabel.load(folder.bold(run)).dataobj)[mask].T
    found = fit(ours, percent_signal(series), noise)
    for row, stim_id in enumerate(ours.stim_ids[:4]):
        theirs = model.compute_contrast(stim_id.replace("-", "_"), output_type="effect_size")
        expected = theirs.get_fdata()[mask] * ours.peak
        # theirs rounds onsets to 1/50 of a TR, ours to 1/20, and the image is stored in single precision
        np.testing.assert_allclose(found[row], expected, atol=0.02 * np.abs(expected).max())
        assert np.corrcoef(found[row], expected)[0, 1] > 0.9999


def test_a_response_of_one_percent_has_a_beta_of_one() -> None:
    """The canonical response to one isolated image, with its peak at 1 % of the baseline."""
    one = design_of([Event(2, 20.0, 1.0, "RE", "RE-00", {})], IDS, SCAN, 1.0, GlmPlan())
    series = 800.0 * (1.0 + 0.01 * one.matrix[:, :1] / one.peak)
    assert series.max() == pytest.approx(808.0, abs=0.4)  # the volumes miss the peak by a little
    assert fit(one, percent_signal(series), "ols")[0, 0] == pytest.approx(1.0, rel=0.01)


def test_presentations_of_an_image_in_a_run_share_one_regressor() -> None:
    design = design_of(images(times=2), IDS, SCAN, 1.0, GlmPlan())
    assert design.stim_ids == IDS
    single = [
        design_of([event], IDS, SCAN, 1.0, GlmPlan()).matrix[:, 0]
        for event in images(times=2)
        if event.stim_id == IDS[3]
    ]
    np.testing.assert_allclose(design.matrix[:, 3], single[0] + single[1], atol=1e-9)


def test_columns_are_in_the_manifests_order_whatever_the_order_shown() -> None:
    first, second = (design_of(images(seed), IDS[::-1], SCAN, 1.0, GlmPlan()) for seed in (1, 2))
    assert first.stim_ids == second.stim_ids == IDS[::-1]
    onset = next(event.onset_s for event in images(1) if event.stim_id == IDS[0])
    alone = design_of([Event(2, onset, 1.0, "RE", IDS[0], {})], IDS, SCAN, 1.0, GlmPlan())
    np.testing.assert_allclose(first.matrix[:, 11], alone.matrix[:, 0], atol=1e-9)


def test_time_within_the_tr_moves_the_regressors() -> None:
    early, late = (design_of(images(), IDS, SCAN, start_s, GlmPlan()).matrix[:, 0] for start_s in (0.0, 1.9))
    onset_volume = int(min(event.onset_s for event in images() if event.stim_id == IDS[0]) // 2)
    rise = slice(onset_volume, onset_volume + 3)
    assert late[rise].sum() > early[rise].sum()


def test_more_regressors_than_volumes_are_refused() -> None:
    crowded = [Event(2, 2.0 * i, 1.0, "RE", name, {}) for i, name in enumerate(IDS)]
    with pytest.raises(FoolscanError, match=r"found \d+ regressors of rank \d+ for 12 volumes; .* more volumes"):
        design_of(crowded, IDS, ScanProtocol(tr_s=2.0, volumes=12), 1.0, GlmPlan())


def test_two_images_at_the_same_time_are_refused() -> None:
    twins = [Event(2, 10.0, 1.0, "RE", IDS[0], {}), Event(3, 10.0, 1.0, "RE", IDS[1], {})]
    with pytest.raises(FoolscanError, match="2 images: found regressors that are not independent"):
        design_of(twins, IDS, SCAN, 1.0, GlmPlan())


@given(st.floats(1e-3, 1e6), st.integers(0, 50))
@settings(max_examples=25)
def test_percent_signal_does_not_depend_on_the_scanners_units(gain: float, seed: int) -> None:
    series = np.random.default_rng(seed).uniform(900, 1100, (40, 3))
    np.testing.assert_allclose(percent_signal(gain * series), percent_signal(series), atol=1e-9)


def test_voxels_without_a_usable_time_series_are_nan_and_leave_the_others_alone() -> None:
    design = design_of(images(), IDS, SCAN, 1.0, GlmPlan())
    series = np.random.default_rng(3).uniform(900, 1100, (90, 6))
    series[:, 0], series[:, 1], series[4, 2], series[:, 3] = 0.0, 7.0, np.nan, -series[:, 3]
    percent = percent_signal(series)
    assert np.isnan(percent).any(axis=0).tolist() == [True, True, True, True, False, False]
    found = fit(design, percent, "ols")
    assert np.isnan(found[:, :4]).all()
    np.testing.assert_allclose(found[:, 4:], fit(design, percent[:, 4:], "ols"), atol=1e-12)
    assert np.isnan(fit(design, percent[:, :4], "ols")).all()


def test_every_run_has_a_betas_image_a_table_and_a_sidecar(finished: Simulated) -> None:
    study, folder = finished
    runs = folder.runs("animals")
    assert len(runs) == 8
    stimuli = read_manifest(folder)
    for run in runs:
        path = betas_path(folder, run)
        image = open_nifti(path)
        assert image.shape == (24, 20, 12, 12)
        table = pd.read_csv(table_path(path), sep="\t")
        assert table.stim_id.tolist() == [stimulus.stim_id for stimulus in stimuli]
        assert table.presentations.tolist() == [1] * 12
        record = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
        assert record["Units"].startswith("percent signal change")
        assert record["foolscan"]["parameters"]["slice_time_ref"] == 0.5
        assert folder.relative(folder.bold(run)) in record["foolscan"]["inputs"]
        assert "trans_x" in record["Regressors"]
    union = np.logical_or.reduce(list(load_rois(study, folder, "01").values()))
    np.testing.assert_array_equal(
        np.isfinite(np.asarray(open_nifti(betas_path(folder, runs[0])).dataobj)).all(axis=3), union
    )


def test_betas_that_are_current_are_left_alone_and_others_made_again_to_the_byte(simulated: Simulated) -> None:
    study, folder = simulated
    (path,) = estimate_betas(study, folder)
    content = path.read_bytes()
    assert estimate_betas(study, folder) == []
    path.write_bytes(content[:-10])
    assert estimate_betas(study, folder) == [path]
    assert path.read_bytes() == content
    table_path(path).unlink()
    assert estimate_betas(study, folder) == [path]


def test_another_model_makes_the_betas_again(simulated: Simulated, fake: SimpleNamespace) -> None:
    study, folder = simulated
    estimate_betas(study, folder)
    assert len(estimate_betas(fake.changed(study, analysis__glm__hrf="glover"), folder)) == 1


def test_motion_is_left_out_where_there_is_no_table(simulated: Simulated) -> None:
    study, folder = simulated
    run = folder.runs("animals")[0]
    confounds_path(folder, run).unlink()
    (path,) = estimate_betas(study, folder)
    record = read_json(sidecar_path(path))
    assert record["foolscan"]["parameters"]["confounds"] == []
    assert "trans_x" not in record["Regressors"]


def cut_short(folder: StudyFolder) -> None:
    path = folder.bold(folder.runs("animals")[0])
    image = open_nifti(path)
    write_nifti(path, np.asarray(image.dataobj)[..., :-3], image.affine, dtype=np.int16, tr_s=2.0, slope=0.05)


def other_grid(folder: StudyFolder) -> None:
    path = folder.bold(folder.runs("animals")[0])
    image = open_nifti(path)
    affine = image.affine.copy()
    affine[0, 3] = 40.0
    write_nifti(path, np.asarray(image.dataobj), affine, dtype=np.int16, tr_s=2.0, slope=0.05)


def other_header_tr(folder: StudyFolder) -> None:
    path = folder.bold(folder.runs("animals")[0])
    image = open_nifti(path)
    write_nifti(path, np.asarray(image.dataobj), image.affine, dtype=np.int16, tr_s=1.5, slope=0.05)


def one_volume(folder: StudyFolder) -> None:
    path = folder.bold(folder.runs("animals")[0])
    image = open_nifti(path)
    write_nifti(path, np.asarray(image.dataobj)[..., 0], image.affine, dtype=np.int16)


def no_bytes(folder: StudyFolder) -> None:
    folder.bold(folder.runs("animals")[0]).write_bytes(b"")


def side(folder: StudyFolder) -> Path:
    return sidecar_path(folder.bold(folder.runs("animals")[0]))


def other_tr(folder: StudyFolder) -> None:
    write_json(side(folder), {**read_json(side(folder)), "RepetitionTime": 2.5})


def no_start(folder: StudyFolder) -> None:
    facts = read_json(side(folder))
    del facts["StartTime"]
    write_json(side(folder), facts)


def no_sidecar(folder: StudyFolder) -> None:
    side(folder).unlink()


def late_image(folder: StudyFolder) -> None:
    path = folder.events(folder.runs("animals")[0])
    lines = path.read_text(encoding="utf-8").splitlines()
    image = next(line for line in lines if "RE-category00" in line)
    lines.append("\t".join(["179.5", "1.0", *image.split("\t")[2:]]))
    write_text(path, "\n".join(lines) + "\n")


def foreign_image(folder: StudyFolder) -> None:
    path = folder.events(folder.runs("animals")[0])
    write_text(path, path.read_text(encoding="utf-8").replace("RE-category00", "RE-unknown"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_short, r"run-01_bold\.nii\.gz: found 87 volumes; scan\.volumes is 90"),
        (other_grid, r"roi-V1_mask\.nii\.gz: affine\[0,3\] is 0; in .*_bold\.nii\.gz it is 40"),
        (other_header_tr, r"_bold\.nii\.gz: the header says 1\.5 s between volumes; scan\.tr_s is 2"),
        (one_volume, r"_bold\.nii\.gz: found 3 dimensions"),
        (no_bytes, r"_bold\.nii\.gz: found 0 bytes"),
        (other_tr, r"_bold\.json: RepetitionTime: found 2\.5; scan\.tr_s is 2"),
        (no_start, r"_bold\.json: StartTime: found None; expected the time within the TR"),
        (no_sidecar, r"no sidecar .*_bold\.json beside it"),
        (late_image, r"_events\.tsv:\d+: an image from 179\.5 to 180\.5 s; 90 volumes of 2 s cover 0 to 180 s"),
        (foreign_image, r"_events\.tsv:\d+: stim_id: found 'RE-unknown'"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_nothing_written(
    simulated: Simulated, spoil: Callable[[StudyFolder], None], message: str
) -> None:
    study, folder = simulated
    spoil(folder)
    with pytest.raises(FoolscanError, match=message):
        estimate_betas(study, folder)
    assert not folder.derived("betas").exists()


def test_a_run_without_images_is_not_ready(simulated: Simulated) -> None:
    study, folder = simulated
    folder.bold(folder.runs("animals")[0]).unlink()
    with pytest.raises(NotReady, match=r"no images of this run yet; .* foolscan analysis simulate-bold"):
        estimate_betas(study, folder)


def test_a_folder_without_runs_is_not_ready(tmp_path: Path, fake: SimpleNamespace) -> None:
    with pytest.raises(NotReady, match="no events of task animals yet"):
        estimate_betas(fake.study(), fake.folder(tmp_path, fake.study(), n_categories=4, runs=0))


def test_betas_older_than_the_mask_are_refused(simulated: Simulated) -> None:
    study, folder = simulated
    estimate_betas(study, folder)
    path = roi_path(folder, "01", "V1")
    mask = read_mask(path)
    mask[tuple(np.argwhere(mask)[0])] = False
    write_mask(path, mask, open_nifti(path).affine)
    with pytest.raises(FoolscanError, match=r"estimated before .* was made or changed"):
        load_patterns(study, folder, "01", "V1")


def test_a_table_that_does_not_match_its_betas_is_refused(simulated: Simulated) -> None:
    study, folder = simulated
    (path,) = estimate_betas(study, folder)
    text = table_path(path).read_text(encoding="utf-8")
    write_text(table_path(path), "\n".join(text.splitlines()[:-2]) + "\n")
    with pytest.raises(FoolscanError, match="found 10 images for 12 betas"):
        load_patterns(study, folder, "01", "V1")
    write_text(table_path(path), text.replace("AN-category02", "AN-other"))
    with pytest.raises(FoolscanError, match=r"_betas\.tsv:8: stim_id: found 'AN-other'"):
        load_patterns(study, folder, "01", "V1")
