"""Studies and weights that cannot be meant: said at their place by ``check`` and by ``make``, status 2, nothing written."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from small_image_study import TASKS, contents
from torchvision import models

import foolscan
import stimuli
from stimuli.networks.weights_file import ENTRY

HEAD = "format: 1\nextends: demo\nname: bad\ntitle: bad\n"


def write_study(place: Path, stimuli_lines: str) -> Path:
    """A study of four categories whose ``stimuli`` begin in line 5."""
    lines = "".join(f"  {line}\n" for line in ["n_categories: 4", *stimuli_lines.split("\n")])
    (place / "bad.yaml").write_text(f"{HEAD}stimuli:\n{lines}{TASKS}", encoding="utf-8")
    return place / "bad.yaml"


class Said:
    """What a command said, and how it ended."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self.monkeypatch, self.capsys = place, monkeypatch, capsys

    def by(self, *words: str) -> tuple[int, str]:
        """Exit status and the words on stderr."""
        self.monkeypatch.chdir(self.place)
        self.monkeypatch.setattr(sys, "argv", ["foolscan", *words])
        with pytest.raises(SystemExit) as ended:
            foolscan.main()
        return int(ended.value.code or 0), self.capsys.readouterr().err

    def refused(self, *words: str) -> str:
        """What both ``check`` and ``make`` end with: `words`, at their line, and status 2 with nothing written."""
        before = contents(self.place)
        status, checked = self.by("check", "bad.yaml")
        assert status == 2, checked
        for word in words:
            assert word in checked
        status, made = self.by("stimuli", "make", "bad.yaml", "--to", "out", "--device", "cpu")
        assert status == 2, made
        for word in words:
            assert word in made
        assert "Traceback" not in checked + made
        assert contents(self.place) == before
        assert not (self.place / "out").exists()
        return made


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    "recipe",
    ["{kind: feature_adversary, layer: pool9}", "{kind: inversion, layer: pool9}"],
    ids=["feature", "inversion"],
)
def test_a_layer_that_there_is_not(said: Said, recipe: str) -> None:
    write_study(said.place, f"sets:\n  F: {recipe}")
    layers = "conv1, conv2, conv3, conv4, conv5, fc6, fc7, fc8, pool1, pool2, pool5"
    said.refused(
        "bad.yaml:8: stimuli.sets.F.layer: found 'pool9' (did you mean 'pool5'?)", f"a layer of picturenet: {layers}"
    )


def test_the_layers_that_are_told_are_those_of_the_recipe_s_own_network(said: Said) -> None:
    recipe = "{kind: feature_adversary, layer: conv9, network: {name: squeezenet1_1, weights: random}}"
    write_study(said.place, f"sets: {{F: {recipe}}}")
    status, checked = said.by("check", "bad.yaml")
    assert status == 2
    assert "stimuli.sets.F.layer: found 'conv9'" in checked
    assert "a layer of squeezenet1_1: features.0, features.1" in checked


def test_a_layer_of_references_that_there_is_not(said: Said) -> None:
    write_study(said.place, "references: {layers: [fc7, fc9]}")
    status, checked = said.by("check", "bad.yaml")
    assert status == 2
    assert "bad.yaml:7: stimuli.references.layers: found 'fc9' (did you mean 'fc8'?)" in checked


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        ("{kind: feature_adversary, layer: fc7, epsilon: 0.0}", "epsilon"),
        ("{kind: label_adversary, attack: pgd, epsilon: 0.0}", "epsilon"),
        ("{kind: label_adversary, attack: pgd, step: 300.0}", "step"),
        ("{kind: adversarial_interference, linf_max: 0}", "linf_max"),
    ],
)
def test_no_room_for_a_change_or_too_much(said: Said, recipe: str, key: str) -> None:
    write_study(said.place, f"sets: {{F: {recipe}}}")
    status, checked = said.by("check", "bad.yaml")
    assert status == 2
    assert f"bad.yaml:7: stimuli.sets.F.{key}: found " in checked
    for limit in ("greater than", "less than or equal to 255"):
        assert limit in checked
    assert said.by("stimuli", "make", "bad.yaml", "--to", "out")[0] == 2
    assert not (said.place / "out").exists()


@pytest.mark.parametrize(
    ("targets", "found", "allowed"),
    [
        ("{owl: owl}", "found 'owl', which is the class of owl itself", "another class"),
        ("{owl: guitr}", "found 'guitr' (did you mean 'guitar'?)", "one of the 40 classes of the network"),
        ("{owll: car}", "found the category 'owll' (did you mean 'owl'?)", "a category of the study"),
    ],
)
@pytest.mark.parametrize("kind", ["adversarial_interference", "label_adversary, attack: fgsm"])
def test_a_wrong_class_that_is_none(said: Said, targets: str, found: str, allowed: str, kind: str) -> None:
    own_pictures(said.place)
    write_study(
        said.place, f"pictures: {{kind: folder, folder: own}}\nsets:\n  A: {{kind: {kind}, targets: {targets}}}"
    )
    made = said.refused(f"bad.yaml:9: stimuli.sets.A.targets.{targets[1:5].rstrip(':')}", found, allowed)
    assert found in made


def test_away_has_no_wrong_class_to_name_and_nothing_to_vote_for(said: Said) -> None:
    for more, allowed in (
        ("targets: {owl: car}", "none with target: away"),
        ("ensemble: vote", "a vote is for a target"),
    ):
        write_study(said.place, f"sets: {{A: {{kind: label_adversary, attack: fgsm, target: away, {more}}}}}")
        status, checked = said.by("check", "bad.yaml")
        assert status == 2
        assert allowed in checked


def own_pictures(place: Path, **classes: str) -> None:
    """Two animals and two things in a folder; `classes` replace the class of a category."""
    from stimuli.picturebook.book import render

    (place / "own").mkdir()
    rows = ["file\tcategory\tsupercategory\tanimal\tnetwork_class"]
    for category, animal in (("owl", "true"), ("snake", "true"), ("car", "false"), ("harp", "false")):
        Image.fromarray(render(category, "test", 0, 128)).save(place / "own" / f"{category}.png")
        rows.append(f"{category}.png\t{category}\tany\t{animal}\t{classes.get(category, category)}")
    (place / "own" / "labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_a_class_that_the_network_does_not_have(said: Said) -> None:
    own_pictures(said.place, harp="harpp")
    write_study(said.place, "pictures: {kind: folder, folder: own}")
    said.refused(
        "bad.yaml:7: stimuli.pictures: found network_class 'harpp' of category harp (did you mean 'harp'?)",
        "one of the 40 classes of picturenet",
    )


def test_a_rule_that_gives_the_source_s_own_class(said: Said) -> None:
    own_pictures(said.place, harp="owl")
    write_study(said.place, "pictures: {kind: folder, folder: own}\nsets: {AI: {target: other_animacy}}")
    made = said.refused("stimuli.sets.AI.target: found other_animacy", "network_class 'owl' of owl", "mend the table")
    assert "so the target could be the source's own class" in made


@pytest.mark.parametrize("name", ["picturnet", "alexnett"])
def test_a_network_that_there_is_not(said: Said, name: str) -> None:
    write_study(said.place, f"network: {{name: {name}}}")
    made = said.refused(f"bad.yaml:7: stimuli.network.name: found {name!r}", "did you mean")
    assert "did you mean" in made


def spoilt_picturenet(path: Path, value: float | None) -> None:
    """The shipped weights with one value replaced, or (None) with a layer of another shape."""
    shipped = Path(stimuli.__file__).parent / "networks/weights/picturenet.safetensors"
    from safetensors import safe_open

    with safe_open(shipped, framework="pt") as file:
        metadata = {ENTRY: file.metadata()[ENTRY]}
    tensors = load_file(shipped)
    if value is None:
        tensors["fc7.weight"] = tensors["fc7.weight"][:100].contiguous()
    else:
        tensors["conv3.weight"][0, 0, 0, 0] = value
    save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_weights_that_cannot_be_used_are_named_with_their_file_and_tensor(said: Said, value: float | None) -> None:
    path = said.place / "mine.safetensors"
    spoilt_picturenet(path, value)
    write_study(said.place, "network: {name: picturenet, weights: mine.safetensors}")
    words = ("fc7.weight is 100 x 512, expected 512 x 512",) if value is None else ("NaN or infinity", "conv3.weight")
    head = "bad.yaml:7: stimuli.network.weights: found 'mine.safetensors'; a file of weights that picturenet can use. "
    said.refused(head, str(path), *words)


def test_weights_of_torchvision_that_are_of_another_shape_or_another_network(said: Said) -> None:
    state = models.squeezenet1_1(weights=None).state_dict()
    state["features.3.squeeze.weight"] = torch.zeros(16, 64, 3, 3)
    torch.save(state, said.place / "mine.pt")
    write_study(said.place, "network: {name: squeezenet1_1, weights: mine.pt}")
    made = said.refused(
        "stimuli.network.weights", "features.3.squeeze.weight is 16 x 64 x 3 x 3, expected 16 x 64 x 1 x 1"
    )
    assert "Give a file of this network" in made
    del state["features.3.squeeze.weight"]
    state["head"] = torch.zeros(3)
    torch.save(state, said.place / "mine.pt")
    said.refused("lacks features.3.squeeze.weight", "has head, which this network has not")


def test_a_weights_file_that_is_not_there_or_damaged(said: Said) -> None:
    write_study(said.place, "network: {name: picturenet, weights: mine.safetensors}")
    said.refused("stimuli.network.weights: found no file", "a state dict (.pt, .pth, .safetensors), random")
    shipped = Path(stimuli.__file__).parent / "networks/weights/picturenet.safetensors"
    shutil.copy(shipped, said.place / "mine.safetensors")
    whole = shipped.read_bytes()
    (said.place / "mine.safetensors").write_bytes(whole[: len(whole) // 2])
    said.refused("not a readable safetensors file", "get it anew or train again")


def test_old_files_without_a_count_of_batches_are_still_read(tmp_path: Path) -> None:
    from stimuli.networks import load_network

    state = models.shufflenet_v2_x0_5(weights=None).state_dict()
    torch.save({key: value for key, value in state.items() if "num_batches" not in key}, tmp_path / "old.pt")
    assert load_network("shufflenet_v2_x0_5", tmp_path / "old.pt", "cpu").labels[0] == "tench"


def test_networks_of_other_classes_in_an_ensemble(said: Said) -> None:
    mixed = "networks: [{name: picturenet}, {name: squeezenet1_1, weights: random}]"
    write_study(said.place, f"sets: {{F: {{kind: label_adversary, attack: fgsm, {mixed}}}}}")
    made = said.refused("stimuli.sets.F.networks.1: found squeezenet1_1 with 1000 classes of its own", "picturenet")
    assert "an ensemble needs the same ones" in made
