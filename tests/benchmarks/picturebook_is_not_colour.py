"""The picture book cannot be read from colour: linear classifiers on its pixels and on its colour histograms fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from _record import measure_once
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from stimuli.picturebook.book import CATEGORIES, render

Pictures = npt.NDArray[np.uint8]
Features = Callable[[Pictures], npt.NDArray[np.float64]]
LIMITS = {"pixels_16": 0.50, "pixels_32": 0.50, "colour_histogram": 0.30}
PENALTIES = (10.0, 100.0, 1000.0, 10000.0)
SIZE_PX = 64
N_TRAIN, N_TEST = 400, 50


def pictures_of(split: str, count: int) -> tuple[Pictures, npt.NDArray[np.int64]]:
    """Return `count` pictures of each category, (n, 64, 64, 3) uint8, and their category indices, (n,)."""
    pictures = [render(category.name, split, k, SIZE_PX) for category in CATEGORIES for k in range(count)]
    return np.stack(pictures), np.repeat([category.index for category in CATEGORIES], count)


def pixels(side: int) -> Features:
    """Return the feature function that shrinks a picture to side x side pixels and lists their RGB values."""

    def features(pictures: Pictures) -> npt.NDArray[np.float64]:
        block = SIZE_PX // side
        return pictures.reshape(len(pictures), side, block, side, block, 3).mean((2, 4)).reshape(len(pictures), -1)

    return features


def colour_histogram(pictures: Pictures, bins: int = 8) -> npt.NDArray[np.float64]:
    """Return the square roots of each picture's joint RGB histogram, (n, bins**3)."""
    codes = (pictures // (256 // bins)).astype(np.int64) @ np.array([bins * bins, bins, 1])
    counts = [np.bincount(code.ravel(), minlength=bins**3) for code in codes]
    return np.sqrt(np.stack(counts) / codes[0].size)


FEATURES: dict[str, Features] = {
    "pixels_16": pixels(16),
    "pixels_32": pixels(32),
    "colour_histogram": colour_histogram,
}


def linear_accuracy(
    features: Features,
    train: Pictures,
    train_classes: npt.NDArray[np.int64],
    test: Pictures,
    test_classes: npt.NDArray[np.int64],
) -> float:
    """Return the test accuracy (0-1) of a ridge classifier on one kind of feature.

    The penalty is chosen on the test pictures themselves, in the classifier's favour: the figure is an upper bound.
    """
    scaler = StandardScaler().fit(features(train))
    known, asked = scaler.transform(features(train)), scaler.transform(features(test))
    return max(
        float(RidgeClassifier(alpha=alpha).fit(known, train_classes).score(asked, test_classes)) for alpha in PENALTIES
    )


def measure() -> dict[str, float]:
    """Train and test every classifier."""
    train, train_classes = pictures_of("train", N_TRAIN)
    test, test_classes = pictures_of("test", N_TEST)
    return {name: linear_accuracy(of, train, train_classes, test, test_classes) for name, of in FEATURES.items()}


def met(figures: Mapping[str, float]) -> bool:
    """Whether no classifier gets beyond its limit."""
    return all(figures[name] <= limit for name, limit in LIMITS.items())


if __name__ == "__main__":
    what = "test accuracy of linear (ridge) classifiers on 40 categories; chance 0.025"
    facts = {"training_pictures_per_category": N_TRAIN, "test_pictures_per_category": N_TEST}
    targets = {name: f"<= {limit}" for name, limit in LIMITS.items()}
    raise SystemExit(measure_once(__file__, what, targets, measure, met, facts))
