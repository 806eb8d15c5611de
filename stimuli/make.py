"""Makes the image sets of a study: each image is written, read back from disk, judged, and only then counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from protocols.folder import StudyFolder, open_folder, read_json
from protocols.image_sets import NetworkPlan, PicturesRecipe
from protocols.image_sources import RANDOM_WEIGHTS
from protocols.manifest import COLUMNS, Stimulus, in_set, write_manifest
from protocols.problems import FoolscanError, ProtocolError
from protocols.provenance import write_sidecar
from protocols.study import Study
from stimuli.batch_shape import BatchShape, Torch, settled
from stimuli.checks import check
from stimuli.criteria import criterion_in_words
from stimuli.image_statistics import image_statistics
from stimuli.judging import judge, own_labels
from stimuli.networks.network import Network, NetworkError
from stimuli.pictures import Pictures, animacy, pictures_of
from stimuli.planners.choosing import guides, of_other_animacy, wrongly_named
from stimuli.planners.registry import planner_for
from stimuli.progress import Tell
from stimuli.records import only_maker
from stimuli.synthesis.stopping import WHY
from stimuli.trials import trials_of
from stimuli.workshop import Item, Workshop, someone_recorded

PACKAGES = ("numpy", "pillow", "torch", "torchvision")

LoadNetwork = Callable[[NetworkPlan, Path, str], Network]
"""Gives the network of a plan: (plan, folder of the study file, device)."""


@dataclass(frozen=True)
class MakeResult:
    """What was made.

    stimuli  : every image, in the order of the manifest.
    manifest : its path.
    sidecar  : the JSON beside it.
    expected : sets of which some images may fail.
    why      : stim_id -> why it does not meet its criterion, of all that do not.
    wanted   : set -> its criterion in words.
    """

    stimuli: tuple[Stimulus, ...]
    manifest: Path
    sidecar: Path
    expected: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[Stimulus, ...]:
        """The images that did not meet their recipe's criterion, though they should."""
        return tuple(s for s in self.stimuli if not s.success and s.set not in self.expected)

    @property
    def summary(self) -> dict[str, str]:
        """One line for each set: how many are right, the least confidence or the representation ratios, the largest change."""
        lines = {}
        for name in dict.fromkeys(stimulus.set for stimulus in self.stimuli):
            rows = in_set(self.stimuli, name)
            right = sum(row.success for row in rows)
            line = f"{right} of {len(rows)} verified on disk, "
            ratios = [row.representation_ratio for row in rows if row.representation_ratio is not None]
            if ratios:
                line += f"representation ratio at most {max(ratios):.3f} (median {np.median(ratios):.3f})"
            else:
                line += f"posterior of the target at least {min(row.confidence for row in rows):.4f}"
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
            found = f"{s.network_label}, posterior of {s.target_class} {_told(s.confidence)}"
            if s.representation_ratio is not None:
                found += f", representation ratio {s.representation_ratio:.4f}"
            if s.set in self.wanted:
                found += f" (wanted: {self.wanted[s.set]})"
            attempts = f"{s.attempts} attempt{'s' if s.attempts > 1 else ''} ({s.steps} steps in the last)"
            why = self.why.get(s.stim_id)
            lines.append(f"  {s.stim_id}: {found}, after {attempts}{f': {why}' if why else ''}")
        return "\n".join(lines)


def _told(posterior: float) -> str:
    """A posterior; with more digits where four would make it certain or impossible."""
    return f"{posterior:.4f}" if 0.00005 <= posterior < 0.99995 else f"{posterior:.10f}"


def network_of(plan: NetworkPlan, folder: Path, device: str = "auto") -> Network:
    """The network that a study names.

    plan   : its name and weights.
    folder : of the study file, to which a path of weights refers.
    device : 'auto', 'cpu', 'cuda', ...

    Raises NetworkError when it cannot be had, with what to do.
    """
    from stimuli.networks import load_network

    weights = plan.weights if plan.weights in (None, *RANDOM_WEIGHTS) else str(folder / str(plan.weights))
    return load_network(plan.name, weights, device, seed=plan.seed)


def make(
    study: Study,
    folder: StudyFolder | Path,
    device: str = "auto",
    *,
    progress: Tell | None = None,
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
    tell = progress or (lambda _: None)
    if load is network_of:  # other networks than those that names stand for are not known before they are loaded
        wrong = [problem for problem in check(study) if not problem.needed]
        if wrong:
            raise ProtocolError(wrong)
    pictures = pictures_of(study)
    network = load(plan.network, study.folder, device)
    second = load(plan.second_network, study.folder, device) if plan.second_network else None
    _refuse_unknown_classes(study, network, pictures)

    def further(named: NetworkPlan) -> Network:
        return load(named, study.folder, device)

    planners = {
        name: planner_for(recipe, network, study.seed, further)
        for name, recipe in plan.sets.items()
        if not isinstance(recipe, PicturesRecipe)
    }
    root = folder if isinstance(folder, StudyFolder) else StudyFolder(Path(folder))
    open_folder(root.root, study.title)
    _refuse_to_replace_shown(study, root)
    with only_maker(root):
        machine = Torch(network.device, trials_of(planners.values(), network, pictures.categories[0], plan.size_px))
        shape = settled(root, plan.batch_size, plan.size_px, network.device.type, machine)
        workshop = Workshop(study, root, network, pictures, planners, shape, machine, tell)
        made = workshop.make()
        rows = [row for name in plan.sets for row in _rows(study, workshop, name, made[name], second)]
        manifest = write_manifest(root, rows)
        workshop.records.forget_all_but(row.stim_id for row in rows)
        items = [item.made for name in plan.sets for item in made[name]]
        why = {item.stim_id: WHY[item.ended] for item in items if not item.success}
        sidecar = _write_sidecar(study, root, network, second, pictures, shape, why)
    expected = tuple(name for name, recipe in plan.sets.items() if getattr(recipe, "failures_expected", False))
    wanted = {name: criterion_in_words(recipe) for name, recipe in plan.sets.items()}
    return MakeResult(tuple(rows), manifest, sidecar, expected, why, wanted)


def _refuse_unknown_classes(study: Study, network: Network, pictures: Pictures) -> None:
    wrong = []
    for category in pictures.categories:
        try:
            network.label_index(category.network_class)
        except NetworkError as error:
            wrong.append(f"category {category.name}: {error}")
    for name, recipe in study.stimuli.sets.items():
        named = wrongly_named(getattr(recipe, "targets", {}), pictures.categories, network.labels)
        wrong += [f"sets.{name}.targets.{category}: found {found}; {allowed}" for category, found, allowed in named]
    if wrong:
        raise FoolscanError("\n".join(wrong))
    for recipe in study.stimuli.sets.values():
        if getattr(recipe, "target", None) == "other_animacy":
            of_other_animacy(pictures.categories)
        if getattr(recipe, "guide", None) == "other_animacy":
            guides("other_animacy", pictures.categories, {})


def _deciding(study: Study) -> dict[str, Any]:
    """What of a study file decides which images there are; references are compared with them later."""
    return study.stimuli.model_dump(mode="json", exclude={"references"})


def _refuse_to_replace_shown(study: Study, folder: StudyFolder) -> None:
    """People's data name the images they saw: those may not become other images."""
    sidecar = folder.manifest.with_suffix(".json")
    recorded = someone_recorded(folder)
    if recorded is None or not sidecar.exists():
        return
    earlier = read_json(sidecar).get("foolscan", {}).get("parameters", {})
    if earlier.get("stimuli") != _deciding(study) or earlier.get("study_seed") != study.seed:
        raise FoolscanError(
            f"{folder.root}: {recorded.name} was recorded with other stimuli than {study.name} asks for; "
            "make them into a new folder with --to"
        )


def _rows(study: Study, workshop: Workshop, name: str, items: Sequence[Item], second: Network | None) -> list[Stimulus]:
    """The manifest's rows of one set, every file read once more and judged."""
    network, pictures = workshop.network, workshop.pictures
    paths = [workshop.file(name, item.category) for item in items]
    named = [found.label for found in judge(network, paths, [item.category.network_class for item in items])]
    targets = [item.target(label) for item, label in zip(items, named, strict=True)]
    judged = judge(network, paths, targets)
    labels = own_labels(second, np.stack([found.image for found in judged])) if second else [(None, None)] * len(items)
    known = animacy(pictures.categories, network.labels)
    changed = study.stimuli.sets[name].changes_source
    rows = []
    for item, target, found, label in zip(items, targets, judged, labels, strict=True):
        distance = found.distance(item.wanted.source) if item.wanted and changed else (None, None)
        statistics = image_statistics(found.image)
        rows.append(
            Stimulus(
                stim_id=item.made.stim_id,
                stim_file=workshop.file(name, item.category).relative_to(workshop.folder.stimuli).as_posix(),
                set=name,
                category=item.category.name,
                supercategory=item.category.supercategory,
                animal_source=item.category.animal,
                source_id=item.wanted.source_id if item.wanted else None,
                target_class=target,
                network_label=found.label,
                animal_network_label=known.get(found.label),
                confidence=found.confidence,
                success=item.made.success,
                attempts=item.made.attempts,
                steps=item.made.steps,
                l2=distance[0],
                linf=distance[1],
                second_network_label=label[0],
                second_network_confidence=label[1],
                luminance=statistics.mean_luma,
                rms_contrast=statistics.rms_contrast,
                spectral_slope=statistics.spectral_slope,
                network=network.name,
                network_sha256=network.weights_sha256,
                seed=item.made.seed,
                sha256=found.sha256,
                guide_id=item.wanted.guide_id if item.wanted else None,
                representation_ratio=item.verdict(found).ratio,
            )
        )
    return rows


def _write_sidecar(
    study: Study,
    folder: StudyFolder,
    network: Network,
    second: Network | None,
    pictures: Pictures,
    shape: BatchShape,
    why: Mapping[str, str],
) -> Path:
    parameters = {
        "study": study.name,
        "study_seed": study.seed,
        "stimuli": _deciding(study),
        "batch_shape": list(shape.sides),
        "batch_shape_stated_by": shape.stated_by,
        "device": str(network.device),
        "network": {"description": network.description, "sha256": network.weights_sha256},
        "second_network": {"description": second.description, "sha256": second.weights_sha256} if second else None,
        "judged_on": "the PNG read back from disk",
        "pictures_converted": {file: list(done) for file, done in pictures.conversions().items()},
        "failures": dict(why),
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
