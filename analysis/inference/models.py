"""Model RDMs: what images of a kind would have in common, from the manifest, the pixels or the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.rdm import Rdm, condensed
from protocols.folder import StudyFolder
from protocols.manifest import Stimulus, class_of_category
from protocols.problems import FoolscanError

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """A model RDM of one stimulus set.

    name   : as in the study file, e.g. ``"animacy"`` or ``"layer:fc7"``.
    of_set : the stimulus set.
    values : (n_pairs,) dissimilarities; None where the model says nothing of this set.
    note   : why it says nothing, or what to know of it.
    """

    name: str
    of_set: str
    values: Doubles | None
    note: str = ""


def models_of_images(
    names: Sequence[str],
    of_set: str,
    images: Sequence[Stimulus],
    pixels: Callable[[], Doubles],
    all_images: Sequence[Stimulus],
) -> list[Model]:
    """The models that the manifest and the images make.

    names      : of the study's models; those of layers and sets are passed over.
    images     : of the set, in the order of the RDMs' rows.
    pixels     : gives the pixel model's dissimilarities when it is asked for.
    all_images : the whole manifest.
    """
    animals = _animal_classes(all_images)
    made: dict[str, Callable[[], Model]] = {
        "supercategory": lambda: _alike("supercategory", of_set, [image.supercategory for image in images]),
        "animacy": lambda: _alike("animacy", of_set, [image.animal_source for image in images]),
        "target_animacy": lambda: _alike(
            "target_animacy", of_set, [animals.get(image.target_class) for image in images]
        ),
        "pixel": lambda: _checked(Model("pixel", of_set, pixels())),
    }
    return [made[name]() for name in names if name in made]


def models_of_rdms(
    names: Sequence[str], of_set: str, layers: Mapping[tuple[str, str], Rdm], here: Mapping[str, Rdm]
) -> list[Model]:
    """The models that are RDMs themselves: ``layer:NAME``, ``layer:NAME:SET`` and ``set:NAME``.

    layers : (layer, set) -> its RDM; empty while there are no network RDMs.
    here   : set -> RDM at the place that is compared.

    Raises FoolscanError for a layer or set that there is not.
    """
    found = []
    for name in names:
        kind, _, rest = name.partition(":")
        if kind == "set":
            found.append(_of_set(name, rest, of_set, here))
        elif kind == "layer" and not layers:
            found.append(
                Model(name, of_set, None, "no network RDMs: run foolscan stimuli activations, then analysis rdms")
            )
        elif kind == "layer":
            layer, _, other = rest.rpartition(":") if (rest, of_set) not in layers else (rest, "", "")
            rdm = layers.get((layer, other or of_set))
            if rdm is None:
                known = ", ".join(dict.fromkeys(layer for layer, _ in layers))
                raise FoolscanError(f"analysis.models: found {name!r}; layers that have RDMs: {known}")
            found.append(_checked(Model(name, of_set, rdm.values)))
    return found


def pixel_dissimilarities(folder: StudyFolder, images: Sequence[Stimulus]) -> Doubles:
    """1 − Pearson correlation of the pixel values (8-bit sRGB, all channels) of every two PNGs.

    Returns (n_pairs,); NaN for an image of one grey.
    Raises FoolscanError for images of different sizes, or one that cannot be read.
    """
    from PIL import Image

    rows: list[NDArray[np.float32]] = []
    for image in images:
        path = image.path(folder)
        try:
            with Image.open(path) as opened:
                pixels = np.asarray(opened.convert("RGB"), dtype=np.float32)
        except OSError as error:
            raise FoolscanError(f"{path}: not readable as an image ({error}); make the stimuli again") from error
        if rows and pixels.size != rows[0].size:
            raise FoolscanError(
                f"{path}: found {pixels.shape[1]} × {pixels.shape[0]} pixels, another size than {images[0].stim_file}; "
                "the pixel model needs images of one size: leave it out of analysis.models"
            )
        rows.append(pixels.ravel())
    patterns = np.stack(rows).astype(np.float64)
    patterns -= patterns.mean(axis=1, keepdims=True)
    products: NDArray[Any] = patterns @ patterns.T
    power = np.where(np.diag(products) > 0, np.diag(products), np.nan)
    return condensed(np.asarray(1.0 - np.clip(products / np.sqrt(np.outer(power, power)), -1.0, 1.0)))


def _animal_classes(images: Sequence[Stimulus]) -> dict[str, bool]:
    """Whether a class of the network is an animal, for the classes that the categories of the manifest have."""
    of_category = class_of_category(images)
    return {of_category[image.category]: image.animal_source for image in images if image.category in of_category}


def _alike(name: str, of_set: str, labels: Sequence[object]) -> Model:
    """0 for two images with the same label, 1 for others."""
    if any(label is None for label in labels):
        return Model(name, of_set, None, "not known of every image of this set")
    codes = np.unique([str(label) for label in labels], return_inverse=True)[1]
    return _checked(Model(name, of_set, condensed((codes[:, None] != codes[None, :]).astype(np.float64))))


def _of_set(name: str, other: str, of_set: str, here: Mapping[str, Rdm]) -> Model:
    if other not in here:
        raise FoolscanError(f"analysis.models: found {name!r}; sets that have RDMs: {', '.join(here)}")
    if other == of_set:
        return Model(name, of_set, None, "the set itself")
    return _checked(Model(name, of_set, here[other].values))


def _checked(model: Model) -> Model:
    """The model, or why it cannot be compared with anything."""
    values = model.values
    if values is None:
        return model
    if not np.isfinite(values).all():
        return Model(model.name, model.of_set, None, "not defined for every two images of this set")
    if values.size == 0 or float(np.ptp(values)) == 0.0:
        return Model(model.name, model.of_set, None, "the same for every two images of this set")
    return model
