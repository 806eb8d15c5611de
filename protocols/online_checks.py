"""Cross-checks of the task in the browser: every text is there in its language, and what is named exists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from protocols.online_plan import (
    MOST_KEYWORD_LETTERS,
    NOTHING,
    Choice,
    CropPairs,
    OnlinePlan,
    Rating,
    SetRecognition,
    Typed,
)
from protocols.problems import Problem, near
from protocols.study import Study

# What a study may say in a text for the page to put something else in its place.
PLACES = re.compile(r"\{([^{}]*)\}")


def online_problems(study: Study) -> Iterator[Problem]:
    """What is wrong with ``online:``; nothing where the study has none."""
    plan = study.online
    if plan is None:
        return
    yield from _design(study, plan)
    yield from trial_problems(study, plan)
    yield from _texts(study, plan)
    yield from _turk(study, plan)


def trial_problems(study: Study, plan: OnlinePlan) -> Iterator[Problem]:
    """What would make trials that cannot be shown or answered: the server looks at it before it lets anybody in."""
    yield from _questions(study, plan)
    yield from _attention(study, plan)
    yield from _showing(study, plan)


def _design(study: Study, plan: OnlinePlan) -> Iterator[Problem]:
    design, n_practice = plan.design, plan.practice.n if plan.practice else 0
    if isinstance(design, SetRecognition):
        yield from _sets(study, design, n_practice)
    else:
        yield from _pairs(study, design, n_practice)
    if plan.rest_every is not None and plan.rest_every >= _most_trials(study, plan):
        found = f"{plan.rest_every} of {_most_trials(study, plan)} trials: no break would come"
        yield study.problem("online.rest_every", found, "fewer, or leave it out")
    if plan.attention and plan.attention.every > _most_trials(study, plan):
        found = f"{plan.attention.every} of {_most_trials(study, plan)} trials: no check would come"
        yield study.problem("online.attention.every", found, "at most as many, or leave attention out")


def _sets(study: Study, design: SetRecognition, n_practice: int) -> Iterator[Problem]:
    known = study.stimuli.sets
    for name in design.sets:
        if name not in known:
            allowed = f"a set of stimuli.sets: {', '.join(known)}"
            yield study.problem("online.design.sets", f"{name!r}{near(name, known)}", allowed)
    n_sources = study.stimuli.n_categories
    if n_sources < n_practice + len(design.sets):
        allowed = (
            f"at most {max(0, n_sources - len(design.sets))}: a trial of each set remains of {n_sources} categories"
        )
        yield study.problem("online.practice.n", str(n_practice), allowed)


def _pairs(study: Study, design: CropPairs, n_practice: int) -> Iterator[Problem]:
    if design.blocks > design.n_pairs:
        yield study.problem(
            "online.design.blocks", str(design.blocks), f"at most online.design.n_pairs = {design.n_pairs}"
        )
    if study.fragile is None:
        allowed = "pairs of crops under fragile.pairs: foolscan stimuli fragile-pairs makes them"
        yield study.problem("online.design.kind", "crop_pairs", allowed)
        return
    made = study.fragile.pairs.n
    if made < design.n_pairs + n_practice:
        found = f"{design.n_pairs} and {n_practice} for practice"
        yield study.problem("online.design.n_pairs", found, f"at most fragile.pairs.n = {made} together")


def _most_trials(study: Study, plan: OnlinePlan) -> int:
    """Main trials of the longest session."""
    if isinstance(plan.design, CropPairs):
        return -(-plan.design.n_pairs // plan.design.blocks)
    return study.stimuli.n_categories - (plan.practice.n if plan.practice else 0)


def _questions(study: Study, plan: OnlinePlan) -> Iterator[Problem]:
    names: dict[str, int] = {}
    for place, question in enumerate(plan.questions):
        key = f"online.questions.{place}"
        first = names.setdefault(question.name, place)
        if first != place:
            allowed = f"a name of its own: question {first + 1} is called so"
            yield study.problem(f"{key}.name", repr(question.name), allowed)
        if isinstance(question, Choice):
            yield from _choice(study, plan, question, key)
        elif isinstance(question, Rating):
            for language, labels in question.labels.items():
                if len(labels) != question.steps:
                    allowed = f"one for each of {question.steps} steps"
                    yield study.problem(f"{key}.labels.{language}", f"{len(labels)} labels", allowed)
        else:
            yield from _typed(study, question, key)


def _choice(study: Study, plan: OnlinePlan, question: Choice, key: str) -> Iterator[Problem]:
    if NOTHING in question.options:
        yield study.problem(f"{key}.options", repr(NOTHING), "answers that can be right", f"{key}.nothing offers it")
    if question.about == "animal" and isinstance(plan.design, CropPairs):
        yield study.problem(f"{key}.about", "'animal'", "supercategory or category: of crops no more is known")
    if question.about == "animal":
        odd = [option for option in question.options if option not in ("animal", "not_animal")]
        if odd:
            yield study.problem(f"{key}.options", repr(odd[0]), "animal and not_animal, about an animal")
    if question.options and len(question.options) + question.nothing < 2:
        yield study.problem(f"{key}.options", "one answer", "two or more, or it is no choice")
    options = question.options or (("animal", "not_animal") if question.about == "animal" else ())
    known = [*options, *([NOTHING] if question.nothing else [])]
    for language, labels in question.labels.items():
        for option in labels:
            if options and option not in known:
                allowed = f"an answer: {', '.join(known)}" if len(known) < 12 else "an answer of options"
                yield study.problem(f"{key}.labels.{language}", f"{option!r}{near(option, known)}", allowed)
        twice = [label for label in labels.values() if [*labels.values()].count(label) > 1]
        if twice:
            found = f"two answers called {twice[0]!r}"
            yield study.problem(
                f"{key}.labels.{language}", found, "a label of its own for each: people see labels alone"
            )


def _typed(study: Study, question: Typed, key: str) -> Iterator[Problem]:
    for value, names in question.accepted.items():
        if not names:
            yield study.problem(f"{key}.accepted.{value}", "no names", "one or more, or leave it out")


def _attention(study: Study, plan: OnlinePlan) -> Iterator[Problem]:
    if plan.attention is None:
        return
    if not isinstance(plan.questions[0], Choice):
        allowed = "a first question of kind choice: a check says which of its answers to give"
        yield study.problem("online.attention", f"a first question of kind {plan.questions[0].kind}", allowed)
    for language, text in plan.attention.text.items():
        named = PLACES.findall(text)
        if named != ["option"]:
            found = f"{', '.join('{' + name + '}' for name in named) or 'no {option}'} in {text!r}"
            yield study.problem(f"online.attention.text.{language}", found, "{option} once: the answer to give")


def _texts(study: Study, plan: OnlinePlan) -> Iterator[Problem]:
    needed = {key: texts for key, texts in plan.texts() if key in _needed(plan)}
    for key, texts in needed.items():
        if plan.language not in texts:
            yield _lacking(study, key, plan.language, texts, "that is online.language")
    begun = dict.fromkeys([*plan.saying.title, *plan.saying.information])
    for language in (found for found in begun if found != plan.language):
        for key, texts in needed.items():
            if texts and language not in texts:
                yield _lacking(study, key, language, texts, "online.saying is in it; complete it, or take it out")
    number = {language: len(statements) for language, statements in plan.saying.consent.items()}
    if len(set(number.values())) > 1:
        found = ", ".join(f"{n} in {language}" for language, n in number.items())
        yield study.problem("online.saying.consent", found, "as many statements in each language")


def _needed(plan: OnlinePlan) -> set[str]:
    """Keys of texts that somebody will read: of breaks, checks and practice only where there are such."""
    needed = {"saying.title", "saying.information", "saying.consent", "saying.instructions"}
    needed |= {f"questions.{place}.text" for place in range(len(plan.questions))}
    if plan.saying.debriefing:
        needed.add("saying.debriefing")
    if plan.rest_every:
        needed.add("saying.rest")
    if plan.attention:
        needed.add("attention.text")
    if plan.practice and plan.practice.n:
        needed |= {"practice.right", "practice.wrong"}
    return needed


def _lacking(study: Study, key: str, language: str, texts: Mapping[str, object], whose: str) -> Problem:
    found = f"texts in {', '.join(texts)}" if texts else "no text"
    return study.problem(f"online.{key}", found, f"one in {language!r}: {whose}")


def _showing(study: Study, plan: OnlinePlan) -> Iterator[Problem]:
    showing = plan.showing
    if showing.mask_s is not None and showing.image_s is None:
        allowed = "a time, where a mask follows: an image that stays until the answer has none"
        yield study.problem("online.showing.image_s", "nothing", allowed)
    if showing.mask_s is None and showing.mask_delay_s:
        yield study.problem(
            "online.showing.mask_delay_s", f"{showing.mask_delay_s:g} s", "0: there is no mask (mask_s)"
        )


def _turk(study: Study, plan: OnlinePlan) -> Iterator[Problem]:
    turk = plan.mturk
    if turk is None:
        return
    letters = len(", ".join(turk.keywords))
    if letters > MOST_KEYWORD_LETTERS:
        allowed = f"at most {MOST_KEYWORD_LETTERS} together, with a comma and a blank between"
        yield study.problem("online.mturk.keywords", f"{letters} letters", allowed)
    blank = [name for name in ("title", "description") if not getattr(turk, name).strip()]
    for name in blank:
        yield study.problem(f"online.mturk.{name}", "blanks alone", "a text")
