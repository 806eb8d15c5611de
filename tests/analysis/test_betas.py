"""Betas on disk: what every model writes, what is current is left alone, and nothing is fitted to what does not belong together."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.betas import estimate_betas
from analysis.confounds import confounds_path
from analysis.fmriprep import derived_file
from analysis.glm.series import refuse_same_images
from analysis.nifti import open_nifti, write_nifti
from analysis.rois import load_rois, read_mask, roi_path, write_mask
from analysis.stored_betas import betas_path, load_patterns, table_path
from protocols.folder import StudyFolder, read_json, write_json, write_text
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import sha256_of, sidecar_path
from protocols.study import Study

Simulated = tuple[Study, StudyFolder]


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


@pytest.mark.parametrize(("sub", "run"), [("01", 2), ("02", 1)], ids=["another run", "another subject"])
@pytest.mark.parametrize("by_fmriprep", [False, True], ids=["scanner", "fMRIPrep"])
def test_one_runs_images_under_anothers_name_are_refused(
    simulated: Simulated, sub: str, run: int, by_fmriprep: bool
) -> None:
    study, folder = simulated
    first = folder.runs("animals")[0]
    other = replace(first, sub=sub, run=run)
    folder.func(other).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder.events(first), folder.events(other))
    for item in (first, other):
        path = derived_file(folder, item, "desc-preproc_bold.nii.gz") if by_fmriprep else folder.bold(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path != folder.bold(first):
            shutil.copyfile(folder.bold(first), path)
            shutil.copyfile(sidecar_path(folder.bold(first)), sidecar_path(path))
    with pytest.raises(
        FoolscanError,
        match=rf"{re.escape(str(path))}: found the same images as in \S+{first.stem}\S+ \(SHA-256 \w+\); .* Copy this run's own",
    ):
        estimate_betas(study, folder)
    assert not folder.derived("betas").exists()


def test_images_are_compared_whole_only_where_size_and_end_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("one", "shorter", "other end", "other beginning")]
    content = bytes(200_000)
    for path, item in zip(paths, (content, content[:-1], content[:-1] + b"x", b"x" + content[1:]), strict=True):
        path.write_bytes(item)
    hashed: list[Path] = []
    monkeypatch.setattr("analysis.glm.series.sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    refuse_same_images(paths)
    assert hashed == [paths[0], paths[3]]


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
