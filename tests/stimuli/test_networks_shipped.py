"""The shipped PictureNets read the picture book, and their cards say the truth."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from stimuli.networks import load_network
from stimuli.networks.model_card import card_text
from stimuli.networks.names import SHIPPED
from stimuli.picturebook.book import CATEGORIES, render

N_EACH = 10
WEIGHTS = Path(str(files("stimuli.networks"))) / "weights"


@pytest.fixture(scope="module")
def test_pictures() -> tuple[np.ndarray, np.ndarray]:
    images = [render(category.name, "test", index, 128) for category in CATEGORIES for index in range(N_EACH)]
    return np.stack(images), np.repeat(np.arange(len(CATEGORIES)), N_EACH)


@pytest.mark.parametrize("name", SHIPPED)
def test_it_names_the_test_pictures(name: str, test_pictures: tuple[np.ndarray, np.ndarray]) -> None:
    images, categories = test_pictures
    found = load_network(name, device="cpu").probabilities(images, batch_size=40)
    accuracy = float(np.mean(found.argmax(1) == categories))
    claimed = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))["accuracy"]["test"]
    assert accuracy >= 0.95
    # Drawings are allowed to be retouched after training, but not so far that the card would no longer hold.
    assert abs(accuracy - claimed) < 0.02


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_says_the_truth(name: str) -> None:
    weights = WEIGHTS / f"{name}.safetensors"
    facts = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    assert weights.stat().st_size == facts["weights_bytes"] <= 10_000_000
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == facts["weights_sha256"]
    assert (WEIGHTS / f"{name}.md").read_text(encoding="utf-8") == card_text(facts)
    network = load_network(name, device="cpu")
    assert network.weights_sha256 == facts["weights_sha256"]
    assert list(network.labels) == facts["labels"] == [category.name for category in CATEGORIES]
    assert sum(parameter.numel() for parameter in network.model.parameters()) == facts["parameters"]
    assert facts["accuracy"]["test"] >= 0.95


def test_the_two_are_independently_seeded() -> None:
    seeds = {json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))["seed"] for name in SHIPPED}
    assert len(seeds) == len(SHIPPED)
    one, other = (load_network(name, device="cpu").model.state_dict()["conv1.weight"].flatten() for name in SHIPPED)
    assert abs(float(np.corrcoef(one, other)[0, 1])) < 0.2
