"""Train a PictureNet from nothing but the picture book, and write its weights with a card that says how."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from stimuli.networks.fitting import Recipe, fit, predictions
from stimuli.networks.model_card import write_card
from stimuli.networks.network import NetworkError, refuse_bad_weights
from stimuli.networks.picturenet import INPUT_PX
from stimuli.networks.pictures import LabelledPictures, Render, draw_pictures
from stimuli.networks.weights_file import read_picturenet, save_picturenet, sha256_of

Clock = Callable[[], float]
Progress = Callable[[str, int, int], None]
"""Told (what is done now, how much of it is done, how much there is)."""


@dataclass(frozen=True)
class Confusion:
    """Test pictures of one category that the network took for another."""

    category: str
    taken_for: str
    n_pictures: int


@dataclass(frozen=True)
class Trained:
    """A trained network and what its card says.

    Attributes:
        weights: the safetensors file.
        facts: the JSON beside it.
        card: the model card beside it.
        accuracy: share of pictures named rightly, by split, measured with the weights read back from the file.
        confusions: of the test split, most frequent first.
        wall_s: time by the clock, drawing the pictures included.
        cpu_s: processor time of this process and of those that drew.
    """

    weights: Path
    facts: Path
    card: Path
    accuracy: dict[str, float]
    confusions: tuple[Confusion, ...]
    wall_s: float
    cpu_s: float


def train_picturenet(
    out: Path,
    seed: int = 0,
    recipe: Recipe | None = None,
    *,
    categories: Sequence[str] | None = None,
    book_seed: int = 0,
    n_threads: int = 2,
    render: Render | None = None,
    command: str = "",
    on_progress: Progress | None = None,
    clock: Clock = time.perf_counter,
) -> Trained:
    """Draw the pictures, train a PictureNet from scratch, and write weights, facts and card.

    The weights are the same for the same seed, recipe, pictures, number of threads, versions and kind of machine.

    Args:
        out: the weights file to write (…/name.safetensors); name.json and name.md are written beside it.
        seed: of the first weights, the order of the pictures and their changes.
        recipe: how much and how; the default is that of the shipped networks.
        categories: names of the labels; the picture book's when None.
        book_seed: seed of the picture book.
        n_threads: threads that compute, and processes that draw.
        render: draws a picture; the picture book's own when None.
        command: what the card gives as the command that made it.
        on_progress: told how far it is.
        clock: seconds, for the card.

    Returns:
        where the files are and what they say.

    Raises:
        NetworkError: a wrong file name, or training that diverged.
    """
    if out.suffix != ".safetensors":
        raise NetworkError(f"{out}: the weights file must end in .safetensors, found {out.suffix or 'no ending'!r}")
    out.parent.mkdir(parents=True, exist_ok=True)  # a quarter of an hour later would be late to find out
    recipe = recipe or Recipe()
    labels = tuple(categories) if categories is not None else _book_categories()
    tell = on_progress or (lambda _what, _done, _all: None)
    started_s, cpu_before_s = clock(), _processor_s()

    def drawn(split: str, n_each: int) -> LabelledPictures:
        return draw_pictures(
            labels,
            split,
            n_each,
            INPUT_PX,
            book_seed,
            n_processes=n_threads,
            render=render,
            on_progress=lambda done, n_all: tell(f"draw {split} pictures", done, n_all),
        )

    threads_before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        pictures = {"train": drawn("train", recipe.n_train)}
        drawn_s = clock() - started_s
        model = fit(pictures["train"], len(labels), recipe, seed, lambda done, n_all, _loss: tell("train", done, n_all))
        refuse_bad_weights(out.stem, model.state_dict())
        trained_s = clock() - started_s
        with TemporaryDirectory(dir=out.parent, prefix=".training-") as scratch:
            new_weights = Path(scratch) / out.name
            save_picturenet(new_weights, model, labels, recipe.widths, seed)
            model, _ = read_picturenet(new_weights)
            pictures |= {
                "validation": drawn("validation", recipe.n_validation),
                "test": drawn("test", recipe.n_test),
            }
            found = {}
            for done, (split, of_split) in enumerate(pictures.items()):
                tell("measure accuracy", done, len(pictures))
                found[split] = predictions(model, of_split.images)
            tell("measure accuracy", len(pictures), len(pictures))
            accuracy = {
                split: round(float(np.mean(found[split] == of_split.targets)), 5)
                for split, of_split in pictures.items()
            }
            confusions = confusions_of(found["test"], pictures["test"].targets, labels)
            wall_s, cpu_s = clock() - started_s, _processor_s() - cpu_before_s
            facts = {
                "format": 1,
                "network": "PictureNet",
                "name": out.stem,
                "weights": out.name,
                "weights_sha256": sha256_of(new_weights),
                "weights_bytes": new_weights.stat().st_size,
                "parameters": sum(p.numel() for p in model.parameters()),
                "command": command or f"foolscan stimuli train --out {out.name} --seed {seed}",
                "seed": seed,
                "book_seed": book_seed,
                "labels": list(labels),
                "pictures": {split: len(of_split.targets) for split, of_split in pictures.items()},
                "recipe": asdict(recipe),
                "accuracy": accuracy,
                "test_confusions": [asdict(confusion) for confusion in confusions[:10]],
                "drawing_s": round(drawn_s, 1),
                "training_s": round(trained_s - drawn_s, 1),
                "wall_s": round(wall_s, 1),
                "cpu_s": round(cpu_s, 1),
                "n_threads": n_threads,
                "machine": machine(),
            }
            written = _publish(Path(scratch), out, facts)
    finally:
        torch.set_num_threads(threads_before)
    return Trained(out, *written, accuracy, confusions, wall_s, cpu_s)


def confusions_of(found: np.ndarray, true: np.ndarray, labels: Sequence[str]) -> tuple[Confusion, ...]:
    """Return which categories were taken for which, most frequent first.

    Args:
        found: (n_pictures,), the label given to each picture, as an index.
        true: (n_pictures,), its category.
        labels: (n_labels,).
    """
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (true, found), 1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")
    pairs = [np.unravel_index(k, counts.shape) for k in order[: np.count_nonzero(counts)]]
    return tuple(Confusion(labels[row], labels[column], int(counts[row, column])) for row, column in pairs)


def machine() -> dict[str, Any]:
    """Return what this machine is, as far as it bears on training: processor, system, versions."""
    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _publish(scratch: Path, out: Path, facts: dict[str, Any]) -> tuple[Path, Path]:
    """Write facts and card beside the weights in `scratch`, then move the three to their places."""
    facts_path, card_path = out.with_suffix(".json"), out.with_suffix(".md")
    (scratch / facts_path.name).write_text(
        json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n"
    )
    write_card(scratch / card_path.name, facts)
    for path in (out, facts_path, card_path):
        (scratch / path.name).replace(path)
    return facts_path, card_path


def _book_categories() -> tuple[str, ...]:
    from stimuli.picturebook.book import CATEGORIES

    return tuple(category.name for category in CATEGORIES)


def _processor_s() -> float:
    """Return processor time of this process and of the processes it has started and seen end."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
