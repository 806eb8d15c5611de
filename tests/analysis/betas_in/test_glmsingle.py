"""GLMsingle: single trials of all runs from its dictionaries, MATLAB and HDF5 files and NIfTI, checked by its condition numbers."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from analysis.betas_in.glmsingle import Space
from analysis.betas_in.importing import Request, import_betas
from analysis.betas_in.numpy_dictionary import read_dictionary
from analysis.rois import write_mask
from analysis.stored_betas import load_patterns
from protocols.problems import FoolscanError

UNITS = "percent signal change"
STEM = "TYPED_FITHRF_GLMDENOISE_RR"
AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2, 0, -8], [0, 0, 2.5, 4], [0, 0, 0, 1]])
Arrays = dict[str, Any]


def save_npy(path: Path, content: Arrays) -> None:
    np.save(path.with_suffix(".npy"), np.array(content, dtype=object), allow_pickle=True)


def save_hdf5(path: Path, content: Arrays) -> None:
    with h5py.File(path.with_suffix(".hdf5"), "w") as file:
        for name, value in content.items():
            file.create_dataset(name, data=value)


def save_mat(path: Path, content: Arrays) -> None:
    renamed = {("modelmd" if name == "betasmd" else name): value for name, value in content.items()}
    savemat(path.with_suffix(".mat"), renamed)


def save_mat_73(path: Path, content: Arrays) -> None:
    """As MATLAB's -v7.3: dimensions in reverse, a header of 512 bytes before the HDF5."""
    with h5py.File(path.with_suffix(".mat"), "w", userblock_size=512) as file:
        for name, value in content.items():
            array = np.atleast_2d(np.asarray(value))
            item = file.create_dataset("modelmd" if name == "betasmd" else name, data=array.T)
            item.attrs["MATLAB_class"] = np.bytes_("double")
    with path.with_suffix(".mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))


SAVED = {"npy": save_npy, "hdf5": save_hdf5, "mat": save_mat, "mat73": save_mat_73}


def betas(lab: Any, sub: str = "01") -> np.ndarray:
    return np.concatenate([lab.trials(run) for run in lab.runs(sub)], axis=3)


def conditions(lab: Any, sub: str = "01") -> list[int]:
    return [lab.stim_ids.index(name) for run in lab.runs(sub) for name in lab.order(run)]


def fit(
    lab: Any, write: SimpleNamespace, save: Callable[[Path, Arrays], None] = save_npy, *, design: bool = True
) -> Request:
    """GLMsingle's output folder, and an image on its grid."""
    place = lab.root / "glmsingle"
    place.mkdir(exist_ok=True)
    save(place / STEM, {"betasmd": betas(lab), "R2": np.ones((5, 4, 3)), "FRACvalue": np.ones((5, 4, 3))})
    if design:
        save(place / "DESIGNINFO", {"stimorder": np.array(conditions(lab)), "numtrialrun": np.array([12, 12, 12, 12])})
    like = write.nifti(lab.root / "like.nii.gz", np.zeros((5, 4, 3)))
    return Request(place, "glmsingle", UNITS, sub="01", space=Space(like=like), as_logged=not design)


@pytest.mark.parametrize("design", [True, False])
@pytest.mark.parametrize("form", sorted(SAVED))
def test_betas_of_all_runs_come_back_as_they_were(lab: Any, write: SimpleNamespace, form: str, design: bool) -> None:
    done = import_betas(lab.study, lab.folder, fit(lab, write, SAVED[form], design=design))
    assert [item.stem for item in done] == [run.stem for run in lab.runs()]
    assert done[0].checked == ("counts, condition numbers one to one" if design else "counts")
    lab.expect_trials()


def test_an_image_of_the_grid_may_be_one_for_all_subjects(lab: Any, write: SimpleNamespace) -> None:
    request = fit(lab, write)
    import_betas(lab.study, lab.folder, request)
    save_npy(request.source / STEM, {"betasmd": betas(lab, "02")})
    save_npy(request.source / "DESIGNINFO", {"stimorder": np.array(conditions(lab, "02"))})
    import_betas(lab.study, lab.folder, Request(**{**request.__dict__, "sub": "02"}))
    lab.expect_trials("01")
    lab.expect_trials("02")


def test_betas_alone_as_nifti_come_back_with_a_table_of_trials(lab: Any, write: SimpleNamespace) -> None:
    path = write.nifti(lab.root / "betas.nii.gz", betas(lab))
    rows = [[name, run.ses, run.run] for run in lab.runs() for name in lab.order(run)]
    trials = write.tsv(lab.root / "trials.tsv", ("stim_id", "ses", "run"), rows)
    import_betas(lab.study, lab.folder, Request(path, "glmsingle", UNITS, sub="01", trials=trials))
    lab.expect_trials()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", ["2d", "4d"])
def test_rows_of_a_mask_go_back_to_their_voxels(lab: Any, write: SimpleNamespace, order: Any, shape: str) -> None:
    request = fit(lab, write)
    mask = lab.mask("V1") | lab.mask("LO")
    write_mask(lab.root / "mask.nii.gz", mask, AFFINE)
    flat = betas(lab).reshape((60, -1), order="F")[mask.ravel(order="F")] if order == "F" else betas(lab)[mask]
    save_npy(request.source / STEM, {"betasmd": flat if shape == "2d" else flat[:, None, None, :]})
    labels = {"sub": "01"}
    with pytest.raises(FoolscanError, match=r"rows say no space; name the mask they come from"):
        import_betas(lab.study, lab.folder, Request(request.source, "glmsingle", UNITS, **labels))
    with pytest.raises(FoolscanError, match=r"--mask-order: C when .*F when"):
        import_betas(
            lab.study,
            lab.folder,
            Request(request.source, "glmsingle", UNITS, space=Space(mask=lab.root / "mask.nii.gz"), **labels),
        )
    space = Space(mask=lab.root / "mask.nii.gz", mask_order=order)
    import_betas(lab.study, lab.folder, Request(request.source, "glmsingle", UNITS, space=space, **labels))
    lab.expect_trials()


def test_rows_of_surfaces_are_cut_in_two(lab: Any, write: SimpleNamespace) -> None:
    request = fit(lab, write)
    both = np.concatenate([np.concatenate([lab.vertices(run)[name] for name in "LR"]) for run in lab.runs()], axis=1)
    save_npy(request.source / STEM, {"betasmd": both})
    with pytest.raises(FoolscanError, match=r"found 56 rows; --vertices says 30 \+ 30"):
        import_betas(
            lab.study, lab.folder, Request(request.source, "glmsingle", UNITS, sub="01", space=Space(vertices=(30, 30)))
        )
    done = import_betas(
        lab.study, lab.folder, Request(request.source, "glmsingle", UNITS, sub="01", space=Space(vertices=(30, 26)))
    )
    assert [path.name.split("_")[4] for path in done[0].files] == ["hemi-L", "hemi-R"]


def test_without_labels_the_order_must_be_stated(lab: Any, write: SimpleNamespace) -> None:
    request = fit(lab, write, design=False)
    with pytest.raises(FoolscanError, match=r"found 48 trials without labels; give --trials .*--as-logged"):
        import_betas(lab.study, lab.folder, Request(**{**request.__dict__, "as_logged": False}))


def test_condition_numbers_that_do_not_go_with_the_log_are_shown_at_the_first_trial(
    lab: Any, write: SimpleNamespace
) -> None:
    request = fit(lab, write)
    numbers = conditions(lab)
    swapped = [*numbers[12:24], *numbers[:12], *numbers[24:]]
    save_npy(request.source / "DESIGNINFO", {"stimorder": np.array(swapped)})
    with pytest.raises(
        FoolscanError,
        match=r"trial \d+: found condition \d.* logged: '\S+' \(sub-01\S+events\.tsv:\d+\).*Are the runs in another order",
    ):
        import_betas(lab.study, lab.folder, request)
    save_npy(request.source / "DESIGNINFO", {"stimorder": np.array([*numbers[:-1], 17])})
    with pytest.raises(
        FoolscanError, match=r"trial 48: found condition 17; logged: '\S+' .*, which was condition \d in trial \d+"
    ):
        import_betas(lab.study, lab.folder, request)
    save_npy(request.source / "DESIGNINFO", {"stimorder": np.array(numbers[:-1])})
    with pytest.raises(FoolscanError, match=r"stimorder: found 47 trials; .* has 48 betas"):
        import_betas(lab.study, lab.folder, request)


def test_a_missing_run_is_named(lab: Any, write: SimpleNamespace) -> None:
    request = fit(lab, write, design=False)
    save_npy(request.source / STEM, {"betasmd": betas(lab)[..., 12:]})
    with pytest.raises(
        FoolscanError,
        match=r"found 36 trials; logged: 48 \(.*run-02 12\)\. First mismatch: trial 37\. Is a run missing",
    ):
        import_betas(lab.study, lab.folder, request)
    rows = [[run.sub, run.ses, run.run] for run in lab.runs()[1:]]
    table = write.tsv(lab.root / "runs.tsv", ("sub", "ses", "run"), rows)
    done = import_betas(lab.study, lab.folder, Request(**{**request.__dict__, "sub": None, "table": table}))
    assert [item.stem for item in done] == [run.stem for run in lab.runs()[1:]]
    with pytest.raises(FoolscanError, match=r"no betas of this run yet; run: .*or import-betas"):
        load_patterns(lab.study, lab.folder, "01", "V1")


def test_grids_and_files_that_do_not_fit_are_refused(lab: Any, write: SimpleNamespace) -> None:
    request = fit(lab, write)
    with pytest.raises(FoolscanError, match=r"say no space; name an image on their grid with --like"):
        import_betas(lab.study, lab.folder, Request(request.source, "glmsingle", UNITS, sub="01"))
    write.nifti(lab.root / "like.nii.gz", np.zeros((5, 4, 4)))
    with pytest.raises(FoolscanError, match=r"found a grid of \(5, 4, 3\) voxels; .*like\.nii\.gz has \(5, 4, 4\)"):
        import_betas(lab.study, lab.folder, request)
    file = request.source / f"{STEM}.npy"
    content = file.read_bytes()
    for bad, words in (
        (b"", "0 bytes"),
        (content[:3000], "not readable as NumPy's file"),
        (b"\x93NUMPY", "not readable"),
    ):
        file.write_bytes(bad)
        with pytest.raises(FoolscanError, match=words):
            import_betas(lab.study, lab.folder, request)
    np.save(file, np.zeros(3))
    with pytest.raises(FoolscanError, match=r"found an array of shape \(3,\); expected a dictionary"):
        import_betas(lab.study, lab.folder, request)
    save_npy(request.source / STEM, {"R2": np.ones(3)})
    with pytest.raises(FoolscanError, match=r"found only R2; expected betasmd"):
        import_betas(lab.study, lab.folder, request)
    (request.source / f"{STEM}.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    with pytest.raises(FoolscanError, match=r"found .*npy, .*hdf5; expected one"):
        import_betas(lab.study, lab.folder, request)
    file.unlink()
    with pytest.raises(FoolscanError, match="not readable as HDF5"):
        import_betas(lab.study, lab.folder, request)


class Hostile:
    """What runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def test_a_file_that_would_run_a_command_runs_none(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    hostile = {"betasmd": np.arange(3.0), "params": Hostile(f"echo ran > {trace}")}
    np.save(tmp_path / "hostile.npy", np.array(hostile, dtype=object), allow_pickle=True)
    found = read_dictionary(tmp_path / "hostile.npy")
    np.testing.assert_array_equal(found["betasmd"], np.arange(3.0))
    assert not trace.exists()
    pickle.loads(pickle.dumps(Hostile(f"echo ran > {trace}")))  # it is hostile indeed
    assert trace.exists()
