"""What measures of dissimilarity are called: asked before any is computed, and without loading one."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from protocols.problems import near

ENTRY_POINTS = "foolscan.dissimilarities"
"""Group under which a package offers measures: each a function of patterns (n_images, n_features) to (n_images, n_images)."""
PLAIN = {
    "spearman": "1 − Spearman correlation",
    "pearson": "1 − Pearson correlation",
    "cosine": "1 − cosine",
    "euclidean": "Euclidean distance (root of the mean squared difference)",
    "squared_euclidean": "squared Euclidean distance divided by the number of features",
}
"""Computed from the mean patterns alone; name -> in words."""
NOISE_NORMALISED = {
    "mahalanobis": "Mahalanobis distance (root of the squared distance divided by the number of voxels)",
    "squared_mahalanobis": "squared Mahalanobis distance divided by the number of voxels",
    "crossnobis": "cross-validated squared Mahalanobis distance divided by the number of voxels",
}
"""Computed from patterns divided by the covariance of the noise, which only measurements of brains have."""


def offered() -> dict[str, EntryPoint]:
    """The measures that installed packages offer."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def known_dissimilarity(name: str) -> str:
    """The name, if some measure has it on this machine.

    Raises ValueError with the names that there are.
    """
    names = (*PLAIN, *NOISE_NORMALISED)
    if name not in names and name not in offered():
        everything = (*names, *sorted(offered()))
        raise ValueError(
            f"one of {', '.join(everything)}{near(name, everything)}; a package can offer more as {ENTRY_POINTS}"
        )
    return name


def in_words(name: str) -> str:
    """What a measure is, for a reader; another package's by its name."""
    return (PLAIN | NOISE_NORMALISED).get(name, f"dissimilarity {name!r}")
