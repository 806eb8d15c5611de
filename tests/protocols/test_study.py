"""Study files: the published experiment is there in full, and every mistake is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.checks import check
from protocols.problems import ProtocolError
from protocols.rig import load_rig
from protocols.study import load_study


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path) -> dict[str, str]:
    with pytest.raises(ProtocolError) as raised:
        load_study(path)
    return {problem.key: str(problem) for problem in raised.value.problems}


def test_zhang2018_is_the_published_experiment() -> None:
    study = load_study("zhang2018")
    task = study.tasks["animals"]
    assert (study.design.subjects, study.design.sessions, study.design.runs) == (3, 2, 5)
    assert (task.image_deg, task.fixation_deg, task.blank_s, task.image_s) == (12.0, 0.2, 2.0, 2.0)
    assert (task.stimulus_trials, task.blank_trials, task.lead_in_s, task.lead_out_s) == (120, 9, 20.0, 20.0)
    assert task.run_s == 129 * 4 + 40 == study.scan.volumes * study.scan.tr_s
    assert study.stimuli.network.name == "alexnet"
    assert study.analysis.rois == ("V1", "V2", "V3", "V4", "LO")
    assert study.analysis.voxels.per_subject * study.design.subjects == 300
    assert [study.stimuli.sets[name].kind for name in task.sets] == [
        "pictures",
        "adversarial_noise",
        "adversarial_interference",
    ]


def test_values_that_the_paper_does_not_state_are_not_called_stated() -> None:
    basis = load_study("zhang2018").basis
    assert basis["tasks.animals.image_s"].tag == "stated"
    assert basis["scan.tr_s"].tag == "recalled"
    assert basis["analysis.similarity"].tag == "assumed"


def test_demo_keeps_the_images_and_the_basis_of_what_it_did_not_change() -> None:
    full, demo = load_study("zhang2018"), load_study("demo")
    assert demo.stimuli.n_categories == full.stimuli.n_categories == 40
    assert demo.tasks["animals"].stimulus_trials == 120
    assert "tasks.animals.image_deg" in demo.basis
    assert "tasks.animals.image_s" not in demo.basis, "a shortened time is no longer the paper's"
    assert "design.runs" not in demo.basis
    assert demo.tasks["animals"].image_deg == full.tasks["animals"].image_deg


def test_an_extending_study_may_state_a_basis_of_its_own(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "format: 1\nextends: zhang2018\nname: mine\nscan: {tr_s: 1.0, volumes: 556}\n"
        "basis:\n  scan.tr_s: {tag: stated, source: our own protocol}\n",
    )
    assert load_study(path).basis["scan.tr_s"].source == "our own protocol"
    assert "scan.volumes" not in load_study(path).basis


@pytest.mark.parametrize("rig", ["rehearsal", "scanner_example", "desk"])
def test_the_demo_fits_every_rig_that_comes_with_foolscan(rig: str) -> None:
    assert check(load_study("demo"), load_rig(rig)).problems == ()


def test_all_mistakes_are_reported_at_once_with_line_key_found_and_allowed(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "format: 1\nextends: demo\nname: bad\ntasks:\n  animals:\n    imagee_s: 2.0\n    blank_s: two\n"
        "stimuli:\n  sets:\n    AN: {kind: adversarial_noise, confidence: 1.5, foo: 1}\n",
    )
    found = problems_of(path)
    assert "bad" not in found
    assert "mine.yaml:6: " in found["tasks.animals.imagee_s"]
    assert "did you mean 'image_s'" in found["tasks.animals.imagee_s"]
    assert "mine.yaml:7: " in found["tasks.animals.blank_s"]
    assert "'two'" in found["tasks.animals.blank_s"]
    assert "found 1.5; input should be less than 1" in found["stimuli.sets.AN.confidence"]
    assert "allowed here: ascends, attempts, confidence" in found["stimuli.sets.AN.foo"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("format: 1\nname: x\nname: y\n", "mine.yaml:3: name: found the same key a second time"),
        ("format: [1\n", "mine.yaml:2: file"),
        ("", "no keys"),
        ("- a\n- b\n", "a list"),
        ("extends: mine.yaml\nname: x\n", "a circle of studies"),
        ("extends: zhang1918\nname: x\n", "mine.yaml:1: extends: found 'zhang1918'"),
        ("format: 1\nextends: demo\nseed: -3\n", "mine.yaml:3: seed: found -3"),
        ("format: 1\nextends: demo\ndesign: {subjects: true, sessions: 1, runs: 1}\n", "design.subjects: found True"),
        ("format: 2\nextends: demo\n", "mine.yaml:1: format: found 2"),
        ("format: 1\nextends: demo\nbasis: {tasks.nothing: {tag: stated, source: x}}\n", "tasks.nothing"),
        ("format: 1\nextends: demo\nanalysis: {pairs: [[RE, XX]]}\n", "'XX'"),
        ("format: 1\nextends: demo\nanalysis: {rois: [V1, V9]}\n", "'V9'"),
    ],
)
def test_a_mistake_says_where_it_is(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=r".") as raised:
        load_study(write(tmp_path, text))
    assert words in str(raised.value)


def test_not_utf8_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(ProtocolError, match="not UTF-8"):
        load_study(tmp_path / "mine.yaml")


def test_yaml_words_stay_words(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, "format: 1\nextends: demo\nname: no\ntasks: {animals: {answers: [yes, no]}}\n"))
    assert study.name == "no"
    assert study.tasks["animals"].answers == ("yes", "no")


def test_the_content_hash_ignores_layout_and_sees_values(tmp_path: Path) -> None:
    plain = load_study(write(tmp_path, "format: 1\nextends: demo\nname: a\n", "a.yaml"))
    layout = load_study(write(tmp_path, "# a comment\nname: a\nextends: demo\nformat: 1\n", "b.yaml"))
    other = load_study(write(tmp_path, "format: 1\nextends: demo\nname: a\nseed: 1\n", "c.yaml"))
    assert plain.sha256 == layout.sha256 != other.sha256


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("scan: {volumes: 100}", "scan.volumes"),
        ("tasks: {animals: {stimulus_trials: 100}}", "tasks.animals.stimulus_trials"),
        ("tasks: {animals: {image_deg: 40.0}}", "tasks.animals.image_deg"),
        ("tasks: {animals: {fixation_deg: 0.01}}", "tasks.animals.fixation_deg"),
        ("tasks: {animals: {image_s: 0.005}}", "tasks.animals.image_s"),
        ("tasks: {animals: {response_window_s: 30.0}}", "tasks.animals.response_window_s"),
        ("tasks: {animals: {buttons: [up, down]}}", "buttons"),
        ("stimuli: {pictures: {kind: folder, folder: nowhere}}", "stimuli.pictures.folder"),
        ("tasks: {animals: {fixation_deg: 5.0, image_deg: 4.0}}", "tasks.animals.fixation_deg"),
        ("tasks: {animals: {order: {source_distance: 41}}}", "tasks.animals.order.source_distance"),
        ("tasks: {animals: {language: fr}}", "tasks.animals.language"),
        ("analysis: {glm: {high_pass_hz: 0.3}}", "analysis.glm.high_pass_hz"),
        ("analysis: {voxels: {images: XY}}", "analysis.voxels.images"),
        ("analysis: {dissimilarity: crossnobis}", "analysis.pattern_scaling"),
        ("analysis: {dissimilarity: crossnobis, pattern_scaling: none, glm: {pattern: t}}", "analysis.glm.pattern"),
        ("analysis: {voxels: {per_subject: 5000}}", "rehearsal.brain.voxels_per_roi"),
        ("rehearsal: {observer: {rt_floor_s: 0.7}}", "rehearsal.observer.rt_floor_s"),
    ],
)
def test_cross_checks_find_what_does_not_fit(tmp_path: Path, change: str, key: str) -> None:
    study = load_study(write(tmp_path, f"format: 1\nextends: demo\nname: x\n{change}\n"))
    found = {problem.key: problem for problem in check(study, load_rig("rehearsal")).problems}
    assert key in found
    assert found[key].line or key == "buttons"


# What no study means, each key with the value that is refused and what is said to be allowed.
NONSENSE = [
    ("stimuli: {size_px: 1}", "stimuli.size_px", "32"),
    ("stimuli: {n_categories: 1}", "stimuli.n_categories", "2"),
    ("stimuli: {sets: {AN: {confidence: 1.0}}}", "stimuli.sets.AN.confidence", "less than 1"),
    ("stimuli: {sets: {AN: {confidence: 0}}}", "stimuli.sets.AN.confidence", "greater than 0"),
    ("stimuli: {sets: {AN: {noise_sd: 256.0}}}", "stimuli.sets.AN.noise_sd", "255"),
    ("stimuli: {sets: {AI: {linf_preferred: 20}}}", "stimuli.sets.AI.linf_max", "at least linf_preferred, which is 20"),
    ("stimuli: {sets: {AI: {linf_max: 4}}}", "stimuli.sets.AI.linf_max", "at least linf_preferred, which is 8"),
    ("stimuli: {sets: {AI: {linf_tried: []}}}", "stimuli.sets.AI.linf_tried", "at least 1"),
    ("stimuli: {sets: {AI: {linf_tried: [4, 4]}}}", "stimuli.sets.AI.linf_tried", "names 4 twice"),
    ("stimuli: {sets: {AI: {source: AN}}}", "stimuli.sets.AI.source", "kind 'pictures'"),
    ("stimuli: {sets: {AI: {attempts: 99999999999}}}", "stimuli.sets.AI.attempts", "1000"),
    ("design: {runs: 99999999999}", "design.runs", "99"),
    ("design: {subjects: 99999999999}", "design.subjects", "9999"),
    ("scan: {tr_s: 1.0e9}", "scan.tr_s", "60"),
    ("scan: {volumes: 99999999999}", "scan.volumes", "100000"),
    ("seed: 99999999999999999999", "seed", "9223372036854775807"),
    ("tasks: {animals: {sets: []}}", "tasks.animals.sets", "at least 1"),
    ("tasks: {animals: {sets: [XX]}}", "tasks.animals.sets", "a set of stimuli.sets: RE, AN, AI"),
    ("tasks: {animals: {image_deg: 179.0}}", "tasks.animals.image_deg", "120"),
    ("tasks: {animals: {image_s: 99999999.0}}", "tasks.animals.image_s", "3600"),
    ("tasks: {animals: {blank_trials: 99999999999}}", "tasks.animals.blank_trials", "100000"),
    ("analysis: {rois: []}", "analysis.rois", "at least 1"),
    ("analysis: {pairs: []}", "analysis.pairs", "at least 1"),
    ("analysis: {layers: []}", "analysis.layers", "at least 1"),
    ("analysis: {task: nothing}", "analysis.task", "a task: animals"),
    ("analysis: {bootstrap: {resamples: 99999999999}}", "analysis.bootstrap.resamples", "1000000"),
    ("rehearsal: {observer: {accuracy: {XX: 0.5}}}", "rehearsal.observer.accuracy", "a set of stimuli.sets"),
    ("rehearsal: {brain: {shared: {V1: {XX: 0.5}}}}", "rehearsal.brain.shared.V1", "a set of stimuli.sets"),
]


@pytest.mark.parametrize(("change", "key", "allowed"), NONSENSE)
def test_nonsense_is_refused_with_file_line_key_found_and_allowed(
    tmp_path: Path, change: str, key: str, allowed: str
) -> None:
    with pytest.raises(ProtocolError) as raised:
        load_study(write(tmp_path, f"format: 1\nextends: demo\nname: x\n{change}\n"))
    (problem,) = [problem for problem in raised.value.problems if problem.key == key]
    assert problem.file.endswith(".yaml")
    assert problem.line > 0
    assert problem.found
    assert allowed in problem.allowed


RIG = {
    "display": "{width_mm: 400, distance_mm: 800, size_px: [1024, 768], refresh_hz: 60}",
    "trigger": "{kind: emulated}",
    "buttons": "{kind: emulated}",
}


@pytest.mark.parametrize(
    ("part", "old", "new", "key"),
    [
        ("display", "[1024, 768]", "[1, 768]", "display.size_px.0"),
        ("display", "refresh_hz: 60", "refresh_hz: 1.0e6", "display.refresh_hz"),
        ("display", "refresh_hz: 60", "refresh_hz: 0.001", "display.refresh_hz"),
        ("display", "width_mm: 400", "width_mm: 0.4", "display.width_mm"),
        ("display", "distance_mm: 800", "distance_mm: 1.0e9", "display.distance_mm"),
        ("trigger", "emulated", "emulated, delay_s: 1.0e9", "trigger.delay_s"),
        ("trigger", "emulated", "serial, port: COM3, baud: 1", "trigger.baud"),
        ("buttons", "emulated", "emulated, buttons: []", "buttons.buttons"),
        ("buttons", "emulated", "emulated, buttons: [left, left]", "buttons.buttons"),
        ("buttons", "emulated", "keyboard, keys: {}", "buttons.keys"),
    ],
)
def test_nonsense_in_a_rig_is_refused_at_its_line(tmp_path: Path, part: str, old: str, new: str, key: str) -> None:
    parts = RIG | {part: RIG[part].replace(old, new)}
    path = write(tmp_path, "format: 1\nname: r\n" + "".join(f"{name}: {text}\n" for name, text in parts.items()))
    with pytest.raises(ProtocolError) as raised:
        load_rig(path)
    (problem,) = raised.value.problems
    assert (problem.key, problem.line) == (key, 3 + list(RIG).index(part))


def test_a_key_used_for_pulse_and_answer_is_refused(tmp_path: Path) -> None:
    rig = write(
        tmp_path,
        "format: 1\nname: r\ndisplay: {width_mm: 400, distance_mm: 800, size_px: [1024, 768], refresh_hz: 60}\n"
        "trigger: {kind: keyboard, key: '5'}\nbuttons: {kind: keyboard, keys: {left: '5', right: '2'}}\n",
    )
    (problem,) = check(load_study("demo"), load_rig(rig)).problems
    assert problem.key == "buttons.keys.left"
    assert "trigger.key uses it already" in str(problem)
    assert "mine.yaml:5: buttons.keys.left" in str(problem)


def test_rounding_to_frames_is_printed_and_59_94_hz_is_fine(tmp_path: Path) -> None:
    rig = write(
        tmp_path,
        "format: 1\nname: r\ndisplay: {width_mm: 400, distance_mm: 800, size_px: [1024, 768], refresh_hz: 59.94}\n"
        "trigger: {kind: emulated}\nbuttons: {kind: emulated}\n",
    )
    checked = check(load_study("demo"), load_rig(rig))
    assert checked.problems == ()
    assert any("300 frames = 5.00501 s" in note for note in checked.notes)
