"""Regions that the study file defines: label images, surfaces and combinations become masks; what does not fit is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import freesurfer, gifti
from pydantic import TypeAdapter
from typer.testing import CliRunner

from analysis.command_line import app
from analysis.nifti import write_nifti
from analysis.rois import check_rois, load_rois, load_surface_rois, roi_path, write_mask
from analysis.rois.label_names import read_names
from analysis.rois.masks import read_mask
from analysis.rois.regions import Region, combined, vertices_path
from analysis.rois.sources import make_rois
from analysis.trace import trace_file
from protocols.folder import StudyFolder, open_folder, read_json
from protocols.problems import FoolscanError, NotReady, ProtocolError
from protocols.provenance import read_provenance, sidecar_path
from protocols.roi_plan import RoiSource
from protocols.study import Study, load_study

GRID = (6, 5, 4)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SOURCES: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, RoiSource])

# what stands in a label image: V1v 1, V1d 2, V2 3, far away 7
LABELS = np.zeros(GRID)
LABELS[0], LABELS[1], LABELS[2], LABELS[5, 0, 0] = 1, 2, 3, 7


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    made = open_folder(tmp_path / "study", "regions")
    write_nifti(tmp_path / "study" / "labels" / "sub-01_dseg.nii.gz", LABELS, AFFINE, dtype=np.int16)
    (tmp_path / "study" / "labels" / "dseg.tsv").write_text(
        "index\tname\n1\tV1v\n2\tV1d\n3\tV2\n7\tLO\n", encoding="utf-8"
    )
    return made


@pytest.fixture
def study(fake: SimpleNamespace) -> Callable[..., Study]:
    def of(rois: tuple[str, ...], **sources: dict[str, Any]) -> Study:
        return fake.study(
            analysis__rois=rois, analysis__roi_sources=SOURCES.validate_python(sources), analysis__voxels__per_subject=1
        )

    return of


def labels(*names: str | int, table: str | None = "labels/dseg.tsv") -> dict[str, Any]:
    return {"kind": "labels", "file": "labels/sub-{sub}_dseg.nii.gz", "labels": list(names), "table": table}


def test_labels_become_masks_with_their_sources(folder: StudyFolder, study: Callable[..., Study]) -> None:
    wanted = study(("V1", "V2"), V1=labels("V1v", "V1d"), V2=labels(3, table=None))
    masks = load_rois(wanted, folder, "01")
    np.testing.assert_array_equal(masks["V1"], (LABELS == 1) | (LABELS == 2))
    np.testing.assert_array_equal(masks["V2"], LABELS == 3)
    record = read_provenance(roi_path(folder, "01", "V1"))
    assert list(record["inputs"]) == ["labels/dseg.tsv", "labels/sub-01_dseg.nii.gz"]
    assert record["parameters"]["definitions"]["V1"]["labels"] == ["V1v", "V1d"]
    assert read_json(sidecar_path(roi_path(folder, "01", "V1")))["Size"] == 40
    assert make_rois(wanted, folder, "01") == []


def test_masks_follow_their_sources(folder: StudyFolder, study: Callable[..., Study]) -> None:
    load_rois(study(("V1",), V1=labels("V1v")), folder, "01")
    assert load_rois(study(("V1",), V1=labels("V1v", "V1d")), folder, "01")["V1"].sum() == 40
    changed = LABELS.copy()
    changed[3, 0, 0] = 1
    write_nifti(folder.root / "labels" / "sub-01_dseg.nii.gz", changed, AFFINE, dtype=np.int16)
    assert load_rois(study(("V1",), V1=labels("V1v", "V1d")), folder, "01")["V1"].sum() == 41
    assert trace_file(roi_path(folder, "01", "V1"), folder.root).unchanged


def test_combinations_are_those_of_their_parts(folder: StudyFolder, study: Callable[..., Study]) -> None:
    write_mask(roi_path(folder, "01", "slab"), np.indices(GRID)[1] < 2, AFFINE)
    wanted = study(
        ("early", "both", "rest"),
        V1=labels("V1v", "V1d"),
        V2=labels("V2"),
        early={"kind": "union", "of": ["V1", "V2"]},
        both={"kind": "intersection", "of": ["early", "slab"]},
        rest={"kind": "difference", "of": ["early", "slab", "V2"]},
    )
    masks = load_rois(wanted, folder, "01")
    early = (LABELS >= 1) & (LABELS <= 3)
    slab = np.indices(GRID)[1] < 2
    np.testing.assert_array_equal(masks["early"], early)
    np.testing.assert_array_equal(masks["both"], early & slab)
    np.testing.assert_array_equal(masks["rest"], early & ~slab & (LABELS != 3))
    assert set(read_provenance(roi_path(folder, "01", "both"))["parameters"]["definitions"]) == {
        "both",
        "early",
        "V1",
        "V2",
    }
    assert not roi_path(folder, "01", "V1").exists()  # a part that is not analysed is not written


@given(st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=2, max_size=4))
@settings(max_examples=50, deadline=None)
def test_combinations_agree_with_sets(parts: list[list[bool]]) -> None:
    regions = [Region({"L": np.array(part)}, None, (Path(f"{i}.gii"),)) for i, part in enumerate(parts)]
    sets = [{place for place, inside in enumerate(part) if inside} for part in parts]
    names = [f"r{i}" for i in range(len(parts))]
    expected = {
        "union": set.union(*sets),
        "intersection": set.intersection(*sets),
        "difference": sets[0].difference(*sets[1:]),
    }
    for kind, members in expected.items():
        if members:
            found = combined(kind, regions, names)  # type: ignore[arg-type]
            assert set(np.flatnonzero(found.inside["L"])) == members
        else:
            with pytest.raises(FoolscanError, match=f"the {kind} of r0, r1"):
                combined(kind, regions, names)  # type: ignore[arg-type]


def test_probabilities_are_cut_where_the_study_says(folder: StudyFolder, study: Callable[..., Study]) -> None:
    values = np.linspace(0, 1, 120).reshape(GRID)
    write_nifti(folder.root / "prob.nii.gz", values, AFFINE, dtype=np.float32)
    masks = load_rois(study(("LO",), LO={"kind": "mask", "file": "prob.nii.gz", "above": 0.5}), folder, "01")
    np.testing.assert_array_equal(masks["LO"], values.astype(np.float32) > 0.5)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "lut.txt",
            "#No. Label Name:   R G B A\n\n1   V1v  10 20 30 0\n  12  ctx-lh-V2  1 2 3 0\n",
            {"V1v": 1, "ctx-lh-V2": 12},
        ),
        ("a.json", '{"V1v": 1, "V2": 3}', {"V1v": 1, "V2": 3}),
        ("b.json", '{"1": "V1v", "3": "V2"}', {"V1v": 1, "V2": 3}),
        ("c.tsv", "index\tname\tcolor\n1\tV1v\t#fff\n3\tV2\t#000\n", {"V1v": 1, "V2": 3}),
    ],
)
def test_names_of_labels_are_read_from_every_kind_of_table(
    tmp_path: Path, name: str, content: str, expected: dict[str, int]
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_names(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tsv", "number\tname\n1\tV1\n", r"a\.tsv:1: found columns number, name; expected index and name"),
        ("a.tsv", "index\tname\none\tV1\n", r"a\.tsv:2: index: found 'one'"),
        ("a.tsv", "index\tname\n1\tV1\n2\tV1\n", r"a\.tsv:3: name: found 'V1' for 2, and for 1 before"),
        ("a.tsv", "index\tname\n1\n", r"a\.tsv:2: found 1 columns, expected 2"),
        ("a.json", '{"V1": 1.5}', r"'V1': found 1\.5"),
        ("a.txt", "1\n", r"a\.txt:1: found '1'"),
        ("a.txt", "# nothing\n", "found no names of labels"),
        ("a.txt", "\xff\xfe", "UTF-8|found"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content, encoding="latin-1")
    with pytest.raises(FoolscanError, match=words):
        read_names(tmp_path / name)


def test_what_is_wrong_with_a_source_is_said_with_its_key(folder: StudyFolder, study: Callable[..., Study]) -> None:
    def refused(words: str, **sources: dict[str, Any]) -> None:
        with pytest.raises(FoolscanError, match=words):
            load_rois(study(("V1",), **sources), folder, "01")

    refused(
        r"analysis\.roi_sources\.V1, sub-01: .*found no label 'V1w' \(did you mean 'V1v'\?\); it has V1v, V1d",
        V1=labels("V1w"),
    )
    refused(r"found no voxel with label 9 \(9\); expected some for sub-01", V1=labels(9))
    refused("found the label 'V1v' and no table of names", V1=labels("V1v", table=None))
    refused(r"labels/none\.tsv: no such file", V1=labels("V1v", table="labels/none.tsv"))
    refused(
        r"the intersection of V2, LO: found nothing inside",
        V1={"kind": "intersection", "of": ["V2", "LO"]},
        V2=labels("V2"),
        LO=labels("LO"),
    )
    write_nifti(folder.root / "labels" / "sub-01_dseg.nii.gz", LABELS * 0.9, AFFINE, dtype=np.float32)
    refused(r"labels are whole numbers\. Was it resampled with interpolation\?", V1=labels("V1v"))
    with pytest.raises(NotReady, match=r"sub-02_dseg\.nii\.gz: no such file"):
        load_rois(study(("V1",), V1=labels("V1v")), folder, "02")


def test_parts_on_other_grids_are_refused(folder: StudyFolder, study: Callable[..., Study]) -> None:
    write_mask(roi_path(folder, "01", "slab"), np.ones(GRID, dtype=bool), np.diag([3.0, 2.0, 2.0, 1.0]))
    with pytest.raises(FoolscanError, match=r"roi-slab_mask\.nii\.gz: affine\[0,0\] is 3; in .*dseg\.nii\.gz it is 2"):
        load_rois(study(("V1",), V1={"kind": "union", "of": ["V2", "slab"]}, V2=labels("V2")), folder, "01")


def test_a_mask_that_was_put_there_by_hand_is_not_written_over(
    folder: StudyFolder, study: Callable[..., Study]
) -> None:
    write_mask(roi_path(folder, "01", "V1"), np.ones(GRID, dtype=bool), AFFINE)
    with pytest.raises(
        FoolscanError, match=r"found a mask that was not made from analysis\.roi_sources\.V1; move it elsewhere"
    ):
        load_rois(study(("V1",), V1=labels("V1v")), folder, "01")


def test_in_a_rehearsal_the_simulated_masks_stand_for_the_sources(
    simulated: tuple[Study, StudyFolder], fake: SimpleNamespace
) -> None:
    study, folder = simulated
    with_sources = fake.changed(study, analysis__roi_sources=SOURCES.validate_python({"V1": labels("V1v")}))
    np.testing.assert_array_equal(load_rois(with_sources, folder, "01")["V1"], load_rois(study, folder, "01")["V1"])


N_LEFT, N_RIGHT = 40, 36
IN_LEFT = np.arange(N_LEFT) % 4 == 0


def surface_files(place: Path) -> None:
    """V1 of both hemispheres in every form: FreeSurfer's labels and annotations, GIFTI labels and maps."""
    place.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for hemisphere, n_vertices in (("lh", N_LEFT), ("rh", N_RIGHT)):
        inside = np.arange(n_vertices) % 4 == 0
        rows = [
            f"{vertex} {x:.3f} {y:.3f} {z:.3f} 1.0"
            for vertex, (x, y, z) in zip(np.flatnonzero(inside), rng.normal(size=(99, 3)), strict=False)
        ]
        text = "\n".join(["#!ascii label  , from subject sub-01 vox2ras=TkReg", str(len(rows)), *rows]) + "\n"
        (place / f"{hemisphere}.V1.label").write_text(text, encoding="ascii")
        numbers = np.where(inside, 1, np.where(np.arange(n_vertices) % 4 == 1, 2, 0))
        table = np.array([[25, 5, 25, 0, 0], [220, 20, 20, 0, 0], [20, 220, 20, 0, 0]])
        freesurfer.write_annot(
            place / f"{hemisphere}.parts.annot", numbers, table, ["unknown", "V1", "V2"], fill_ctab=True
        )
        names = gifti.GiftiLabelTable()
        for key, name in enumerate(("???", "V1", "V2")):
            label = gifti.GiftiLabel(key=key)
            setattr(label, "label", name)  # noqa: B010
            names.labels.append(label)
        array = gifti.GiftiDataArray(numbers.astype(np.int32), intent="NIFTI_INTENT_LABEL", datatype="NIFTI_TYPE_INT32")
        nibabel.save(gifti.GiftiImage(labeltable=names, darrays=[array]), place / f"{hemisphere}.label.gii")
        array = gifti.GiftiDataArray(inside.astype(np.float32), datatype="NIFTI_TYPE_FLOAT32")
        nibabel.save(gifti.GiftiImage(darrays=[array]), place / f"{hemisphere}.shape.gii")


def surface(ending: str, **more: Any) -> dict[str, Any]:
    return {"kind": "surface", "left": f"fs/sub-{{sub}}/lh.{ending}", "right": f"fs/sub-{{sub}}/rh.{ending}", **more}


@pytest.mark.parametrize(
    "source",
    [
        surface("V1.label", left_vertices=N_LEFT, right_vertices=N_RIGHT),
        surface("parts.annot", labels=["V1"]),
        surface("label.gii", labels=["V1"]),
        surface("label.gii", labels=[1]),
        surface("shape.gii"),
    ],
)
def test_surfaces_of_every_form_have_the_same_vertices(
    folder: StudyFolder, study: Callable[..., Study], source: dict[str, Any]
) -> None:
    surface_files(folder.root / "fs" / "sub-01")
    regions = load_surface_rois(study(("V1",), V1=source), folder, "01")
    np.testing.assert_array_equal(regions["V1"].inside["L"], IN_LEFT)
    assert regions["V1"].inside["R"].sum() == 9
    assert vertices_path(folder, "01", "V1", "L").name == "sub-01_hemi-L_roi-V1_mask.label.gii"


def test_regions_on_surfaces_combine_and_may_be_on_one_hemisphere(
    folder: StudyFolder, study: Callable[..., Study]
) -> None:
    surface_files(folder.root / "fs" / "sub-01")
    left_only = {"kind": "surface", "left": "fs/sub-{sub}/lh.parts.annot", "labels": ["V2"]}
    wanted = study(
        ("V1", "early"),
        V1=surface("parts.annot", labels=["V1"]),
        V2=left_only,
        early={"kind": "union", "of": ["V1", "V2"]},
    )
    regions = load_surface_rois(wanted, folder, "01")
    assert regions["early"].inside["L"].sum() == 20
    assert regions["early"].inside["R"].sum() == 9


def test_surfaces_that_do_not_fit_are_refused(folder: StudyFolder, study: Callable[..., Study]) -> None:
    place = folder.root / "fs" / "sub-01"
    surface_files(place)

    def refused(words: str, source: dict[str, Any]) -> None:
        with pytest.raises(FoolscanError, match=words):
            load_surface_rois(study(("V1",), V1=source), folder, "01")

    refused("does not tell how many vertices the surface has", surface("V1.label"))
    refused(
        r"lh\.V1\.label: found vertex 32; the surface has vertices 0 to 29",
        surface("V1.label", left_vertices=30, right_vertices=N_RIGHT),
    )
    refused(r"found 3 labels \(unknown, V1, V2 …\); name those of the region", surface("parts.annot"))
    refused("found no label 'V9'", surface("parts.annot", labels=["V9"]))
    refused(r"lh\.shape\.gii: found 40 vertices; expected 41", surface("shape.gii", left_vertices=41))
    for name, words in (("lh.parts.annot", "annotation"), ("lh.label.gii", "GIFTI"), ("lh.V1.label", "label")):
        ending = name.removeprefix("lh.")
        options = {"left_vertices": N_LEFT, "right_vertices": N_RIGHT} if ending == "V1.label" else {"labels": ["V1"]}
        content = (place / name).read_bytes()
        (place / name).write_bytes(content[:40])
        refused(f"not readable as (a )?(FreeSurfer )?{words}", surface(ending, **options))
        if ending == "V1.label":  # text that is cut off at the end of a line is still text
            (place / name).write_bytes(b"\n".join(content.splitlines()[:-2]) + b"\n")
            refused(r"lh\.V1\.label:2: found 8 vertices where it says 10", surface(ending, **options))
        (place / name).write_bytes(b"")
        refused("found 0 bytes", surface(ending, **options))


def test_overlaps_and_what_lies_outside_the_brain_are_noted(folder: StudyFolder, study: Callable[..., Study]) -> None:
    write_mask(roi_path(folder, "01", "slab"), np.indices(GRID)[1] < 2, AFFINE)
    place = folder.root / "derivatives" / "fmriprep" / "sub-01" / "ses-01" / "func"
    brain = np.indices(GRID)[2] < 3
    write_mask(place / "sub-01_ses-01_task-animals_run-01_space-T1w_desc-brain_mask.nii.gz", brain, AFFINE)
    wanted = study(
        ("V1", "slab", "early"), V1=labels("V1v", "V1d"), V2=labels("V2"), early={"kind": "union", "of": ["V1", "V2"]}
    )
    first, second, third = check_rois(wanted, folder, ["01"])
    assert (first.problem, second.problem, third.problem) == ("", "", "")
    assert first.notes[0] == "16 also in slab"  # the union overlaps by definition
    assert first.notes[1].startswith("10 outside the brain mask sub-01_ses-01")
    assert second.notes[:2] == ("16 also in V1", "24 also in early")


def test_the_command_makes_lists_and_checks_them(tmp_path: Path, finished: tuple[Study, StudyFolder]) -> None:
    _, folder = finished
    path = tmp_path / "mine.yaml"
    path.write_text(
        "format: 1\nextends: demo\nname: mine\nanalysis:\n  rois: [V1, V2]\n  voxels: {per_subject: 20}\n  roi_sources:\n"
        "    LO: {kind: mask, file: 'derivatives/foolscan/rois/sub-{sub}/sub-{sub}_roi-LO_mask.nii.gz'}\n"
        "    V2: {kind: difference, of: [LO, V1]}\n",
        encoding="utf-8",
    )
    result = CliRunner().invoke(app, ["rois", str(path), "--to", str(folder.root)])
    assert result.exit_code == 0, result.output
    assert roi_path(folder, "01", "V2").exists()
    np.testing.assert_array_equal(read_mask(roi_path(folder, "01", "V2")), read_mask(roi_path(folder, "01", "LO")))
    for sub in ("01", "02"):
        roi_path(folder, sub, "V2").unlink()
        sidecar_path(roi_path(folder, sub, "V2")).unlink()


def test_the_example_in_the_documentation_is_a_study(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "analysis.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    shared = "rehearsal: {brain: {shared: {early: {AN: 0.5, AI: 0.9}, LOonly: {AN: 0.1, AI: 0.8}}}}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(f"format: 1\nextends: demo\nname: mine\n{example}{shared}", encoding="utf-8")
    assert list(load_study(path).analysis.roi_sources) == ["V1", "V2", "LO", "early", "LOonly"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "V2: {kind: union, of: [V1, V9]}",
            "analysis.roi_sources.V2.of: found 'V9'; a region of analysis.rois or roi_sources",
        ),
        (
            "V2: {kind: union, of: [V1, V2]}",
            "analysis.roi_sources.V2.of: found ['V1', 'V2']; regions that are not made of this one",
        ),
        ("V2: {kind: union, of: [V1]}", "at least 2"),
        ("V2: {kind: surface}", "left, right or both"),
        ("V2: {kind: mask, flie: a.nii}", "unknown key 'flie' (did you mean 'file'?)"),
        ("V2: {kind: labels, file: a.nii, labels: [A, A]}", "names 'A' twice"),
    ],
)
def test_definitions_that_cannot_be_meant_are_refused_at_their_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"format: 1\nextends: demo\nname: mine\nanalysis:\n  roi_sources:\n    {text}\n", encoding="utf-8")
    with pytest.raises(ProtocolError) as caught:
        load_study(path)
    assert words in str(caught.value)
    assert "mine.yaml:6" in str(caught.value)
