"""RDMs belong to the runs, files and choices that they were made from: when one changes they are made again, and it is told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.betas import estimate_betas
from analysis.brain_rdms import load_samples, rdms_of
from analysis.command_line import app
from analysis.compare import compare
from analysis.rdm_files import find_rdms, read_rdms
from analysis.rdms import brain_path, rdms
from protocols.folder import RunId, StudyFolder, read_json
from protocols.problems import FoolscanError
from protocols.provenance import read_provenance
from protocols.study import Study


@pytest.fixture
def made(finished: tuple[Study, StudyFolder], tmp_path: Path) -> tuple[Study, StudyFolder]:
    """A copy of a study with betas, to be written to."""
    study, folder = finished
    shutil.copytree(folder.root, tmp_path / "study")
    return study, StudyFolder(tmp_path / "study")


def without_last_run(folder: StudyFolder, sub: str) -> RunId:
    """The subject's last run, whose events are taken away; its betas stay."""
    lost = [run for run in folder.runs("animals") if run.sub == sub][-1]
    folder.events(lost).unlink()
    return lost


def test_a_run_whose_events_are_gone_makes_the_rdms_again(
    made: tuple[Study, StudyFolder], fake: SimpleNamespace
) -> None:
    study, folder = made
    study = fake.changed(study, analysis__voxels__by="published", analysis__bootstrap__resamples=20)
    rdms(study, folder)
    compare(study, folder)
    before = brain_path(folder).read_bytes()
    assert read_provenance(brain_path(folder))["parameters"]["runs"] == [run.stem for run in folder.runs("animals")]
    lost = without_last_run(folder, "02")
    with pytest.raises(
        FoolscanError,
        match=rf"brain_rdms\.h5: RDMs of 8 runs; the folder now has events of 7, without {lost.stem}: run",
    ):
        compare(study, folder)
    written = rdms(study, folder)
    record = read_provenance(brain_path(folder))
    assert brain_path(folder).read_bytes() != before
    assert lost.stem not in record["parameters"]["runs"]
    assert not [name for name in record["inputs"] if lost.stem in name]
    compare(study, folder)
    similarity = next(path for path in compare(study, folder) if path.name == "similarity_brain.tsv")
    assert lost.stem not in read_provenance(similarity)["parameters"]["runs"]
    # the RDM that is told is that of the runs that there are
    (stored,) = find_rdms(read_rdms(brain_path(folder)), roi="V1", subject="02", set="RE", part="all")
    (sample,) = [sample for sample in load_samples(study, folder, "V1") if sample.subject == "02"]
    np.testing.assert_array_equal(stored.values, rdms_of(sample, "spearman")["RE"].values)
    assert rdms(study, folder) == written


def test_files_of_no_run_that_is_analysed_make_nothing_again(made: tuple[Study, StudyFolder]) -> None:
    study, folder = made
    rdms(study, folder)
    before = brain_path(folder).stat().st_mtime_ns
    betas = next(folder.derived("betas").rglob("sub-01*run-01_betas.nii.gz"))
    shutil.copyfile(betas, betas.with_name(betas.name.replace("run-01", "run-09")))
    rdms(study, folder)
    assert brain_path(folder).stat().st_mtime_ns == before


def test_a_run_that_was_added_without_betas_is_not_passed_over(made: tuple[Study, StudyFolder]) -> None:
    study, folder = made
    rdms(study, folder)
    compare(study, folder)
    first = folder.runs("animals")[0]
    added = replace(first, run=3)
    shutil.copyfile(folder.events(first), folder.events(added))
    for verb, words in (
        (rdms, "no betas of this run yet"),
        (compare, rf"events of 9, with {added.stem}: run foolscan"),
    ):
        with pytest.raises(FoolscanError, match=words):
            verb(study, folder)


def test_rdms_of_other_betas_or_another_choice_are_not_compared(
    made: tuple[Study, StudyFolder], fake: SimpleNamespace
) -> None:
    study, folder = made
    rdms(study, folder)
    fewer = fake.changed(study, analysis__voxels__per_subject=10)
    with pytest.raises(FoolscanError, match=r"brain_rdms\.h5: made before voxels of the study file was changed; run"):
        compare(fewer, folder)
    table = next(folder.derived("betas").rglob("sub-01*run-01_betas.tsv"))
    table.write_bytes(table.read_bytes() + b"\n")
    with pytest.raises(FoolscanError, match=rf"brain_rdms\.h5: made before \S+{table.name} was made or changed; run"):
        compare(study, folder)


def test_another_noise_normalisation_makes_the_rdms_again(
    made: tuple[Study, StudyFolder], fake: SimpleNamespace
) -> None:
    """The betas and their noise on disk are the same for both kinds."""
    study, folder = made
    found = []
    for kind in ("univariate", "multivariate"):
        other = fake.changed(study, analysis__glm__noise_normalisation=kind, analysis__pattern_scaling="none")
        estimate_betas(other, folder)
        rdms(other, folder)
        found.append(brain_path(folder).read_bytes())
    assert found[0] != found[1]


def test_a_missing_run_is_told_in_every_table_and_by_every_command(
    made: tuple[Study, StudyFolder], fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, folder = made
    study = fake.changed(study, analysis__voxels__by="published", analysis__bootstrap__resamples=20)
    monkeypatch.setattr("protocols.study.load_study", lambda _: study)
    complete = [CliRunner().invoke(app, [verb, "small", "--to", str(folder.root)]) for verb in ("betas", "rdms")]
    assert not any("runs are not there" in said.output for said in complete)
    assert "warning: analysis.voxels.by: published: circular" in complete[1].stderr
    lost = without_last_run(folder, "02")
    words = f"sub-02: 1 of 4 runs are not there, first {folder.events(lost)}"
    for verb in ("betas", "rdms", "compare", "report"):
        said = CliRunner().invoke(app, [verb, "small", "--to", str(folder.root)])
        assert said.exit_code == 0, said.output
        assert f"warning: {words}" in said.stderr, verb
    for name in ("brain_rdms", "similarity_brain", "difference_brain", "tests_brain", "models_brain", "ceilings_brain"):
        assert read_json(folder.derived("rdms") / f"{name}.json")["Warnings"][1].startswith(words), name
    assert "1 of 4 runs are not there" in (folder.derived("report") / "report.html").read_text(encoding="utf-8")


def test_too_few_runs_to_choose_voxels_tell_of_those_missing(made: tuple[Study, StudyFolder]) -> None:
    study, folder = made
    lost = [without_last_run(folder, "02") for _ in range(2)][-1]
    with pytest.raises(
        FoolscanError,
        match=rf"sub-02 V1: selecting on runs .* 2 of 4 runs are not there, first \S+{lost.stem}_events\.tsv",
    ):
        rdms(study, folder)
