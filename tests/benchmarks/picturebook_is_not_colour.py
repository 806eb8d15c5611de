"""The picture book cannot be read from colour: linear classifiers on its pixels and on its colour histograms fail."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from stimuli.picturebook.book import CATEGORIES, render

Pictures = npt.NDArray[np.uint8]
Features = Callable[[Pictures], npt.NDArray[np.float64]]
TARGETS = {"pixels_16": 0.50, "pixels_32": 0.50, "colour_histogram": 0.30}
PENALTIES = (10.0, 100.0, 1000.0, 10000.0)
SIZE_PX = 64


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


def main() -> int:
    """Measure, write the record as JSON, and return 0 when every figure meets its target, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("evidence"), help="folder of the JSON record")
    parser.add_argument("--train", type=int, default=400, help="training pictures per category")
    parser.add_argument("--test", type=int, default=50, help="test pictures per category")
    chosen = parser.parse_args()
    record = chosen.to / "picturebook_is_not_colour.json"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    if record.exists() and json.loads(record.read_text(encoding="utf-8")).get("commit") == commit:
        print(f"{record} is of this commit already")
        return 0
    train, train_classes = pictures_of("train", chosen.train)
    test, test_classes = pictures_of("test", chosen.test)
    figures = {name: linear_accuracy(of, train, train_classes, test, test_classes) for name, of in FEATURES.items()}
    measured = {
        "commit": commit,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "what": "test accuracy of linear (ridge) classifiers on 40 categories; chance 0.025",
        "training_pictures": len(train),
        "test_pictures": len(test),
        "target": {name: f"<= {limit}" for name, limit in TARGETS.items()},
        "figure": figures,
        "met": all(figures[name] <= limit for name, limit in TARGETS.items()),
    }
    chosen.to.mkdir(parents=True, exist_ok=True)
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8", newline="\n")
    partial.replace(record)
    print(json.dumps(measured, indent=2))
    return 0 if measured["met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
