"""The study file: what is made, shown and measured, as the methods section of a paper would say it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from protocols.analysis_plan import AnalysisPlan
from protocols.folder import MOST_RUNS
from protocols.fragile_plan import FragilePlan
from protocols.image_sets import ControlRecipe, Recipe, StimulusPlan
from protocols.online_plan import OnlinePlan
from protocols.problems import FoolscanError, Problem, ProtocolError
from protocols.provenance import sha256_of_bytes
from protocols.roi_plan import unknown_regions
from protocols.schema import (
    Count,
    EachOnce,
    Flag,
    GreyLevel,
    Label,
    NotNegative,
    Plan,
    Positive,
    Share,
    Text,
    Whole,
    validated,
)
from protocols.screens import Confidence, MaskPlan, Practice, Screens, texts_of
from protocols.yamlfile import SHIPPED, Document, dotted, find_file, read_document

STUDY_FORMAT = 1


class Basis(Plan):
    """Where a value comes from: `recalled` and `assumed` values are never called published."""

    tag: Literal["stated", "derived", "recalled", "assumed"]
    source: Text


class Design(Plan):
    """Who comes how often."""

    subjects: Annotated[Count, Field(le=9999)]
    sessions: Annotated[Count, Field(le=99)]
    runs: Annotated[Count, Field(le=MOST_RUNS, description="runs per session")]


class Dummies(Plan):
    """Volumes before steady state: four cases, all explicit."""

    volumes: Annotated[Whole, Field(le=1000)] = 0
    pulses: Literal["sent", "silent"] = "sent"
    images: Literal["stored", "discarded"] = "discarded"


class ScanProtocol(Plan):
    """What the scanner does; the analysis needs it without a rig."""

    tr_s: Annotated[Positive, Field(ge=0.05, le=60)]
    volumes: Annotated[Count, Field(le=100_000, description="volumes stored per run, dummies not counted")]
    dummies: Dummies = Dummies()

    @property
    def stored_dummies(self) -> int:
        """Volumes at the start of every image file that are no steady state yet; onset 0, the first stored volume, counts them."""
        return self.dummies.volumes if self.dummies.images == "stored" else 0


class OrderRules(Plan):
    """Constraints on the order of trials, new for every run and subject."""

    no_category_repeat: Flag = True
    source_distance: Annotated[
        Whole, Field(le=1000, description="least distance in trials between images of one source")
    ] = 4
    blanks_apart: Flag = True
    blank_at_ends: Flag = False


class ImagesTask(Plan):
    """A task that shows images with blanks and asks for one of two answers."""

    kind: Literal["images"]
    sets: Annotated[tuple[Label, ...], EachOnce, Field(min_length=1)]
    presentation: Annotated[
        Literal["all_once", "half_twice"],
        Field(description="a run shows all images once, or the session's half of the categories twice"),
    ] = "all_once"
    image_deg: Annotated[Positive, Field(le=120)]
    fixation_deg: Annotated[Positive, Field(le=10)]
    background_grey: GreyLevel = 128
    blank_s: Annotated[NotNegative, Field(le=3600, description="blank before each image")]
    image_s: Annotated[Positive, Field(le=3600)]
    blank_trial_s: Annotated[Positive, Field(le=3600)]
    lead_in_s: Annotated[NotNegative, Field(le=3600)]
    lead_out_s: Annotated[NotNegative, Field(le=3600)]
    stimulus_trials: Annotated[Count, Field(le=100_000)]
    blank_trials: Annotated[Whole, Field(le=100_000)]
    question: Text
    answers: Annotated[
        tuple[Label | Text, Label | Text], EachOnce, Field(description="answer names; the first is the one for animals")
    ]
    buttons: Annotated[tuple[Text, Text], EachOnce] = ("left", "right")
    response_window_s: Annotated[
        Positive, Field(le=3600, description="from image onset; later presses are kept, and count as late")
    ]
    language: Annotated[Text, Field(description="of a participant for whom no other is asked for")] = "en"
    instructions: Annotated[
        dict[str, str], Field(description="for each language, a reminder that stands until the first pulse")
    ] = Field(default_factory=dict)
    order: OrderRules = OrderRules()
    pace: Annotated[
        Literal["fixed", "self_paced"],
        Field(description="trials at planned times, or (without a scanner) each as soon as the one before is answered"),
    ] = "fixed"
    blank_jitter_s: Annotated[
        NotNegative, Field(le=3600, description="up to this much, drawn anew for every trial, is added to blank_s")
    ] = 0.0
    image_until_response: Annotated[
        Flag, Field(description="self_paced: the image stays until the answer or the end of response_window_s")
    ] = False
    mask: MaskPlan | None = None
    confidence: Annotated[Confidence | None, Field(description="self_paced only")] = None
    screens: Screens | None = None
    practice: Practice | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which it has texts, its own first."""
        texts = [text for _, text in texts_of(self.screens, self.practice, self.confidence)]
        return tuple(
            dict.fromkeys([self.language, *(language for text in [*texts, self.instructions] for language in text)])
        )

    @property
    def self_paced(self) -> bool:
        """Whether the participant's answers set the pace: then there is no scanner to keep to."""
        return self.pace == "self_paced"

    @property
    def run_s(self) -> float:
        """Planned length of a run from the first stored volume, s; of one with jitter the longest that can come."""
        image_s = self.blank_s + self.blank_jitter_s + self.image_s
        trials = self.stimulus_trials * image_s + self.blank_trials * self.blank_trial_s
        return self.lead_in_s + trials + self.lead_out_s


class SimulatedObserver(Plan):
    """The emulated participant of a rehearsal."""

    accuracy: dict[Label, Share]
    animal_bias: Annotated[Share, Field(description="P(animal) where nothing is recognised")] = 0.5
    miss_rate: Share = 0.02
    rt_median_s: Annotated[Positive, Field(le=60)] = 0.65
    rt_spread: Annotated[Positive, Field(le=5, description="SD of log RT beyond its floor")] = 0.25
    rt_floor_s: Annotated[Positive, Field(le=60, description="shorter than rt_median_s")] = 0.25


class SimulatedBrain(Plan):
    """The emulated brain of a rehearsal: stated truth, then everything that hides it."""

    voxels_per_roi: Annotated[Count, Field(le=100_000)] = 200
    shared: Annotated[
        dict[Label, dict[Label, Share]],
        Field(description="for each ROI and set, how much of the regular images' geometry it shares: 0 nothing, 1 all"),
    ]
    peak_signal_pct: Annotated[Positive, Field(le=100)] = 1.0
    tsnr: Annotated[Positive, Field(le=100_000)] = 50.0
    informative: Annotated[Share, Field(description="share of an ROI's voxels that carry the geometry")] = 0.7
    noise_ar: Annotated[Share, Field(lt=1, description="temporal autocorrelation at one TR")] = 0.3
    noise_fwhm_voxels: Annotated[NotNegative, Field(le=100)] = 1.5
    drift_pct: Annotated[NotNegative, Field(le=100)] = 1.0
    motion_mm: Annotated[NotNegative, Field(le=100)] = 0.2
    hrf_delay_sd_s: Annotated[NotNegative, Field(le=10, description="spread of the time to peak over voxels")] = 0.5


class RehearsalPlan(Plan):
    """The emulated participant."""

    observer: SimulatedObserver
    brain: SimulatedBrain


class Study(Plan):
    """A whole study, checked."""

    format: Literal[1]
    name: Annotated[Text, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    title: Text
    reference: Text | None = None
    seed: Annotated[Whole, Field(le=2**63 - 1)]
    design: Design
    scan: ScanProtocol
    stimuli: StimulusPlan
    tasks: Annotated[dict[Label, ImagesTask], Field(min_length=1)]
    analysis: AnalysisPlan
    rehearsal: RehearsalPlan
    fragile: Annotated[
        FragilePlan | None, Field(description="nothing: no windows of pictures are mapped (Srivastava 2019)")
    ] = None
    online: Annotated[OnlinePlan | None, Field(description="nothing: no task in the browser")] = None
    basis: dict[str, Basis] = Field(default_factory=dict)

    _document: Document | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """The folder to which the study's relative paths refer: its file's, or the current one if it came with foolscan."""
        return self._document.folder if self._document and self._document.folder != SHIPPED else Path()

    @property
    def sha256(self) -> str:
        """Hash of the study's content (of the checked values, so comments and layout do not count)."""
        return sha256_of_bytes(self.model_dump_json().encode())

    def problem(self, key: str, found: str, allowed: str, remedy: str = "", *, needed: bool = False) -> Problem:
        """A problem at a dotted key of this study's file (see `Problem`)."""
        place = self._document.place(tuple(key.split("."))) if self._document else None
        return Problem(
            place.file if place else self.name, place.line if place else 0, key, found, allowed, remedy, needed
        )


def online_plan(study: Study) -> OnlinePlan:
    """The study's task in the browser. Raises FoolscanError where there is none."""
    if study.online is None:
        remedy = "studies with one: srivastava2019, zhang2018_online"
        raise FoolscanError(str(study.problem("online", "nothing", "a task in the browser", remedy)))
    return study.online


def load_study(name_or_path: str | Path) -> Study:
    """A study by shipped name (``demo``) or by path, with what it extends.

    Raises ProtocolError with all problems at once: file, line, key, found, allowed.
    """
    document = read_document(find_file(name_or_path, "study"))
    study = validated(Study, document)
    study._document = document
    problems = [*_unknown_names(study, document)]
    if problems:
        raise ProtocolError(problems)
    kept = {key: basis for key, basis in study.basis.items() if _has(study, key) and not _outdated(document, key)}
    study = study.model_copy(update={"basis": kept})
    study._document = document
    return study


def _unknown_names(study: Study, document: Document) -> Iterator[Problem]:
    """Sets, tasks, regions and keys that are named in one place and are nowhere."""
    sets, shared = study.stimuli.sets, study.rehearsal.brain.shared
    has_sets = f"a set of stimuli.sets: {', '.join(sets)}"
    named = {f"tasks.{name}.sets": task.sets for name, task in study.tasks.items()}
    named["analysis.pairs"] = tuple(name for pair in study.analysis.pairs for name in pair)
    named["rehearsal.observer.accuracy"] = tuple(study.rehearsal.observer.accuracy)
    named |= {f"rehearsal.brain.shared.{roi}": tuple(of_sets) for roi, of_sets in shared.items()}
    for key, names in named.items():
        for name in dict.fromkeys(names):
            if name not in sets:
                yield study.problem(key, repr(name), has_sets)
    for name, recipe in sets.items():
        source = getattr(recipe, "source", None)
        if source is not None and not _is_of_pictures(sets.get(source)):
            yield study.problem(f"stimuli.sets.{name}.source", repr(source), "a set of kind 'pictures'")
        if isinstance(recipe, ControlRecipe) and not _changes_pictures(sets.get(recipe.of)):
            allowed = "a set that changes regular images (adversarial_interference, label_adversary, feature_adversary)"
            yield study.problem(f"stimuli.sets.{name}.of", repr(recipe.of), allowed)
    if study.analysis.task not in study.tasks:
        yield study.problem("analysis.task", repr(study.analysis.task), f"a task: {', '.join(study.tasks)}")
    for roi in study.analysis.rois:
        if roi not in shared:
            yield study.problem("analysis.rois", repr(roi), f"a region of rehearsal.brain.shared: {', '.join(shared)}")
    for key, found, allowed in unknown_regions(study.analysis.roi_sources, study.analysis.rois):
        yield study.problem(f"analysis.roi_sources.{key}", found, allowed)
    for key in study.basis:
        if not _has(study, key) and not _was_replaced(document, key):
            yield study.problem(f"basis.{key}", f"the key {key!r}", "a key of this study that has a value")


def _is_of_pictures(recipe: Recipe | None) -> bool:
    return recipe is not None and recipe.kind == "pictures"


def _changes_pictures(recipe: Recipe | None) -> bool:
    return recipe is not None and recipe.changes_source and not isinstance(recipe, ControlRecipe)


def _has(study: Study, key: str) -> bool:
    here: object = study.model_dump()
    for part in key.split("."):
        if not isinstance(here, dict) or part not in here:
            return False
        here = here[part]
    return True


def _was_replaced(document: Document, key: str) -> bool:
    """Whether an extending study put another value in a key's place, or took it away."""
    return any(key == dotted(path) or key.startswith(dotted(path) + ".") for path in document.changed)


def _outdated(document: Document, key: str) -> bool:
    """Whether an extending study replaced the value and did not say again where it comes from."""
    path = tuple(key.split("."))
    return _was_replaced(document, key) and document.place(path).file != document.places[("basis", key)].file
