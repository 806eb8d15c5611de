"""Betas as they are stored: single trials, sessions, and whatever does not belong together is refused by file and row."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.betas import estimate_betas
from analysis.betas_in.importing import Request, import_betas
from analysis.command_line import app
from analysis.methods_paragraph import as_text, methods_paragraph
from analysis.rdms import brain_path, rdms
from analysis.stored_betas import (
    all_betas,
    betas_path,
    imported_from,
    imports_in_words,
    load_patterns,
    session_betas_path,
    surface_betas_path,
    table_path,
)
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import sidecar_path, write_sidecar
from protocols.study import Study

UNITS = "percent signal change"


def stored(lab: Any, write: SimpleNamespace, sub: str = "01") -> list[Path]:
    """Single-trial betas of all runs of a subject, imported."""
    files = []
    for run in lab.runs(sub):
        image = write.nifti(lab.root / f"{run.stem}.nii.gz", lab.trials(run))
        write.tsv(image.with_name(f"{run.stem}.tsv"), ("stim_id",), [[name] for name in lab.order(run)])
        (done,) = import_betas(
            lab.study, lab.folder, Request(image, "trials4d", UNITS, sub=sub, ses=run.ses, run=str(run.run))
        )
        files += done.files
    return files


def edited(path: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    rows = [line.split("\t") for line in table_path(path).read_text(encoding="utf-8").splitlines()]
    table_path(path).write_text("\n".join("\t".join(row) for row in change(rows)) + "\n", encoding="utf-8")


def with_cell(rows: list[list[str]], line: int, column: str, value: str) -> list[list[str]]:
    rows[line - 1][rows[0].index(column)] = value
    return rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-1], r"run-01_betas\.tsv: found 11 images for 12 betas"),
        (
            lambda rows: with_cell(rows, 4, "stim_id", "RE-owl"),
            r"run-01_betas\.tsv:4: stim_id: found 'RE-owl', which stimuli\.tsv does not",
        ),
        (
            lambda rows: [rows[0], rows[2], rows[1], *rows[3:]],
            r"run-01_betas\.tsv:2: index: found 1, expected 0: rows are in the order",
        ),
        (
            lambda rows: with_cell(rows, 3, "trial", "0"),
            r"run-01_betas\.tsv:3: trial: found '0', expected a whole number from 1",
        ),
        (
            lambda rows: with_cell(with_cell(rows, 3, "stim_id", rows[1][1]), 3, "trial", rows[1][5]),
            r"tsv:2: stim_id: found '\S+', trial 1 a second time",
        ),
        (
            lambda rows: with_cell(with_cell(rows, 3, "stim_id", rows[1][1]), 3, "trial", "9"),
            r"tsv:2: \S+: found betas of 3 presentations; .*events\.tsv has 2",
        ),
    ],
)
def test_tables_that_do_not_go_with_their_betas_are_refused_by_row(
    lab: Any, write: SimpleNamespace, change: Callable[[list[list[str]]], list[list[str]]], words: str
) -> None:
    edited(stored(lab, write)[0], change)
    with pytest.raises(FoolscanError, match=words):
        load_patterns(lab.study, lab.folder, "01", "V1")


def test_the_methods_say_that_betas_were_imported_and_nothing_of_a_model(lab: Any, write: SimpleNamespace) -> None:
    assert imports_in_words(lab.folder) == ([], True)
    stored(lab, write)
    words, estimated = imports_in_words(lab.folder)
    assert not estimated
    text = as_text(methods_paragraph(lab.study, simulated=False, imported=words, estimated=estimated))
    assert (
        "the betas of 4 runs (or sessions) were estimated elsewhere and imported from trials4d, in percent signal change"
        in text
    )
    assert "matched to the logged trials by labels, order, counts" in text
    assert "linear model" not in text


def test_betas_that_were_replaced_or_are_missing_are_refused(lab: Any, write: SimpleNamespace) -> None:
    path = stored(lab, write)[0]
    content = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(FoolscanError, match=r"run-01_betas\.nii\.gz: not the file that its sidecar tells of"):
        load_patterns(lab.study, lab.folder, "01", "V1")
    path.write_bytes(content)
    table = table_path(path).read_bytes()
    table_path(path).unlink()
    with pytest.raises(FoolscanError, match=r"run-01_betas\.tsv: no table of images beside the betas"):
        load_patterns(lab.study, lab.folder, "01", "V1")
    table_path(path).write_bytes(table)
    path.unlink()
    with pytest.raises(NotReady, match=r"run-01_betas\.nii\.gz: no betas of this run yet"):
        load_patterns(lab.study, lab.folder, "01", "V1")


def test_one_subjects_betas_under_anothers_name_are_noticed(lab: Any, write: SimpleNamespace) -> None:
    first, other = stored(lab, write)[0], stored(lab, write, "02")[0]
    shutil.copyfile(first, other)
    shutil.copyfile(sidecar_path(first), sidecar_path(other))
    for sub in ("01", "02"):
        with pytest.raises(FoolscanError, match=r"found the same betas as in .*sub-01_ses-01\S*run-01_betas\.nii\.gz"):
            load_patterns(lab.study, lab.folder, sub, "V1")


def test_a_row_without_any_value_in_the_roi_is_named(lab: Any, write: SimpleNamespace) -> None:
    run = lab.run()
    values = lab.trials(run).copy()
    values[lab.mask("V1"), 7] = np.nan
    stored(lab, write)
    image = write.nifti(lab.root / "holes.nii.gz", values)
    write.tsv(lab.root / "holes.tsv", ("stim_id",), [[name] for name in lab.order(run)])
    import_betas(lab.study, lab.folder, Request(image, "trials4d", UNITS, sub="01", ses="01", run="1"))
    with pytest.raises(
        FoolscanError, match=r"run-01_betas\.nii\.gz: row 8 of 12 of its table has no finite value in ROI V1"
    ):
        load_patterns(lab.study, lab.folder, "01", "V1")
    load_patterns(lab.study, lab.folder, "01", "LO")


def test_voxels_and_surfaces_of_one_run_or_subject_do_not_mix(lab: Any, write: SimpleNamespace) -> None:
    path = stored(lab, write)[0]
    surface_betas_path(path, "L").write_bytes(b"some")
    with pytest.raises(FoolscanError, match="found betas of voxels and betas on surfaces of one run"):
        load_patterns(lab.study, lab.folder, "01", "V1")
    path.unlink()
    with pytest.raises(
        FoolscanError,
        match=r"found volume; sub-01_ses-01\S+run-01 has L\. All runs of a subject have betas of one kind",
    ):
        load_patterns(lab.study, lab.folder, "01", "V1")


def session_file(lab: Any, write: SimpleNamespace, ses: str, *, by_run: bool) -> None:
    """Betas of all runs of a session in one file, one map per trial; with or without a column that tells the run."""
    runs = [run for run in lab.runs() if run.ses == ses]
    path = write.nifti(
        session_betas_path(lab.folder, runs[0]), np.concatenate([lab.trials(run) for run in runs], axis=3)
    )
    rows, counts = [], dict.fromkeys(lab.stim_ids, 0)
    for run in runs:
        for place, name in enumerate(lab.order(run)):
            counts[name] += 1
            trial = 1 + lab.order(run)[:place].count(name) if by_run else counts[name]
            rows.append([len(rows), name, "s", "c", 1, trial, *([run.run] if by_run else [])])
    write.tsv(
        table_path(path),
        ("index", "stim_id", "set", "category", "presentations", "trial", *(("run",) if by_run else ())),
        rows,
    )
    write_sidecar(lab.folder, path, inputs=[], parameters={"glm": {"where": "brain"}})


def test_betas_of_a_session_that_tell_their_run_keep_runs_apart(lab: Any, write: SimpleNamespace) -> None:
    for ses in ("01", "02"):
        session_file(lab, write, ses, by_run=True)
    lab.expect_trials()


def test_betas_of_a_session_that_do_not_are_one_row(lab: Any, write: SimpleNamespace) -> None:
    for ses in ("01", "02"):
        session_file(lab, write, ses, by_run=False)
    patterns = load_patterns(lab.study, lab.folder, "01", "V1")
    assert patterns.runs == ("sub-01_ses-01_task-animals_run-all", "sub-01_ses-02_task-animals_run-all")
    run, other = lab.runs()[:2]
    every = np.concatenate([lab.trials(run), lab.trials(other)], axis=3)[lab.mask("V1")].astype(float)
    places = [place for place, name in enumerate([*lab.order(run), *lab.order(other)]) if name == lab.stim_ids[1]]
    np.testing.assert_array_equal(patterns.betas[0, 1], every[:, places].T.mean(axis=0))


def test_a_session_and_its_runs_do_not_both_have_betas(lab: Any, write: SimpleNamespace) -> None:
    session_file(lab, write, "01", by_run=True)
    run = lab.run(ses="01")
    write.nifti(betas_path(lab.folder, run), lab.trials(run))
    with pytest.raises(
        FoolscanError, match=r"run-all_betas\.nii\.gz: found betas of the whole session and of its runs"
    ):
        load_patterns(lab.study, lab.folder, "01", "V1")


@pytest.fixture(scope="module")
def exchanged(
    finished: tuple[Study, StudyFolder], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Study, StudyFolder, Path]:
    """A rehearsal's folder without betas, and its betas elsewhere."""
    study, folder = finished
    root = tmp_path_factory.mktemp("exchanged")
    shutil.copytree(folder.root, root / "study")
    shutil.move(root / "study" / "derivatives" / "foolscan" / "betas", root / "betas")
    return study, StudyFolder(root / "study"), root / "betas"


def test_betas_that_went_out_and_came_back_give_the_same_rdms(
    finished: tuple[Study, StudyFolder], exchanged: tuple[Study, StudyFolder, Path]
) -> None:
    import h5py

    study, folder = finished
    _, elsewhere, betas = exchanged
    for run in elsewhere.runs("animals"):
        path = next(betas.rglob(f"{run.stem}_betas.nii.gz"))
        rows = table_path(path).read_text(encoding="utf-8").splitlines()
        names = path.with_name("names.tsv")
        names.write_text(
            "\n".join(["name\tstim_id", *(f"{row.split(chr(9))[1]}\t{row.split(chr(9))[1]}" for row in rows[1:])])
            + "\n",
            encoding="utf-8",
        )
        request = Request(path, "nilearn", UNITS, sub=run.sub, ses=run.ses, run=str(run.run), names=names)
        import_betas(study, elsewhere, request)
    for roi in study.analysis.rois:
        ours, theirs = load_patterns(study, folder, "02", roi), load_patterns(study, elsewhere, "02", roi)
        np.testing.assert_array_equal(ours.betas, theirs.betas)
    rdms(study, folder)
    rdms(study, elsewhere)
    with h5py.File(brain_path(folder)) as first, h5py.File(brain_path(elsewhere)) as second:
        numbers: list[str] = []
        first.visititems(
            lambda name, item: (
                numbers.append(name) if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" else None
            )
        )
        assert numbers
        for name in numbers:
            np.testing.assert_array_equal(first[name][()], second[name][()])
    path = all_betas(elsewhere)[0]
    assert imported_from(path) == "nilearn"
    assert json.loads(sidecar_path(path).read_text(encoding="utf-8"))["Simulated"] is True


def test_imported_betas_are_not_estimated_over(
    finished: tuple[Study, StudyFolder], exchanged: tuple[Study, StudyFolder, Path]
) -> None:
    study, folder, betas = exchanged
    if not all_betas(folder):
        run = folder.runs("animals")[0]
        path = next(betas.rglob(f"{run.stem}_betas.nii.gz"))
        names = [row.split("\t")[1] for row in table_path(path).read_text(encoding="utf-8").splitlines()[1:]]
        (betas / "one.tsv").write_text(
            "name\tstim_id\n" + "".join(f"{name}\t{name}\n" for name in names), encoding="utf-8"
        )
        import_betas(
            study,
            folder,
            Request(path, "nilearn", UNITS, sub=run.sub, ses=run.ses, run=str(run.run), names=betas / "one.tsv"),
        )
    with pytest.raises(FoolscanError, match=r"found imported betas \(nilearn\)"):
        estimate_betas(study, folder)


def test_the_command_imports_and_says_what_was_checked(lab: Any, write: SimpleNamespace) -> None:
    run = lab.run()
    stimuli = lab.folder.root
    image = write.nifti(lab.root / "betas.nii.gz", lab.trials(run))
    write.tsv(
        lab.root / "betas.tsv",
        ("stim_id", "onset"),
        [[name, onset - 6] for name, onset in zip(lab.order(run), lab.onsets_s(run), strict=True)],
    )
    command = [
        "import-betas",
        "demo",
        "--to",
        str(stimuli),
        "--from",
        str(image),
        "--kind",
        "trials4d",
        "--units",
        UNITS,
    ]
    result = CliRunner().invoke(app, [*command, "--sub", "01", "--ses", "01", "--run", "1"])
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "run-01_betas.nii.gz" in words
    assert "12 maps, checked: labels, order, counts, onsets" in words
    assert "-6.000 s off" in words
    np.testing.assert_array_equal(np.asarray(nibabel.load(betas_path(lab.folder, run)).dataobj), lab.trials(run))
