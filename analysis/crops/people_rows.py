"""Rows of people: who began, who counts and who does not and why; and every name that was typed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analysis.crops.collected import Collected
from analysis.crops.item_rows import Rows, said
from protocols.answers import FINISHED, Answer, Session

ALL = "all"
RULES = {
    "attention_failures": "more failed attention checks than {} (online.exclusions.attention_failures)",
    "impossible_share": "more than {} % of main trials answered impossibly soon (online.exclusions.impossible_share)",
    "one_answer_share": "more than {} % of first answers the same (online.exclusions.one_answer_share)",
    "hidden_share": "more than {} % of main trials with the page hidden (online.exclusions.hidden_share)",
}
EXCLUSION_COLUMNS: dict[str, str] = {
    "list_id": "List of images; 'all': every list together.",
    "group": "Group of the list (n/a: all).",
    "condition": "free or forced (n/a: all).",
    "kind": "people: how far they came; excluded: by which rule, declared before; flag: what was noticed, which excludes nobody; "
    "answers: to main trials, questions counted one by one.",
    "what": "Which.",
    "n": "How many.",
    "meaning": "In words.",
}
TYPED_COLUMNS: dict[str, str] = {
    "question": "Name of the question.",
    "condition": "free or forced.",
    "kind": "fragile or altered (crops), or the stimulus set.",
    "category": "What the source shows.",
    "supercategory": "What that is one of.",
    "typed": "What was typed, in lower case, white space as single spaces; 'nothing' for the answer 'nothing recognisable'.",
    "n": "How often, by people who count.",
    "right": "Whether it counted as right.",
}


def exclusion_rows(collected: Collected) -> Rows:
    """Everybody by list: began, finished, counts, surplus; not finished, withdrawn; excluded by each rule; flagged; and answers."""
    lists = sorted({session.list_id for session in collected.sessions})
    wanted = collected.plan.design.per_list
    found = _rows(collected, ALL, None, None, collected.sessions, collected.answers, wanted)
    for name in lists:
        people = [session for session in collected.sessions if session.list_id == name]
        answers = [answer for answer in collected.answers if answer.list_id == name]
        found += _rows(collected, name, people[0].group, people[0].condition, people, answers, wanted)
    return found


def typed_rows(collected: Collected) -> Rows:
    """Every name that was typed to images of a category, with how often, and whether it counted as right."""
    typed = {question.name for question in collected.plan.questions if question.kind == "typed"}
    counts: Counter[tuple[str, ...]] = Counter()
    for answer in collected.of("counted"):
        if answer.question in typed:
            image = collected.images[str(answer.item_id)]
            right = "true" if answer.correct else "false"
            counts[
                (
                    answer.question,
                    answer.condition,
                    image.kind,
                    image.category,
                    image.supercategory,
                    said(answer),
                    right,
                )
            ] += 1
    names = ("question", "condition", "kind", "category", "supercategory", "typed", "right")
    order = sorted(counts, key=lambda key: (*key[:4], -counts[key], key[5:]))
    return [dict(zip(names, key, strict=True)) | {"n": counts[key]} for key in order]


def _rows(
    collected: Collected,
    name: str,
    group: str | None,
    condition: str | None,
    people: Sequence[Session],
    answers: Sequence[Answer],
    wanted: int,
) -> Rows:
    counts = Counter(session.list_id for session in people if session.counted)
    lists = {session.list_id for session in people}
    states = Counter(session.state for session in people)
    rules = Counter(
        str(session.excluded_for) for session in people if session.state == FINISHED and not session.counted
    )
    flags = Counter(flag for session in people for flag in dict.fromkeys((session.flags or "").split(",")) if flag)
    state_of = {session.participant_id: session for session in people}
    of_state = Counter(
        "counted" if state_of[answer.participant_id].counted else "excluded" if state_of[answer.participant_id].state == FINISHED
        else "unfinished"
        for answer in answers
    )  # fmt: skip
    head = {"list_id": name, "group": group, "condition": condition}
    told: list[tuple[str, str, int, str]] = [
        (
            "people",
            "began",
            len(people),
            "gave consent and were given a list; people whose data were erased are not in the tables",
        ),
        ("people", "finished", states[FINISHED], "answered every trial"),
        ("people", "counted", sum(counts.values()), "finished, and no rule excludes them: what every rate is made of"),
        ("people", "wanted", wanted * len(lists), "valid completions that the study asks for (online.design.per_list)"),
        (
            "people",
            "surplus",
            sum(max(0, n - wanted) for n in counts.values()),
            "counted beyond what was wanted; they count",
        ),
        ("people", "lacking", sum(max(0, wanted - counts[item]) for item in lists), "wanted, and not there yet"),
        ("people", "excluded", sum(rules.values()), "finished, and do not count"),
    ]
    told += [
        (
            "people",
            state,
            states[state],
            {"active": "began, and have not finished", "withdrawn": "withdrew"}.get(state, state),
        )
        for state in dict.fromkeys(["active", "withdrawn", *sorted(states)])
        if state != FINISHED
    ]
    for rule in dict.fromkeys([*RULES, *sorted(rules)]):
        limit = getattr(collected.plan.exclusions, rule, None)
        shown = "–" if limit is None else f"{limit if rule == 'attention_failures' else 100 * limit:g}"
        meaning = RULES.get(rule, "as the table of people says").format(shown)
        if rule in RULES and limit is None:
            meaning = f"not used in this study (online.exclusions.{rule})"
        told.append(("excluded", rule, rules[rule], meaning))
    told += [("flag", flag, flags[flag], "people with this flag; a flag excludes nobody") for flag in sorted(flags)]
    told += [
        ("answers", "counted", of_state["counted"], "of people who count"),
        (
            "answers",
            "excluded",
            of_state["excluded"],
            "of people who finished and do not count; in the rows 'finished'",
        ),
        ("answers", "unfinished", of_state["unfinished"], "of people who have not finished, or withdrew; in no rate"),
    ]
    return [head | {"kind": kind, "what": what, "n": n, "meaning": meaning} for kind, what, n, meaning in told]
