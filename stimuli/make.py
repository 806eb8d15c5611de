"""Makes the image sets of a study: each image is written, read back from disk, judged, and only then counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from protocols.folder import StudyFolder, open_folder, read_json
from protocols.image_sets import AdversarialInterferenceRecipe, NetworkPlan, PicturesRecipe, Recipe
from protocols.manifest import COLUMNS, Stimulus, in_set, write_manifest
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of_bytes, write_sidecar
from protocols.seeds import generator_for, seed_for
from protocols.study import Study
from stimuli.image_files import read_rgb, write_png
from stimuli.image_statistics import image_statistics
from stimuli.judging import Judged, judge, own_labels
from stimuli.networks.network import Network, NetworkError
from stimuli.pictures import PictureCategory, Pictures, animacy, pictures_of
from stimuli.recipes import Planner, Wanted, attempt_id, planner_for, wrong_classes
from stimuli.records import Made, Records, engine_hash, only_maker, recipe_hash
from stimuli.synthesis.engine import Job, synthesise
from stimuli.synthesis.starts import ByteImage

BATCH_SIZE = 8
RE_ATTEMPTS = 10
"""Pictures of a category that are tried until the network names one rightly."""
PACKAGES = ("numpy", "pillow", "torch", "torchvision")

Progress = Callable[[str, int, int, str], None]
"""Told (what is made, images done, images in all, a note)."""
LoadNetwork = Callable[[NetworkPlan, Path, str], Network]
"""Gives the network of a plan: (plan, folder of the study file, device)."""


@dataclass(frozen=True)
class MakeResult:
    """What was made.

    stimuli  : every image, in the order of the manifest.
    manifest : its path.
    sidecar  : the JSON beside it.
    """

    stimuli: tuple[Stimulus, ...]
    manifest: Path
    sidecar: Path

    @property
    def failures(self) -> tuple[Stimulus, ...]:
        """The images that did not meet their recipe's criterion."""
        return tuple(stimulus for stimulus in self.stimuli if not stimulus.success)

    @property
    def summary(self) -> dict[str, str]:
        """One line for each set: how many are right, the least confidence, the largest change."""
        lines = {}
        for name in dict.fromkeys(stimulus.set for stimulus in self.stimuli):
            rows = in_set(self.stimuli, name)
            right = sum(row.success for row in rows)
            line = f"{right} of {len(rows)} verified on disk, posterior of the target at least {min(r.confidence for r in rows):.4f}"
            changes = [row.linf for row in rows if row.linf is not None]
            if changes:
                line += f", largest change {max(changes)}/255 (median {np.median(changes):g})"
            lines[name] = line
        return lines

    @property
    def complaint(self) -> str:
        """The failures as a plain list, empty when there are none."""
        if not self.failures:
            return ""
        lines = [f"{len(self.failures)} of {len(self.stimuli)} images do not meet their recipe's criterion:"]
        for s in self.failures:
            found = f"{s.network_label}, posterior of {s.target_class} {s.confidence:.4f}"
            lines.append(f"  {s.stim_id}: {found}, after {s.attempts} attempts ({s.steps} steps in the last)")
        return "\n".join(lines)


def network_of(plan: NetworkPlan, folder: Path, device: str = "auto") -> Network:
    """The network that a study names.

    plan   : its name and weights.
    folder : of the study file, to which a path of weights refers.
    device : 'auto', 'cpu', 'cuda', ...

    Raises NetworkError when it cannot be had, with what to do.
    """
    from stimuli.networks import load_network

    weights = plan.weights if plan.weights in (None, "random") else str(folder / str(plan.weights))
    return load_network(plan.name, weights, device)


def make(
    study: Study,
    folder: StudyFolder | Path,
    device: str = "auto",
    *,
    progress: Progress | None = None,
    load: LoadNetwork = network_of,
) -> MakeResult:
    """Make every image set of a study, and the manifest.

    An interrupted call is continued by the next one, which ends with the same bytes.

    study    : what to make.
    folder   : the study folder, or where it shall be.
    device   : where the networks compute.
    progress : told how far it is.
    load     : gives the networks.

    Returns the manifest's rows; images that failed at every attempt are among them (`MakeResult.failures`).

    Raises FoolscanError or WorkWanting, before anything is written, for a network, class or picture that cannot be had.
    """
    plan = study.stimuli
    tell = progress or (lambda *_: None)
    pictures = pictures_of(study)
    network = load(plan.network, study.folder, device)
    second = load(plan.second_network, study.folder, device) if plan.second_network else None
    _refuse_unknown_classes(study, network, pictures)
    root = folder if isinstance(folder, StudyFolder) else StudyFolder(Path(folder))
    open_folder(root.root, study.title)
    _refuse_to_replace_shown(study, root)
    with only_maker(root):
        workshop = _Workshop(study, root, network, pictures, tell)
        ordered = sorted(plan.sets.items(), key=lambda item: item[1].kind != "pictures")
        made = {name: workshop.make_set(name, recipe) for name, recipe in ordered}
        rows = [row for name in plan.sets for row in workshop.rows(name, made[name], second)]
        manifest = write_manifest(root, rows)
        workshop.records.forget_all_but(row.stim_id for row in rows)
        sidecar = _write_sidecar(study, root, network, second, pictures)
    return MakeResult(tuple(rows), manifest, sidecar)


def _refuse_unknown_classes(study: Study, network: Network, pictures: Pictures) -> None:
    wrong = []
    for category in pictures.categories:
        try:
            network.label_index(category.network_class)
        except NetworkError as error:
            wrong.append(f"category {category.name}: {error}")
    if wrong:
        raise FoolscanError("\n".join(wrong))
    for recipe in study.stimuli.sets.values():
        if isinstance(recipe, AdversarialInterferenceRecipe) and recipe.target == "other_animacy":
            wrong_classes(recipe.target, pictures.categories, network, np.zeros((0, 0)), {})


def _refuse_to_replace_shown(study: Study, folder: StudyFolder) -> None:
    """People's data name the images they saw: those may not become other images."""
    sidecar = folder.manifest.with_suffix(".json")
    recorded = _someone_recorded(folder)
    if recorded is None or not sidecar.exists():
        return
    earlier = read_json(sidecar).get("foolscan", {}).get("parameters", {})
    if earlier.get("stimuli") != study.stimuli.model_dump(mode="json") or earlier.get("study_seed") != study.seed:
        raise FoolscanError(
            f"{folder.root}: {recorded.name} was recorded with other stimuli than {study.name} asks for; "
            "make them into a new folder with --to"
        )


def _someone_recorded(folder: StudyFolder) -> Path | None:
    """A person's data in the folder, if there are any; simulated ones are nobody's."""
    if read_json(folder.root / "dataset_description.json").get("Simulated", False):
        return None
    return next(folder.root.glob("sub-*"), None)


@dataclass(frozen=True)
class _Item:
    """One image with what it took."""

    wanted: Wanted | None
    category: PictureCategory
    target_class: str
    made: Made


class _Workshop:
    """The sets of one study being made in one folder."""

    def __init__(self, study: Study, folder: StudyFolder, network: Network, pictures: Pictures, tell: Progress) -> None:
        self.study, self.folder, self.network, self.pictures, self.tell = study, folder, network, pictures, tell
        self.records = Records(folder)
        self.facts: dict[str, Any] = {
            "study_seed": study.seed,
            "size_px": study.stimuli.size_px,
            "network_sha256": network.weights_sha256,
            "batch_size": BATCH_SIZE,
            "device": network.device.type,
            "torch": torch.__version__,
            "engine": engine_hash(),
        }

    def file(self, set_name: str, category: PictureCategory) -> Path:
        return self.folder.stimuli / set_name / f"{set_name}-{category.name}.png"

    def put(self, path: Path, image: ByteImage) -> None:
        """Write an image; not in place of one that a person may have seen (another machine or version makes other bits)."""
        recorded = _someone_recorded(self.folder)
        if recorded is not None and path.exists():
            raise FoolscanError(
                f"{path}: would be made anew, but {recorded.name} was shown the one that stands "
                "(other weights, version or machine?); make the images into a new folder with --to"
            )
        write_png(path, image)

    def make_set(self, name: str, recipe: Recipe) -> list[_Item]:
        if isinstance(recipe, PicturesRecipe):
            return self._pictures(name)
        wanted = self._wanted(name, recipe)
        return self._synthesised(name, planner_for(recipe, self.network, self.study.seed), wanted, recipe)

    def _pictures(self, name: str) -> list[_Item]:
        """Regular images: of each category the first that the network names rightly."""
        n_categories = len(self.pictures.categories)
        items: list[_Item] = []
        for category in self.pictures.categories:
            self.tell(name, len(items), n_categories, "")
            items.append(self._picture(name, category))
        self.tell(name, n_categories, n_categories, "")
        return items

    def _picture(self, name: str, category: PictureCategory) -> _Item:
        stim_id, path = f"{name}-{category.name}", self.file(name, category)
        facts = {"stim_id": stim_id, "pictures": self.pictures.identity(category), "class": category.network_class}
        recipe_sha256 = recipe_hash(self.facts | facts)
        made = self.records.finished(stim_id, recipe_sha256, path)
        if made is None:
            allowed = min(RE_ATTEMPTS, self.pictures.choices(category) or RE_ATTEMPTS)
            for attempt in range(allowed):
                self.put(path, self.pictures.image(category, attempt))
                (judged,) = judge(self.network, [path], [category.network_class])
                if judged.label == category.network_class:
                    break
            seed = seed_for(self.study.seed, f"picture/{category.name}")
            success = judged.label == category.network_class
            made = Made(stim_id, success, attempt + 1, 0, seed, judged.sha256)
            self.records.keep(made, recipe_sha256)
        return _Item(None, category, category.network_class, made)

    def _wanted(self, name: str, recipe: Any) -> list[Wanted]:
        categories = self.pictures.categories
        paths = [self.file(recipe.source, category) for category in categories]
        sources = [read_rgb(path) for path in paths]
        targets: list[tuple[str, ...]] = [(category.network_class,) for category in categories]
        if isinstance(recipe, AdversarialInterferenceRecipe):
            posteriors = self.network.probabilities(np.stack(sources))
            draws = {c.name: generator_for(self.study.seed, f"target/{name}-{c.name}") for c in categories}
            targets = wrong_classes(recipe.target, categories, self.network, posteriors, draws)
        return [
            Wanted(
                f"{name}-{category.name}",
                category,
                f"{recipe.source}-{category.name}",
                source,
                classes,
            )
            for category, source, classes in zip(categories, sources, targets, strict=True)
        ]

    def _synthesised(self, name: str, planner: Planner, wanted: Sequence[Wanted], recipe: Recipe) -> list[_Item]:
        """Images by the engine; each is written, read back and judged as it finishes."""
        by_id = {item.stim_id: item for item in wanted}
        hashes = {item.stim_id: self._recipe_hash(item, recipe) for item in wanted}
        done: dict[str, Made] = {}
        queue: deque[Job] = deque()
        attempt = dict.fromkeys(by_id, 0)
        steps = dict.fromkeys(by_id, 0)
        for item in wanted:
            finished = self.records.finished(item.stim_id, hashes[item.stim_id], self.file(name, item.category))
            if finished is not None:
                done[item.stim_id] = finished
            else:
                queue.append(planner.first(item, 0))
        self.tell(name, len(done), len(wanted), "")
        for outcome in synthesise(planner.method, queue, BATCH_SIZE, self.network.device):
            stim_id = outcome.job.job_id
            item = by_id[stim_id]
            steps[stim_id] += outcome.steps
            further = planner.next(outcome, attempt[stim_id])
            if further is not None:
                queue.append(further)
                continue
            path = self.file(name, item.category)
            self.put(path, outcome.image)
            target = planner.target(item, attempt[stim_id])
            (judged,) = judge(self.network, [path], [target])
            success = judged.label == target and judged.confidence >= planner.confidence
            tries = attempt[stim_id] + 1
            if not success and tries < planner.attempts:
                attempt[stim_id], steps[stim_id] = tries, 0
                queue.append(planner.first(item, tries))
                continue
            seed = seed_for(self.study.seed, attempt_id(stim_id, attempt[stim_id]))
            done[stim_id] = Made(stim_id, success, tries, steps[stim_id], seed, judged.sha256)
            self.records.keep(done[stim_id], hashes[stim_id])
            restarts = sum(attempt.values())
            self.tell(name, len(done), len(wanted), f"{restarts} restarts" if restarts else "")
        return [
            _Item(item, item.category, planner.target(item, done[item.stim_id].attempts - 1), done[item.stim_id])
            for item in wanted
        ]

    def _recipe_hash(self, wanted: Wanted, recipe: Recipe) -> str:
        source = sha256_of_bytes(np.ascontiguousarray(wanted.source).tobytes())
        facts = {"stim_id": wanted.stim_id, "targets": wanted.targets, "source_pixels": source}
        return recipe_hash(self.facts | facts | {"recipe": recipe.model_dump(mode="json")})

    def rows(self, name: str, items: Sequence[_Item], second: Network | None) -> list[Stimulus]:
        """The manifest's rows of one set, every file read once more and judged."""
        paths = [self.file(name, item.category) for item in items]
        judged = judge(self.network, paths, [item.target_class for item in items])
        labels = (
            own_labels(second, np.stack([found.image for found in judged])) if second else [(None, None)] * len(items)
        )
        known = animacy(self.pictures.categories, self.network.labels)
        linf_needed = isinstance(self.study.stimuli.sets[name], AdversarialInterferenceRecipe)
        return [
            self._row(name, item, found, label, known, linf_needed)
            for item, found, label in zip(items, judged, labels, strict=True)
        ]

    def _row(
        self,
        name: str,
        item: _Item,
        found: Judged,
        second: tuple[str | None, float | None],
        known: dict[str, bool],
        changed: bool,
    ) -> Stimulus:
        distance = found.distance(item.wanted.source) if item.wanted and changed else (None, None)
        statistics = image_statistics(found.image)
        return Stimulus(
            stim_id=item.made.stim_id,
            stim_file=self.file(name, item.category).relative_to(self.folder.stimuli).as_posix(),
            set=name,
            category=item.category.name,
            supercategory=item.category.supercategory,
            animal_source=item.category.animal,
            source_id=item.wanted.source_id if item.wanted else None,
            target_class=item.target_class,
            network_label=found.label,
            animal_network_label=known.get(found.label),
            confidence=found.confidence,
            success=item.made.success,
            attempts=item.made.attempts,
            steps=item.made.steps,
            l2=distance[0],
            linf=distance[1],
            second_network_label=second[0],
            second_network_confidence=second[1],
            luminance=statistics.mean_luma,
            rms_contrast=statistics.rms_contrast,
            spectral_slope=statistics.spectral_slope,
            network=self.network.name,
            network_sha256=self.network.weights_sha256,
            seed=item.made.seed,
            sha256=found.sha256,
        )


def _write_sidecar(
    study: Study, folder: StudyFolder, network: Network, second: Network | None, pictures: Pictures
) -> Path:
    size = study.stimuli.size_px
    parameters = {
        "study": study.name,
        "study_seed": study.seed,
        "stimuli": study.stimuli.model_dump(mode="json"),
        "batch_shape": [BATCH_SIZE, 3, size, size],
        "device": str(network.device),
        "network": {"description": network.description, "sha256": network.weights_sha256},
        "second_network": {"description": second.description, "sha256": second.weights_sha256} if second else None,
        "judged_on": "the PNG read back from disk",
    }
    columns = {name: {"Description": text} for name, text in COLUMNS.items()}
    return write_sidecar(
        folder,
        folder.manifest,
        inputs=pictures.files(),
        parameters=parameters,
        packages=PACKAGES,
        seed=study.seed,
        more=columns,
    )
