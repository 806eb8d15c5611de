"""Pictures to train on and to test with, drawn by several processes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np

Render = Callable[[str, str, int, int, int], np.ndarray]
"""Draws one picture: category, split, index, size_px, seed to (size_px, size_px, 3) uint8."""


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures of one split.

    Attributes:
        images: (n_pictures, size_px, size_px, 3), uint8.
        targets: (n_pictures,), int64, the category of each as an index.
    """

    images: np.ndarray
    targets: np.ndarray


def draw_pictures(
    categories: Sequence[str],
    split: str,
    n_each: int,
    size_px: int,
    seed: int,
    *,
    n_processes: int = 1,
    render: Render | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> LabelledPictures:
    """Draw the first pictures of each category of a split; the same bytes whatever the number of processes.

    Args:
        categories: names of the categories, which become targets 0, 1, 2, ….
        split: "train", "validation" or "test".
        n_each: pictures a category.
        size_px: side of a picture.
        seed: of the whole book.
        n_processes: processes that draw; with 1 it is done here.
        render: a function at the top level of a module; the picture book's own when None.
        on_progress: told (categories drawn, categories in all).

    Returns:
        n_each × len(categories) pictures, category by category.
    """
    job = partial(_category_pictures, render=render, split=split, n_each=n_each, size_px=size_px, seed=seed)
    images = np.empty((len(categories) * n_each, size_px, size_px, 3), np.uint8)

    tell = on_progress or (lambda _done, _all: None)
    tell(0, len(categories))

    def gather(parts: Iterable[np.ndarray]) -> None:
        for done, part in enumerate(parts, start=1):
            images[(done - 1) * n_each : done * n_each] = part
            tell(done, len(categories))

    if n_processes == 1:
        gather(map(job, categories))
    else:
        # "spawn" is the one way to start a process that every platform has, and is safe beside torch's threads.
        with get_context("spawn").Pool(n_processes) as pool:
            gather(pool.imap(job, categories))
    return LabelledPictures(images, np.repeat(np.arange(len(categories)), n_each))


def _category_pictures(
    category: str, render: Render | None, split: str, n_each: int, size_px: int, seed: int
) -> np.ndarray:
    if render is None:
        from stimuli.picturebook.book import render as book_render

        render = book_render
    return np.stack([render(category, split, index, size_px, seed) for index in range(n_each)])
