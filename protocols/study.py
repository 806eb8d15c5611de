"""The study file: what is made, shown and measured, as the methods section of a paper would say it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PrivateAttr, model_validator

from protocols.problems import Problem, ProtocolError
from protocols.provenance import sha256_of_bytes
from protocols.schema import Count, Flag, GreyLevel, Label, NotNegative, Plan, Positive, Share, Text, Whole, validated
from protocols.yamlfile import SHIPPED, Document, dotted, find_file, read_document

STUDY_FORMAT = 1


class Basis(Plan):
    """Where a value comes from: `recalled` and `assumed` values are never called published."""

    tag: Literal["stated", "derived", "recalled", "assumed"]
    source: Text


class Design(Plan):
    """Who comes how often."""

    subjects: Count
    sessions: Count
    runs: Annotated[Count, Field(description="runs per session")]


class Dummies(Plan):
    """Volumes before steady state: four cases, all explicit."""

    volumes: Whole = 0
    pulses: Literal["sent", "silent"] = "sent"
    images: Literal["stored", "discarded"] = "discarded"


class ScanProtocol(Plan):
    """What the scanner does; the analysis needs it without a rig."""

    tr_s: Positive
    volumes: Annotated[Count, Field(description="volumes stored per run, dummies not counted")]
    dummies: Dummies = Dummies()

    @property
    def stored_dummies(self) -> int:
        """Volumes at the start of every image file that are no steady state yet; onset 0, the first stored volume, counts them."""
        return self.dummies.volumes if self.dummies.images == "stored" else 0


class NetworkPlan(Plan):
    """A network by name, and where its weights come from."""

    name: Text
    weights: Annotated[Text | None, Field(description="None: the network's own; 'random'; or a path to a file")] = None


class PictureBookSource(Plan):
    """Pictures drawn by foolscan."""

    kind: Literal["picturebook"]
    split: Literal["train", "validation", "test"] = "test"


class FolderSource(Plan):
    """The user's own pictures, with a table: columns file, category, supercategory, animal, network_class."""

    kind: Literal["folder"]
    folder: Text
    labels: Text = "labels.tsv"


class PicturesRecipe(Plan):
    """Regular images (RE): pictures as they are, on the network's pixel grid."""

    has_correct_answer: ClassVar[bool] = True

    kind: Literal["pictures"]


class AdversarialNoiseRecipe(Plan):
    """Adversarial noise (AN): from the mean image and Gaussian noise up the posterior of the paired class (Nguyen 2015)."""

    has_correct_answer: ClassVar[bool] = False  # noise shows nothing that could be recognised

    kind: Literal["adversarial_noise"]
    source: Label = "RE"
    confidence: Share = 0.99
    noise_sd: Annotated[Positive, Field(description="SD of the starting noise, grey levels 0-255")] = 10.0
    step: Annotated[Positive, Field(description="length of a step: RMS change per pixel, grey levels")] = 1.0
    max_steps: Count = 1000
    attempts: Count = 5


class AdversarialInterferenceRecipe(Plan):
    """Adversarial interference (AI): from the RE image to a wrong class, the change kept small (Zhang 2018)."""

    has_correct_answer: ClassVar[bool] = True

    kind: Literal["adversarial_interference"]
    source: Label = "RE"
    confidence: Share = 0.99
    target: Annotated[
        Literal["other_animacy", "random", "least_likely"],
        Field(
            description="the wrong class: next class of the other animacy, a random one, or the network's least likely"
        ),
    ] = "other_animacy"
    linf_preferred: Annotated[Count, Field(le=255, description="tried first, and smaller; grey levels")] = 8
    linf_max: Annotated[Count, Field(le=255, description="never exceeded; grey levels")] = 16
    max_steps: Count = 500
    attempts: Count = 5


Recipe = Annotated[PicturesRecipe | AdversarialNoiseRecipe | AdversarialInterferenceRecipe, Field(discriminator="kind")]


class StimulusPlan(Plan):
    """The image sets of a study."""

    network: NetworkPlan
    second_network: Annotated[
        NetworkPlan | None, Field(description="an independent network whose labels are reported")
    ] = None
    size_px: Annotated[Count, Field(description="side of every image: the pixel grid all sets share")]
    pictures: Annotated[PictureBookSource | FolderSource, Field(discriminator="kind")]
    n_categories: Count
    sets: dict[Label, Recipe]


class OrderRules(Plan):
    """Constraints on the order of trials, new for every run and subject."""

    no_category_repeat: Flag = True
    source_distance: Annotated[Whole, Field(description="least distance in trials between images of one source")] = 4
    blanks_apart: Flag = True
    blank_at_ends: Flag = False


def _each_once(key: str, names: Sequence[object]) -> None:
    again = [name for place, name in enumerate(names) if name in names[:place]]
    if again:
        raise ValueError(f"{key} names {again[0]!r} twice; each once")


class ImagesTask(Plan):
    """A task that shows images with blanks and asks for one of two answers."""

    kind: Literal["images"]
    sets: tuple[Label, ...]
    presentation: Annotated[
        Literal["all_once", "half_twice"],
        Field(description="a run shows all images once, or the session's half of the categories twice"),
    ] = "all_once"
    image_deg: Annotated[Positive, Field(lt=180)]
    fixation_deg: Annotated[Positive, Field(lt=180)]
    background_grey: GreyLevel = 128
    blank_s: Annotated[NotNegative, Field(description="blank before each image")]
    image_s: Positive
    blank_trial_s: Positive
    lead_in_s: NotNegative
    lead_out_s: NotNegative
    stimulus_trials: Count
    blank_trials: Whole
    question: Text
    answers: Annotated[
        tuple[Label | Text, Label | Text], Field(description="answer names; the first is the one for animals")
    ]
    buttons: tuple[Text, Text] = ("left", "right")
    response_window_s: Annotated[
        Positive, Field(description="from image onset; later presses are kept, and count as late")
    ]
    language: Text = "en"
    instructions: dict[str, str] = Field(default_factory=dict)
    order: OrderRules = OrderRules()

    @model_validator(mode="after")
    def _names_differ(self) -> ImagesTask:
        if not self.sets:
            raise ValueError("sets is empty; a task shows at least one set")
        for key, names in (("sets", self.sets), ("answers", self.answers), ("buttons", self.buttons)):
            _each_once(key, names)
        return self

    @property
    def run_s(self) -> float:
        """Planned length of a run from the first stored volume, s."""
        trials = self.stimulus_trials * (self.blank_s + self.image_s) + self.blank_trials * self.blank_trial_s
        return self.lead_in_s + trials + self.lead_out_s


class GlmPlan(Plan):
    """How betas are estimated."""

    model: Annotated[Literal["run_condition"], Field(description="one regressor per image and run")] = "run_condition"
    hrf: Literal["spm", "glover"] = "spm"
    drift: Literal["cosine", "polynomial"] = "cosine"
    high_pass_hz: Positive = 0.01
    noise: Literal["ols", "ar1"] = "ols"


class VoxelSelection(Plan):
    """Which voxels of an ROI enter: the reliable ones, chosen on other runs than are analysed unless `published`."""

    per_subject: Count = 100
    by: Literal["split_half", "published"] = "split_half"
    images: Literal["all", "RE"] = "all"


class BootstrapPlan(Plan):
    """Resampling of voxels (or units) for intervals."""

    resamples: Annotated[int, Field(strict=True, ge=100)] = 1000
    interval: Annotated[Share, Field(gt=0, lt=1)] = 0.95


class AnalysisPlan(Plan):
    """From betas and activations to RDMs and their similarity."""

    task: Label
    rois: tuple[Label, ...]
    glm: GlmPlan = GlmPlan()
    voxels: VoxelSelection = VoxelSelection()
    pattern_scaling: Literal["none", "z_voxel_run", "mean_removed", "mean_removed_within_type"] = "z_voxel_run"
    dissimilarity: Literal["spearman", "pearson"] = "spearman"
    similarity: Annotated[Literal["pearson", "spearman"], Field(description="correlation of two RDMs")] = "pearson"
    pairs: tuple[tuple[Label, Label], ...] = (("RE", "AN"), ("RE", "AI"))
    layers: Annotated[tuple[Text, ...] | Literal["all"], Field(description="network layers")] = "all"
    bootstrap: BootstrapPlan = BootstrapPlan()

    @model_validator(mode="after")
    def _names_differ(self) -> AnalysisPlan:
        for pair in self.pairs:
            _each_once("pairs", pair)
        for key, names in (("rois", self.rois), ("pairs", self.pairs)):
            _each_once(key, names)
        return self


class SimulatedObserver(Plan):
    """The emulated participant of a rehearsal."""

    accuracy: dict[Label, Share]
    animal_bias: Annotated[Share, Field(description="P(animal) where nothing is recognised")] = 0.5
    miss_rate: Share = 0.02
    rt_median_s: Positive = 0.65
    rt_spread: Annotated[Positive, Field(description="SD of log RT beyond its floor")] = 0.25
    rt_floor_s: Positive = 0.25


class SimulatedBrain(Plan):
    """The emulated brain of a rehearsal: stated truth, then everything that hides it."""

    voxels_per_roi: Count = 200
    shared: Annotated[
        dict[Label, dict[Label, Share]],
        Field(description="for each ROI and set, how much of the regular images' geometry it shares: 0 nothing, 1 all"),
    ]
    peak_signal_pct: Positive = 1.0
    tsnr: Positive = 50.0
    informative: Annotated[Share, Field(description="share of an ROI's voxels that carry the geometry")] = 0.7
    noise_ar: Annotated[Share, Field(lt=1, description="temporal autocorrelation at one TR")] = 0.3
    noise_fwhm_voxels: NotNegative = 1.5
    drift_pct: NotNegative = 1.0
    motion_mm: NotNegative = 0.2
    hrf_delay_sd_s: Annotated[NotNegative, Field(description="spread of the time to peak over voxels")] = 0.5


class RehearsalPlan(Plan):
    """The emulated participant."""

    observer: SimulatedObserver
    brain: SimulatedBrain


class Study(Plan):
    """A whole study, checked."""

    format: Literal[1]
    name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    title: Text
    reference: Text | None = None
    seed: Whole
    design: Design
    scan: ScanProtocol
    stimuli: StimulusPlan
    tasks: dict[Label, ImagesTask]
    analysis: AnalysisPlan
    rehearsal: RehearsalPlan
    basis: dict[str, Basis] = Field(default_factory=dict)

    _document: Document | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _names_agree(self) -> Study:
        sets = self.stimuli.sets
        for name, task in self.tasks.items():
            for wanted in task.sets:
                if wanted not in sets:
                    raise ValueError(f"tasks.{name}.sets names {wanted!r}; stimuli.sets has {', '.join(sets)}")
        for name, recipe in sets.items():
            source = getattr(recipe, "source", None)
            if source is not None and (source not in sets or sets[source].kind != "pictures"):
                raise ValueError(f"stimuli.sets.{name}.source is {source!r}; it must be a set of kind 'pictures'")
        if self.analysis.task not in self.tasks:
            raise ValueError(f"analysis.task is {self.analysis.task!r}; tasks has {', '.join(self.tasks)}")
        for wanted in {name for pair in self.analysis.pairs for name in pair} - set(sets):
            raise ValueError(f"analysis.pairs names {wanted!r}; stimuli.sets has {', '.join(sets)}")
        for roi in set(self.analysis.rois) - set(self.rehearsal.brain.shared):
            raise ValueError(f"rehearsal.brain.shared lacks {roi!r}, which analysis.rois names")
        return self

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


def load_study(name_or_path: str | Path) -> Study:
    """A study by shipped name (``demo``) or by path, with what it extends.

    Raises ProtocolError with all problems at once: file, line, key, found, allowed.
    """
    document = read_document(find_file(name_or_path, "study"))
    study = validated(Study, document)
    study._document = document
    problems = [
        study.problem(f"basis.{key}", f"the key {key!r}", "a key of this study that has a value")
        for key in study.basis
        if not _has(study, key)
    ]
    if problems:
        raise ProtocolError(problems)
    kept = {key: basis for key, basis in study.basis.items() if not _outdated(document, key)}
    study = study.model_copy(update={"basis": kept})
    study._document = document
    return study


def _has(study: Study, key: str) -> bool:
    here: object = study.model_dump()
    for part in key.split("."):
        if not isinstance(here, dict) or part not in here:
            return False
        here = here[part]
    return True


def _outdated(document: Document, key: str) -> bool:
    """Whether an extending study replaced the value and did not say again where it comes from."""
    replaced = any(key == dotted(path) or key.startswith(dotted(path) + ".") for path in document.changed)
    path = tuple(key.split("."))
    return replaced and document.place(path).file != document.places[("basis", key)].file
