"""The screens of a task that are read, practised and answered: instructions, button test, practice, break, confidence."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field

from protocols.problems import FoolscanError
from protocols.schema import Count, EachOnce, Label, NotNegative, Plan, Positive, Text

Language = Text
SomeText = TypeVar("SomeText")


def _none_is_empty(texts: object) -> object:
    return {} if texts is None else texts


Texts = Annotated[dict[Language, Text], BeforeValidator(_none_is_empty), Field(default_factory=dict)]
"""One text for each language (null: none); ``{animal}`` is the button that means ``animal`` to this participant."""


class Screens(Plan):
    """What a participant reads before, between and after runs, in each language; a screen without a text is left out."""

    introduction: Annotated[
        Literal["run_1", "every_run", "none"],
        Field(description="before which runs of a session instructions, button test and practice come"),
    ] = "run_1"
    names: Annotated[
        dict[Language, dict[Text, Text]],
        Field(description="what answers and buttons are called in each language; left out: as in this file"),
    ] = Field(default_factory=dict)
    instructions: Annotated[
        dict[Language, Annotated[tuple[Text, ...], Field(min_length=1)]],
        Field(description="pages; each stands until a button is pressed"),
    ] = Field(default_factory=dict)
    button_test: Annotated[
        Texts,
        Field(description="once for each answer, until its button is pressed; {button} and {meaning} stand for them"),
    ]
    waiting: Annotated[Texts, Field(description="stands until the first pulse, or the key that starts a run")]
    pause: Annotated[Texts, Field(description="before every run of a session but its first, until a button is pressed")]
    end: Annotated[Texts, Field(description="after the last run of a session, until a button is pressed")]
    end_s: Annotated[Positive, Field(le=3600, description="the end screen goes by itself after this time")] = 10.0


class Practice(Plan):
    """Practice trials with feedback, self-paced, before the runs that have an introduction.

    The same few images for everybody, drawn by the study's seed, so that an analysis can leave them out.
    """

    trials: Annotated[Count, Field(le=1000)] = 6
    sets: Annotated[
        tuple[Label, ...],
        EachOnce,
        Field(
            min_length=1, description="image sets to practise with; a set that the task does not show spoils nothing"
        ),
    ]
    feedback_s: Annotated[Positive, Field(le=60)] = 1.0
    right: Annotated[Texts, Field(description="feedback after a correct answer")]
    wrong: Annotated[Texts, Field(description="feedback after a wrong answer")]
    missed: Annotated[Texts, Field(description="feedback when no answer came in the response window")]
    noted: Annotated[Texts, Field(description="feedback where an image has no correct answer")]


class MaskPlan(Plan):
    """A noise mask after each image, to end what the eye goes on seeing."""

    duration_s: Annotated[Positive, Field(le=60)]
    delay_s: Annotated[NotNegative, Field(le=60, description="blank between image and mask")] = 0.0


class Confidence(Plan):
    """A rating after each answer: how sure the participant is."""

    question: Annotated[Texts, Field(description="above the scale")]
    labels: Annotated[
        dict[Language, Annotated[tuple[Text, ...], Field(min_length=2)]],
        Field(description="of the steps, least sure first"),
    ]
    buttons: Annotated[
        tuple[Text, ...], EachOnce, Field(min_length=2, description="abstract buttons of the steps, in the same order")
    ]
    timeout_s: Annotated[Positive, Field(le=3600, description="the scale goes without a rating after this time")] = 5.0
    chosen_s: Annotated[NotNegative, Field(le=60, description="the step that was chosen is shown for this time")] = 0.2


def in_language(texts: Mapping[Language, SomeText], language: str, what: str) -> SomeText:
    """The text of one language.

    what : the key, for the message.

    Raises FoolscanError naming the languages that there are.
    """
    if language not in texts:
        raise FoolscanError(f"{what}: found no text in language {language!r}; there are {', '.join(texts)}")
    return texts[language]


def filled(text: str, words: Mapping[str, str]) -> str:
    """A text with ``{word}`` replaced; a brace around any other word stays as it is."""
    for word, instead in words.items():
        text = text.replace(f"{{{word}}}", instead)
    return text


def runs_right_to_left(text: str) -> bool:
    """Whether a text runs from right to left: its first letter with a direction says so (Unicode UAX 9, rules P2 and P3)."""
    strong = (unicodedata.bidirectional(letter) for letter in text)
    return next((direction in ("R", "AL") for direction in strong if direction in ("L", "R", "AL")), False)


def texts_of(
    screens: Screens | None, practice: Practice | None, confidence: Confidence | None
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The texts of a task that depend on the language: (key, language -> text), those that are empty left out."""
    plans: list[tuple[str, Plan | None]] = [("screens", screens), ("practice", practice), ("confidence", confidence)]
    for name, plan in plans:
        for key in ("instructions", "button_test", "waiting", "pause", "end", "right", "wrong", "missed", "noted",
                    "question", "labels"):  # fmt: skip
            texts = getattr(plan, key, None)
            if texts:
                yield f"{name}.{key}", texts
