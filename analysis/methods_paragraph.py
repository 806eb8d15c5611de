"""The methods paragraph: every number from the study file, and only what the paper says attributed to the paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.glm.words import model_in_words
from analysis.similarity import NAMES
from protocols.dissimilarity_names import in_words
from protocols.image_sets import AdversarialInterferenceRecipe
from protocols.inference_plan import BootstrapPlan
from protocols.significance_plan import SignificancePlan
from protocols.study import Study

PUBLISHED = ("stated", "derived")

RunsWithMotion = Literal["all", "some", "no"]


@dataclass(frozen=True)
class Clause:
    """A statement and the study-file keys that its values come from.

    text : grammatical after "Following …:" and after "By this study's own choice:".
    keys : dotted keys; the clause is the paper's only if every one has the basis `stated` or `derived`.
    """

    text: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One topic of the methods, its clauses in order."""

    title: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True)
class Sentence:
    """One sentence of the paragraph.

    published : True when it is attributed to the paper.
    keys      : of the study file, for the reader who wants to look a value up.
    """

    text: str
    published: bool
    keys: tuple[str, ...]


def is_published(study: Study, key: str) -> bool:
    """Whether a value is the paper's: its basis says `stated` or `derived`, and no extending study replaced it."""
    basis = study.basis.get(key)
    return study.reference is not None and basis is not None and basis.tag in PUBLISHED


def citation(reference: str) -> str:
    """``Zhang C, Duan X, … (2018)`` as ``Zhang et al. (2018)``."""
    year = re.search(r"\((\d{4})\)", reference)
    authors = [author.strip() for author in re.split(r",|&|;", reference.split("(")[0]) if author.strip()]
    surnames = [" ".join(word for word in author.split() if not word.isupper()) or author for author in authors]
    who = {0: reference, 1: "".join(surnames), 2: " and ".join(surnames)}.get(len(surnames), f"{surnames[0]} et al.")
    return f"{who} ({year.group(1)})" if year else who


def methods_paragraph(
    study: Study,
    *,
    simulated: bool,
    motion: RunsWithMotion = "all",
    imported: Sequence[str] = (),
    estimated: bool = True,
    scanner: bool = True,
    more: Sequence[Part] = (),
) -> list[tuple[str, list[Sentence]]]:
    """The methods of a study, topic by topic.

    study     : the study file; its `basis` decides what is attributed to its `reference`.
    simulated : True for a rehearsal: participant, scanner and brain were emulated, and the paragraph says so.
    motion    : in which runs the GLM had head motion as confounds; the study file does not say it, the betas do.
    imported  : what is known of betas that were estimated elsewhere, in words.
    estimated : whether foolscan estimated any.
    scanner   : whether the study is of images in a scanner or at a desk; False for one of crops in the browser alone.
    more      : further topics, after these.

    Returns (topic, sentences). Published values come first in each topic, then this study's own choices.
    """
    cited = citation(study.reference) if study.reference else ""
    topics = []
    parts = _parts(study, simulated, motion, imported, estimated=estimated) if scanner else ()
    for part in (*parts, *more):
        sentences = []
        for published in (True, False):
            clauses = [clause for clause in part.clauses if _published(study, clause) == published]
            if clauses:
                start = f"As in {cited}, " if published else ("By this study's own choice, " if cited else "")
                text = start + _joined([clause.text for clause in clauses]) + "."
                keys = tuple(key for clause in clauses for key in clause.keys)
                sentences.append(Sentence(text[0].upper() + text[1:], published, keys))
        topics.append((part.title, sentences))
    return topics


def as_text(topics: Sequence[tuple[str, Sequence[Sentence]]]) -> str:
    """The paragraph as plain text, one line per topic."""
    return "\n".join(f"{title}. {' '.join(sentence.text for sentence in sentences)}" for title, sentences in topics)


def _published(study: Study, clause: Clause) -> bool:
    return bool(clause.keys) and all(is_published(study, key) for key in clause.keys)


def _joined(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else "; ".join(texts[:-1]) + "; and " + texts[-1]


def _parts(
    study: Study, simulated: bool, motion: RunsWithMotion, imported: Sequence[str], *, estimated: bool
) -> Iterator[Part]:
    yield Part("Participants", tuple(_participants(study, simulated)))
    yield Part("Stimuli", tuple(_stimuli(study)))
    yield Part("Task", tuple(_task(study)))
    yield Part("Imaging", tuple(_imaging(study, simulated)))
    yield Part("Analysis", tuple(_analysis(study, motion, imported, estimated=estimated)))


def _participants(study: Study, simulated: bool) -> Iterator[Clause]:
    design = study.design
    yield Clause(f"there were {_count(design.subjects, 'participant')}", ("design.subjects",))
    if simulated:
        yield Clause("the participants were simulated, no person took part", ())
    yield Clause(f"each came for {_count(design.sessions, 'session')}", ("design.sessions",))
    yield Clause(f"a session had {_count(design.runs, 'run')}", ("design.runs",))


def _stimuli(study: Study) -> Iterator[Clause]:
    plan = study.stimuli
    yield Clause(
        f"there were {plan.n_categories} categories, one image of each in every set", ("stimuli.n_categories",)
    )
    yield Clause(f"images were made for the network {plan.network.name}", ("stimuli.network.name",))
    yield Clause(f"all sets shared one grid of {plan.size_px} × {plan.size_px} pixels", ("stimuli.size_px",))
    if plan.pictures.kind == "picturebook":
        text = f"the regular images were drawn by foolscan's picture book ({plan.pictures.split} split)"
        yield Clause(text, ("stimuli.pictures.kind",))
    else:
        yield Clause("the regular images were the laboratory's own pictures", ("stimuli.pictures.kind",))
    for name, recipe in plan.sets.items():
        key = f"stimuli.sets.{name}"
        if recipe.kind == "adversarial_noise":
            text = f"{name} images were optimised until the paired class reached a confidence of {_percent(recipe.confidence)}"
            yield Clause(text, (f"{key}.confidence",))
            text = f"{name} started from the mean image plus Gaussian noise of SD {recipe.noise_sd:g} grey levels"
            yield Clause(text, (f"{key}.noise_sd",))
        elif recipe.kind == "adversarial_interference":
            reached = _percent(recipe.confidence)
            text = (
                f"{name} images were optimised from their {recipe.source} images until a wrong class reached {reached}"
            )
            yield Clause(text, (f"{key}.confidence",))
            target = {
                "other_animacy": "the next class of the other animacy",
                "random": "a random one",
                "least_likely": "the one the network found least likely",
            }[recipe.target]
            yield Clause(f"the wrong class of {name} was {target}", (f"{key}.target",))
            text = f"no pixel of {name} changed by more than {recipe.linf_max}/255"
            yield Clause(text, (f"{key}.linf_max",))
            yield from _radii(name, key, recipe)
    if plan.second_network is not None:
        text = f"a second network, {plan.second_network.name}, labelled all images"
        yield Clause(text, ("stimuli.second_network.name",))


def _radii(name: str, key: str, recipe: AdversarialInterferenceRecipe) -> Iterator[Clause]:
    """How the smallest sufficient change was looked for."""
    tried = [f"{radius}" for radius in recipe.linf_tried if radius < recipe.linf_max]
    text = (
        f"largest changes of {', '.join([*tried, str(recipe.linf_max)])} grey levels of 255 were tried in turn, each from "
        "where the smaller one ended"
    )
    if recipe.linf_max_on == "last_attempt":
        text += f", up to {recipe.linf_preferred} in all but the last of {recipe.attempts} attempts"
    keys = ["linf_tried", "linf_preferred", "linf_max_on", "attempts"]
    if recipe.linf_refined:
        text += "; between the first that sufficed and the one before it, the smallest sufficient whole grey level was found by halves"
        keys.append("linf_refined")
    yield Clause(text, tuple(f"{key}.{part}" for part in keys))
    again = (
        "the next wrong class, the last one for the first class again"
        if recipe.retry_class == "next"
        else "the same class"
    )
    text = f"a further attempt at {name} began at a random point near the image and was for {again}"
    yield Clause(text, (f"{key}.retry_class",))


def _task(study: Study) -> Iterator[Clause]:
    name = study.analysis.task
    task, key = study.tasks[name], f"tasks.{study.analysis.task}"
    yield Clause(f"images subtended {task.image_deg:g}°", (f"{key}.image_deg",))
    yield Clause(f"a fixation point of {task.fixation_deg:g}° was shown throughout", (f"{key}.fixation_deg",))
    yield Clause(f"a blank of {task.blank_s:g} s preceded every image", (f"{key}.blank_s",))
    yield Clause(f"an image was shown for {task.image_s:g} s", (f"{key}.image_s",))
    yield Clause(f"a run had {task.stimulus_trials} stimulus trials", (f"{key}.stimulus_trials",))
    blanks = f"a run had {task.blank_trials} blank trials"
    yield Clause(blanks, (f"{key}.blank_trials",))
    yield Clause(f"a blank trial lasted {task.blank_trial_s:g} s", (f"{key}.blank_trial_s",))
    yield Clause(f"a run began with {task.lead_in_s:g} s of blank", (f"{key}.lead_in_s",))
    yield Clause(f"a run ended with {task.lead_out_s:g} s of blank", (f"{key}.lead_out_s",))
    shown = {
        "all_once": "every image was shown once in a run",
        "half_twice": "a run showed the session's half of the categories twice",
    }[task.presentation]
    yield Clause(shown, (f"{key}.presentation",))
    answers = " or ".join(answer.replace("_", " ") for answer in task.answers)
    yield Clause(f"the answer to each image, by button, was {answers}", (f"{key}.answers",))
    window = f"an answer counted when it came within {task.response_window_s:g} s of image onset"
    yield Clause(window, (f"{key}.response_window_s",))
    yield Clause(f"the background was grey level {task.background_grey}", (f"{key}.background_grey",))


def _imaging(study: Study, simulated: bool) -> Iterator[Clause]:
    scan = study.scan
    yield Clause(f"a volume was stored every {scan.tr_s:g} s (TR)", ("scan.tr_s",))
    yield Clause(f"a run stored {scan.volumes} volumes", ("scan.volumes", "scan.tr_s"))
    if scan.dummies.volumes:
        text = f"{scan.dummies.volumes} dummy volumes were {scan.dummies.images}"
        yield Clause(text, ("scan.dummies.volumes", "scan.dummies.images"))
    if simulated:
        brain = study.rehearsal.brain
        text = (
            f"the images were simulated, with voxel-wise haemodynamic responses, {brain.peak_signal_pct:g} % peak signal, "
            f"a temporal signal-to-noise ratio of {brain.tsnr:g}, drift, motion and correlated noise"
        )
        yield Clause(text, ("rehearsal.brain.peak_signal_pct", "rehearsal.brain.tsnr"))


def _analysis(study: Study, motion: RunsWithMotion, imported: Sequence[str], *, estimated: bool) -> Iterator[Clause]:
    plan = study.analysis
    voxels = plan.voxels
    yield Clause(f"the regions of interest were {_listed(plan.rois)}", ("analysis.rois",))
    for text in imported:
        yield Clause(text, ())
    if estimated:
        for text, keys in model_in_words(plan.glm, motion):
            yield Clause(text, keys)
    text = f"in each region, the {voxels.per_subject} voxels of a participant that answered images most alike across runs were kept"
    yield Clause(text, ("analysis.voxels.per_subject",))
    chosen = {
        "split_half": "voxels were chosen on one half of the runs and analysed on the other, then the halves were swapped",
        "published": "voxels were chosen on the same runs that were analysed, which is circular",
        "searchlight": "voxels were chosen, on one half of the runs for the other and the other way round, by how well the RDM of "
        f"the voxels within {voxels.radius_mm:g} mm repeats",
        "searchlight_published": "voxels were chosen by how well the RDM of the voxels within "
        f"{voxels.radius_mm:g} mm repeats, on the same runs that were analysed, which is circular",
    }[voxels.by]
    yield Clause(chosen, ("analysis.voxels.by",))
    over = "all images" if voxels.images == "all" else f"{voxels.images} images alone"
    yield Clause(f"voxels were chosen on {over}", ("analysis.voxels.images",))
    scaling = {
        "none": "patterns were not scaled",
        "z_voxel_run": "each voxel's betas were z-scored within each run",
        "mean_removed": "each voxel's mean over the images of a run was removed",
        "mean_removed_within_type": "each voxel's mean over the images of a run and set was removed",
    }[plan.pattern_scaling]
    yield Clause(scaling, ("analysis.pattern_scaling",))
    pooled = {
        "z_within_subject": "each participant's patterns were z-scored over images and voxels before participants were pooled",
        "raw": "voxels of participants were pooled without scaling them to one another",
    }[plan.pooling]
    yield Clause(pooled, ("analysis.pooling",))
    text = (
        f"the dissimilarity of two images of one set was measured as {in_words(plan.dissimilarity)} of their patterns"
    )
    yield Clause(text, ("analysis.dissimilarity",))
    if plan.dissimilarity == "crossnobis":
        yield Clause(f"products of patterns were taken between {plan.folds}", ("analysis.folds",))
    pairs = _listed([f"{first} and {second}" for first, second in plan.pairs], ", ")
    yield Clause(f"the sets compared were {pairs}", ("analysis.pairs",))
    yield Clause(f"two RDMs were compared by {NAMES[plan.similarity]}", ("analysis.similarity",))
    yield Clause(f"intervals cover {_percent(plan.bootstrap.interval)}", ("analysis.bootstrap.interval",))
    yield from _intervals(plan.bootstrap)
    yield from _tests(plan.tests)
    yield Clause("sensitivity d′ and criterion c had Hautus' log-linear correction", ())


def _intervals(plan: BootstrapPlan) -> Iterator[Clause]:
    """How intervals of similarities were made; what they are of stands beside each in the tables."""
    over = {
        "voxels": "voxels within participants",
        "images": "images",
        "both": "voxels within participants and images",
        "subjects": "participants",
        "blocks": "blocks of neighbouring voxels within participants",
    }[plan.factor]
    keys = ("analysis.bootstrap.kind", "analysis.bootstrap.over")
    if plan.kind == "jackknife":
        text = f"intervals come from the jackknife over {plan.blocks} {over}"
        yield Clause(text, (*keys, "analysis.bootstrap.blocks"))
        return
    drawn = {
        "bootstrap": f"{plan.resamples} bootstrap resamples of {over}",
        "subsample": f"{plan.resamples} sub-samples of {_percent(plan.subsample_share)} of the {over}",
        "published": f"{plan.resamples} bootstrap resamples of {over}, as published, which describe their spread and cover nothing",
    }[plan.kind]
    yield Clause(f"intervals come from {drawn}", (*keys, "analysis.bootstrap.resamples"))


def _tests(plan: SignificancePlan) -> Iterator[Clause]:
    text = (
        f"p-values come from {plan.permutations} permutations (all of them where there are fewer): of images for a similarity, of "
        "the two sets compared with a third, source by source, for a difference of two"
    )
    yield Clause(text, ("analysis.tests.permutations",))
    sides = {"two_sided": "two-sided", "greater": "one-sided, for greater similarity"}[plan.alternative]
    yield Clause(f"tests were {sides}", ("analysis.tests.alternative",))
    corrected = {
        "max_statistic": "by the largest statistic over all places",
        "holm": "after Holm",
        "benjamini_hochberg": "after Benjamini and Hochberg",
        "none": "",
    }[plan.correction]
    text = (
        f"p-values were corrected over places {corrected}" if corrected else "p-values were not corrected over places"
    )
    yield Clause(text, ("analysis.tests.correction",))
    text = f"participants were tested as a group from {plan.subjects_for_group} on, and one by one below"
    yield Clause(text, ("analysis.tests.subjects_for_group",))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(words: Sequence[str], last: str = " and ") -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + last + words[-1]


def _percent(share: float) -> str:
    return f"{share * 100:g} %"
