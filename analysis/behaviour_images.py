"""Behaviour image by image, joined with what the network makes of the same file, and how the two go together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.behaviour import Response, animal_classes
from analysis.behaviour_consistency import agreement, repeats_of
from analysis.behaviour_intervals import jeffreys, percentile_bounds
from analysis.inference.weights import bootstrap_counts
from protocols.manifest import Stimulus

IMAGE_COLUMNS: dict[str, str] = {
    "at": "func: in a scanner; beh: at a desk.",
    "stim_id": "The image.",
    "set": "Stimulus set.",
    "category": "Category of the regular image that it is or comes from.",
    "animal": "Whether it counts as an animal: its source, or for a set with no correct answer the class it was made for.",
    "subjects": "Subjects who saw it.",
    "trials": "Times it was shown.",
    "answered": "Times it was answered.",
    "p_animal": "Share of 'animal' among the answers.",
    "p_animal_low": "Lower bound of Jeffreys' interval of p_animal, answers taken as independent: these subjects, this image.",
    "p_animal_high": "Upper bound of that interval.",
    "accuracy": "Share of correct answers, against the animacy of the source (n/a for a set with no correct answer).",
    "rt_median_s": "Median reaction time, s.",
    "agreement": "Share of pairs of answers of the same subject to this image that agree (n/a: nobody answered it twice).",
    "network_label": "The class the network gives the image file.",
    "network_animal": "Whether that class is an animal (n/a: not known for this network).",
    "network_confidence": "The network's confidence in target_class, 0 to 1.",
    "target_class": "The class that confidence is of.",
    "second_network_label": "The class an independently trained network gives (n/a: none in the study).",
    "p_as_network": "Share of answers that are the animacy of network_label.",
}

JOINED_COLUMNS: dict[str, str] = {
    "at": IMAGE_COLUMNS["at"],
    "set": IMAGE_COLUMNS["set"],
    "images": "Images with answers.",
    "p_as_network": "Mean over images of the share of answers that are the animacy of the network's label.",
    "p_as_network_low": "Lower bound of its interval.",
    "p_as_network_high": "Upper bound of its interval.",
    "majority_as_network": "Share of images whose majority answer is that animacy (ties count half).",
    "confidence_rho": "Spearman correlation over images of p_as_network with network_confidence (n/a: one of them does not vary).",
    "confidence_rho_low": "Lower bound of its interval.",
    "confidence_rho_high": "Upper bound of its interval.",
    "rt_rho": "Spearman correlation over images of the median reaction time with network_confidence.",
    "rt_rho_low": "Lower bound of its interval.",
    "rt_rho_high": "Upper bound of its interval.",
    "ci_method": "How the intervals were made.",
    "estimand": "What they are intervals for.",
    "resampled": "What was drawn again.",
}


def image_rows(
    responses: Sequence[Response], stimuli: Sequence[Stimulus], at: str, scored: dict[str, bool], coverage: float
) -> list[dict[str, Any]]:
    """One row per image that was shown, with the columns of `IMAGE_COLUMNS`, in manifest order.

    scored   : set -> whether it has a correct answer.
    coverage : of the interval of p_animal, e.g. 0.95.
    """
    of_image: dict[str, list[Response]] = {}
    for response in responses:
        of_image.setdefault(response.stimulus.stim_id, []).append(response)
    animals = animal_classes(stimuli)
    return [
        {"at": at, **_image(image, of_image[image.stim_id], scored[image.set], animals, coverage)}
        for image in stimuli
        if image.stim_id in of_image
    ]


def _image(
    image: Stimulus, responses: Sequence[Response], scored: bool, animals: dict[str, bool], coverage: float
) -> dict[str, Any]:
    answered = [response for response in responses if response.said_animal is not None]
    said = sum(bool(response.said_animal) for response in answered)
    times = [response.rt_s for response in answered if response.rt_s is not None]
    low, high = jeffreys(said, len(answered), coverage)
    seen = image.animal_network_label
    network_animal = animals.get(image.network_label) if seen is None else seen
    p_animal = said / len(answered) if answered else math.nan
    p_network = math.nan if network_animal is None else (p_animal if network_animal else 1 - p_animal)
    return {
        "stim_id": image.stim_id,
        "set": image.set,
        "category": image.category,
        "animal": responses[0].is_animal(scored),
        "subjects": len({response.run.sub for response in responses}),
        "trials": len(responses),
        "answered": len(answered),
        "p_animal": p_animal,
        "p_animal_low": low,
        "p_animal_high": high,
        "accuracy": sum(bool(r.right) for r in answered) / len(answered) if scored and answered else math.nan,
        "rt_median_s": float(np.median(times)) if times else math.nan,
        "agreement": float(agreement(repeats_of(answered))[0]),
        "network_label": image.network_label,
        "network_animal": network_animal,
        "network_confidence": image.confidence,
        "target_class": image.target_class,
        "second_network_label": image.second_network_label,
        "p_as_network": p_network,
    }


def joined_rows(
    images: Sequence[dict[str, Any]], resamples: int, coverage: float, generator: np.random.Generator
) -> list[dict[str, Any]]:
    """How people's answers go with the network's, one row per set: the columns of `JOINED_COLUMNS`.

    images : rows of `image_rows`.
    """
    found = []
    for at, name in dict.fromkeys((row["at"], row["set"]) for row in images):
        rows = [row for row in images if (row["at"], row["set"]) == (at, name) and math.isfinite(row["p_as_network"])]
        if not rows:
            continue
        share = np.array([row["p_as_network"] for row in rows])
        confidence = np.array([row["network_confidence"] for row in rows])
        times = np.array([row["rt_median_s"] for row in rows])
        weights = bootstrap_counts(np.zeros(len(rows), dtype=np.intp), resamples, generator)
        means = weights @ share / len(rows)
        low, high = percentile_bounds(means, coverage)
        row = {"at": at, "set": name, "images": len(rows), "p_as_network": float(share.mean())}
        row |= {"p_as_network_low": low, "p_as_network_high": high}
        row["majority_as_network"] = float(np.mean(np.where(share == 0.5, 0.5, share > 0.5)))
        for column, values in (("confidence_rho", share), ("rt_rho", times)):
            rho = rank_correlation(values, confidence)
            draws = [np.repeat(np.arange(len(rows)), counts) for counts in weights]
            replicates = np.array([rank_correlation(values[draw], confidence[draw]) for draw in draws])
            low, high = percentile_bounds(replicates, coverage) if math.isfinite(rho) else (math.nan, math.nan)
            row |= {column: rho, f"{column}_low": low, f"{column}_high": high}
        row["ci_method"] = f"percentile bootstrap, {resamples} resamples"
        row["estimand"], row["resampled"] = "these subjects, images like these", "images"
        found.append(row)
    return found


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's correlation over what both have, ties ranked in the middle; NaN where one does not vary."""
    from scipy.stats import rankdata

    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 3:
        return math.nan
    a, b = (rankdata(values[both]) for values in (first, second))
    a, b = a - a.mean(), b - b.mean()
    power = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / power if power > 0 else math.nan
