"""nilearn: effect-size maps by the names of their files, or in one 4D image with a table."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest

from analysis.betas_in.importing import Request, import_betas
from analysis.rois import roi_path
from analysis.stored_betas import betas_path, load_patterns, session_betas_path
from protocols.folder import read_json
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path

UNITS = "percent signal change"
NAMES = {
    "plain": "{stim_id}.nii.gz",
    "effect": "{stim_id}_effect_size.nii.gz",
    "underscore": "{underscore}_effect_size.nii",
    "saved": "{stem}_contrast-{letters}_stat-effect_statmap.nii.gz",
}


def save_maps(lab: Any, write: SimpleNamespace, form: str, place: Path) -> None:
    for run in lab.runs():
        folder = place if "{stem}" in form else place / run.stem
        for stim_id, values in lab.images(run).items():
            letters = stim_id[0].lower() + stim_id[1:].replace("-", "").title()
            name = form.format(stim_id=stim_id, stem=run.stem, underscore=stim_id.replace("-", "_"), letters=letters)
            write.nifti(folder / name, values)
            if "_effect" in name:
                for other in ("stat-t", "stat-z", "stat-p", "stat-variance"):
                    write.nifti(
                        folder / name.replace("stat-effect", other).replace("effect_size", "z_score"), values + 1
                    )


@pytest.mark.parametrize("form", sorted(NAMES))
def test_maps_named_by_their_condition_come_back_as_they_were(lab: Any, write: SimpleNamespace, form: str) -> None:
    save_maps(lab, write, NAMES[form], lab.root / "maps")
    for run in lab.runs():
        place = lab.root / "maps" / ("" if form == "saved" else run.stem)
        (done,) = import_betas(
            lab.study, lab.folder, Request(place, "nilearn", UNITS, sub="01", ses=run.ses, run=str(run.run))
        )
        assert done.maps == 6
    lab.expect_images()
    notes = read_json(sidecar_path(betas_path(lab.folder, lab.run())))["Notes"]
    assert bool(notes) == (form in ("underscore", "saved"))  # names that had to be read are told


def test_one_4d_image_needs_a_name_for_each_volume(lab: Any, write: SimpleNamespace) -> None:
    run = lab.run()
    images = lab.images(run)
    order = list(lab.stim_ids)[::-1]
    path = write.nifti(
        lab.root / "maps.nii.gz", np.stack([np.ones((5, 4, 3)), *(images[name] for name in order)], axis=3)
    )
    rows = [["constant", "n/a"], *([f"c{place}", name] for place, name in enumerate(order))]
    labels = {"sub": "01", "ses": "01", "run": "1"}
    names = write.tsv(lab.root / "names.tsv", ("name", "stim_id"), rows)
    (done,) = import_betas(lab.study, lab.folder, Request(path, "nilearn", UNITS, names=names, **labels))
    assert done.left_out == ("constant",)
    stored = np.asarray(nibabel.load(done.files[0]).dataobj)
    np.testing.assert_array_equal(stored, np.stack([images[name] for name in lab.stim_ids], axis=3))
    write.tsv(names, ("name", "stim_id"), rows[:-1])
    with pytest.raises(FoolscanError, match=r"maps\.nii\.gz: found 7 volumes, and a table of 6 names"):
        import_betas(lab.study, lab.folder, Request(path, "nilearn", UNITS, names=names, **labels))


def test_a_model_of_a_whole_session_is_one_row_of_the_patterns(lab: Any, write: SimpleNamespace) -> None:
    for ses in ("01", "02"):
        run = lab.run(ses=ses)
        for stim_id, values in lab.images(run).items():
            write.nifti(lab.root / f"fixed-{ses}" / f"{stim_id}.nii.gz", values)
        (done,) = import_betas(
            lab.study, lab.folder, Request(lab.root / f"fixed-{ses}", "nilearn", UNITS, sub="01", ses=ses, run="all")
        )
        assert done.files == (session_betas_path(lab.folder, run),)
    patterns = load_patterns(lab.study, lab.folder, "01", "V1")
    assert patterns.runs == ("sub-01_ses-01_task-animals_run-all", "sub-01_ses-02_task-animals_run-all")
    assert patterns.betas.shape[:2] == (2, 6)
    with pytest.raises(
        FoolscanError, match=r"run-all_betas\.nii\.gz: found betas of the whole session; move them elsewhere"
    ):
        import_betas(
            lab.study, lab.folder, Request(lab.root / "fixed-01", "nilearn", UNITS, sub="01", ses="01", run="1")
        )


def test_a_map_that_is_missing_or_of_nothing_is_shown(lab: Any, write: SimpleNamespace) -> None:
    save_maps(lab, write, NAMES["effect"], lab.root / "maps")
    place = lab.root / "maps" / lab.run().stem
    request = Request(place, "nilearn", UNITS, sub="01", ses="01", run="1")
    moved = place / f"{lab.stim_ids[3]}_effect_size.nii.gz"
    moved.rename(place / "RE-nobody_effect_size.nii.gz")
    with pytest.raises(
        FoolscanError, match=r"RE-nobody_effect_size\.nii\.gz: map \d: found 'RE-nobody', which is no stim_id"
    ):
        import_betas(lab.study, lab.folder, request)
    (place / "RE-nobody_effect_size.nii.gz").unlink()
    with pytest.raises(
        FoolscanError, match=rf"found 5 maps and none of '{lab.stim_ids[3]}'; logged: \S+events\.tsv:\d+, 6 images"
    ):
        import_betas(lab.study, lab.folder, request)
    (lab.root / "empty").mkdir()
    with pytest.raises(FoolscanError, match=r"found no effect-size map of .* among 0 NIfTI files"):
        import_betas(lab.study, lab.folder, Request(lab.root / "empty", "nilearn", UNITS, sub="01", ses="01", run="1"))


def test_foolscans_own_betas_are_not_written_over_unless_it_is_said(lab: Any, write: SimpleNamespace) -> None:
    save_maps(lab, write, NAMES["plain"], lab.root / "maps")
    request = Request(lab.root / "maps" / lab.run().stem, "nilearn", UNITS, sub="01", ses="01", run="1")
    own = write.nifti(betas_path(lab.folder, lab.run()), np.ones((5, 4, 3, 6)))
    with pytest.raises(
        FoolscanError,
        match=r"found betas that foolscan estimated; move them elsewhere, or write over them with --replace",
    ):
        import_betas(lab.study, lab.folder, request)
    assert import_betas(lab.study, lab.folder, Request(**{**request.__dict__, "replace": True}))[0].files == (own,)


def test_units_are_stated_and_numbers_are_scaled(lab: Any, write: SimpleNamespace) -> None:
    save_maps(lab, write, NAMES["plain"], lab.root / "maps")
    labels = {"sub": "01", "ses": "01", "run": "1"}
    place = lab.root / "maps" / lab.run().stem
    with pytest.raises(FoolscanError, match="--units: found nothing"):
        Request(place, "nilearn", " ", **labels)
    with pytest.raises(FoolscanError, match="--scale: found 0"):
        Request(place, "nilearn", UNITS, scale=0.0, **labels)
    (done,) = import_betas(lab.study, lab.folder, Request(place, "nilearn", UNITS, scale=0.25, **labels))
    stored = np.asarray(nibabel.load(done.files[0]).dataobj)
    np.testing.assert_array_equal(stored[..., 0], 0.25 * lab.images(lab.run())[lab.stim_ids[0]])
    assert read_json(sidecar_path(done.files[0]))["Scale"] == 0.25


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # nilearn's, of maps of noise
def test_maps_that_nilearn_saved_itself_come_back_as_they_were(lab: Any, write: SimpleNamespace) -> None:
    """The real thing: a model that nilearn fitted, and the folder that `save_glm_to_bids` writes of it."""
    import pandas as pd
    from nilearn.glm import save_glm_to_bids
    from nilearn.glm.first_level import FirstLevelModel

    run = lab.run()
    series = 100 + np.random.default_rng(0).normal(size=(5, 4, 3, 60))
    events = pd.DataFrame(
        {
            "onset": lab.onsets_s(run),
            "duration": 1.0,
            "trial_type": [name.replace("-", "_") for name in lab.order(run)],
        }
    )
    mask = nibabel.Nifti1Image(np.ones((5, 4, 3), dtype=np.int8), np.diag([2.0, 2.0, 2.5, 1.0]))
    model = FirstLevelModel(t_r=2.0, mask_img=mask, minimize_memory=False, signal_scaling=0)
    model.fit(nibabel.Nifti1Image(series, mask.affine), events)
    names = [name.replace("-", "_") for name in lab.stim_ids]
    save_glm_to_bids(model, names, out_dir=lab.root / "saved", prefix=run.stem)
    for roi in ("V1", "LO"):
        roi_path(lab.folder, "01", roi).unlink()
    (folder,) = {path.parent for path in (lab.root / "saved").rglob("*_stat-effect_statmap.nii.gz")}
    (done,) = import_betas(lab.study, lab.folder, Request(folder, "nilearn", UNITS, sub="01", ses="01", run="1"))
    stored = np.asarray(nibabel.load(done.files[0]).dataobj)
    for row, name in enumerate(names):
        expected = model.compute_contrast(name, output_type="effect_size").get_fdata()
        np.testing.assert_array_equal(stored[..., row], expected.astype(np.float32))
    assert any("stat-t" in name for name in done.left_out)
