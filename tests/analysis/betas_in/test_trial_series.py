"""Single trials with a table: 4D NIfTI and GIFTI come back as they were, and what does not match is shown at its row."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel import gifti

from analysis.betas_in.importing import Request, import_betas
from analysis.compare import compare
from analysis.events import read_events, shown_images
from analysis.rdms import rdms
from analysis.report import report
from analysis.rois import check_rois, roi_path
from analysis.rois.regions import vertices_path
from analysis.stored_betas import betas_path, load_patterns, table_path
from analysis.surfaces import write_vertices
from protocols.folder import RunId, read_json
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path

UNITS = "percent signal change"
Rows = list[list[object]]


def rows_of(lab: Any, run: RunId) -> Rows:
    return [[name, onset_s] for name, onset_s in zip(lab.order(run), lab.onsets_s(run), strict=True)]


def series(lab: Any, write: SimpleNamespace, run: RunId, change: Callable[[Rows], Rows] = lambda rows: rows) -> Request:
    image = write.nifti(lab.root / "elsewhere" / f"{run.stem}_betas.nii.gz", lab.trials(run))
    write.tsv(image.with_name(f"{run.stem}_betas.tsv"), ("stim_id", "onset"), change(rows_of(lab, run)))
    return Request(image, "trials4d", UNITS, sub=run.sub, ses=run.ses, run=str(run.run))


def test_trials_of_all_runs_come_back_as_the_means_of_each_images_trials(lab: Any, write: SimpleNamespace) -> None:
    for run in lab.runs():
        (done,) = import_betas(lab.study, lab.folder, series(lab, write, run))
        assert (done.stem, done.maps, done.warnings) == (run.stem, 12, ())
        assert done.checked == "labels, order, counts, onsets"
    lab.expect_trials()


def test_the_stored_betas_are_the_trials_to_the_bit_with_their_table_and_sources(
    lab: Any, write: SimpleNamespace
) -> None:
    run = lab.run()
    import_betas(lab.study, lab.folder, series(lab, write, run))
    path = betas_path(lab.folder, run)
    np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj), lab.trials(run))
    rows = table_path(path).read_text(encoding="utf-8").splitlines()
    assert rows[0].split("\t") == ["index", "stim_id", "set", "category", "presentations", "trial", "onset_s"]
    assert [row.split("\t")[1] for row in rows[1:]] == lab.order(run)
    record = read_json(sidecar_path(path))
    assert (record["ImportedFrom"], record["Units"], record["Matching"]["clock_offset_s"]) == ("trials4d", UNITS, 0.0)
    assert f"{run.stem}_betas.nii.gz" in record["Sources"]
    assert str(lab.root) not in sidecar_path(path).read_text(encoding="utf-8")


def test_the_same_import_again_writes_nothing(lab: Any, write: SimpleNamespace) -> None:
    request = series(lab, write, lab.run())
    assert import_betas(lab.study, lab.folder, request)[0].written
    assert not import_betas(lab.study, lab.folder, request)[0].written


def test_blanks_among_the_trials_are_left_out(lab: Any, write: SimpleNamespace) -> None:
    run = lab.run()
    request = series(lab, write, run)
    values = np.insert(lab.trials(run), 4, 9.0, axis=3)
    rows = rows_of(lab, run)
    write.nifti(request.source, values)
    write.tsv(
        request.source.with_name(f"{run.stem}_betas.tsv"), ("stim_id", "onset"), [*rows[:4], ["n/a", "n/a"], *rows[4:]]
    )
    (done,) = import_betas(lab.study, lab.folder, request)
    assert done.left_out == (f"{run.stem}_betas.tsv:6",)
    np.testing.assert_array_equal(np.asarray(nibabel.load(betas_path(lab.folder, run)).dataobj), lab.trials(run))


def test_one_file_of_all_runs_is_taken_apart_by_its_labels_or_its_order(lab: Any, write: SimpleNamespace) -> None:
    runs = lab.runs()
    for columns in (("stim_id", "ses", "run"), ("stim_id",)):
        image = write.nifti(lab.root / "all.nii.gz", np.concatenate([lab.trials(run) for run in runs], axis=3))
        rows = [[name, run.ses, run.run][: len(columns)] for run in runs for name in lab.order(run)]
        write.tsv(image.with_name("all.tsv"), columns, rows)
        assert len(import_betas(lab.study, lab.folder, Request(image, "trials4d", UNITS, sub="01"))) == 4
        lab.expect_trials()


def test_the_clock_of_a_model_that_begins_later_is_told(lab: Any, write: SimpleNamespace) -> None:
    request = series(lab, write, lab.run(), lambda rows: [[name, float(str(onset_s)) - 8.0] for name, onset_s in rows])
    (done,) = import_betas(lab.study, lab.folder, request)
    assert "-8.000 s off" in done.warnings[0]


def swapped(rows: Rows) -> Rows:
    return [*rows[:6], [rows[7][0], rows[6][1]], [rows[6][0], rows[7][1]], *rows[8:]]


def late(rows: Rows) -> Rows:
    return [*rows[:3], [rows[3][0], float(str(rows[3][1])) + 2.0], *rows[4:]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            swapped,
            r"_betas\.tsv:8: trial 7: found '\S+'; logged: '\S+' \(sub-01_ses-01_task-animals_run-01_events\.tsv:9\)",
        ),
        (lambda rows: rows[:-1], r"_betas\.tsv: found 11 rows; .* has 12 volumes"),
        (lambda rows: [["owl", rows[0][1]], *rows[1:]], r"_betas\.tsv:2: trial 1: found 'owl'; logged: "),
        (
            lambda rows: [["n/a", "n/a"], *rows[1:]],
            r"trial 1: found '\S+'; logged: .* 11 trials were found and 12 logged",
        ),
        (
            lambda rows: [*rows[:-1], ["n/a", "n/a"]],
            r"found 11 trials; .*_events\.tsv logged 12\. First mismatch: trial 12: found nothing",
        ),
        (
            late,
            r"_betas\.tsv:5: \S+: found an onset at [\d.]+ s; logged: '\S+' at [\d.]+ s .*Is it the map of another run\?",
        ),
        (lambda rows: [[rows[0][0], "soon"], *rows[1:]], r"_betas\.tsv:2: onset: found 'soon', expected seconds"),
    ],
)
def test_the_first_mismatch_is_shown(
    lab: Any, write: SimpleNamespace, change: Callable[[Rows], Rows], words: str
) -> None:
    with pytest.raises(FoolscanError, match=words):
        import_betas(lab.study, lab.folder, series(lab, write, lab.run(), change))
    assert not lab.folder.derived("betas").exists() or not any(lab.folder.derived("betas").rglob("*.nii.gz"))


def test_another_runs_trials_are_recognised_by_their_order(lab: Any, write: SimpleNamespace) -> None:
    request = series(lab, write, lab.run(run=2))
    with pytest.raises(FoolscanError, match=r"trial 1: found .* logged"):
        import_betas(lab.study, lab.folder, Request(request.source, "trials4d", UNITS, sub="01", ses="01", run="1"))


def test_a_missing_run_is_named_with_the_numbers_of_trials(lab: Any, write: SimpleNamespace) -> None:
    runs = lab.runs()[:3]
    image = write.nifti(lab.root / "all.nii.gz", np.concatenate([lab.trials(run) for run in runs], axis=3))
    write.tsv(image.with_name("all.tsv"), ("stim_id",), [[name] for run in runs for name in lab.order(run)])
    with pytest.raises(
        FoolscanError,
        match=r"found 36 trials; logged: 48 \(sub-01_ses-01_task-animals_run-01 12, .*First mismatch: trial 37",
    ):
        import_betas(lab.study, lab.folder, Request(image, "trials4d", UNITS, sub="01"))
    table = write.tsv(lab.root / "runs.tsv", ("sub", "ses", "run"), [[run.sub, run.ses, run.run] for run in runs])
    assert len(import_betas(lab.study, lab.folder, Request(image, "trials4d", UNITS, table=table))) == 3


def test_a_run_that_was_not_logged_is_refused_with_those_that_were(lab: Any, write: SimpleNamespace) -> None:
    request = series(lab, write, lab.run())
    with pytest.raises(
        FoolscanError, match=r"--sub 01 --run 7: no such run was logged; there are sub-01_ses-01_task-animals_run-01"
    ):
        import_betas(lab.study, lab.folder, Request(request.source, "trials4d", UNITS, sub="01", run="7"))
    table = write.tsv(lab.root / "runs.tsv", ("sub", "ses", "run"), [["01", "09", 1]])
    with pytest.raises(FoolscanError, match=r"runs\.tsv:2: sub-01 ses-09 run-01: no such run was logged"):
        import_betas(lab.study, lab.folder, Request(request.source, "trials4d", UNITS, table=table))


def test_the_betas_of_one_subject_are_not_taken_for_anothers(lab: Any, write: SimpleNamespace) -> None:
    run, other = lab.run("01"), lab.run("02")
    request = series(lab, write, run)
    import_betas(lab.study, lab.folder, request)
    renamed = write.tsv(lab.root / "elsewhere" / "renamed.tsv", ("stim_id",), [[name] for name in lab.order(other)])
    with pytest.raises(
        FoolscanError,
        match=rf"{re.escape(str(request.source))}: found the same content as the {run.stem}_betas\.nii\.gz that "
        rf"{re.escape(str(betas_path(lab.folder, run)))} was imported from; each run has its own: give {other.stem}'s",
    ):
        import_betas(
            lab.study,
            lab.folder,
            Request(request.source, "trials4d", UNITS, sub="02", ses="01", run="1", trials=renamed),
        )


def test_an_empty_map_and_one_that_is_there_twice_are_refused_by_row(lab: Any, write: SimpleNamespace) -> None:
    run = lab.run()
    request = series(lab, write, run)
    values = lab.trials(run).copy()
    values[..., 5] = np.nan
    write.nifti(request.source, values)
    with pytest.raises(FoolscanError, match=r"_betas\.tsv:7: \S+: found no value that is finite and not 0"):
        import_betas(lab.study, lab.folder, request)
    values[..., 5] = values[..., 2]
    write.nifti(request.source, values)
    with pytest.raises(FoolscanError, match=r"_betas\.tsv:7: .* found the same values as .*_betas\.tsv:4"):
        import_betas(lab.study, lab.folder, request)


def test_betas_on_another_grid_than_the_masks_are_refused(lab: Any, write: SimpleNamespace) -> None:
    request = series(lab, write, lab.run())
    write.nifti(request.source, lab.trials(lab.run()), np.diag([2.0, 2.0, 2.0, 1.0]))
    with pytest.raises(FoolscanError, match=r"_betas\.nii\.gz: affine\[\d,\d\] is .*resample one"):
        import_betas(lab.study, lab.folder, request)


def test_files_that_are_none_are_refused(lab: Any, write: SimpleNamespace) -> None:
    request = series(lab, write, lab.run())
    content = request.source.read_bytes()
    for bad, words in (
        (b"", "0 bytes"),
        (content[: len(content) // 2], "cut off or damaged"),
        (b"no image", "not readable as NIfTI"),
    ):
        request.source.write_bytes(bad)
        with pytest.raises(FoolscanError, match=words):
            import_betas(lab.study, lab.folder, request)


def gifti_file(path: Path, maps: np.ndarray, structure: str | None = None) -> Path:
    arrays = [gifti.GiftiDataArray(np.ascontiguousarray(column), datatype="NIFTI_TYPE_FLOAT32") for column in maps.T]
    meta = gifti.GiftiMetaData({"AnatomicalStructurePrimary": structure} if structure else {})
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(gifti.GiftiImage(meta=meta, darrays=arrays), path)
    return path


def surfaces(lab: Any, write: SimpleNamespace, run: RunId) -> Request:
    place = lab.root / "surfaces"
    for name, maps in lab.vertices(run).items():
        gifti_file(place / f"{run.stem}_hemi-{name}_space-fsnative_betas.func.gii", maps)
    table = write.tsv(place / f"{run.stem}_space-fsnative_betas.tsv", ("stim_id", "onset"), rows_of(lab, run))
    assert table.exists()
    return Request(place, "gifti", UNITS, sub=run.sub, ses=run.ses, run=str(run.run))


def put_surface_rois(lab: Any, sub: str) -> dict[str, np.ndarray]:
    inside = {"L": np.arange(30) % 3 == 0, "R": np.arange(26) < 5}
    for roi in ("V1", "LO"):
        roi_path(lab.folder, sub, roi).unlink()
        for name, part in inside.items():
            write_vertices(vertices_path(lab.folder, sub, roi, name), part if roi == "V1" else ~part, name)
    return inside


def test_surfaces_come_back_as_they_were(lab: Any, write: SimpleNamespace) -> None:
    for run in lab.runs():
        (done,) = import_betas(lab.study, lab.folder, surfaces(lab, write, run))
        assert [path.name for path in done.files] == [f"{run.stem}_hemi-{name}_betas.func.gii" for name in "LR"]
        for path, name in zip(done.files, "LR", strict=True):
            stored = np.column_stack([array.data for array in nibabel.load(path).darrays])
            np.testing.assert_array_equal(stored, lab.vertices(run)[name])
    inside = put_surface_rois(lab, "01")
    patterns = load_patterns(lab.study, lab.folder, "01", "V1")
    assert patterns.voxels[:, 0].tolist() == [0] * 10 + [1] * 5
    assert patterns.voxels[:, 1].tolist() == [*range(0, 30, 3), *range(5)]
    run = lab.runs()[2]
    maps = np.concatenate([lab.vertices(run)[name][inside[name]] for name in "LR"]).astype(float)
    for row, name in enumerate(lab.stim_ids):
        places = [place for place, other in enumerate(lab.order(run)) if other == name]
        np.testing.assert_array_equal(patterns.betas[2, row], maps[:, places].T.mean(axis=0))


def test_surfaces_of_another_size_or_hemisphere_are_refused(lab: Any, write: SimpleNamespace) -> None:
    for run in lab.runs():
        import_betas(lab.study, lab.folder, surfaces(lab, write, run))
    put_surface_rois(lab, "01")
    write_vertices(vertices_path(lab.folder, "01", "V1", "L"), np.ones(31, dtype=bool), "L")
    with pytest.raises(FoolscanError, match=r"hemisphere L: found 30 vertices; V1 of sub-01 has 31"):
        load_patterns(lab.study, lab.folder, "01", "V1")
    write_vertices(vertices_path(lab.folder, "01", "LO", "L"), np.ones(31, dtype=bool), "L")
    with pytest.raises(
        FoolscanError, match=r"hemi-L_betas\.func\.gii: found 30 vertices; ROI V1 is of a surface of 31"
    ):
        load_patterns(lab.study, lab.folder, "01", "V1")
    request = surfaces(lab, write, lab.run())
    left = request.source / f"{lab.run().stem}_hemi-L_space-fsnative_betas.func.gii"
    gifti_file(left, lab.vertices(lab.run())["L"], "CortexRight")
    with pytest.raises(FoolscanError, match="Are the hemispheres swapped"):
        import_betas(lab.study, lab.folder, request)
    left.write_bytes(left.read_bytes()[:300])
    with pytest.raises(FoolscanError, match="not readable as GIFTI"):
        import_betas(lab.study, lab.folder, request)


def test_hemispheres_with_other_numbers_of_maps_are_refused_and_one_alone_is_told(
    lab: Any, write: SimpleNamespace
) -> None:
    run = lab.run()
    request = surfaces(lab, write, run)
    right = request.source / f"{run.stem}_hemi-R_space-fsnative_betas.func.gii"
    gifti_file(right, lab.vertices(run)["R"][:, :-1])
    with pytest.raises(FoolscanError, match=r"found 11 maps; .* has 12\. Both have the same trials"):
        import_betas(lab.study, lab.folder, request)
    right.unlink()
    (done,) = import_betas(lab.study, lab.folder, request)
    assert read_json(sidecar_path(done.files[0]))["Notes"] == ["no betas of hemisphere R"]


def test_surfaces_go_all_the_way_to_the_report(tmp_path: Path, fake: SimpleNamespace, write: SimpleNamespace) -> None:
    study = fake.study(analysis__bootstrap__resamples=20, analysis__tests__permutations=99)
    folder = fake.folder(tmp_path / "study", study, n_categories=4)
    truth = np.random.default_rng(0).normal(size=(12, 100))
    stim_ids = [stimulus.stim_id for stimulus in read_manifest(folder)]
    for number, run in enumerate(folder.runs("animals")):
        shown = [str(event.stim_id) for event in shown_images(read_events(folder.events(run)))]
        noise = np.random.default_rng(number + 1).normal(size=(12, 100))
        maps = (truth[[stim_ids.index(name) for name in shown]] + noise).T
        gifti_file(tmp_path / "maps" / f"{run.stem}_hemi-L.func.gii", maps[:60].astype(np.float32))
        gifti_file(tmp_path / "maps" / f"{run.stem}_hemi-R.func.gii", maps[60:].astype(np.float32))
        table = write.tsv(tmp_path / "maps" / f"{run.stem}.tsv", ("stim_id",), [[name] for name in shown])
        labels = {"sub": "01", "ses": run.ses, "run": str(run.run)}
        import_betas(study, folder, Request(table.parent, "gifti", UNITS, trials=table, **labels))
    for roi in study.analysis.rois:
        for name, n_vertices in (("L", 60), ("R", 40)):
            write_vertices(vertices_path(folder, "01", roi, name), np.arange(n_vertices) % 2 == (roi == "V1"), name)
    assert [(item.voxels, item.problem, item.notes) for item in check_rois(study, folder, ["01"])] == [(50, "", ())] * 2
    assert rdms(study, folder)
    assert compare(study, folder)
    report(study, folder)
    text = " ".join(path.read_text(encoding="utf-8") for path in folder.derived("report").rglob("*.html"))
    assert (
        f"the betas of 4 runs (or sessions) were estimated elsewhere and imported from gifti, in {UNITS}"
        in " ".join(text.split()).lower()
    )
