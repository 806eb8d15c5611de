"""Simulated people: what they recognise, how long they take, and what becomes of them, all drawn from one generator."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from experiment.online.items import Item
from protocols.online_plan import NOTHING, OnlinePlan, Trait
from protocols.problems import FoolscanError, near
from protocols.seeds import generator_for

Kind = Literal[
    "honest",
    "lapsing",
    "cheat",
    "one_answer",
    "drop_out",
    "withdraw",
    "again",
    "two_ids",
    "reloader",
    "two_tabs",
    "flaky",
]
KINDS: dict[Kind, str] = {
    "honest": "does what is asked",
    "lapsing": "often answers without having looked",
    "cheat": "clicks at random, sooner than anybody can have seen the image",
    "one_answer": "gives one and the same answer, at a likely speed",
    "drop_out": "closes the page at some trial and never comes back",
    "withdraw": "ends it with the page's button, every second one with what was answered erased",
    "again": "comes a second time with the same identifier, in mid-session and after the end",
    "two_ids": "one person with two identifiers, who takes part twice",
    "reloader": "loads the page anew, some of them with answers that the server has not heard of",
    "two_tabs": "opens the page in a second tab and goes on in either",
    "flaky": "has a network that loses requests and replies, and is away for some trials",
}
assert set(KINDS) == set(get_args(Kind))
SHARES: dict[Kind, float] = {
    "honest": 0.52, "lapsing": 0.06, "cheat": 0.06, "one_answer": 0.04, "drop_out": 0.06, "withdraw": 0.04,
    "again": 0.04, "two_ids": 0.04, "reloader": 0.04, "two_tabs": 0.04, "flaky": 0.06,
}  # fmt: skip
"""Of a crowd for which nothing else is said."""
CHEAT_RT_S = (0.03, 0.15)
LAPSING = 0.5


@dataclass(frozen=True)
class Truth:
    """What is true of simulated people: P(recognised) = logistic(ability + ease - difficulty).

    ease          : logits, by what the image is: a member of a pair, or a set. The human gap of pairs is the difference between
                    the probabilities at the ease of `fragile` and at that of `altered`.
    ability_sd    : over people, logits.
    difficulty_sd : over source pictures, logits; both members of a pair have one source.
    lapse         : probability that somebody honest answers without having looked.
    nothing       : probability that somebody who recognised nothing says so where that is an answer; else it is a guess.
    """

    ease: Mapping[str, float] = field(
        default_factory=lambda: {"fragile": 1.5, "altered": 1.2, "RE": 3.0, "AN": -3.0, "AI": 1.5}
    )
    ability_sd: float = 0.7
    difficulty_sd: float = 1.0
    lapse: float = 0.01
    nothing: float = 0.6


@dataclass(frozen=True)
class Person:
    """One simulated person behind one identifier.

    number     : in the crowd, from 1.
    raw_id     : by which the recruiter knows the person.
    self       : number of the person that it really is: another's for the second identifier of `two_ids`.
    ability    : logits.
    lapse      : probability of an answer without having looked, 0 to 1.
    decision_s : median time to decide, beyond what eyes and hands need.
    leaves     : for drop_out, withdraw and those who come again: at which share of the session.
    by         : what answers are given with.
    frame_ms   : time between frames of the screen.
    arrives_s  : since the crowd's first moment.
    seed       : of the crowd: with the person's own number it gives every answer.
    """

    number: int
    kind: Kind
    raw_id: str
    self: int
    ability: float
    lapse: float
    decision_s: float
    leaves: float
    by: Literal["key", "pointer", "touch"]
    frame_ms: float
    arrives_s: float
    seed: int

    def generator(self, what: str) -> np.random.Generator:
        """The person's own generator for one thing, whatever others do meanwhile."""
        return generator_for(self.seed, f"crowd/{self.self}/{what}")


@dataclass(frozen=True)
class Response:
    """What somebody gives to one question; `value` or `typed` as in `messages.Given`."""

    value: str | None
    typed: str | None
    rt_s: float


def kinds_of(n: int, shares: Mapping[Kind, float]) -> list[Kind]:
    """How many people there are of each kind: shares met to within one person (largest remainders), kinds in order.

    shares : weights, by kind; at least one above 0.
    """
    total = math.fsum(shares.values())
    if total <= 0 or any(not math.isfinite(share) or share < 0 for share in shares.values()):
        raise FoolscanError(
            f"kinds of people: found shares {dict(shares)}; expected numbers from 0, at least one above 0"
        )
    exact = {kind: n * share / total for kind, share in shares.items()}
    whole = {kind: math.floor(count) for kind, count in exact.items()}
    by_rest = sorted(exact, key=lambda kind: (whole[kind] - exact[kind], list(KINDS).index(kind)))
    for kind in by_rest[: n - sum(whole.values())]:
        whole[kind] += 1
    return [kind for kind in KINDS for _ in range(whole.get(kind, 0))]


def shares_of(text: str) -> dict[Kind, float]:
    """Kinds as they are given on the command line: ``honest=8,cheat=1``; a kind alone weighs 1."""
    shares: dict[Kind, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, share = part.partition("=")
        known = next((kind for kind in KINDS if kind == name.strip()), None)
        if known is None:
            raise FoolscanError(f"--kinds: found {name!r}{near(name, list(KINDS))}; there are {', '.join(KINDS)}")
        try:
            shares[known] = float(share) if share else 1.0
        except ValueError:
            raise FoolscanError(f"--kinds: {name}: found {share!r}, expected a number") from None
    kinds_of(0, shares)
    return shares


def crowd_of(
    n: int, seed: int, shares: Mapping[Kind, float] = SHARES, truth: Truth | None = None, *, every_s: float = 300.0
) -> list[Person]:
    """A crowd, in order of arrival: the same for the same seed.

    n       : identifiers; two of `two_ids` are one person (one is left over where their number is odd).
    every_s : mean time between two arrivals.
    """
    truth = truth or Truth()
    generator = generator_for(seed, "crowd")
    kinds = kinds_of(n, shares)
    kinds = [kinds[k] for k in generator.permutation(n)]
    arrivals = np.cumsum(generator.exponential(every_s, n))
    people: list[Person] = []
    waiting: Person | None = None
    for number, (kind, arrives_s) in enumerate(zip(kinds, arrivals, strict=True), start=1):
        person = Person(
            number=number,
            kind=kind,
            raw_id=f"sim{number:04d}",
            self=number,
            ability=float(generator.normal(0, truth.ability_sd)),
            lapse=LAPSING if kind == "lapsing" else truth.lapse,
            decision_s=float(generator.lognormal(math.log(0.9), 0.25)),
            leaves=float(generator.uniform(0.1, 0.9)),
            by=("key", "pointer", "touch")[int(generator.choice(3, p=[0.5, 0.35, 0.15]))],
            frame_ms=float(generator.choice([1000 / 60, 1000 / 59.94, 1000 / 120, 1000 / 144])),
            arrives_s=float(arrives_s),
            seed=seed,
        )
        if kind == "two_ids" and waiting is not None:
            same = {"self": waiting.self, "ability": waiting.ability, "decision_s": waiting.decision_s}
            person, waiting = Person(**{**vars(person), **same}), None
        elif kind == "two_ids":
            waiting = person
        people.append(person)
    return people


def difficulty(source_id: str, seed: int, truth: Truth) -> float:
    """Of a source picture, in logits."""
    return float(generator_for(seed, f"crowd/difficulty/{source_id}").normal(0, truth.difficulty_sd))


def p_recognised(person: Person, item: Item, truth: Truth) -> float:
    """Probability that a person who looks recognises an image."""
    ease = truth.ease.get(item.member or item.set or "", 0.0)
    return logistic(person.ability + ease - difficulty(item.source_id, person.seed, truth))


def p_right(person: Person, item: Item, truth: Truth, n_options: int) -> float:
    """Probability of a right choice among options without `nothing`: recognised, else guessed; a lapse is a guess, too."""
    known = (1 - person.lapse) * p_recognised(person, item, truth)
    return known + (1 - known) / n_options


def logistic(logit: float) -> float:
    """1 / (1 + exp(-logit))."""
    return 1 / (1 + math.exp(-logit))


def responses(
    person: Person, plan: OnlinePlan, asked: Sequence[Mapping[str, Any]], item: Item, names: Sequence[str], truth: Truth
) -> list[Response]:
    """What a person answers to an image: the same whenever it is shown to them.

    asked : questions of the session as the page has them: name, kind, options (value, label), in their order.
    names : names of things that somebody may come up with who types a wrong one.
    """
    generator = person.generator(f"image/{item.item_id}")
    looked = generator.random() >= person.lapse and person.kind != "cheat"
    knows = looked and generator.random() < p_recognised(person, item, truth)
    about: dict[str, Trait | None] = {question.name: getattr(question, "about", None) for question in plan.questions}
    given = []
    says_nothing = generator.random() < truth.nothing
    for place, question in enumerate(asked):
        rt_s = _rt_s(person, generator, knows=knows, first=place == 0)
        trait = about[question["name"]]
        right = None if trait is None else item.traits.get(trait)
        value, typed = _answer(
            person, question, right, names, generator, knows=knows, says_nothing=says_nothing and looked
        )
        given.append(Response(value, typed, rt_s))
    return given


def check_response(person: Person, text: str, question: Mapping[str, Any], trial: int) -> Response:
    """What a person answers to an attention check: the answer that its text names, by those who read it."""
    generator = person.generator(f"check/{trial}")
    reads = generator.random() >= person.lapse and person.kind not in ("cheat", "one_answer")
    values = values_of(question, nothing=True)
    wanted = named_in(text, question["options"]) if reads else None
    if person.kind == "one_answer":
        wanted = usual_answer(person, values)
    value = wanted if wanted is not None else values[int(generator.integers(len(values)))]
    return Response(value, None, _rt_s(person, generator, knows=reads, first=True))


def named_in(text: str, options: Sequence[Mapping[str, str]]) -> str | None:
    """The option whose label a text names: the longest label that stands in it as words; None: it names none."""
    found = [option for option in options if re.search(rf"(?<!\w){re.escape(option['label'])}(?!\w)", text)]
    return max(found, key=lambda option: len(option["label"]))["value"] if found else None


def values_of(question: Mapping[str, Any], *, nothing: bool) -> list[str]:
    """Values of a question's options, with or without `nothing`."""
    return [option["value"] for option in question["options"] if nothing or option["value"] != NOTHING]


def usual_answer(person: Person, values: Sequence[str]) -> str:
    """What `one_answer` always gives."""
    return values[person.self % len(values)]


def _answer(
    person: Person,
    question: Mapping[str, Any],
    right: str | None,
    names: Sequence[str],
    generator: np.random.Generator,
    *,
    knows: bool,
    says_nothing: bool,
) -> tuple[str | None, str | None]:
    values = values_of(question, nothing=False)
    offered = len(values) < len(question["options"])
    if person.kind == "one_answer" and values:
        return usual_answer(person, values), None
    if question["kind"] == "rating":
        half = len(values) // 2
        part = values[half:] if knows else values[: half or 1]
        return part[int(generator.integers(len(part)))], None
    if offered and not knows and says_nothing:
        return NOTHING, None
    if question["kind"] == "typed":
        name = right if knows and right else names[int(generator.integers(len(names)))]
        return None, _as_typed(name, generator)[: question.get("max_letters") or None]
    return (right if knows and right in values else values[int(generator.integers(len(values)))]), None


def _as_typed(name: str, generator: np.random.Generator) -> str:
    """A name as people type it: some with a capital, some with an article, some with a blank too many."""
    name = name.replace("_", " ")
    forms = (name, name, name.capitalize(), f"a {name}", f"{name} ")
    return forms[int(generator.integers(len(forms)))]


def _rt_s(person: Person, generator: np.random.Generator, *, knows: bool, first: bool) -> float:
    """Reaction time: what eyes and hands need, and a log-normal decision, longer for those who know not; s."""
    if person.kind == "cheat":
        return float(generator.uniform(*CHEAT_RT_S))
    slower = 1.0 if knows else 1.6
    return float((0.35 if first else 0.25) + generator.lognormal(math.log(person.decision_s * slower), 0.35))
