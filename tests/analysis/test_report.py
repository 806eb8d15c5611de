"""From betas and activations to the report: what comes out, that it comes out the same, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import yaml

from analysis.behaviour_table import write_behaviour
from analysis.betas import estimate_betas
from analysis.brain_rdms import POOLED, load_samples, rdms_of, warnings_of
from analysis.compare import compare, difference_path, similarity_path
from analysis.network_rdms import activations_path, layers_of, load_layer
from analysis.pages.shown_tables import interval_text, number_text
from analysis.rdm import condensed, spearman_rdm
from analysis.rdm_files import find_rdms, read_rdms
from analysis.rdms import brain_path, network_path, rdms
from analysis.report import report, report_path
from analysis.selection import CIRCULAR_NOTE
from analysis.similarity_table import DifferenceRow, SimilarityRow, read_rows
from analysis.trace import as_text, trace_file
from protocols.folder import StudyFolder, read_json, write_json
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import sidecar_path
from protocols.study import Study
from protocols.tables import read_table

Ready = tuple[Study, StudyFolder]


def write_activations(study: Study, folder: StudyFolder, n_units: int = 1500) -> Path:
    """Activations of two layers; the larger one's interval comes from its normal limit."""
    stimuli = read_manifest(folder)
    rng = np.random.default_rng(0)
    path = activations_path(study, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = 1
        file.attrs["layers"] = ["conv1", "fc8"]
        file.create_dataset("stim_id", data=[image.stim_id for image in stimuli], dtype=h5py.string_dtype())
        for layer, units in (("conv1", n_units), ("fc8", 20)):
            file[f"layers/{layer}"] = np.maximum(rng.standard_normal((len(stimuli), units)), 0).astype(np.float32)
    return path


@pytest.fixture(scope="module")
def analysed(finished: Ready, tmp_path_factory: pytest.TempPathFactory) -> Ready:
    """A small study taken to its report. Read only."""
    study, source = finished
    folder = StudyFolder(tmp_path_factory.mktemp("analysed") / "study")
    shutil.copytree(source.root, folder.root)
    write_activations(study, folder)
    certificate = {"format": 1, "run": "sub-01_ses-01_task-animals_run-01", "passed": True, "timing": "simulated clock"}
    write_json(folder.derived("certificates") / f"{certificate['run']}_certificate.json", certificate)
    rdms(study, folder)
    compare(study, folder)
    report(study, folder)
    return study, folder


@pytest.fixture
def copy(analysed: Ready, tmp_path: Path) -> Ready:
    """The same, to be spoilt."""
    study, folder = analysed
    shutil.copytree(folder.root, tmp_path / "copy")
    return study, StudyFolder(tmp_path / "copy")


class Addresses(HTMLParser):
    """Collects what a page would load, and the links in it."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [value for key in ("src", "srcset", "poster", "data") if (value := given.get(key))]
        if tag in ("link", "script", "iframe"):
            self.loaded.append(given.get("href") or tag)
        elif given.get("href"):
            self.links.append(str(given["href"]))


def test_brain_rdms_are_those_of_the_pooled_voxels(analysed: Ready) -> None:
    study, folder = analysed
    stored = read_rdms(brain_path(folder))
    sample = load_samples(study, folder, "V1")[0]
    assert sample.subject == POOLED
    assert sample.n_voxels == 2 * study.analysis.voxels.per_subject
    assert len(sample.choices) == 2
    by_hand = np.mean([condensed(spearman_rdm(choice.whole["AN"])) for choice in sample.choices], axis=0)
    (found,) = find_rdms(stored, roi="V1", subject=POOLED, set="AN", part="all")
    np.testing.assert_array_equal(found.values, by_hand)
    assert len(stored) == 2 * 3 * 3 * 3  # ROIs, subjects and pooled, sets, all and two halves


def test_every_place_and_pair_has_its_similarity(analysed: Ready) -> None:
    _, folder = analysed
    brain = read_rows(similarity_path(folder, "brain"), SimilarityRow)
    assert {(row.place, row.pair, row.subject) for row in brain} == {
        (roi, pair, sub) for roi in ("V1", "LO") for pair in ("RE-AN", "RE-AI") for sub in (POOLED, "01", "02")
    }
    for row in brain:
        pooled = row.subject == POOLED
        assert -1 <= row.similarity <= 1
        assert row.ci_low <= row.ci_high
        assert row.estimand
        assert row.resampled
        assert np.isfinite(row.truth) == np.isfinite(row.truth_chosen) == pooled
    network = read_rows(similarity_path(folder, "network"), SimilarityRow)
    methods = {row.place: row.ci_method for row in network}
    assert "jackknife" in methods["conv1"]
    assert methods.keys() == {"conv1", "fc8"}
    assert all(row.ci_low <= row.similarity <= row.ci_high for row in network if row.place == "conv1")


def page_text(folder: StudyFolder, page: str = "report") -> str:
    return report_path(folder, page).read_text(encoding="utf-8")


def test_every_page_stands_alone(analysed: Ready) -> None:
    study, folder = analysed
    pages = report(study, folder)
    assert pages[0] == report_path(folder)
    assert {
        "report",
        "stimuli",
        "runs",
        "behaviour",
        "betas",
        "rdms",
        "similarity",
        "network",
        "intervals",
        "methods",
    } <= {page.stem for page in pages}
    for path in pages:
        page = path.read_text(encoding="utf-8")
        found = Addresses()
        found.feed(page)
        assert all(address.startswith("data:image/") for address in found.loaded)
        assert "@import" not in page
        assert not re.search(r"url\((?!data:)", page)
        for link in found.links:
            assert link.startswith("#") or (path.parent / link).is_file(), (path.name, link)
        for anchor in (link for link in found.links if link.startswith("#")):
            assert f'id="{anchor[1:]}"' in page
        assert {f"{other.stem}.html" for other in pages} <= set(found.links)


def test_a_rehearsal_is_marked_everywhere(analysed: Ready) -> None:
    study, folder = analysed
    for path in report(study, folder):
        page = path.read_text(encoding="utf-8")
        assert "Simulated data" in page
        assert "no person and no scanner took part" in page
    assert "Estimated and true similarity" in page_text(folder, "similarity")


def test_every_file_of_the_report_has_a_trace(analysed: Ready) -> None:
    study, folder = analysed
    for path in sorted(folder.derived("report").rglob("*")):
        if path.is_file() and path.suffix != ".json":
            chain = trace_file(path)
            assert chain.unchanged, path.name
            assert chain.inputs, path.name
    text = as_text(trace_file(report_path(folder, "behaviour")))
    assert "behaviour_intervals.tsv" in text
    assert "_events.tsv" in text
    assert f"seed {study.seed}" in text


def test_a_trace_tells_when_the_file_itself_was_changed(copy: Ready) -> None:
    _, folder = copy
    figures = report_path(folder).parent / "figures"
    for path in (figures / "figure_1.svg", figures / "figure_1.tsv", report_path(folder), brain_path(folder)):
        assert trace_file(path).unchanged
        path.write_bytes(path.read_bytes() + b" ")
        chain = trace_file(path)
        assert not chain.unchanged
        assert "[changed since]" in as_text(chain)
        assert f"no longer as it was used: {folder.relative(path)}" in as_text(chain)


def test_derived_files_are_a_dataset_of_their_own(analysed: Ready) -> None:
    _, folder = analysed
    description = read_json(folder.derivatives / "dataset_description.json")
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "foolscan"
    assert description["SourceDatasets"]
    assert description["Simulated"] is True


def test_a_page_of_an_analysis_that_is_gone_is_taken_away(copy: Ready) -> None:
    study, folder = copy
    assert report_path(folder, "runs").is_file()
    shutil.rmtree(folder.derived("certificates"))
    assert report_path(folder, "runs") not in report(study, folder)
    assert not report_path(folder, "runs").exists()
    assert "runs.html" not in page_text(folder)


def test_every_figure_has_its_data_beside_it(analysed: Ready) -> None:
    _, folder = analysed
    figures = report_path(folder).parent / "figures"
    names = {path.stem for path in figures.glob("*.svg")}
    expected = {
        "figure_1",
        "similarity_layers",
        "similarity_rois",
        "estimated_and_true",
        "rdms_brain",
        "rdms_network",
        "stimuli",
    }
    behaviour = {"behaviour", *(f"behaviour_{part}" for part in ("times", "consistency", "images", "runs"))}
    assert expected | behaviour <= names
    for name in names:
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        sidecar = json.loads((figures / f"{name}.json").read_text(encoding="utf-8"))
        header = (figures / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[0].split("\t")
        assert all(sidecar[column]["Description"] for column in header)


def test_the_same_inputs_give_the_same_bytes(copy: Ready) -> None:
    study, folder = copy
    kinds = ("rdms", "report")
    before = {path: path.read_bytes() for kind in kinds for path in folder.derived(kind).rglob("*") if path.is_file()}
    for kind in kinds:
        shutil.rmtree(folder.derived(kind))
    rdms(study, folder)
    compare(study, folder)
    report(study, folder)
    after = {path: path.read_bytes() for kind in kinds for path in folder.derived(kind).rglob("*") if path.is_file()}
    assert before.keys() == after.keys()
    assert [path.name for path in before if before[path] != after[path]] == []


def test_what_is_right_is_left_alone(copy: Ready) -> None:
    study, folder = copy
    stamps = {path: path.stat().st_mtime_ns for path in folder.derivatives.rglob("*") if path.is_file()}
    for step in (rdms, compare, report):
        step(study, folder)
    assert stamps == {path: path.stat().st_mtime_ns for path in folder.derivatives.rglob("*") if path.is_file()}


def test_a_network_alone_is_reported(copy: Ready) -> None:
    study, folder = copy
    for kind in ("betas", "rois", "rdms", "report", "certificates", "simulation"):
        shutil.rmtree(folder.derived(kind))
    for sub in folder.root.glob("sub-*"):
        shutil.rmtree(sub)
    assert [path.name for path in rdms(study, folder)] == ["network_rdms.h5", "network_dissimilarities.tsv"]
    compare(study, folder)
    pages = {page.stem for page in report(study, folder)}
    assert "similarity_layers" in page_text(folder)
    assert pages & {"behaviour", "similarity", "betas", "runs"} == set()
    assert {"report", "network", "rdms", "stimuli"} <= pages


def test_a_brain_alone_is_reported(copy: Ready) -> None:
    study, folder = copy
    for kind in ("activations", "rdms", "report"):
        shutil.rmtree(folder.derived(kind))
    rdms(study, folder)
    compare(study, folder)
    report(study, folder)
    assert "similarity_layers" not in page_text(folder)
    assert not report_path(folder, "network").exists()


def to_desk(folder: StudyFolder) -> None:
    """Make the runs of a folder into runs at a desk, with confidence."""
    for path in sorted(folder.root.glob("sub-*/ses-*/func/*_events.*")):
        at_desk = path.parent.parent / "beh" / path.name
        at_desk.parent.mkdir(exist_ok=True)
        path.rename(at_desk)
        if at_desk.suffix == ".tsv":
            first, *lines = at_desk.read_text(encoding="utf-8").splitlines()
            rated = [f"{line}\t{3 if 'n/a' not in line else 'n/a'}" for line in lines]
            at_desk.write_text("\n".join([f"{first}\tconfidence", *rated]) + "\n", encoding="utf-8")


def test_a_study_at_a_desk_has_its_behaviour_in_the_report(copy: Ready) -> None:
    study, folder = copy
    shutil.rmtree(folder.root / "derivatives")
    to_desk(folder)
    assert report_path(folder, "rdms") not in report(study, folder)
    text = page_text(folder, "behaviour")
    assert 'id="desk-section"' in text
    assert 'id="behaviour-section"' not in text
    assert "At a desk: Simulated observers classified" in page_text(folder)
    assert "2 simulated observers" in page_text(folder)
    assert {row["at"] for row in read_table(write_behaviour(study, folder))} == {"beh"}
    assert (report_path(folder).parent / "figures" / "behaviour_desk.svg").is_file()
    assert "when right" in text


def test_scanner_and_desk_stand_side_by_side(copy: Ready) -> None:
    study, folder = copy
    before = list(folder.root.glob("sub-01/ses-01/func/*_events.tsv"))
    kept = {path: path.read_bytes() for path in before}
    for path in before:
        at_desk = path.parent.parent / "beh" / path.name
        at_desk.parent.mkdir(exist_ok=True)
        at_desk.write_bytes(kept[path])
    report(study, folder)
    text = page_text(folder, "behaviour")
    assert 'id="desk-section"' in text
    assert 'id="behaviour-section"' in text
    assert "when right" not in text  # nobody was asked how sure they were


def test_images_alone_are_reported_too(copy: Ready) -> None:
    study, folder = copy
    shutil.rmtree(folder.root / "derivatives")
    for sub in folder.root.glob("sub-*"):
        shutil.rmtree(sub)
    report(study, folder)
    assert "So far there are only images" in page_text(folder)
    assert 'id="stimuli-section"' in page_text(folder, "stimuli")


def test_people_have_no_truth_panel(copy: Ready) -> None:
    study, folder = copy
    shutil.rmtree(folder.derived("simulation"))
    description = folder.root / "dataset_description.json"
    facts = json.loads(description.read_text(encoding="utf-8"))
    del facts["Simulated"]
    write_json(description, facts)
    compare(study, folder)
    for page in report(study, folder):
        text = page.read_text(encoding="utf-8")
        assert "Simulated data" not in text
        assert 'id="truth"' not in text


OF_VOXELS = ("voxels", "rdms", "similarity", "trends", "correspondence", "scaling")
"""Pages that show what comes of the chosen voxels; so does the first."""
BRAIN_FIGURES = {
    "figure_1",
    "similarity_rois",
    "estimated_and_true",
    "rdms_brain",
    "models_brain",
    "trends",
    "correspondence",
    "scaling_dependence",
    "voxel_reliability",
}


def test_the_published_selection_is_marked_circular(copy: Ready, fake: SimpleNamespace) -> None:
    study, folder = copy
    for mask in folder.derived("rois").rglob("*_roi-V1_mask.nii.gz"):
        shutil.copy(mask, mask.with_name(mask.name.replace("V1", "V2")))  # three places can have a trend
    assert all("circular" not in page_text(folder, page) for page in ("report", "rdms", "similarity"))
    models = ("supercategory", "animacy")
    rois = ("V1", "V2", "LO")
    circular = fake.changed(study, analysis__voxels__by="published", analysis__models=models, analysis__rois=rois)
    for step in (estimate_betas, rdms, compare, report):
        step(circular, folder)
    rows = read_rows(similarity_path(folder, "brain"), SimilarityRow)
    assert all("circular" in row.note for row in rows)
    tables = {path for path in folder.derived("rdms").glob("*.tsv") if "network" not in path.name}
    names = (
        "brain_dissimilarities similarity_brain difference_brain tests_brain models_brain trends_brain ceilings_brain"
    )
    assert {path.stem for path in tables} == {
        *names.split(),
        "correspondence",
        "correspondence_matrix",
        "scaling_dependence",
    }
    for path in (*tables, *folder.derived("voxels").rglob("*.tsv")):
        assert all("circular" in row["selection"] for row in read_table(path)), path.name
        assert any("circular" in text for text in read_json(sidecar_path(path))["Warnings"]), path.name
    for page in ("report", *OF_VOXELS):
        assert CIRCULAR_NOTE in page_text(folder, page), page
    figures = {path.stem: path for path in (report_path(folder).parent / "figures").glob("*.svg")}
    assert figures.keys() > BRAIN_FIGURES
    for name, path in figures.items():
        told = "circular selection of voxels" in path.read_text(encoding="utf-8")
        warned = any("circular" in text for text in read_json(path.with_suffix(".json")).get("Warnings", ()))
        assert told == warned == (name in BRAIN_FIGURES), name
    for path in folder.derived("rdms").glob("*network.tsv"):
        assert all(row["selection"] == "n/a" for row in read_table(path))
    sample = load_samples(circular, folder, "V1")[1]
    assert [len(choice.halves) for choice in sample.choices] == [2]
    assert set(rdms_of(sample, "spearman")) == {"RE", "AN", "AI"}


def test_halves_that_are_scaled_in_different_sessions_are_warned_of(copy: Ready, fake: SimpleNamespace) -> None:
    study, folder = copy
    halved = fake.changed(study, tasks__animals__presentation="half_twice")
    for step in (rdms, compare, report):
        step(halved, folder)
    for path in (brain_path(folder), similarity_path(folder, "brain"), difference_path(folder, "brain")):
        (warning,) = read_json(sidecar_path(path))["Warnings"]
        assert warning.startswith("half_twice with z_voxel_run")
    assert "Warnings" not in read_json(sidecar_path(similarity_path(folder, "network")))
    assert "<b>Warning.</b> half_twice with z_voxel_run" in report_path(folder).read_text(encoding="utf-8")
    unscaled = fake.changed(halved, analysis__pattern_scaling="none")
    assert warnings_of(unscaled, folder) == warnings_of(study, folder) == []


def test_differences_of_similarity_are_in_the_report(analysed: Ready) -> None:
    _, folder = analysed
    for what, page in (("brain", "similarity"), ("network", "network")):
        text = page_text(folder, page)
        rows = [
            row
            for row in read_rows(difference_path(folder, what), DifferenceRow)
            if what == "network" or row.subject == POOLED
        ]
        assert rows
        assert "RE-AI − RE-AN" in text
        for row in rows:
            assert f'<td class="key">{number_text(row.difference)}<td>' in text
            assert f"<td>{interval_text(str(row.ci_low), str(row.ci_high))}" in text


def test_how_corrected_intervals_were_made_is_in_the_table_and_the_report(analysed: Ready) -> None:
    _, folder = analysed
    text = page_text(folder, "similarity")
    for row in read_rows(similarity_path(folder, "brain"), SimilarityRow):
        assert row.corrected_method
        if row.subject == POOLED and np.isfinite(row.corrected):
            assert row.corrected_method in text


def test_missing_steps_are_named(copy: Ready) -> None:
    study, folder = copy
    shutil.rmtree(folder.derived("report"))
    similarity_path(folder, "brain").unlink()
    with pytest.raises(NotReady, match="foolscan analysis compare"):
        report(study, folder)
    brain_path(folder).unlink()
    with pytest.raises(NotReady, match="foolscan analysis rdms"):
        compare(study, folder)
    assert not report_path(folder).exists()
    for kind in ("betas", "activations"):
        shutil.rmtree(folder.derived(kind))
    with pytest.raises(NotReady, match="foolscan analysis betas"):
        rdms(study, folder)
    folder.manifest.unlink()
    with pytest.raises(NotReady, match="foolscan stimuli make"):
        rdms(study, folder)


def test_bad_activations_are_refused(copy: Ready, fake: SimpleNamespace) -> None:
    study, folder = copy
    path = activations_path(study, folder)
    with pytest.raises(FoolscanError, match=r"found 'conv9' \(did you mean 'conv1'\?\)"):
        layers_of(fake.changed(study, analysis__layers=("conv9",)), path)
    stimuli = read_manifest(folder)
    with h5py.File(path, "r+") as file:
        file["layers/fc8"][0] = 1.0
    with pytest.raises(FoolscanError, match=r"layer fc8 set RE.*same response.*RE-category00"):
        rdms(study, folder)
    with h5py.File(path, "r+") as file:
        file["stim_id"][0] = "RE-unicorn"
    with pytest.raises(FoolscanError, match=r"no activations for 1 images \(RE-category00\)"):
        load_layer(path, "fc8", stimuli, ("RE", "AN"))
    path.write_bytes(b"")
    with pytest.raises(FoolscanError, match="not readable as HDF5"):
        layers_of(study, path)
    with pytest.raises(FoolscanError, match="differ in their categories"):
        load_layer(path, "fc8", [image for image in stimuli if image.stim_id != "AN-category01"], ("RE", "AN"))


def test_a_trace_goes_back_to_the_images(analysed: Ready) -> None:
    _, folder = analysed
    chain = trace_file(similarity_path(folder, "brain"))
    text = as_text(chain)
    for name in ("stimuli/stimuli.tsv", "betas", "events.tsv", "bold.nii.gz", "made with foolscan"):
        assert name in text
    assert chain.unchanged


def test_a_trace_shows_what_was_changed_since(copy: Ready) -> None:
    _, folder = copy
    manifest = folder.manifest
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    chain = trace_file(similarity_path(folder, "network"))
    assert not chain.unchanged
    assert "[changed since]" in as_text(chain)
    network_path(folder).unlink()
    assert "[gone]" in as_text(trace_file(similarity_path(folder, "network")))
    with pytest.raises(FoolscanError, match="no such file"):
        trace_file(folder.root / "nothing.tsv")


def test_the_script_does_what_the_commands_do_byte_for_byte(
    fake: SimpleNamespace, tmp_path: Path, project_root: Path
) -> None:
    changes = {
        "scan": {"tr_s": 2.0, "volumes": 90},
        "tasks": {"animals": {"blank_s": 3.0, "image_s": 1.0, "blank_trial_s": 4.0, "stimulus_trials": 12}},
        "stimuli": {"n_categories": 4},
        "analysis": {"rois": ["V1", "LO"], "voxels": {"per_subject": 20}, "bootstrap": {"resamples": 100}},
        "rehearsal": {"brain": {"voxels_per_roi": 60}},
    }
    changes["tasks"]["animals"] |= {"lead_in_s": 10.0, "blank_trials": 5}
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump({"format": 1, "extends": "demo", **changes}), encoding="utf-8")
    study = fake.study()
    by_script, by_command = tmp_path / "script", tmp_path / "command"
    write_activations(study, fake.folder(by_script, study, n_categories=4))
    shutil.copytree(by_script, by_command)

    script = project_root / "tests" / "scripts" / "analyse.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 30
    _run(project_root, str(script), str(file), str(by_script))
    for verb in ("simulate-bold", "betas", "rdms", "compare", "report"):
        _run(project_root, "-m", "foolscan", "analysis", verb, str(file), "--to", str(by_command))

    written = {path.relative_to(by_script) for path in by_script.rglob("*") if path.is_file()}
    assert written == {path.relative_to(by_command) for path in by_command.rglob("*") if path.is_file()}
    assert Path("derivatives/foolscan/report/report.html") in written
    for name in sorted(written):
        assert (by_script / name).read_bytes() == (by_command / name).read_bytes(), name


def _run(root: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=_with_path(root), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def _with_path(root: Path) -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(root)}
