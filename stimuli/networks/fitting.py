"""Stochastic gradient descent on pictures: the recipe by which a PictureNet is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stimuli.networks.augmentation import Augmentation, augmented
from stimuli.networks.picturenet import PREPROCESSING, Widths, folded, initialise, picturenet
from stimuli.networks.pictures import LabelledPictures


@dataclass(frozen=True)
class Recipe:
    """What a PictureNet is trained on and how.

    Attributes:
        n_train: training pictures a category.
        n_validation: validation pictures a category.
        n_test: test pictures a category.
        epochs: times that each training picture is seen, changed anew each time.
        batch_size: pictures a step.
        peak_rate: learning rate of AdamW at the height of the one-cycle schedule (Smith & Topin 2019).
        weight_decay: of AdamW (Loshchilov & Hutter 2019).
        dropout: in fc6 and fc7.
        smoothing: label smoothing (Szegedy et al. 2016, section 7).
        widths: units of each layer.
        augmentation: how far training pictures are changed.
    """

    n_train: int = 240
    n_validation: int = 25
    n_test: int = 50
    epochs: int = 6
    batch_size: int = 128
    peak_rate: float = 3e-3
    weight_decay: float = 0.0
    dropout: float = 0.0
    smoothing: float = 0.0
    widths: Widths = field(default_factory=Widths)
    augmentation: Augmentation = field(default_factory=Augmentation)


def fit(
    pictures: LabelledPictures,
    n_labels: int,
    recipe: Recipe,
    seed: int,
    on_progress: Callable[[int, int, float], None] | None = None,
) -> nn.Sequential:
    """Train a PictureNet from scratch.

    The result is the same for the same pictures, recipe, seed, number of threads and kind of machine.

    Args:
        pictures: (n_pictures, 128, 128, 3) uint8 and their targets.
        n_labels: output units.
        recipe: how.
        seed: of the first weights, the order of the pictures and their changes.
        on_progress: told (steps done, steps in all, loss of the last step; NaN before the first).

    Returns:
        the trained network on AlexNet's plan, batch normalisation folded in.
    """
    generator = torch.Generator().manual_seed(seed)
    model = picturenet(n_labels, recipe.widths, normalised=True, dropout=recipe.dropout)
    initialise(model, generator)
    model = model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    targets = torch.from_numpy(pictures.targets)
    n_steps = recipe.epochs * (len(targets) // recipe.batch_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.peak_rate, total_steps=n_steps, pct_start=0.25, div_factor=10, final_div_factor=1000
    )
    done = 0
    if on_progress is not None:
        on_progress(0, n_steps, float("nan"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout draws from torch's own stream, which takes no generator
        for _epoch in range(recipe.epochs):
            order = torch.randperm(len(targets), generator=generator)
            for chosen in order.split(recipe.batch_size):
                if len(chosen) < recipe.batch_size:
                    continue
                batch = augmented(as_batch(pictures.images[chosen.numpy()]), recipe.augmentation, generator)
                loss = _step(model, batch, targets[chosen], optimiser, recipe.smoothing)
                schedule.step()
                done += 1
                if on_progress is not None:
                    on_progress(done, n_steps, loss)
    return folded(model.eval(), recipe.widths, n_labels)


def predictions(model: nn.Module, images: np.ndarray, batch_size: int = 200) -> np.ndarray:
    """Return the most probable label of each image.

    Args:
        model: maps normalised input to logits.
        images: (n_images, 128, 128, 3), uint8.
        batch_size: images a forward pass.

    Returns:
        (n_images,), int64.
    """
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            logits = model(PREPROCESSING(as_batch(images[start : start + batch_size])))
            found.append(logits.argmax(1).numpy())
    return np.concatenate(found)


def as_batch(images: np.ndarray) -> Tensor:
    """Return uint8 images (n, height, width, 3) as float (n, 3, height, width) on the 0 to 255 scale."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def _step(
    model: nn.Module, batch: Tensor, targets: Tensor, optimiser: torch.optim.Optimizer, smoothing: float
) -> float:
    logits = model(PREPROCESSING(batch).contiguous(memory_format=torch.channels_last))
    loss = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return float(loss.detach())
