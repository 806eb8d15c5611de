"""The sets of one study being made: each image is written, read back from disk, judged, and only then counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from protocols.folder import StudyFolder, read_json
from protocols.image_sets import ControlRecipe, FeatureAdversaryRecipe, PicturesRecipe, Recipe, made_from
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of_bytes
from protocols.seeds import generator_for, seed_for
from protocols.study import Study
from stimuli.image_files import read_rgb, write_png
from stimuli.judging import Judged, judge
from stimuli.networks.network import Network
from stimuli.pictures import PictureCategory, Pictures
from stimuli.planners.choosing import guides, wrong_classes
from stimuli.planners.planner import DrawnPlanner, EnginePlanner, Planner, Verdict, Wanted, attempt_id
from stimuli.planners.registry import Load, planner_for
from stimuli.records import Made, Records, engine_hash, recipe_hash
from stimuli.synthesis.engine import Job, synthesise
from stimuli.synthesis.starts import ByteImage

RE_ATTEMPTS = 10
"""Pictures of a category that are tried until the network names one rightly."""

Progress = Callable[[str, int, int, str], None]
"""Told (what is made, images done, images in all, a note)."""


@dataclass(frozen=True)
class Item:
    """One image with what it took.

    wanted  : what was asked for; None for a regular image.
    planner : who planned it; None for a regular image.
    """

    wanted: Wanted | None
    planner: Planner | None
    category: PictureCategory
    made: Made

    @property
    def attempt(self) -> int:
        """The attempt that its file is from, from 0."""
        return self.made.attempts - 1

    def target(self, named: str) -> str:
        """The class whose posterior is told; `named` is the class that the network gives."""
        if self.wanted is None or self.planner is None:
            return self.category.network_class
        return self.planner.target(self.wanted, self.attempt, named)

    def verdict(self, judged: Judged) -> Verdict:
        """Whether the file is what was asked for."""
        if self.wanted is None or self.planner is None:
            return Verdict(judged.label == self.category.network_class)
        return self.planner.verdict(self.wanted, self.attempt, judged)


class Workshop:
    """Makes the sets of a study in its folder, one after the other."""

    def __init__(
        self,
        study: Study,
        folder: StudyFolder,
        network: Network,
        pictures: Pictures,
        batch_size: int,
        load: Load,
        tell: Progress,
    ) -> None:
        self.study, self.folder, self.network, self.pictures = study, folder, network, pictures
        self.batch_size, self.load, self.tell = batch_size, load, tell
        self.records = Records(folder)
        self.facts: dict[str, Any] = {
            "study_seed": study.seed,
            "size_px": study.stimuli.size_px,
            "network_sha256": network.weights_sha256,
            "batch_size": batch_size,
            "device": network.device.type,
            "torch": torch.__version__,
            "engine": engine_hash(),
        }

    def make(self) -> dict[str, list[Item]]:
        """Every set of the study, each after the one that it is made from."""
        return {name: self._set(name, self.study.stimuli.sets[name]) for name in in_order(self.study.stimuli.sets)}

    def file(self, set_name: str, category: PictureCategory) -> Path:
        """Where an image stands."""
        return self.folder.stimuli / set_name / f"{set_name}-{category.name}.png"

    def _put(self, path: Path, image: ByteImage) -> None:
        """Write an image; not in place of one that a person may have seen (another machine or version makes other bits)."""
        recorded = someone_recorded(self.folder)
        if recorded is not None and path.exists():
            raise FoolscanError(
                f"{path}: would be made anew, but {recorded.name} was shown the one that stands "
                "(other weights, version or machine?); make the images into a new folder with --to"
            )
        write_png(path, image)

    def _set(self, name: str, recipe: Recipe) -> list[Item]:
        categories = self.pictures.categories
        if isinstance(recipe, PicturesRecipe):
            items = []
            for done, category in enumerate(categories):
                self.tell(name, done, len(categories), "")
                items.append(self._picture(name, category))
            self.tell(name, len(categories), len(categories), "")
            return items
        planner = planner_for(recipe, self.network, self.study.seed, self.load)
        return _SetInWork(self, name, recipe, planner).make(self._wanted(name, recipe))

    def _picture(self, name: str, category: PictureCategory) -> Item:
        """A regular image: the first of its category that the network names rightly."""
        stim_id, path = f"{name}-{category.name}", self.file(name, category)
        facts = {"stim_id": stim_id, "pictures": self.pictures.identity(category), "class": category.network_class}
        recipe_sha256 = recipe_hash(self.facts | facts)
        made = self.records.finished(stim_id, recipe_sha256, path)
        if made is None:
            allowed = min(RE_ATTEMPTS, self.pictures.choices(category) or RE_ATTEMPTS)
            for attempt in range(allowed):
                self._put(path, self.pictures.image(category, attempt))
                (judged,) = judge(self.network, [path], [category.network_class])
                if judged.label == category.network_class:
                    break
            seed = seed_for(self.study.seed, f"picture/{category.name}")
            success = judged.label == category.network_class
            made = Made(stim_id, success, attempt + 1, 0, seed, judged.sha256)
            self.records.keep(made, recipe_sha256)
        return Item(None, None, category, made)

    def _wanted(self, name: str, recipe: Recipe) -> list[Wanted]:
        """What a recipe asks for, one image per category."""
        categories, draws = self.pictures.categories, self._draws(name)
        source_set = made_from(recipe) or ""
        if isinstance(recipe, ControlRecipe):  # its source is the adversary's own
            adversaries = source_set
            source_set = made_from(self.study.stimuli.sets[adversaries]) or ""
        sources = [read_rgb(self.file(source_set, category)) for category in categories]
        targets: list[tuple[str, ...]] = [(category.network_class,) for category in categories]
        rule = getattr(recipe, "target", "away")
        if rule != "away":
            posteriors = self.network.probabilities(np.stack(sources))
            targets = wrong_classes(rule, categories, self.network, posteriors, draws)
        wanted = [
            Wanted(f"{name}-{category.name}", category, f"{source_set}-{category.name}", source, classes)
            for category, source, classes in zip(categories, sources, targets, strict=True)
        ]
        if isinstance(recipe, ControlRecipe):
            return [
                replace(
                    item,
                    guide_id=f"{adversaries}-{item.category.name}",
                    guide=read_rgb(self.file(adversaries, item.category)),
                )
                for item in wanted
            ]
        if isinstance(recipe, FeatureAdversaryRecipe):
            source_of = dict(zip((category.name for category in categories), sources, strict=True))
            return [
                replace(item, guide_id=f"{source_set}-{guide.name}", guide=source_of[guide.name])
                for item, guide in zip(wanted, guides(recipe.guide, categories, draws), strict=True)
            ]
        return wanted

    def _draws(self, name: str) -> dict[str, np.random.Generator]:
        return {
            category.name: generator_for(self.study.seed, f"target/{name}-{category.name}")
            for category in self.pictures.categories
        }


class _SetInWork:
    """One set that is not of pictures: finished images are kept, the others made, tried again, judged and recorded."""

    def __init__(self, workshop: Workshop, name: str, recipe: Recipe, planner: EnginePlanner | DrawnPlanner) -> None:
        self.shop, self.name, self.recipe, self.planner = workshop, name, recipe, planner
        self.hashes: dict[str, str] = {}
        self.done: dict[str, Made] = {}
        self.attempt: dict[str, int] = {}
        self.steps: dict[str, int] = {}
        self.n_wanted = 0

    def make(self, wanted: Sequence[Wanted]) -> list[Item]:
        """The items of a set, in order."""
        self.n_wanted = len(wanted)
        missing = []
        for item in wanted:
            stim_id = item.stim_id
            self.hashes[stim_id] = self._recipe_hash(item)
            self.attempt[stim_id] = self.steps[stim_id] = 0
            path = self.shop.file(self.name, item.category)
            finished = self.shop.records.finished(stim_id, self.hashes[stim_id], path)
            if finished is None:
                missing.append(item)
            else:
                self.done[stim_id] = finished
        self._tell()
        if isinstance(self.planner, DrawnPlanner):
            self._draw(self.planner, missing)
        else:
            self._optimise(self.planner, missing)
        return [Item(item, self.planner, item.category, self.done[item.stim_id]) for item in wanted]

    def _draw(self, planner: DrawnPlanner, missing: Sequence[Wanted]) -> None:
        for item in missing:
            while not self._finished(item, planner.drawn(item, self.attempt[item.stim_id])):
                pass

    def _optimise(self, planner: EnginePlanner, missing: Sequence[Wanted]) -> None:
        by_id = {item.stim_id: item for item in missing}
        queue: deque[Job] = deque(planner.first(item, 0) for item in missing)
        for outcome in synthesise(planner.method, queue, self.shop.batch_size, self.shop.network.device):
            stim_id = outcome.job.job_id
            item = by_id[stim_id]
            self.steps[stim_id] += outcome.steps
            further = planner.next(outcome, self.attempt[stim_id])
            if further is None and not self._finished(item, planner.image(outcome)):
                further = planner.first(item, self.attempt[stim_id])
            if further is not None:
                queue.append(further)

    def _finished(self, item: Wanted, image: ByteImage) -> bool:
        """Write an attempt's image and judge the file; False when another attempt shall follow, which is counted."""
        stim_id, shop = item.stim_id, self.shop
        path, attempt = shop.file(self.name, item.category), self.attempt[stim_id]
        shop._put(path, image)
        (judged,) = judge(shop.network, [path], [self.planner.target(item, attempt, item.category.network_class)])
        success = self.planner.verdict(item, attempt, judged).success
        if not success and attempt + 1 < self.planner.attempts:
            self.attempt[stim_id], self.steps[stim_id] = attempt + 1, 0
            return False
        seed = seed_for(shop.study.seed, attempt_id(stim_id, attempt))
        self.done[stim_id] = Made(stim_id, success, attempt + 1, self.steps[stim_id], seed, judged.sha256)
        shop.records.keep(self.done[stim_id], self.hashes[stim_id])
        self._tell()
        return True

    def _tell(self) -> None:
        restarts = sum(self.attempt.values())
        self.shop.tell(self.name, len(self.done), self.n_wanted, f"{restarts} restarts" if restarts else "")

    def _recipe_hash(self, wanted: Wanted) -> str:
        facts: dict[str, Any] = {"stim_id": wanted.stim_id, "targets": wanted.targets}
        facts["source_pixels"] = _hash_of(wanted.source)
        if wanted.guide is not None:
            facts["guide_pixels"] = _hash_of(wanted.guide)
        return recipe_hash(self.shop.facts | facts | {"recipe": self.recipe.model_dump(mode="json")})


def _hash_of(image: ByteImage) -> str:
    return sha256_of_bytes(np.ascontiguousarray(image).tobytes())


def in_order(sets: dict[str, Recipe]) -> list[str]:
    """The names of sets, each after the one that it is made from."""
    ordered: list[str] = []
    while len(ordered) < len(sets):
        ready = [
            name
            for name, recipe in sets.items()
            if name not in ordered and (made_from(recipe) is None or made_from(recipe) in ordered)
        ]
        if not ready:  # the study file was checked; only a study built by hand gets here
            raise FoolscanError(
                f"stimuli.sets: {', '.join(sorted(set(sets) - set(ordered)))} are made from one another"
            )
        ordered += ready
    return ordered


def someone_recorded(folder: StudyFolder) -> Path | None:
    """A person's data in the folder, if there are any; simulated ones are nobody's."""
    if read_json(folder.root / "dataset_description.json").get("Simulated", False):
        return None
    return next(folder.root.glob("sub-*"), None)
