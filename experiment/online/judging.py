"""What answers say about a person: right or wrong, attention, times, and the rules of exclusion that were declared before."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiment.online.items import Item
from experiment.online.messages import Given, TrialAnswer
from experiment.online.trials import Trial
from protocols.online_plan import Choice, OnlinePlan, Question, Rating, Typed

ARTICLES = {
    "de": "der die das den dem des ein eine einen einem einer eines",
    "en": "a an the",
    "es": "el la los las un una unos unas",
    "fr": "le la les un une des l",
    "it": "il lo la i gli le un uno una l",
    "nl": "de het een",
    "pt": "o a os as um uma uns umas",
}
SAME_ANSWER = 0.7
"""A share of one and the same answer that is flagged, where there are so many trials as `LEAST_TRIALS`."""
LEAST_TRIALS = 10
CLOCK_SLACK_MS = 5_000
"""A page may claim this much more time than passed here: clocks drift, and a page is loaded before somebody joins."""
LONG_AWAY_MS = 3_600_000
"""Time that passed here beyond what the page tells, from which it is flagged."""


@dataclass(frozen=True)
class Record:
    """A trial that was answered.

    trial       : as planned.
    answer      : what the page sent.
    received_ms : when the server had it, ms since 1970.
    """

    trial: Trial
    answer: TrialAnswer
    received_ms: int


@dataclass(frozen=True)
class Summary:
    """What is counted of a session.

    main             : main trials answered.
    attention_failed : attention checks answered otherwise than asked.
    impossible       : main trials answered sooner than a person can.
    hidden           : main trials during which the page was hidden or left.
    same             : main trials with the most common answer to the first question.
    """

    main: int
    attention_failed: int
    impossible: int
    hidden: int
    same: int


def is_right(question: Question, item: Item | None, given: Given) -> bool | None:
    """Whether an answer names what the image shows; None for a rating, or without an image. `nothing` is never right."""
    if isinstance(question, Rating) or item is None:
        return None
    true = item.traits[question.about]
    if isinstance(question, Choice):
        return given.value == true
    if given.typed is None:
        return False
    languages = tuple(question.text)
    accepted = (true.replace("_", " "), *question.accepted.get(true, ()))
    said = forms(given.typed, languages)
    return any(said & forms(name, languages) for name in accepted)


def forms(name: str, languages: Sequence[str] = ("en",)) -> set[str]:
    """What a typed name may be meant as: without case, accents, articles, punctuation; also without a plural's s.

    name      : as it was typed.
    languages : whose articles do not count.
    """
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(letter)
    )
    spaced = "".join(letter if letter.isalnum() or unicodedata.category(letter)[0] == "M" else " " for letter in plain)
    words = spaced.split()
    articles = {word for language in languages for word in ARTICLES.get(language.split("-")[0].lower(), "").split()}
    while len(words) > 1 and words[0] in articles:
        del words[0]
    whole = " ".join(words)
    found = {whole}
    if len(whole) > 3 and whole.endswith("s"):
        found.add(whole[:-1])
        if whole.endswith("es"):
            found.add(whole[:-2])
        if whole.endswith("ies"):
            found.add(whole[:-3] + "y")
    return found - {""}


def summary(plan: OnlinePlan, records: Sequence[Record]) -> Summary:
    """What is counted of a session's answers."""
    main = [record for record in records if record.trial.kind == "main"]
    checks = [record for record in records if record.trial.kind == "attention"]
    languages = tuple(plan.questions[0].text)
    common = Counter(_said(record.answer.given[0], plan.questions[0], languages) for record in main)
    return Summary(
        main=len(main),
        attention_failed=sum(record.answer.given[0].value != record.trial.asked for record in checks),
        impossible=sum(record.answer.given[0].rt_ms < plan.exclusions.impossible_rt_s * 1000 for record in main),
        hidden=sum(record.answer.hidden for record in main),
        same=max(common.values(), default=0),
    )


def exclusion(plan: OnlinePlan, records: Sequence[Record]) -> str | None:
    """The rule of ``online.exclusions`` that excludes a person, by the name of its key; None: the person counts."""
    rules, found = plan.exclusions, summary(plan, records)
    if rules.attention_failures is not None and found.attention_failed > rules.attention_failures:
        return "attention_failures"
    shares = (
        ("impossible_share", found.impossible, rules.impossible_share),
        ("one_answer_share", found.same, rules.one_answer_share),
        ("hidden_share", found.hidden, rules.hidden_share),
    )
    for name, number, most in shares:
        if most is not None and number > most * found.main:
            return name
    return None


def flags_of(plan: OnlinePlan, records: Sequence[Record], joined_ms: int) -> list[tuple[str, str]]:
    """What an operator should look at: (kind, what was found). Nobody is refused anything by it.

    joined_ms : when the person agreed to take part, ms since 1970.
    """
    found = summary(plan, records)
    flags = []
    if found.attention_failed:
        flags.append(("attention", f"{found.attention_failed} attention checks answered otherwise"))
    if found.impossible:
        limit_s = plan.exclusions.impossible_rt_s
        flags.append(("impossible_rt", f"{found.impossible} of {found.main} answers within {limit_s:g} s"))
    if found.hidden:
        flags.append(("hidden", f"{found.hidden} of {found.main} trials with the page hidden"))
    if found.main >= LEAST_TRIALS and found.same >= SAME_ANSWER * found.main:
        flags.append(("same_answer", f"{found.same} of {found.main} answers are the same"))
    flags += [("clock", said) for said in _clocks(records, joined_ms)]
    return flags


def _clocks(records: Sequence[Record], joined_ms: int) -> Iterator[str]:
    """Where the page tells of more time than passed, or of far less."""
    if not records:
        return
    passed_ms = max(record.received_ms for record in records) - joined_ms
    # A page's clock begins anew whenever it is loaded; between two of its answers it must have run as long as ours.
    loads: dict[int, list[float]] = {}
    for record in records:
        loads.setdefault(record.answer.load, []).append(record.answer.sent_ms)
    spans_ms = sum(max(sent) - min(sent) for sent in loads.values())
    answering_ms = sum(given.rt_ms for record in records for given in record.answer.given)
    told_ms = max(spans_ms, answering_ms)
    if told_ms > passed_ms * 1.01 + CLOCK_SLACK_MS:
        yield f"the page tells of {told_ms / 1000:.0f} s, the server saw {max(passed_ms, 0) / 1000:.0f} s"
    elif passed_ms - told_ms > LONG_AWAY_MS:
        yield f"the server saw {passed_ms / 60_000:.0f} min, the page tells of {told_ms / 60_000:.0f} min"


def _said(given: Given, question: Question, languages: Sequence[str]) -> str:
    if given.typed is not None and isinstance(question, Typed):
        return min(forms(given.typed, languages), default="")
    return given.value or ""
