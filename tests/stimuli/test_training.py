"""The training command learns, repeats itself, and leaves nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stimuli.networks import NetworkError, load_network
from stimuli.networks.augmentation import Augmentation, augmented, colour_rotations
from stimuli.networks.fitting import Recipe
from stimuli.networks.picturenet import Widths
from stimuli.networks.pictures import draw_pictures
from stimuli.networks.training import Confusion, confusions_of, train_picturenet

SHAPES = ("disc", "bar", "cross")
SMALL = Recipe(
    n_train=32, n_validation=4, n_test=8, epochs=6, batch_size=16, widths=Widths(8, 8, 8, 8, 8, 16, 16), dropout=0.1
)


def draw_shape(category: str, split: str, index: int, size_px: int, seed: int) -> np.ndarray:
    """Draw a disc, a bar or a cross of any colour anywhere: a picture book of three."""
    rng = np.random.default_rng([SHAPES.index(category), len(split), index, seed])
    y, x = np.mgrid[:size_px, :size_px] / size_px - rng.uniform(0.4, 0.6, (2, 1, 1))
    bar = (abs(y) < 0.08) & (abs(x) < 0.35)
    figure = {"disc": x**2 + y**2 < 0.3**2, "bar": bar, "cross": bar | ((abs(x) < 0.08) & (abs(y) < 0.35))}[category]
    dark, light = rng.integers(0, 90, 3), rng.integers(150, 256, 3)
    return np.where(figure[..., None], light, dark).astype(np.uint8)


def test_a_small_one_learns_and_its_card_holds_the_facts(tmp_path: Path) -> None:
    out, told = tmp_path / "shapes.safetensors", []
    trained = train_picturenet(
        out,
        5,
        SMALL,
        categories=SHAPES,
        n_threads=1,
        render=draw_shape,
        on_progress=lambda what, done, n_all: told.append((what, done, n_all)),
    )
    assert trained.accuracy["test"] >= 0.9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shapes.json", "shapes.md", "shapes.safetensors"]
    facts = json.loads(trained.facts.read_text(encoding="utf-8"))
    assert facts["accuracy"] == trained.accuracy
    assert facts["pictures"] == {"train": 96, "validation": 12, "test": 24}
    card = trained.card.read_text(encoding="utf-8")
    assert facts["weights_sha256"] in card
    assert "foolscan stimuli train --out shapes.safetensors --seed 5" in card
    phases = {what: [(done, n_all) for other, done, n_all in told if other == what] for what, _, _ in told}
    drawing = [f"draw {split} pictures" for split in ("train", "validation", "test")]
    assert list(phases) == [drawing[0], "train", *drawing[1:], "measure accuracy"]
    for steps in phases.values():
        assert [done for done, _ in steps] == list(range(steps[0][1] + 1))  # a bar from the first moment to the last
    network = load_network("picturenet", out, "cpu")
    assert network.labels == SHAPES
    pictures = draw_pictures(SHAPES, "test", 8, 128, 0, render=draw_shape)
    named = network.probabilities(pictures.images).argmax(1)
    assert np.mean(named == pictures.targets) == pytest.approx(trained.accuracy["test"], abs=1e-5)
    with pytest.raises(NetworkError, match=r"2 labels given, but .* 3 output units"):
        load_network("picturenet", out, "cpu", labels=["one", "two"])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    recipe = Recipe(**{**vars(SMALL), "n_train": 16, "epochs": 1, "n_test": 2, "n_validation": 2})
    written = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.safetensors"
        train_picturenet(out, seed, recipe, categories=SHAPES, n_threads=1, render=draw_shape)
        written.append(out.read_bytes())
        torch.rand(1)  # what else draws from torch's own stream does not matter
    assert written[0] == written[1]
    assert written[0] != written[2]


def test_training_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def broken(category: str, split: str, index: int, size_px: int, seed: int) -> np.ndarray:
        if split == "test":
            raise OSError("No space left on device")
        return draw_shape(category, split, index, size_px, seed)

    recipe = Recipe(**{**vars(SMALL), "n_train": 8, "epochs": 1})
    with pytest.raises(OSError, match="No space left"):
        train_picturenet(tmp_path / "x.safetensors", 0, recipe, categories=SHAPES, n_threads=1, render=broken)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NetworkError, match=r"must end in \.safetensors"):
        train_picturenet(tmp_path / "x.pt", 0, recipe, categories=SHAPES, render=draw_shape)


def test_pictures_are_the_same_whatever_the_number_of_processes() -> None:
    one = draw_pictures(("cat", "mug"), "train", 2, 64, 7)
    two = draw_pictures(("cat", "mug"), "train", 2, 64, 7, n_processes=2)
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.targets, [0, 0, 1, 1])


def test_augmentation_follows_its_generator_and_stays_in_range() -> None:
    images = torch.rand(6, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 255
    one, again = (augmented(images, Augmentation(), torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, again)
    assert one.shape == images.shape
    assert one.min() >= 0
    assert one.max() <= 255
    none = Augmentation(0, 0, 0, (1, 1), 0)
    torch.testing.assert_close(augmented(images, none, torch.Generator().manual_seed(4)), images, rtol=0, atol=1e-3)


def test_mixed_colours_leave_greys_grey() -> None:
    mixing = colour_rotations(20, torch.Generator().manual_seed(2))
    torch.testing.assert_close(mixing @ torch.ones(3), torch.ones(20, 3))


def test_confusions_are_counted_most_frequent_first() -> None:
    true, found = np.array([0, 0, 0, 1, 2, 2]), np.array([1, 1, 0, 1, 0, 2])
    assert confusions_of(found, true, SHAPES) == (Confusion("disc", "bar", 2), Confusion("cross", "disc", 1))
