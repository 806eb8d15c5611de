"""A network, whatever its name, is the same kind of object: frozen, exact in its preprocessing, clear in its errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision import models
from torchvision.transforms._presets import ImageClassification

from stimuli.networks import Network, NetworkError, Preprocessing, load_network
from stimuli.networks import imagenet as imagenet_module
from stimuli.networks.picturenet import LAYERS, PREPROCESSING, Widths, folded, initialise, picturenet

ALEXNETS_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


def pixels(n_images: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n_images, height, width, 3), dtype=np.uint8)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))


@pytest.fixture(scope="module")
def untrained() -> Network:
    return load_network("picturenet", weights="random", device="cpu", seed=3, labels=[f"label{i}" for i in range(40)])


def test_picturenet_has_alexnets_plan() -> None:
    model = picturenet(40)
    x, shapes = torch.zeros(1, 3, 128, 128), {}
    for name, module in model.named_children():
        x = module(x)
        shapes[name] = tuple(x.shape[1:])
    assert [shapes[f"conv{i}"][1] for i in range(1, 6)] == [31, 15, 7, 7, 7]
    assert [shapes[f"pool{i}"][1] for i in (1, 2, 5)] == [15, 7, 3]
    kernels = [model.state_dict()[f"conv{i}.weight"].shape[-1] for i in range(1, 6)]
    assert kernels == [11, 5, 3, 3, 3]
    assert model.get_submodule("conv1").stride == (4, 4)
    assert shapes["fc8"] == (40,)
    assert tuple(LAYERS) == ALEXNETS_LAYERS


def test_folding_batch_normalisation_keeps_the_function() -> None:
    generator = torch.Generator().manual_seed(1)
    model = picturenet(7, normalised=True, dropout=0.3)
    initialise(model, generator)
    for _ in range(3):
        model.train()(torch.randn(16, 3, 128, 128, generator=generator) * 2 + 0.5)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2, generator=generator)
                module.bias.uniform_(-1, 1, generator=generator)
    x = torch.randn(4, 3, 128, 128, generator=generator)
    plain = folded(model.eval(), Widths(), 7)
    torch.testing.assert_close(plain(x), model(x), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d | torch.nn.Dropout) for module in plain.modules())


def test_probabilities_are_probabilities_of_the_logits(untrained: Network) -> None:
    images = pixels(11, 128, 128)
    found = untrained.probabilities(images)
    assert found.shape == (11, 40)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    expected = functional.softmax(untrained.logits(as_tensor(images)).double(), dim=1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_images_probabilities_do_not_depend_on_its_neighbours(untrained: Network) -> None:
    images = pixels(13, 128, 128)
    together = untrained.probabilities(images)
    alone = np.concatenate([untrained.probabilities(image[None]) for image in images])
    np.testing.assert_array_equal(together, alone)


def test_gradient_flows_to_the_image_and_to_nothing_else(untrained: Network) -> None:
    images = as_tensor(pixels(2, 128, 128)).requires_grad_()
    untrained.logits(images)[:, 5].sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in untrained.model.parameters())
    assert not untrained.model.training


def test_gradient_passes_through_the_resizing(untrained: Network) -> None:
    images = as_tensor(pixels(1, 200, 150)).requires_grad_()
    (gradient,) = torch.autograd.grad(untrained.responses(images, ["conv3"])["conv3"].sum(), images)
    assert gradient.shape == images.shape
    assert gradient.abs().sum() > 0


def test_an_image_of_the_input_size_stays_on_its_grid() -> None:
    images = as_tensor(pixels(2, 224, 224)).double()
    preprocessing = Preprocessing(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    mean = torch.tensor(preprocessing.mean, dtype=torch.float64).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, dtype=torch.float64).view(1, 3, 1, 1)
    torch.testing.assert_close(preprocessing(images), (images / 255.0 - mean) / std, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("height", "width"), [(300, 300), (256, 256), (375, 500), (500, 333), (100, 180)])
@pytest.mark.parametrize("name", ["alexnet", "inception_v3", "vit_b_16"])
def test_preprocessing_is_torchvisions_own(name: str, height: int, width: int) -> None:
    published = imagenet_module.published_weights(name)
    theirs = published.transforms()
    assert isinstance(theirs, ImageClassification)
    ours = imagenet_module.preprocessing_of(published)
    images = as_tensor(pixels(2, height, width))
    torch.testing.assert_close(ours(images), theirs(images / 255.0), rtol=0, atol=2e-5)
    # Given bytes, torchvision rounds after resizing; a rounding cannot be differentiated, so half a level remains.
    from_bytes = theirs(images.to(torch.uint8))
    assert (ours(images) - from_bytes).abs().max() <= 0.5001 / 255 / min(ours.std) + 1e-5


def test_picturenets_input_is_its_pixels_normalised() -> None:
    images = as_tensor(pixels(1, 128, 128)).double()
    torch.testing.assert_close(PREPROCESSING(images), (images / 255 - 0.5) / 0.25, rtol=0, atol=1e-14)


def test_activations_do_not_depend_on_the_batch_size(untrained: Network) -> None:
    images = pixels(9, 128, 128)
    one, many = untrained.activations(images, batch_size=1), untrained.activations(images, batch_size=9)
    assert tuple(one) == ALEXNETS_LAYERS
    for layer in ALEXNETS_LAYERS:
        assert one[layer].shape[0] == 9
        np.testing.assert_allclose(one[layer], many[layer], rtol=1e-3, atol=1e-4)


def test_activations_are_the_rectified_ones_and_fc8_the_logits(untrained: Network) -> None:
    images = pixels(3, 128, 128)
    found = untrained.activations(images, ["conv1", "fc7", "fc8"])
    assert found["conv1"].shape == (3, 48 * 31 * 31)
    assert found["conv1"].min() == 0
    assert found["fc7"].min() == 0
    np.testing.assert_allclose(found["fc8"], untrained.logits(as_tensor(images)).numpy(), rtol=1e-3, atol=1e-4)
    normalised = PREPROCESSING(as_tensor(images))
    conv1 = untrained.model.get_submodule("conv1")
    assert isinstance(conv1, torch.nn.Conv2d)
    by_hand = functional.relu(functional.conv2d(normalised, conv1.weight, conv1.bias, stride=4, padding=2)).flatten(1)
    np.testing.assert_allclose(found["conv1"], by_hand.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "input_px", "some_layers"),
    [
        ("alexnet", 224, ALEXNETS_LAYERS),
        ("resnet50", 224, ("conv1", "layer1", "layer4", "fc")),
        ("inception_v3", 299, ("Conv2d_1a_3x3", "Mixed_7c", "fc")),
        ("googlenet", 224, ("conv1", "inception3a", "inception5b", "fc")),
    ],
)
def test_torchvisions_networks_by_name(name: str, input_px: int, some_layers: tuple[str, ...]) -> None:
    network = load_network(name, weights="random", device="cpu", seed=1)
    assert network.input_px == input_px
    assert len(network.labels) == 1000
    assert network.labels[0] == "tench"
    assert set(some_layers) <= set(network.layers)
    found = network.activations(pixels(1, 260, 300), network.layers, batch_size=1)
    assert list(found) == list(network.layers)
    assert found[network.layers[-1]].shape == (1, 1000)
    assert "untrained" in network.name
    assert "UNTRAINED" in network.description


def test_vgg_layers_are_named_as_in_the_paper() -> None:
    with torch.device("meta"):
        model = models.vgg16(weights=None)
    layers = imagenet_module.layers_of("vgg16", model)
    expected = [f"conv{b}_{i}" for b, n in zip(range(1, 6), (2, 2, 3, 3, 3), strict=True) for i in range(1, n + 1)]
    assert list(layers) == [*expected, "fc6", "fc7", "fc8"]


def test_the_description_says_which_alexnet_it_is() -> None:
    network = load_network("alexnet", weights="random", device="cpu")
    assert "not the AlexNet of 2012 nor CaffeNet" in network.description


def test_random_weights_follow_their_seed() -> None:
    hashes = [load_network("squeezenet1_1", "random", "cpu", seed=seed).weights_sha256 for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_own_weights_from_a_state_dict(tmp_path: Path) -> None:
    model = models.squeezenet1_1(weights=None, num_classes=5).eval()
    path = tmp_path / "mine.pt"
    torch.save(model.state_dict(), path)
    network = load_network("squeezenet1_1", path, "cpu", labels=["a", "b", "c", "d", "e"])
    images = as_tensor(pixels(1, 224, 224))
    torch.testing.assert_close(network.logits(images), model(network.preprocessing(images)))
    with pytest.raises(NetworkError, match=r"3 labels given, but .* 5 output units"):
        load_network("squeezenet1_1", path, "cpu", labels=["a", "b", "c"])
    with pytest.raises(NetworkError, match=r"1000 labels of ImageNet, but .* 5 output units; give `labels`"):
        load_network("squeezenet1_1", path, "cpu")


def test_imagenet_weights_on_disk_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    published = imagenet_module.published_weights("squeezenet1_1")
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / published.url.rsplit("/", 1)[-1]
    torch.save(models.squeezenet1_1(weights=None).state_dict(), path)
    network = load_network("squeezenet1_1", device="cpu")
    assert network.name == "squeezenet1_1"
    assert "IMAGENET1K_V1" in network.description


def test_weights_out_of_reach_say_where_to_put_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_line(*_args: object, **_named: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(imagenet_module.urllib.request, "urlopen", no_line)
    with pytest.raises(NetworkError) as caught:
        load_network("alexnet", device="cpu")
    for part in ("alexnet-owt-7be5be79.pth", str(tmp_path), "weights: path.pt", "no route to host", "picturenet"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_name_lists_near_ones() -> None:
    with pytest.raises(NetworkError, match=r"did you mean .*alexnet"):
        load_network("alexnt")
    with pytest.raises(NetworkError, match=r"did you mean .*picturenet"):
        load_network("PictureNett")


def test_a_layer_that_does_not_exist_lists_those_that_do(untrained: Network) -> None:
    with pytest.raises(NetworkError, match=r"no layer 'conv9'; it has conv1, conv2, .*fc8"):
        untrained.activations(pixels(1, 128, 128), ["conv9"])


def test_a_label_that_does_not_exist_lists_near_ones(untrained: Network) -> None:
    assert untrained.label_index("label7") == 7
    with pytest.raises(NetworkError, match=r"no label 'lable7'.*label7"):
        untrained.label_index("lable7")


def test_only_bytes_are_images(untrained: Network) -> None:
    with pytest.raises(NetworkError, match=r"must be uint8 .* found float64"):
        untrained.probabilities(np.zeros((1, 128, 128, 3)))


def test_nan_in_the_weights_is_refused(tmp_path: Path) -> None:
    state = models.squeezenet1_1(weights=None).state_dict()
    state["classifier.1.weight"][0, 0] = float("nan")
    torch.save(state, tmp_path / "bad.pt")
    with pytest.raises(NetworkError, match=r"NaN or infinity .*classifier.1.weight"):
        load_network("squeezenet1_1", tmp_path / "bad.pt", "cpu")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "not a readable"), (b"not weights", "not a readable|more than tensors")]
)
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_a_damaged_weights_file_is_refused(tmp_path: Path, content: bytes, message: str, ending: str) -> None:
    path = tmp_path / f"bad{ending}"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=message):
        load_network("alexnet", path, "cpu")
    with pytest.raises(NetworkError, match="no weights file"):
        load_network("alexnet", tmp_path / f"absent{ending}", "cpu")


class _Payload:
    """What a pickle could do if it were run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)  # type: ignore[return-value]


def test_code_in_a_weights_file_is_not_run(tmp_path: Path) -> None:
    torch.save(_Payload(tmp_path / "ran"), tmp_path / "evil.pt")
    with pytest.raises(NetworkError, match="holds more than tensors"):
        load_network("alexnet", tmp_path / "evil.pt", "cpu")
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "squeeze.pt")
    with pytest.raises(NetworkError, match="are not of this network"):
        load_network("alexnet", tmp_path / "squeeze.pt", "cpu")


def test_a_device_that_does_not_exist_is_refused() -> None:
    with pytest.raises(NetworkError, match="allowed: auto, cpu"):
        load_network("picturenet", "random", device="gpu")


def test_a_laboratorys_own_network_comes_by_entry_point(monkeypatch: pytest.MonkeyPatch, untrained: Network) -> None:
    from stimuli.networks import names

    class Point:
        name, value = "labnet", "labpackage:load"

        def load(self) -> object:
            return lambda **_settings: untrained

    monkeypatch.setattr(names, "entry_points", lambda group: [Point()] if group == "foolscan.networks" else [])
    assert load_network("labnet") is untrained
    assert "labnet" in names.network_names()
