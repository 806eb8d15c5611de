"""The sets of one study being made: each image is written, read back from disk, judged, and only then counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from protocols.folder import StudyFolder, read_json
from protocols.image_sets import PicturesRecipe, Recipe, made_from
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of_bytes
from protocols.seeds import seed_for
from protocols.study import Study
from stimuli.batch_shape import BatchShape, Machine, refuse_what_cannot_be_held, within_memory
from stimuli.image_files import write_png
from stimuli.judging import Judged, judge
from stimuli.networks.network import Network
from stimuli.pictures import PictureCategory, Pictures
from stimuli.planners.asking import asked_for
from stimuli.planners.planner import DrawnPlanner, EnginePlanner, Planner, Verdict, Wanted, attempt_id
from stimuli.progress import Progress, Tell
from stimuli.records import Made, Records, engine_hash, recipe_hash
from stimuli.synthesis.engine import synthesise
from stimuli.synthesis.ordering import hardest_first, in_turn
from stimuli.synthesis.starts import ByteImage
from stimuli.synthesis.stopping import Ended

RE_ATTEMPTS = 10
"""Pictures of a category that are tried until the network names one rightly."""


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
        planners: Mapping[str, EnginePlanner | DrawnPlanner],
        shape: BatchShape,
        machine: Machine,
        tell: Tell,
    ) -> None:
        self.study, self.folder, self.network, self.pictures = study, folder, network, pictures
        self.planners, self.shape, self.machine, self.tell = planners, shape, machine, tell
        self.records = Records(folder)
        self.facts: dict[str, Any] = {
            "study_seed": study.seed,
            "size_px": study.stimuli.size_px,
            "network_sha256": network.weights_sha256,
            "batch_size": shape.n_images,
            "device": network.device.type,
            "torch": torch.__version__,
            "engine": engine_hash(),
        }

    def make(self) -> dict[str, list[Item]]:
        """Every set of the study, each after the one that it is made from."""
        sets = self.study.stimuli.sets
        for name in in_order(sets):
            self.tell(Progress(name, 0, len(self.pictures.categories), begun=False))
        with within_memory(self.shape, self.folder, self.network.device):
            return {name: self._set(name, sets[name]) for name in in_order(sets)}

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
        if not isinstance(recipe, PicturesRecipe):
            asked = asked_for(name, self.study, self.network, categories, self.file)
            return _SetInWork(self, name, recipe, self.planners[name]).make(asked)
        items: list[Item] = []
        for category in categories:
            self._tell(name, items)
            items.append(self._picture(name, category))
        self._tell(name, items)
        return items

    def _tell(self, name: str, items: Sequence[Item]) -> None:
        failed = sum(not item.made.success for item in items)
        restarts = sum(item.attempt for item in items)
        self.tell(Progress(name, len(items), len(self.pictures.categories), failed, restarts))

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
                (judged,) = judge(self.network, [path], [category.network_class], batch_size=1)
                if judged.label == category.network_class:
                    break
            seed = seed_for(self.study.seed, f"picture/{category.name}")
            success = judged.label == category.network_class
            made = Made(stim_id, success, attempt + 1, 0, seed, judged.sha256, "tried")
            self.records.keep(made, recipe_sha256)
        return Item(None, None, category, made)


class _SetInWork:
    """One set that is not of pictures: finished images are kept, the others made, tried again, judged and recorded."""

    def __init__(self, workshop: Workshop, name: str, recipe: Recipe, planner: EnginePlanner | DrawnPlanner) -> None:
        self.shop, self.name, self.recipe, self.planner = workshop, name, recipe, planner
        self.hashes: dict[str, str] = {}
        self.done: dict[str, Made] = {}
        self.attempt: dict[str, int] = {}
        self.steps: dict[str, int] = {}
        self.ended: dict[str, Ended] = {}
        self.n_wanted = self.n_steps = 0

    def make(self, wanted: Sequence[Wanted]) -> list[Item]:
        """The items of a set, in order."""
        self.n_wanted = len(wanted)
        missing = []
        for item in wanted:
            stim_id = item.stim_id
            self.hashes[stim_id] = self._recipe_hash(item)
            self.attempt[stim_id] = self.steps[stim_id] = 0
            self.ended[stim_id] = "tried"
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
        if not missing:
            return
        shop, by_id = self.shop, {item.stim_id: item for item in missing}
        refuse_what_cannot_be_held(shop.shape, shop.folder, shop.machine)
        n_images, device = shop.shape.n_images, shop.network.device
        queue = hardest_first(planner.method, [planner.first(item, 0) for item in missing], n_images, device)
        for outcome in synthesise(planner.method, queue, n_images, device, self._stepped):
            stim_id = outcome.job.job_id
            item = by_id[stim_id]
            self.steps[stim_id] += outcome.steps
            self.ended[stim_id] = outcome.verdict
            further = planner.next(outcome, self.attempt[stim_id])
            if further is None and not self._finished(item, planner.image(outcome)):
                further = planner.first(item, self.attempt[stim_id])
            if further is not None:
                in_turn(queue, further, n_images)

    def _stepped(self, n_images: int) -> None:
        self.n_steps += n_images
        self._tell()

    def _finished(self, item: Wanted, image: ByteImage) -> bool:
        """Write an attempt's image and judge the file; False when another attempt shall follow, which is counted."""
        stim_id, shop = item.stim_id, self.shop
        path, attempt = shop.file(self.name, item.category), self.attempt[stim_id]
        shop._put(path, image)
        target = self.planner.target(item, attempt, item.category.network_class)
        (judged,) = judge(shop.network, [path], [target], batch_size=1)
        success = self.planner.verdict(item, attempt, judged).success
        if not success and attempt + 1 < self.planner.attempts:
            self.attempt[stim_id], self.steps[stim_id] = attempt + 1, 0
            return False
        seed = seed_for(shop.study.seed, attempt_id(stim_id, attempt))
        took = (attempt + 1, self.steps[stim_id], seed, judged.sha256, self.ended[stim_id])
        self.done[stim_id] = Made(stim_id, success, *took)
        shop.records.keep(self.done[stim_id], self.hashes[stim_id])
        self._tell()
        return True

    def _tell(self) -> None:
        failed = sum(not made.success for made in self.done.values())
        restarts = sum(self.attempt.values())
        self.shop.tell(Progress(self.name, len(self.done), self.n_wanted, failed, restarts, self.n_steps))

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
    online = folder.derived("online").glob("*.sqlite3")  # people who are asked in the browser, before they are exported
    return next(folder.root.glob("sub-*"), None) or next(online, None)
