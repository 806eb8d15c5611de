"""A small study made for real: what counts is on disk, and an interruption leaves no trace."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_image_study import SMALL, TASKS, contents, small_study

import stimuli.make
import stimuli.workshop
from protocols.folder import StudyFolder, write_bytes
from protocols.manifest import COLUMNS, in_set, read_manifest, write_manifest
from protocols.problems import FoolscanError
from protocols.study import Study, load_study
from stimuli.activations import activations
from stimuli.batch_shape import PREFERRED
from stimuli.contact_sheet import contact_sheet
from stimuli.image_files import read_rgb
from stimuli.make import make
from stimuli.networks import load_network
from stimuli.records import only_maker
from stimuli.verify import verify


def test_every_image_is_verified_from_its_file(study: Study, finished: StudyFolder):
    network = load_network("picturenet", device="cpu")
    rows = read_manifest(finished)
    assert [row.set for row in rows] == ["RE"] * 4 + ["AN"] * 4 + ["AI"] * 4
    for row in rows:
        image = np.asarray(Image.open(row.path(finished)))
        assert image.shape == (128, 128, 3)
        posterior = network.probabilities(image[None])[0]
        assert network.labels[int(posterior.argmax())] == row.network_label == row.target_class
        assert float(posterior[network.label_index(row.target_class)]) == pytest.approx(row.confidence, abs=1e-6)
        assert row.success
        assert hashlib.sha256(row.path(finished).read_bytes()).hexdigest() == row.sha256
    assert all(row.confidence >= 0.99 for row in rows if row.set != "RE")


def test_interference_crosses_animacy_and_its_change_is_small(finished: StudyFolder):
    rows = read_manifest(finished)
    for row in in_set(rows, "AI"):
        source = next(other for other in rows if other.stim_id == row.source_id)
        change = read_rgb(row.path(finished)).astype(int) - read_rgb(source.path(finished))
        assert row.linf == np.abs(change).max() <= 16
        assert row.l2 == pytest.approx(np.sqrt((change**2).sum()))
        assert row.animal_network_label is not row.animal_source


def test_noise_is_given_the_class_of_the_paired_picture_and_starts_nowhere_near_it(finished: StudyFolder):
    for row in in_set(read_manifest(finished), "AN"):
        assert (row.network_label, row.source_id, row.l2, row.linf) == (row.category, f"RE-{row.category}", None, None)
        assert row.rms_contrast < 0.1


def test_the_sidecar_describes_every_column_the_batch_and_the_networks(finished: StudyFolder):
    sidecar = json.loads(finished.manifest.with_suffix(".json").read_text(encoding="utf-8"))
    assert all(sidecar[name]["Description"] == text for name, text in COLUMNS.items())
    parameters = sidecar["foolscan"]["parameters"]
    assert parameters["batch_shape"] == [PREFERRED["cpu"], 3, 128, 128]
    assert (parameters["batch_shape_stated_by"], parameters["failures"]) == ("memory", {})
    assert parameters["device"] == "cpu"
    assert "seed 0" in parameters["network"]["description"]
    assert "seed 1" in parameters["second_network"]["description"]
    rows = read_manifest(finished)
    assert all(row.second_network_label is not None for row in rows)


def test_made_again_nothing_is_synthesised_and_nothing_changes(
    study: Study, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
):
    before = contents(folder.root)

    def never(*_: object) -> None:
        raise AssertionError("synthesised again")

    monkeypatch.setattr(stimuli.workshop, "synthesise", lambda method, queue, *_: [never() for _ in queue])
    make(study, folder, "cpu")
    assert contents(folder.root) == before


@pytest.mark.parametrize("images_written", [2, 5, 9])
def test_interrupted_and_run_again_it_ends_with_the_same_bytes(
    study: Study, finished: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images_written: int
):
    folder, written, real = StudyFolder(tmp_path / "new"), [], stimuli.workshop.write_png

    def ctrl_c(path: Path, image: np.ndarray) -> None:
        real(path, image)
        written.append(path)
        if len(written) == images_written:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stimuli.workshop, "write_png", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            make(study, folder, "cpu")
    assert not folder.manifest.exists()
    assert not list(folder.root.rglob("*.tmp*"))
    assert not list(folder.root.rglob("*.lock"))
    make(study, folder, "cpu")
    assert contents(folder.root) == contents(finished.root)


def test_an_image_that_was_changed_is_made_again(study: Study, folder: StudyFolder, finished: StudyFolder):
    path = folder.stimuli / "AN" / "AN-elephant.png"
    victim = path if path.exists() else next((folder.stimuli / "AN").glob("*.png"))
    victim.write_bytes(victim.read_bytes()[:-20])
    make(study, folder, "cpu")
    assert contents(folder.root) == contents(finished.root)


def test_what_cannot_be_reached_is_counted_kept_and_listed(tmp_path: Path):
    hard = "sets: {AN: {kind: adversarial_noise, source: RE, confidence: 0.999999, max_steps: 2, attempts: 2}}"
    result = make(small_study(tmp_path, hard), tmp_path / "to", "cpu")
    assert [row.set for row in result.failures] == ["AN"] * 4
    assert all(row.attempts == 2 for row in result.failures)
    assert result.complaint.startswith("4 of 12 images")
    assert all(row.stim_id in result.complaint for row in result.failures)
    rows = read_manifest(StudyFolder(tmp_path / "to"))
    assert [row.success for row in in_set(rows, "AN")] == [False] * 4


def test_a_picture_that_the_network_misnames_is_replaced_by_the_next_and_counted(study: Study, tmp_path: Path):
    network = load_network("picturenet", device="cpu")
    (cat, *_others) = stimuli.make.pictures_of(study).categories
    real = stimuli.make.pictures_of

    class FirstIsGrey:
        def __init__(self) -> None:
            self.book = real(study)
            self.categories, self.files, self.choices = self.book.categories, self.book.files, self.book.choices
            self.identity, self.conversions = self.book.identity, self.book.conversions

        def image(self, category: object, attempt: int) -> np.ndarray:
            grey = np.full((128, 128, 3), 128, np.uint8)
            return grey if category == cat and attempt == 0 else self.book.image(category, attempt)  # type: ignore[arg-type]

    grey_label = network.classify(np.full((1, 128, 128, 3), 128, np.uint8))[0][0].label
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stimuli.make, "pictures_of", lambda _study: FirstIsGrey())
        result = make(study, tmp_path / "to", "cpu")
    (row,) = [row for row in result.stimuli if row.stim_id == f"RE-{cat.name}"]
    assert row.attempts == (1 if grey_label == cat.name else 2)
    assert row.success


def nothing_at(path: Path) -> bool:
    return not path.exists() or not any(path.iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("network: {name: picturnet}", "picturenet"),
        ("network: {name: picturenet, weights: nowhere.safetensors}", r"nowhere\.safetensors"),
        ("pictures: {kind: folder, folder: nowhere}", "nowhere"),
        ("n_categories: 41", None),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_written(tmp_path: Path, more: str, message: str | None):
    if message is None:
        (tmp_path / "small.yaml").write_text(SMALL.replace("4", "41") + TASKS.replace("12", "123"), encoding="utf-8")
        study, message = (
            load_study(tmp_path / "small.yaml"),
            r"small\.yaml:5: stimuli\.n_categories: found 41; at most 40: the picture book",
        )
    else:
        study = small_study(tmp_path, more)
    with pytest.raises(FoolscanError, match=message):
        make(study, tmp_path / "to", "cpu")
    assert nothing_at(tmp_path / "to")


def test_a_class_that_the_network_lacks_is_said_before_anything_is_written(tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    table = "file\tcategory\tsupercategory\tanimal\tnetwork_class\n"
    for name, animal, label in (("fox", "true", "foxx"), ("car", "false", "car")):
        Image.new("RGB", (128, 128), "grey").save(tmp_path / "pictures" / f"{name}.png")
        table += f"{name}.png\t{name}\tany\t{animal}\t{label}\n"
    (tmp_path / "pictures" / "labels.tsv").write_text(table, encoding="utf-8")
    text = SMALL.replace("{n_categories: 4}", "{n_categories: 2, pictures: {kind: folder, folder: pictures}}")
    (tmp_path / "own.yaml").write_text(text + TASKS.replace("12", "6"), encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"own\.yaml:5: .*'foxx' of category fox"):
        make(load_study(tmp_path / "own.yaml"), tmp_path / "to", "cpu")
    assert nothing_at(tmp_path / "to")


def test_a_disk_that_fills_up_is_said_and_leaves_no_half_file(
    study: Study, finished: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, written, real = StudyFolder(tmp_path / "to"), [], Path.write_bytes

    def filling(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) > 9:
            real(path, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return real(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", filling)
        with pytest.raises(FoolscanError, match="No space left on device"):
            make(study, folder, "cpu")
    whole = contents(finished.root)
    assert all(whole.get(name) == digest for name, digest in contents(folder.root).items())
    make(study, folder, "cpu")
    assert contents(folder.root) == whole


def test_images_that_people_were_shown_are_not_replaced(folder: StudyFolder, tmp_path: Path):
    (folder.root / "sub-01").mkdir()
    with pytest.raises(FoolscanError, match="sub-01 was recorded with other stimuli"):
        make(small_study(tmp_path, "size_px: 96"), folder, "cpu")


def test_images_that_people_see_in_their_browsers_are_not_replaced(folder: StudyFolder, tmp_path: Path):
    folder.derived("online").mkdir(parents=True)
    (folder.derived("online") / "recognition.sqlite3").write_bytes(b"")
    with pytest.raises(FoolscanError, match=r"recognition\.sqlite3 was recorded with other stimuli"):
        make(small_study(tmp_path, "size_px: 96"), folder, "cpu")


@pytest.mark.parametrize("command", [make, contact_sheet, activations], ids=lambda command: command.__name__)
def test_two_commands_do_not_work_in_one_folder_of_images(
    study: Study, folder: StudyFolder, command: Callable[[Study, StudyFolder], object]
):
    with only_maker(folder), pytest.raises(FoolscanError, match="wait for it"):
        command(study, folder)
    command(study, folder)
    assert not list(folder.root.rglob("*.lock"))


def test_what_was_made_is_verified(study: Study, finished: StudyFolder):
    result = verify(study, finished, "cpu")
    assert (result.n_images, result.disagreements) == (12, ())


def swap_two(folder: StudyFolder) -> None:
    one, two = sorted((folder.stimuli / "RE").glob("*.png"))[:2]
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


def lower_the_confidence(folder: StudyFolder) -> None:
    rows = read_manifest(folder)
    changed = [dataclasses.replace(rows[0], confidence=0.5), *rows[1:]]
    write_manifest(folder, changed)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: next((folder.stimuli / "AI").glob("*.png")).unlink(), "no such picture"),
        (lambda folder: next((folder.stimuli / "AI").glob("*.png")).write_bytes(b""), "0 bytes"),
        (swap_two, "sha256 differs"),
        (lower_the_confidence, "the manifest says 0.500000"),
        (lambda folder: write_bytes(folder.stimuli / "AN" / "other.png", b"x"), "not in the manifest"),
    ],
)
def test_every_disagreement_is_found(
    study: Study, folder: StudyFolder, spoil: Callable[[StudyFolder], None], message: str
):
    spoil(folder)
    found = verify(study, folder, "cpu").disagreements
    assert any(message in str(disagreement) for disagreement in found)


def test_an_image_whose_name_stands_in_another_s_message_is_still_judged(study: Study, folder: StudyFolder):
    first, second, *rest = read_manifest(folder)
    judged = dataclasses.replace(first, confidence=0.5)
    broken = dataclasses.replace(second, stim_file=f"again/{first.stim_file}")
    broken.path(folder).parent.mkdir(parents=True)
    broken.path(folder).write_bytes(b"")
    second.path(folder).unlink()
    write_manifest(folder, [judged, broken, *rest])
    found = {problem.file: problem for problem in verify(study, folder, "cpu").disagreements}
    assert "0 bytes" in found[broken.stim_file].found
    assert not found[broken.stim_file].readable
    assert "the manifest says 0.500000" in found[judged.stim_file].found
