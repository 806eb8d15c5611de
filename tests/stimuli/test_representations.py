"""What the analysis of feature adversaries needs stands in the study folder, and is read without torch."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from small_image_study import contents, small_study

from protocols.folder import StudyFolder
from protocols.image_sets import NetworkPlan, ReferencesPlan
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import read_provenance
from protocols.study import Study, load_study
from stimuli.activations import activations
from stimuli.make import make
from stimuli.networks import load_network
from stimuli.picturebook.book import render
from stimuli.pictures import pictures_of
from stimuli.references import references
from stimuli.views import views

SETS = """references: {per_category: 3, random: 5}, sets: {
    FA: {kind: feature_adversary, layer: fc7, max_steps: 25, failures_expected: true},
    FP: {kind: feature_adversary, layer: pool5, max_steps: 10, failures_expected: true},
    RN: {kind: feature_adversary, layer: fc7, network: {name: picturenet, weights: random}, max_steps: 10,
         failures_expected: true},
    EN: {kind: label_adversary, attack: fgsm, networks: [{name: picturenet}, {name: picturenet-b}], failures_expected: true},
    IN: {kind: inversion, layer: conv4, max_steps: 3, failures_expected: true},
}"""

# Distances and ranks of section 3 and table 1 of Sabour et al. 2016, from the files alone.
READER = """
import csv, sys, h5py, numpy as np
from pathlib import Path
here = Path(sys.argv[1])
for row in csv.DictReader((here / "attacks.tsv").open(encoding="utf-8"), delimiter="\\t"):
    if row["kind"] != "feature_adversary":
        continue
    with h5py.File(here / row["activations"]) as images, h5py.File(here / row["references"]) as beside:
        at = {name: place for place, name in enumerate(images["stim_id"].asstr()[:])}
        units = images["layers"][row["layer"]]
        adversary, source, guide = (units[at[row[key]]] for key in ("stim_id", "source_id", "guide_id"))
        ratio = np.linalg.norm(adversary - guide) / np.linalg.norm(source - guide)
        others, names = beside["layers"][row["layer"]][:], beside["reference_id"].asstr()[:]
        near = [set(names[np.argsort(np.linalg.norm(others - one, axis=1))[:3]]) for one in (adversary, guide)]
        print(row["stim_id"], row["network"], row["representation_ratio"], float(ratio), len(near[0] & near[1]))
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, StudyFolder, tuple[Path, ...]]:
    place = tmp_path_factory.mktemp("seen")
    study, folder = small_study(place, SETS), StudyFolder(place / "study")
    make(study, folder, "cpu")
    return study, folder, activations(study, folder, "cpu")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def test_each_attacked_network_has_its_files(seen: tuple[Study, StudyFolder, tuple[Path, ...]]) -> None:
    _, folder, written = seen
    names = ["picturenet", "picturenet_random", "picturenet-b"]
    expected = [path for name in names for path in (folder.activations(name), folder.references(name))]
    assert list(written) == [*expected, folder.attacks]
    rows = read_manifest(folder)
    with h5py.File(folder.activations("picturenet")) as file:
        assert list(file["stim_id"].asstr()[:]) == [row.stim_id for row in rows]
        assert [*file.attrs["layers"], *file.attrs["further_layers"]][-2:] == ["fc8", "pool5"]
    with h5py.File(folder.activations("picturenet_random")) as file:
        assert {name.split("-")[0] for name in file["stim_id"].asstr()[:]} == {"RE", "RN"}
        assert file.attrs["network"] == "picturenet (untrained, seed 0)"


def test_what_is_saved_is_what_the_attacked_network_computes(
    seen: tuple[Study, StudyFolder, tuple[Path, ...]],
) -> None:
    _, folder, _ = seen
    network = load_network("picturenet", "random", "cpu")
    images = {row.stim_id: row.path(folder) for row in read_manifest(folder)}
    with h5py.File(folder.activations("picturenet_random")) as file:
        shown = list(file["stim_id"].asstr()[:])
        pixels = np.stack([np.asarray(Image.open(images[name])) for name in shown])
        assert np.array_equal(file["layers/fc7"][:], network.activations(pixels, ["fc7"])["fc7"])


def test_the_files_alone_give_the_ratios_of_the_manifest(seen: tuple[Study, StudyFolder, tuple[Path, ...]]) -> None:
    _, folder, _ = seen
    command = [sys.executable, "-c", READER, str(folder.attacks.parent)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 12
    for stim_id, network, told, found, shared in lines:
        assert network == ("picturenet_random" if stim_id.startswith("RN") else "picturenet")
        assert float(found) == pytest.approx(float(told), rel=1e-4)
        assert 0 <= int(shared) <= 3


def test_the_table_of_attacks_says_layer_network_and_every_member_of_an_ensemble(
    seen: tuple[Study, StudyFolder, tuple[Path, ...]],
) -> None:
    _, folder, _ = seen
    rows = table(folder.attacks)
    layers = {row["set"]: row["layer"] for row in rows}
    assert layers == {"AI": "n/a", "FA": "fc7", "FP": "pool5", "RN": "fc7", "EN": "n/a", "IN": "conv4"}
    assert [row["network"] for row in rows if row["set"] == "EN"] == ["picturenet", "picturenet-b"] * 4
    hashes = {row["network"]: row["network_sha256"] for row in rows}
    assert read_provenance(folder.attacks)["parameters"] == hashes
    assert hashes["picturenet_random"] == load_network("picturenet", "random", "cpu").weights_sha256


def test_references_are_further_pictures_at_the_attacked_layers(
    seen: tuple[Study, StudyFolder, tuple[Path, ...]],
) -> None:
    study, folder, _ = seen
    with h5py.File(folder.references("picturenet")) as file:
        assert file.attrs["format"] == 1
        assert sorted(file["layers"]) == ["conv4", "fc7", "pool5"]
        assert len(set(file["reference_id"].asstr()[:])) == 17
        assert list(file["sample"].asstr()[:]) == ["category"] * 12 + ["random"] * 5
        _, split, category, number = file["picture"].asstr()[0].split("/")
        picture = render(category, split, int(number), 128)
        layer = load_network("picturenet", device="cpu").activations(picture[None], ["fc7"])["fc7"][0]
        assert file["layers/fc7"][0] == pytest.approx(layer, abs=1e-5)
    with h5py.File(folder.references("picturenet_random")) as file:
        assert sorted(file["layers"]) == ["fc7"]
    assert study.stimuli.references is not None


def test_files_that_stand_are_left_and_made_again_they_are_the_same(
    seen: tuple[Study, StudyFolder, tuple[Path, ...]],
) -> None:
    study, folder, written = seen
    before = contents(folder.attacks.parent)
    times = [path.stat().st_mtime_ns for path in written[:-1]]
    activations(study, folder, "cpu")
    assert [path.stat().st_mtime_ns for path in written[:-1]] == times
    for path in written[:2]:
        path.unlink()
    activations(study, folder, "cpu")
    assert contents(folder.attacks.parent) == before


def test_a_reference_layer_that_there_is_not_names_those_there_are(
    seen: tuple[Study, StudyFolder, tuple[Path, ...]],
) -> None:
    study, folder, _ = seen
    plan = study.stimuli.model_copy(update={"references": ReferencesPlan(layers=("conv9",))})
    with pytest.raises(FoolscanError, match="'conv9'; picturenet has conv1, "):
        activations(study.model_copy(update={"stimuli": plan}), folder, "cpu")


def test_references_of_the_shown_split_are_other_pictures_than_may_be_shown(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    pictures = pictures_of(study)
    beside = references(study, ReferencesPlan(per_category=4, random=30, split="test"), pictures, [])
    assert len({item.picture for item in beside}) == 4 * 4 + 30
    shown = {pictures.image(category, attempt).tobytes() for category in pictures.categories for attempt in range(2)}
    assert not shown & {item.read().tobytes() for item in beside[:4]}


def folder_study(place: Path, n_pictures: int) -> Study:
    """Four categories with so many pictures each in a folder."""
    (place / "own").mkdir()
    rows = ["file\tcategory\tsupercategory\tanimal\tnetwork_class"]
    for category, animal in (("rabbit", "true"), ("owl", "true"), ("car", "false"), ("harp", "false")):
        for number in range(n_pictures):
            name = f"{category}{number}.png"
            Image.fromarray(render(category, "test", number, 128)).save(place / "own" / name)
            rows.append(f"{name}\t{category}\tany\t{animal}\t{category}")
    (place / "own" / "labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return small_study(place, "pictures: {kind: folder, folder: own}")


def test_references_of_a_folder_are_the_pictures_that_are_not_shown(tmp_path: Path) -> None:
    study = folder_study(tmp_path, 3)
    folder = StudyFolder(tmp_path / "study")
    make(study, folder, "cpu")
    rows = read_manifest(folder)
    beside = references(study, ReferencesPlan(per_category=1, random=10), pictures_of(study), rows)
    assert [item.sample for item in beside] == ["category"] * 4 + ["random"] * 4
    shown = {f"{row.category}{row.attempts - 1}.png" for row in rows if row.set == "RE"}
    assert len(shown) == 4
    assert {item.picture for item in beside} == {path.name for path in pictures_of(study).files()} - shown


def test_a_folder_with_nothing_beside_what_is_shown_says_so(tmp_path: Path) -> None:
    study = folder_study(tmp_path, 1)
    folder = StudyFolder(tmp_path / "study")
    make(study, folder, "cpu")
    with pytest.raises(FoolscanError, match="no picture beside those that are shown"):
        references(study, ReferencesPlan(), pictures_of(study), read_manifest(folder))


def test_networks_are_told_apart_by_their_weights(tmp_path: Path) -> None:
    more = ", ".join(
        f"F{number}: {{kind: feature_adversary, layer: fc7, network: {{name: picturenet, weights: {weights}}}}}"
        for number, weights in enumerate(("random", "random_orthonormal", "a/mine.pt", "b/mine.pt"))
    )
    study = small_study(tmp_path, f"sets: {{{more}}}")
    names = [view.name for view in views(study.stimuli)]
    orthonormal = "picturenet_random_orthonormal"
    assert names == ["picturenet", "picturenet_random", orthonormal, "picturenet_mine", "picturenet_mine-2"]
    own = study.stimuli.model_copy(update={"network": NetworkPlan(name="picturenet", weights="mine.pt")})
    assert views(own)[0].name == "picturenet"


def test_the_shipped_study_asks_for_references_at_its_layers() -> None:
    study = load_study("sabour2016")
    assert [view.layers for view in views(study.stimuli)] == [("fc7", "pool5", "conv3", "conv2"), ("fc7",), ("fc7",)]
    radii = sorted(getattr(study.stimuli.sets[name], "epsilon", 0) for name in ("FA5", "FA", "FA15", "FA20", "FA25"))
    assert radii == [5, 10, 15, 20, 25]
