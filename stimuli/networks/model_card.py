"""The model card: the facts of a training run, written for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_card(path: Path, facts: dict[str, Any]) -> None:
    """Write the model card of a PictureNet (after Mitchell et al. 2019).

    Args:
        path: of the Markdown file.
        facts: as `train_picturenet` writes them to JSON.
    """
    path.write_text(card_text(facts), encoding="utf-8", newline="\n")


def card_text(facts: dict[str, Any]) -> str:
    """Return the model card as Markdown; every number in it comes from `facts`."""
    accuracy, pictures, recipe, machine = facts["accuracy"], facts["pictures"], facts["recipe"], facts["machine"]
    splits = "\n".join(f"| {split} | {pictures[split]} | {100 * accuracy[split]:.2f} % |" for split in pictures)
    n_epochs, n_seen = recipe["epochs"], recipe["epochs"] * pictures["train"]
    widths = ", ".join(f"{layer} {width}" for layer, width in recipe["widths"].items())
    change = recipe["augmentation"]
    return f"""# {facts["name"]}: a PictureNet

This card is written by the training command; change the command, not the card.

**What it is.** A convolutional network on AlexNet's plan (Krizhevsky et al. 2012: conv1 to conv5, fc6 to fc8, pooling
after conv1, conv2 and conv5), with one stream, narrower layers and a 128-pixel input. It is neither the 2012 AlexNet
nor torchvision's. Units: {widths}, fc8 {len(facts["labels"])}. {facts["parameters"]:,} parameters,
stored as 16-bit floats in {facts["weights_bytes"]:,} bytes, computed in 32 bits. Trained with batch normalisation,
which is folded into the convolutions of the stored network.

**What it is for.** To stand in for a network trained on photographs where none can be had: it names the
{len(facts["labels"])} categories of the picture book. It has had no adversarial training. It is of no use on photographs.

**Data.** Drawings of the picture book at 128 × 128 pixels, book seed {facts["book_seed"]}; the backgrounds and palettes of the
validation and test pictures do not occur in training. The test pictures were not used to train; their accuracy was
looked at while the recipe was chosen, by how small a change misleads the network. Measured with the weights read back from the file.

| split | pictures | named rightly |
|---|---|---|
{splits}

Most frequent confusions on the test pictures: {_confusions(facts["test_confusions"])}.

**Training.** From random weights, seed {facts["seed"]}: AdamW, one-cycle schedule with peak rate {recipe["peak_rate"]:g}, weight decay
{recipe["weight_decay"]:g}, batches of {recipe["batch_size"]}, {n_epochs} epochs ({n_seen:,} pictures seen), dropout {recipe["dropout"]:g},
label smoothing {recipe["smoothing"]:g}. Each picture is changed anew each time: shifted by up to {change["shift_px"]}
pixels, mirrored, its colours rotated and permuted (probability {change["recolour"]:g}), {_light(change)}. No noise and no
interpolation.

```
{facts["command"]}
```

**Time.** {facts["wall_s"] / 60:.1f} minutes by the clock ({facts["drawing_s"]:.0f} s drawing the training pictures,
{facts["training_s"]:.0f} s training), {facts["cpu_s"] / 60:.1f} minutes of processor time, {facts["n_threads"]} threads, on:
{machine["processor"]}, {machine["cores"]} cores, {machine["system"]}, Python {machine["python"]}, torch {machine["torch"]}.

**Weights.** `{facts["weights"]}`, sha256 `{facts["weights_sha256"]}`.

**Labels.** {", ".join(facts["labels"])}.
"""


def _light(change: dict[str, Any]) -> str:
    low, high = change["contrast"]
    return f"contrast × {low:g} to {high:g}, brightness ± {change['brightness']:g}"


def _confusions(confusions: list[dict[str, Any]]) -> str:
    named = [f"{c['category']} taken for {c['taken_for']} ({c['n_pictures']})" for c in confusions[:6]]
    return ", ".join(named) or "none"
