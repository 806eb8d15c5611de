"""A tiny network, tiny pictures and a study that maps them: what tests of fragile recognition stand on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from protocols.study import Study, load_study
from stimuli.fragile.tiles import Looking
from stimuli.networks.network import Network, Preprocessing

CLASSES = ("apple", "boat", "cat", "drum", "eel", "fork")
SIZE_PX = 12
COLUMNS = "file\tcategory\tsupercategory\tanimal\tnetwork_class"
LOOKING = Looking("resized", "pil_bilinear", "fp32", 8, 1)


class CountingNetwork(Network):
    """A network that counts its forward passes, and may be made to stop in one."""

    passes = 0
    stops_at: int | None = None

    def logits(self, images: Tensor) -> Tensor:
        """As a network does."""
        self.passes += 1
        if self.stops_at is not None and self.passes > self.stops_at:
            raise KeyboardInterrupt
        return super().logits(images)


def tiny_network(seed: int = 0, size_px: int = SIZE_PX, sha256: str = "7" * 64) -> CountingNetwork:
    """An untrained network of two layers for six classes."""
    generator = torch.Generator().manual_seed(seed)
    width = (size_px - 3) // 2 + 1
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * width**2, len(CLASSES)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    preprocessing = Preprocessing(size_px, size_px, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return CountingNetwork("tiny", model, CLASSES, {"conv": "0", "fc": "3"}, preprocessing, sha256, device="cpu")


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """Soft blobs of colour, (height, width, 3), uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def write_pictures(folder: Path, sizes: Sequence[tuple[int, int]], classes: Sequence[str] = CLASSES) -> Path:
    """Pictures of sizes (height, width) as PNG, with their table; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [COLUMNS]
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(picture(number, height, width)).save(folder / f"p{number}.png")
        name = classes[number % len(classes)]
        rows.append(f"p{number}.png\t{name}\t{('things', 'beasts')[number % 2]}\tfalse\t{name}")
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\n")
    return folder


def fragile_study(folder: Path, more: str = "proportions: [0.3, 0.6]") -> Study:
    """A study of the pictures in ``pictures`` beside it; `more` are further keys of ``fragile``."""
    networks = "" if "networks:" in more else "networks: [{name: picturenet}], "
    text = (
        "format: 1\nextends: srivastava2019\nname: tiny\ntitle: tiny windows\n"
        f"fragile: {{pictures: {{kind: folder, folder: pictures}}, batch_size: 8, {networks}{more}}}\n"
    )
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "tiny.yaml")
