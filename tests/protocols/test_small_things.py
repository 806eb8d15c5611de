"""Seeds, degrees, manifests, sessions, provenance: known answers and invariants."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_image_study import replace_once
from stimulus_rows import stimulus_row

from protocols.folder import open_folder, write_text
from protocols.geometry import angle_of_screen_deg, size_on_screen_mm, size_on_screen_px
from protocols.manifest import COLUMNS, read_manifest, write_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import is_current, read_provenance, sidecar_path, write_sidecar
from protocols.seeds import generator_for, seed_for
from protocols.session import open_session
from protocols.study import load_study

CHANGED = stimulus_row(
    "AI",
    "cat",
    animal=True,
    target_class="mug",
    network_label="mug",
    animal_network_label=False,
    confidence=0.9912,
    steps=12,
    l2=210.5,
    linf=4,
)


def test_twelve_degrees_is_tangent_geometry() -> None:
    assert size_on_screen_mm(12, 1000) == pytest.approx(2000 * math.tan(math.radians(6)))
    linear = 1000 * math.radians(12)
    assert size_on_screen_mm(12, 1000) / linear == pytest.approx(1.0036, abs=1e-4)
    assert size_on_screen_px(12, 1000, 520, 1920) == pytest.approx(776.2, abs=0.1)


@given(st.floats(0.01, 170), st.floats(10, 5000))
def test_angle_and_length_are_inverse(size_deg: float, distance_mm: float) -> None:
    assert angle_of_screen_deg(size_on_screen_mm(size_deg, distance_mm), distance_mm) == pytest.approx(size_deg)


def test_a_seed_belongs_to_one_thing_for_ever() -> None:
    assert (
        seed_for(2018, "stimulus/AN-cat/attempt-0") == 7644438380272154827
    )  # printf %s "2018/…" | sha256sum | cut -c1-16, halved
    assert seed_for(2018, "stimulus/AN-cat/attempt-1") != seed_for(2018, "stimulus/AN-cat/attempt-0")
    assert generator_for(1, "a").random() == generator_for(1, "a").random()


def test_the_manifest_reads_back_what_was_written(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "study", "A study")
    write_manifest(folder, [CHANGED])
    assert read_manifest(folder) == [CHANGED]
    assert folder.manifest.read_text(encoding="utf-8").splitlines()[0].split("\t") == list(COLUMNS)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\ttrue\tRE-cat", "\tyes\tRE-cat", "stimuli.tsv:2: animal_source: found 'yes'"),
        ("0.9912", "high", "stimuli.tsv:2: confidence: found 'high'"),
        ("\tmug\tmug", "\tmug", "found 26 columns, expected 27"),
        ("category\t", "kind\t", "other columns"),
    ],
)
def test_a_damaged_manifest_says_where(tmp_path: Path, old: str, new: str, words: str) -> None:
    folder = open_folder(tmp_path / "study", "A study")
    write_manifest(folder, [CHANGED])
    replace_once(folder.manifest, old, new)
    with pytest.raises(FoolscanError, match=r".") as raised:
        read_manifest(folder)
    assert words in str(raised.value)


def test_no_manifest_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="foolscan stimuli make"):
        read_manifest(open_folder(tmp_path / "study", "A study"))


def test_buttons_are_counterbalanced_over_subjects_and_the_record_is_kept(tmp_path: Path) -> None:
    study = load_study("demo")
    folder = open_folder(tmp_path / "study", study.title, rehearsal=True)
    records = [open_session(folder, study, f"{n:02d}", "01", "animals", rehearsal=True) for n in range(1, 5)]
    assert [record.button_of_answer["animal"] for record in records].count("left") == 2
    assert open_session(folder, study, "01", "01", "animals", rehearsal=True) == records[0]
    assert len({record.order_seed for record in records}) == 4
    with pytest.raises(FoolscanError, match="do not share a session"):
        open_session(folder, study, "01", "01", "animals", rehearsal=False)
    with pytest.raises(FoolscanError, match="another version"):
        open_session(folder, study.model_copy(update={"seed": 5}), "01", "01", "animals", rehearsal=True)


def test_a_derived_file_is_current_until_an_input_a_parameter_or_the_file_changes(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "study", "A study")
    source, made = folder.root / "in.tsv", folder.derived("rdms") / "out.tsv"
    write_text(source, "a\n")
    write_text(made, "b\n")
    write_sidecar(folder, made, inputs=[source], parameters={"n": 1}, packages=["numpy"], seed=3)
    assert sidecar_path(made).name == "out.json"
    assert read_provenance(made)["inputs"].keys() == {"in.tsv"}
    assert is_current(folder, made, [source], {"n": 1})
    assert not is_current(folder, made, [source], {"n": 2})
    write_text(made, "c\n")
    assert not is_current(folder, made, [source], {"n": 1})
    write_text(made, "b\n")
    write_text(source, "other\n")
    assert not is_current(folder, made, [source], {"n": 1})


def test_the_sidecar_of_a_compressed_image_is_beside_it() -> None:
    assert sidecar_path(Path("x_bold.nii.gz")).name == "x_bold.json"
