"""Files of format 1, as they were frozen, are read by this release."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.folder import StudyFolder
from protocols.manifest import read_manifest
from protocols.rig import load_rig
from protocols.session import read_session
from protocols.study import load_study
from protocols.yamlfile import shipped_files

V1 = Path(__file__).parents[1] / "formats" / "v1"


def test_a_study_of_format_1() -> None:
    study = load_study(V1 / "study.yaml")
    assert study.format == 1
    assert study.tasks["animals"].run_s == 556
    assert study.stimuli.sets["AI"].kind == "adversarial_interference"
    assert study.basis["tasks.animals.image_s"].tag == "stated"


def test_a_rig_of_format_1() -> None:
    assert load_rig(V1 / "rig.yaml").display.px(12.0) == 776


def test_a_session_record_of_format_1() -> None:
    record = read_session(V1 / "session.json")
    assert record.rehearsal
    assert sorted(record.button_of_answer) == ["animal", "not_animal"]


def test_a_manifest_of_format_1(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.stimuli.mkdir()
    folder.manifest.write_bytes((V1 / "stimuli.tsv").read_bytes())
    stimuli = {stimulus.stim_id: stimulus for stimulus in read_manifest(folder)}
    assert sorted(stimuli) == ["AI-cat", "AI-mug", "AN-cat", "AN-mug", "RE-cat", "RE-mug"]
    assert stimuli["AI-cat"].linf is not None
    assert stimuli["RE-cat"].linf is None
    assert stimuli["AN-mug"].animal_source is False


@pytest.mark.parametrize("kind", ["study", "rig"])
def test_what_comes_with_foolscan_is_of_format_1(kind: str) -> None:
    for name in shipped_files(kind):
        assert (load_study(name) if kind == "study" else load_rig(name)).format == 1
