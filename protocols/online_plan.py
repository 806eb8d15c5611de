"""The online task: who sees which images in a browser, what is asked, what is said, and what is paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field

from protocols.schema import Count, EachOnce, Flag, GreyLevel, Label, NotNegative, Plan, Positive, Share, Text, Whole
from protocols.screens import Language, Texts

NOTHING = "nothing"
"""The answer 'nothing recognisable', where it is offered."""
MOST_OPTIONS = 40
MOST_KEYWORD_LETTERS = 1000
"""Of all keywords together, as Amazon gets them: a comma and a blank between two."""
Condition = Literal["free", "forced"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
Trait = Literal["supercategory", "category", "animal"]


class CropPairs(Plan):
    """Pairs of crops from `foolscan stimuli fragile-pairs`: a person sees one member of a pair, and one crop of a picture."""

    kind: Literal["crop_pairs"]
    n_pairs: Annotated[
        Count,
        Field(le=100_000, description="drawn by the study's seed, evenly over supercategories; practice is of others"),
    ] = 40
    blocks: Annotated[
        Count, Field(le=1000, description="parts that the pairs are dealt into; a person sees one part")
    ] = 1
    members: Annotated[
        Literal["separate", "counterbalanced"],
        Field(
            description="separate: one group sees the fragile crops, the other their altered twins; counterbalanced: each "
            "group sees half of each, so that a group's ability weighs on both"
        ),
    ] = "separate"
    per_list: Annotated[Count, Field(le=10_000, description="valid completions wanted of each list")] = 20


class SetRecognition(Plan):
    """The study's own images: a Latin square shows each source image once to a person, in one of its sets."""

    kind: Literal["set_recognition"]
    sets: Annotated[tuple[Label, ...], EachOnce, Field(min_length=2)]
    conditions: Annotated[
        tuple[Condition, ...],
        EachOnce,
        Field(
            min_length=1,
            description="free: 'nothing recognisable' is an answer; forced: it is not, and other people are asked (forced "
            "naming manufactures recognition)",
        ),
    ] = ("free",)
    per_list: Annotated[Count, Field(le=10_000, description="valid completions wanted of each list")] = 20


class Choice(Plan):
    """One of several answers, by key or button."""

    kind: Literal["choice"]
    name: Label
    about: Annotated[Trait, Field(description="what a right answer names")]
    options: Annotated[
        tuple[Text, ...],
        EachOnce,
        Field(
            max_length=MOST_OPTIONS,
            description="answers; empty: every value that the images have, in order (animal, not_animal)",
        ),
    ] = ()
    labels: Annotated[
        dict[Language, dict[Text, Text]],
        Field(
            description="what answers are called in each language, `nothing` included; left out: as they are, _ as a space"
        ),
    ] = Field(default_factory=dict)
    nothing: Annotated[Flag, Field(description="offers 'nothing recognisable', except in the condition forced")] = False
    order: Annotated[
        Literal["fixed", "shuffled"], Field(description="of the answers: as above, or drawn anew for each person")
    ] = "fixed"
    text: Annotated[Texts, Field(description="the question")]


class Typed(Plan):
    """A name that is typed."""

    kind: Literal["typed"]
    name: Label
    about: Annotated[Literal["supercategory", "category"], Field(description="what a right answer names")] = "category"
    accepted: Annotated[
        dict[Text, tuple[Text, ...]],
        Field(
            description="further names that count as right, for each value; case, accents, articles and plurals in s do not count"
        ),
    ] = Field(default_factory=dict)
    nothing: Annotated[Flag, Field(description="offers 'nothing recognisable', except in the condition forced")] = True
    max_letters: Annotated[Count, Field(le=200)] = 60
    text: Annotated[Texts, Field(description="the question")]


class Rating(Plan):
    """A step of a scale, such as how sure the answer was."""

    kind: Literal["rating"]
    name: Label
    steps: Annotated[int, Field(strict=True, ge=2, le=9)] = 4
    labels: Annotated[
        dict[Language, tuple[Text, ...]], Field(description="of the steps, least first; left out: numbers")
    ] = Field(default_factory=dict)
    text: Annotated[Texts, Field(description="the question")]


Question = Annotated[Choice | Typed | Rating, Field(discriminator="kind")]


class Showing(Plan):
    """How an image is shown; times are met on the frame that comes next."""

    fixation_s: Annotated[NotNegative, Field(le=60)] = 0.5
    image_s: Annotated[Positive | None, Field(le=600, description="nothing: until the answer")] = None
    mask_s: Annotated[Positive | None, Field(le=60, description="a noise mask after a timed image; nothing: none")] = (
        None
    )
    mask_delay_s: Annotated[NotNegative, Field(le=60)] = 0.0
    side_px: Annotated[int, Field(strict=True, ge=16, le=1024, description="side of the image in CSS pixels")] = 256
    background_grey: GreyLevel = 128


class AttentionChecks(Plan):
    """Trials without an image that say which answer to give."""

    every: Annotated[Count, Field(le=1000, description="trials; drawn within each so many")] = 10
    text: Annotated[Texts, Field(description="{option} stands for the answer to give")]


class PracticeTrials(Plan):
    """Trials before the others, of images that are not in them, with feedback that comes from the server."""

    n: Annotated[Whole, Field(le=100)] = 3
    feedback_s: Annotated[Positive, Field(le=60)] = 1.0
    right: Annotated[Texts, Field(description="feedback after a right answer to the first question")]
    wrong: Annotated[Texts, Field(description="feedback after a wrong one")]


class Exclusions(Plan):
    """Who does not count, said before anybody has answered; nobody is refused their pay by it.

    A person who does not count leaves the place to another. A key that is left out excludes nobody.
    """

    attention_failures: Annotated[Whole | None, Field(description="more failed attention checks than this")] = None
    impossible_rt_s: Annotated[
        NotNegative, Field(le=10, description="an answer sooner than this after the first visible frame is impossible")
    ] = 0.2
    impossible_share: Annotated[Share | None, Field(description="a larger share of impossible answers than this")] = (
        None
    )
    one_answer_share: Annotated[
        Share | None, Field(description="a larger share of one and the same answer to the first question than this")
    ] = None
    hidden_share: Annotated[
        Share | None, Field(description="a larger share of trials in which the page was hidden or left than this")
    ] = None


class Saying(Plan):
    """What people read, in each language; pages are plain text, blank lines between paragraphs."""

    title: Annotated[Texts, Field(description="of the page")]
    information: Annotated[
        dict[Language, Annotated[tuple[Text, ...], Field(min_length=1)]],
        Field(description="pages before consent: who, what, how long, what is stored, whom to ask, how to withdraw"),
    ]
    consent: Annotated[
        dict[Language, Annotated[tuple[Text, ...], Field(min_length=1)]],
        Field(description="statements, each to be ticked"),
    ]
    instructions: Annotated[
        dict[Language, Annotated[tuple[Text, ...], Field(min_length=1)]], Field(description="pages after consent")
    ]
    rest: Annotated[Texts, Field(description="a break")]
    debriefing: Annotated[Texts, Field(description="after the last trial")]
    words: Annotated[
        dict[Language, dict[Text, Text]],
        Field(
            description="buttons and notices (next, agree, saving, offline, …), where the built-in words shall not stand"
        ),
    ] = Field(default_factory=dict)


class TurkPlan(Plan):
    """What is said and paid on Amazon Mechanical Turk."""

    title: Annotated[Text, Field(max_length=128)]
    description: Annotated[Text, Field(max_length=2000)]
    keywords: Annotated[tuple[Text, ...], EachOnce] = ()
    reward_usd: Annotated[float, Field(strict=True, ge=0.01, le=1000, allow_inf_nan=False)]
    bonus_usd: Annotated[NotNegative, Field(le=1000, description="to everybody who finishes")] = 0.0
    minutes_allowed: Annotated[Count, Field(le=525_600)] = 60
    days_open: Annotated[Count, Field(le=365)] = 7
    days_to_approve: Annotated[Count, Field(le=30, description="then Amazon approves by itself")] = 3
    countries: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...], EachOnce] = ()
    approved_pct: Annotated[int | None, Field(strict=True, ge=0, le=100, description="of a worker's earlier work")] = (
        None
    )
    approved_count: Annotated[Whole | None, Field(description="of a worker's earlier work")] = None


class OnlinePlan(Plan):
    """A task in the browser (`foolscan online serve`)."""

    task: Annotated[Label, Field(description="its name in file names (BIDS task label)")] = "online"
    design: Annotated[CropPairs | SetRecognition, Field(discriminator="kind")]
    showing: Showing = Showing()
    questions: Annotated[tuple[Question, ...], Field(min_length=1, max_length=5, description="asked after one another")]
    attention: AttentionChecks | None = None
    practice: PracticeTrials | None = None
    rest_every: Annotated[Count | None, Field(le=1000, description="trials; nothing: no breaks")] = None
    lease_minutes: Annotated[
        Count, Field(le=43_200, description="for which a place is kept for somebody of whom nothing is heard")
    ] = 90
    exclusions: Exclusions = Exclusions()
    language: Annotated[Language, Field(description="of somebody for whom no other is asked for")] = "en"
    saying: Saying
    mturk: TurkPlan | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """Those in which everything is said that must be; its own first."""
        said = [texts for key, texts in self.texts() if texts]
        every = dict.fromkeys([self.language, *(language for texts in said for language in texts)])
        return tuple(language for language in every if all(language in texts for texts in said))

    def texts(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """What people read that depends on the language: (key, language -> text); labels and words have defaults."""
        for key in ("title", "information", "consent", "instructions", "rest", "debriefing"):
            yield f"saying.{key}", getattr(self.saying, key)
        for place, question in enumerate(self.questions):
            yield f"questions.{place}.text", question.text
        if self.attention:
            yield "attention.text", self.attention.text
        if self.practice:
            yield "practice.right", self.practice.right
            yield "practice.wrong", self.practice.wrong
