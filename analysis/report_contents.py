"""What the report says: gathered from the study folder as plain values, and put into a few sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis import brain_rdms, network_rdms
from analysis.behaviour import POOLED, BehaviourRow, Response, behaviour, load_responses
from analysis.behaviour_table import behaviour_rows
from analysis.compare import difference_path, similarity_path
from analysis.rdm import Rdm
from analysis.rdm_files import find_rdms, read_rdms
from analysis.rdms import brain_path, made_so_far, network_path
from analysis.similarity_table import DifferenceRow, SimilarityRow, read_rows
from protocols.folder import StudyFolder, read_json
from protocols.manifest import Stimulus, class_of_category, in_set, read_manifest
from protocols.problems import NotReady
from protocols.study import Recipe, Study

MINUS = "\u2212"


@dataclass(frozen=True)
class Part:
    """The similarities and RDMs of a brain or a network.

    rows        : similarities.
    differences : differences of similarities.
    rdms        : the RDMs that are shown (pooled subjects).
    files       : what they were read from.
    """

    rows: list[SimilarityRow]
    differences: list[DifferenceRow]
    rdms: list[Rdm]
    files: tuple[Path, ...]

    @property
    def places(self) -> list[str]:
        """ROIs or layers, in order."""
        return list(dict.fromkeys(row.place for row in self.rows))


@dataclass(frozen=True)
class DeskAnswers:
    """What was answered at a desk.

    responses : stimulus trials.
    behaviour : per subject and set, and over all subjects; `rows` the same with confidence, as in the table of behaviour.
    """

    responses: list[Response]
    behaviour: list[BehaviourRow]
    rows: list[dict[str, Any]]

    @property
    def rated(self) -> bool:
        """Whether confidence was asked for."""
        return any(math.isfinite(row["confidence"]) for row in self.rows)


@dataclass(frozen=True)
class Contents:
    """Everything the report shows.

    simulated    : a rehearsal's folder.
    sets         : stimulus sets of the analysed task.
    network      : None without activations.
    brain        : None without betas.
    responses    : stimulus trials of all runs in a scanner; empty when no run was shown there.
    at_desk      : those of all runs at a desk, and their rows as `foolscan analysis behaviour` writes them.
    certificates : one mapping per run, as the experiment room wrote them.
    screenshots  : pictures of the participant's window.
    inputs       : every file that was read.
    """

    study: Study
    folder: StudyFolder
    simulated: bool
    sets: tuple[str, ...]
    stimuli: list[Stimulus]
    network: Part | None
    brain: Part | None
    responses: list[Response]
    behaviour: list[BehaviourRow]
    at_desk: DeskAnswers
    certificates: list[dict[str, Any]]
    screenshots: list[Path]
    inputs: tuple[Path, ...]

    @property
    def subjects(self) -> int:
        """How many people (or emulated observers) answered."""
        return len({response.run.sub for response in (*self.responses, *self.at_desk.responses)})

    @property
    def pooled(self) -> list[SimilarityRow]:
        """The brain's similarities of pooled voxels."""
        return [row for row in self.brain.rows if row.subject == POOLED] if self.brain else []

    @property
    def differences(self) -> list[tuple[str, list[DifferenceRow]]]:
        """The differences of similarity that have an interval, of the brain's pooled voxels and of the network, by heading."""
        of_brain = [row for row in self.brain.differences if row.subject == POOLED] if self.brain else []
        of_network = self.network.differences if self.network else []
        return [(name, rows) for name, rows in ((self.brain_name, of_brain), ("Network", of_network)) if rows]

    @property
    def warnings(self) -> list[str]:
        """What to know before quoting a number of the brain."""
        return brain_rdms.warnings_of(self.study) if self.brain else []

    @property
    def brain_name(self) -> str:
        """What to call the brain: a rehearsal's is simulated, and every label says so."""
        return "Simulated brain" if self.simulated else "Brain"

    @property
    def has_truth(self) -> bool:
        """Whether a simulated brain's true similarities are known."""
        return any(math.isfinite(row.truth) for row in self.pooled)


def gather(study: Study, folder: StudyFolder) -> Contents:
    """Read what the report shows: of brain, network and behaviour whatever there is; images there must be.

    Raises NotReady naming the command that makes what is missing.
    """
    stimuli = read_manifest(folder)
    has_brain, has_network = made_so_far(study, folder)
    network = _part(folder, "network", network_path(folder)) if has_network else None
    brain = _part(folder, "brain", brain_path(folder)) if has_brain else None
    runs = folder.runs(study.analysis.task)
    responses = load_responses(study, folder, stimuli) if runs else []
    desk_runs = folder.runs(study.analysis.task, "beh")
    desk = load_responses(study, folder, stimuli, "beh") if desk_runs else []
    certificates = sorted(folder.derived("certificates").glob(f"*_task-{study.analysis.task}_*.json"))
    screenshots = sorted(folder.derived("screenshots").glob("*.png"))
    events = [*(folder.events(run) for run in runs), *(folder.events(run, "beh") for run in desk_runs)]
    inputs = [folder.manifest, *events, *certificates, *screenshots]
    for part in (network, brain):
        inputs += part.files if part else ()
    if has_network:
        inputs.append(network_rdms.activations_path(study, folder))
    description = folder.root / "dataset_description.json"
    simulated = description.exists() and read_json(description).get("Simulated") is True
    return Contents(
        study,
        folder,
        simulated,
        study.tasks[study.analysis.task].sets,
        stimuli,
        network,
        brain,
        responses,
        behaviour(study, responses),
        DeskAnswers(desk, behaviour(study, desk), behaviour_rows(study, desk, "beh")),
        [read_json(path) for path in certificates],
        screenshots,
        tuple(inputs),
    )


def _part(folder: StudyFolder, what: str, rdms: Path) -> Part:
    files = (similarity_path(folder, what), difference_path(folder, what), rdms)
    for path in files:
        if not path.exists():
            verb = "rdms" if path == rdms else "compare"
            raise NotReady(
                f"{path}: not there yet; make it with: foolscan analysis {verb} STUDY --to {folder.root}"
                + ("" if verb == "compare" else ", then compare")
            )
    stored = read_rdms(rdms)
    shown = stored if what == "network" else find_rdms(stored, subject=POOLED, part="all")
    return Part(read_rows(files[0], SimilarityRow), read_rows(files[1], DifferenceRow), shown, files)


def in_brief(contents: Contents) -> list[str]:
    """The findings in sentences, each counted from the tables."""
    found = [*_network_brief(contents), *_brain_brief(contents)]
    who = "Simulated observers" if contents.simulated else "Participants"
    found += _behaviour_brief(contents.behaviour, who, "")
    found += _behaviour_brief(contents.at_desk.behaviour, who, "At a desk: ")
    return found or ["So far there are only images: no run was shown, and neither brain nor network was measured."]


def _network_brief(contents: Contents) -> list[str]:
    if contents.network is None:
        return []
    part, found = contents.network, []
    for contrast in dict.fromkeys(row.contrast for row in part.differences):
        rows = [row for row in part.differences if row.contrast == contrast]
        larger, smaller = contrast.split(" minus ")
        above, below = _clear(rows)
        found.append(
            f"In the network, {larger} similarity is above {smaller} similarity in {above} of {len(rows)} layers, "
            f"and below it in {below} (intervals over units that leave out zero)."
        )
    ends = [(pair, [row for row in part.rows if row.pair == pair]) for pair in dict.fromkeys(r.pair for r in part.rows)]
    found.append(
        "From "
        + f"{part.places[0]} to {part.places[-1]}, "
        + " and ".join(
            f"{pair} goes from {signed(rows[0].similarity)} to {signed(rows[-1].similarity)}" for pair, rows in ends
        )
        + "."
    )
    return found


def _brain_brief(contents: Contents) -> list[str]:
    if contents.brain is None:
        return []
    found = []
    who = "simulated brain" if contents.simulated else "brain"
    pooled = [row for row in contents.brain.differences if row.subject == POOLED]
    for contrast in dict.fromkeys(row.contrast for row in pooled):
        rows = [row for row in pooled if row.contrast == contrast]
        larger, smaller = contrast.split(" minus ")
        above, below = _clear(rows)
        found.append(
            f"In the {who}, measured {larger} similarity is above {smaller} similarity in {above} of {len(rows)} ROIs, "
            f"and below it in {below} (intervals over voxels that leave out zero)."
        )
    return found + ([_recovery_brief(contents.pooled)] if contents.has_truth else [])


def corrected_methods(rows: Sequence[SimilarityRow]) -> list[str]:
    """How the intervals of corrected similarities were made, each way with the rows that it was for."""
    places: dict[str, list[str]] = {}
    for row in rows:
        if math.isfinite(row.corrected):
            places.setdefault(row.corrected_method, []).append(f"{row.place} {row.pair}")
    return [f"{method} ({', '.join(where)})" for method, where in places.items()]


def _recovery_brief(rows: Sequence[SimilarityRow]) -> str:
    known = [row for row in rows if math.isfinite(row.corrected)]
    text = f"Corrected for reliability, the similarity could be estimated in {len(known)} of {len(rows)} cases"
    for voxels, truth in (("of the chosen voxels", "truth_chosen"), ("of all informative voxels", "truth")):
        stated = [(row, float(getattr(row, truth))) for row in known if math.isfinite(getattr(row, truth))]
        if stated:
            miss = float(np.median([abs(row.corrected - value) for row, value in stated]))
            inside = sum(row.corrected_low <= value <= row.corrected_high for row, value in stated)
            text += f"; it is off the truth {voxels} by {miss:.2f} (median), and {inside} of {len(stated)} intervals hold it"
    return text + "."


def _behaviour_brief(rows: Sequence[BehaviourRow], who: str, where: str) -> list[str]:
    pooled = {row.set: row for row in rows if row.subject == POOLED}
    scored = [row for row in pooled.values() if math.isfinite(row.accuracy)]
    found = []
    if scored:
        parts = [f"{100 * row.accuracy:.1f} % of {row.set}" for row in scored]
        found.append(f"{where}{who} classified {' and '.join(parts)} images as their sources would be.")
    for row in pooled.values():
        if not math.isfinite(row.accuracy) and math.isfinite(row.p_animal_if_animal + row.p_animal_if_not):
            found.append(
                f"{where}{row.set} images were called animals in {100 * row.p_animal_if_animal:.0f} % of trials when the network saw "
                f"an animal, and in {100 * row.p_animal_if_not:.0f} % when it did not."
            )
    return found


def _clear(rows: Sequence[DifferenceRow]) -> tuple[int, int]:
    return sum(row.ci_low > 0 for row in rows), sum(row.ci_high < 0 for row in rows)


@dataclass(frozen=True)
class SetFacts:
    """What is to be known of one stimulus set, as text for a table."""

    name: str
    images: int
    met: int
    network: str
    second_source: str
    second_target: str
    change: str
    luminance: str
    contrast: str
    slope: str


def set_facts(contents: Contents) -> list[SetFacts]:
    """One row per stimulus set: success, labels, change and image statistics."""
    recipes = contents.study.stimuli.sets
    right = class_of_category(contents.stimuli)
    return [_facts(name, recipes[name], in_set(contents.stimuli, name), right) for name in contents.sets]


def _facts(name: str, recipe: Recipe, images: Sequence[Stimulus], right: Mapping[str, str]) -> SetFacts:
    confidences = [image.confidence for image in images]
    second = [image for image in images if image.second_network_label is not None]
    # noise has a source class, but no picture that it changes
    changes = [image.linf for image in images if recipe.changes_source and image.linf is not None]

    def share(count: int, of: int) -> str:
        return f"{count}/{of}" if of else "n/a"

    def spread(attribute: str, digits: int) -> str:
        values = np.array([getattr(image, attribute) for image in images], dtype=np.float64)
        return f"{signed(values.mean(), digits)} ± {values.std():.{digits}f}"

    return SetFacts(
        name,
        len(images),
        sum(image.success for image in images),
        f"{math.floor(1000 * float(np.median(confidences))) / 10:.1f} %",
        share(sum(image.second_network_label == right.get(image.category) for image in second), len(second))
        if recipe.has_correct_answer
        else "–",
        share(sum(image.second_network_label == image.target_class for image in second), len(second)),
        f"{int(np.median(changes))} ({max(changes)})" if changes else "–",
        spread("luminance", 0),
        spread("rms_contrast", 2),
        spread("spectral_slope", 2),
    )


def timing_brief(certificates: Sequence[dict[str, Any]]) -> list[str]:
    """The certificates of all runs in a few sentences."""
    if not certificates:
        return []
    passed = sum(bool(item.get("passed")) for item in certificates)
    found = [f"{passed} of {len(certificates)} runs are certified without a remark."]
    pulses = [(item.get("pulses_seen"), item.get("pulses_expected")) for item in certificates]
    pulses = [(seen, expected) for seen, expected in pulses if expected != 1]  # at a desk a key starts the run
    whole = sum(seen is not None and seen == expected for seen, expected in pulses)
    if pulses:
        found.append(f"All expected scanner pulses were logged in {whole} of {len(pulses)} runs.")
    worst = [item["onset_error_max_s"] for item in certificates if item.get("onset_error_max_s") is not None]
    if worst:
        found.append(f"The largest deviation of an onset from its plan was {1000 * max(worst):.1f} ms.")
    found += [
        f"Timing: {kind}." for kind in dict.fromkeys(str(item["timing"]) for item in certificates if "timing" in item)
    ]
    return found


def signed(value: float, digits: int = 2) -> str:
    """A number with a real minus sign; an en dash where there is none."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)
