"""Model RDMs: from the manifest, from pixels, from layers; and the RDMs of 2008."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from analysis.inference.models import Model, models_of_images, models_of_rdms, pixel_dissimilarities
from analysis.rdm import Rdm, condensed
from analysis.similarity import correlation
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError


def of_images(names: list[str], images: list, everything: list | None = None) -> dict[str, Model]:
    found = models_of_images(names, images[0].set, images, lambda: np.zeros(0), everything or images)
    return {model.name: model for model in found}


def test_supercategory_and_animacy_are_zero_within_and_one_between(fake: SimpleNamespace) -> None:
    images = [image for image in fake.manifest(12) if image.set == "RE"]  # three supercategories, the second no animals
    models = of_images(["animacy", "supercategory"], images)
    animal = np.array([image.animal_source for image in images])
    group = np.array([image.supercategory for image in images])
    for name, labels in (("animacy", animal), ("supercategory", group)):
        expected = condensed((labels[:, None] != labels).astype(float))
        assert np.array_equal(models[name].values, expected)


def test_target_animacy_is_that_of_the_class_an_image_was_made_for(fake: SimpleNamespace) -> None:
    from dataclasses import replace

    manifest = fake.manifest(8)
    regular = [image for image in manifest if image.set == "RE"]
    noise = [
        replace(image, target_class=regular[(i + 4) % 8].category)
        for i, image in enumerate(image for image in manifest if image.set == "AN")
    ]
    noise[0] = replace(noise[0], target_class=regular[1].category)  # an animal's source for an animal's class
    models = of_images(["target_animacy"], noise, [*regular, *noise])
    animal = np.array([True, False, False, False, True, True, True, True])
    assert np.array_equal(models["target_animacy"].values, condensed((animal[:, None] != animal).astype(float)))
    unknown = [replace(noise[0], target_class="no such class"), *noise[1:]]
    model = of_images(["target_animacy"], unknown, [*regular, *unknown])["target_animacy"]
    assert model.values is None
    assert model.note == "not known of every image of this set"


def test_a_model_that_does_not_vary_says_so(fake: SimpleNamespace) -> None:
    images = [image for image in fake.manifest(4) if image.set == "RE"]
    model = of_images(["animacy"], images)["animacy"]
    assert model.values is None
    assert model.note == "the same for every two images of this set"


def test_the_pixel_model_is_one_minus_the_correlation_of_pixels(fake: SimpleNamespace, tmp_path: Path) -> None:
    images = [image for image in fake.manifest(3) if image.set == "RE"]
    folder = StudyFolder(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3)).astype(np.uint8)
    for image, values in zip(images, pixels, strict=True):
        image.path(folder).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(image.path(folder))
    expected = 1 - np.corrcoef(pixels.reshape(3, -1))
    assert np.allclose(pixel_dissimilarities(folder, images), condensed(expected), atol=1e-12)
    Image.new("L", (7, 5), 90).save(images[1].path(folder))
    assert np.isnan(pixel_dissimilarities(folder, images)).tolist() == [True, False, True]
    Image.new("L", (9, 9), 90).save(images[2].path(folder))
    with pytest.raises(FoolscanError, match=r"9 × 9 pixels.*analysis\.models"):
        pixel_dissimilarities(folder, images)
    images[2].path(folder).write_bytes(b"")
    with pytest.raises(FoolscanError, match=r"not readable as an image.*make the stimuli again"):
        pixel_dissimilarities(folder, images)


def test_layers_and_sets_are_models() -> None:
    rng = np.random.default_rng(0)

    def rdm(name: str) -> Rdm:
        return Rdm(rng.random(3), tuple(f"{name}-{i}" for i in "abc"), "spearman", {"set": name})

    layers = {(layer, name): rdm(name) for layer in ("fc7", "fc:8") for name in ("RE", "AN")}
    here = {name: rdm(name) for name in ("RE", "AN")}
    names = ["animacy", "layer:fc7", "layer:fc7:RE", "layer:fc:8", "set:RE"]
    found = models_of_rdms(names, "AN", layers, here)
    assert [model.name for model in found] == names[1:]
    wanted = [layers["fc7", "AN"], layers["fc7", "RE"], layers["fc:8", "AN"], here["RE"]]
    for model, of in zip(found, wanted, strict=True):
        assert np.array_equal(model.values, of.values)
    assert models_of_rdms(["set:AN"], "AN", layers, here)[0].note == "the set itself"
    assert "stimuli activations" in models_of_rdms(["layer:fc7"], "AN", {}, here)[0].note
    for wrong in ("layer:fc9", "layer:fc7:XX", "set:XX"):
        with pytest.raises(FoolscanError, match=f"analysis.models: found '{wrong}'"):
            models_of_rdms([wrong], "AN", layers, here)


def test_the_paper_of_2008_animacy_and_monkey_it(project_root: Path) -> None:
    """Kriegeskorte et al. 2008: human against monkey IT .4912 (Pearson), .4389 (Spearman); animacy .588 (Spearman)."""
    from scipy.io import loadmat

    data = project_root.parent / "shared" / "data" / "kriegeskorte2008"
    if not data.is_dir():
        pytest.skip("the RDMs of Kriegeskorte et al. 2008 are not on this machine")
    human = np.mean([rdm["RDM"] for rdm in loadmat(data / "92_brainRDMs.mat", squeeze_me=True)["RDMs"].ravel()], axis=0)
    models = loadmat(data / "92_modelRDMs.mat", squeeze_me=True)["Models"]
    of_name = {str(model["name"]): condensed(np.asarray(model["RDM"], dtype=float)) for model in models}
    measured = condensed(human)
    assert correlation(measured, of_name["monkeyIT"], "pearson") == pytest.approx(0.4912, abs=5e-5)
    assert correlation(measured, of_name["monkeyIT"], "spearman") == pytest.approx(0.4389, abs=5e-5)
    assert correlation(measured, of_name["animacy"], "spearman") == pytest.approx(0.588, abs=5e-4)
    assert correlation(measured, of_name["animacy"], "pearson") == pytest.approx(0.577, abs=5e-4)
