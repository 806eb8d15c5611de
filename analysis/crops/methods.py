"""Methods of recognition online in sentences: the task from the study file, the analysis as it is computed, people as counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analysis.methods_paragraph import Clause, Part
from protocols.online_plan import CropPairs, OnlinePlan, Question
from protocols.study import Study

PEOPLE = ("began", "finished", "excluded", "counted")


def methods_online(study: Study, people: Mapping[str, int], *, simulated: bool) -> list[Part]:
    """The topics of the methods: the task in the browser, and what was computed.

    people    : how many began, finished, were excluded, counted.
    simulated : whether the crowd was.
    """
    plan = study.online
    if plan is None:
        return []
    return [
        Part("Recognition online", tuple(_task(plan, people, simulated))),
        Part("Analysis of recognition online", tuple(_analysis(study, plan))),
    ]


def _task(plan: OnlinePlan, people: Mapping[str, int], simulated: bool) -> Iterator[Clause]:
    design, showing = plan.design, plan.showing
    if isinstance(design, CropPairs):
        yield Clause(
            f"{design.n_pairs} pairs of crops were shown in the browser, the crop that the network recognises and its all but equal "
            "twin that it does not, and nobody saw both",
            ("online.design.n_pairs",),
        )
        groups = {
            "separate": "separate groups of people saw the two members of the pairs",
            "counterbalanced": "every group of people saw one member of half of the pairs and the other of the rest",
        }[design.members]
        yield Clause(groups, ("online.design.members",))
        if design.blocks > 1:
            yield Clause(f"a person saw one of {design.blocks} parts of the pairs", ("online.design.blocks",))
    else:
        yield Clause(
            f"images of {_listed(design.sets)} were shown in the browser, every source once to a person, in one of its sets "
            "(a Latin square)",
            ("online.design",),
        )
        if len(design.conditions) > 1:
            yield Clause(
                "“nothing recognisable” was an answer for some people (free) and not for others (forced)",
                ("online.design",),
            )
    yield Clause(f"{design.per_list} valid completions of each list were asked for", ("online.design.per_list",))
    if showing.image_s is None:
        yield Clause("an image stood until the answer", ("online.showing",))
    else:
        yield Clause(f"an image was shown for {showing.image_s:g} s", ("online.showing",))
    for question in plan.questions:
        yield Clause(_question(question, plan.language), ())
        if question.kind == "choice":
            labels = (
                f"one of {len(question.options)} answers"
                if question.options
                else "one of the labels that the images have"
            )
            yield Clause(f"people chose {labels}", ("online.questions",))
    if plan.attention:
        text = (
            f"within every {plan.attention.every} images there was an attention check, which said which answer to give"
        )
        yield Clause(text, ("online.attention",))
    yield Clause(_exclusions(plan), ("online.exclusions",))
    who = "people, all of them simulated," if simulated else "people"
    began, finished, excluded, counted = (people.get(name, 0) for name in PEOPLE)
    yield Clause(f"{began} {who} began, {finished} finished, {excluded} were excluded, and {counted} count", ())


def _question(question: Question, language: str) -> str:
    asked = f"people were asked “{question.text.get(language, question.name)}”"
    nothing = (
        ", “nothing recognisable” among the answers where it was offered" if getattr(question, "nothing", False) else ""
    )
    if question.kind == "typed":
        return f"{asked} and typed the answer{nothing}; case, accents, articles and plurals did not count"
    if question.kind == "rating":
        return f"{asked} on a scale of {question.steps} steps"
    return f"{asked}{nothing}"


def _exclusions(plan: OnlinePlan) -> str:
    rules, told = plan.exclusions, []
    if rules.attention_failures is not None:
        told.append(f"more than {rules.attention_failures} failed attention checks")
    if rules.impossible_share is not None:
        told.append(f"more than {100 * rules.impossible_share:g} % of answers within {rules.impossible_rt_s:g} s")
    if rules.one_answer_share is not None:
        told.append(f"more than {100 * rules.one_answer_share:g} % of one and the same answer")
    if rules.hidden_share is not None:
        told.append(f"more than {100 * rules.hidden_share:g} % of trials with the page hidden")
    return f"people were excluded, by rules set before, for {_listed(told, ' or ')}" if told else "nobody was excluded"


def _analysis(study: Study, plan: OnlinePlan) -> Iterator[Clause]:
    level = f"{100 * study.analysis.bootstrap.interval:g} %"
    yield Clause(f"shares of right answers to one image have Wilson's score intervals ({level})", ())
    unit = "pairs" if isinstance(plan.design, CropPairs) else "sources"
    yield Clause(
        f"means over {unit}, and differences within {unit[:-1]}, have Student's t intervals with {unit} and people as crossed "
        "random factors: "
        f"the variance is that of people's own scores, list by list, plus the variance of the {unit}' true values as estimated beyond it, "
        "with Satterthwaite's degrees of freedom (Clark 1973; Westfall, Kenny and Judd 2014)",
        (),
    )
    if isinstance(plan.design, CropPairs):
        yield Clause(
            "a gap is the rate of the crop that the network recognises minus that of its twin; a single pair's has Newcombe's interval "
            "(1998, method 10)",
            (),
        )
        yield Clause(
            "the mean absolute gap was compared with what two binomials at each pair's pooled rate give (exact), and with "
            f"{study.analysis.tests.permutations} random deals of people to the lists of the same pairs",
            (),
        )
        yield Clause(
            "the network's gap is the difference of its confidence in the right class; as pairs were chosen by it, it is inflated, and it "
            "was not compared in size with people's",
            (),
        )
    else:
        yield Clause("shares have their intervals on the scale of log odds", ())
        if any(question.kind == "choice" and question.about == "animal" for question in plan.questions):
            yield Clause(
                "sensitivity d′ has Hautus' log-linear correction and an interval by the delta method; “nothing” counts as not “animal”",
                (),
            )
        if len(plan.design.conditions) > 1:
            yield Clause("free and forced answers were never pooled", ())


def _listed(words: list[str] | tuple[str, ...], last: str = " and ") -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + last + words[-1]
