"""What page and server say to one another: the bodies of requests, checked before anything else looks at them.

Every address is below ``/api/``. All but ``welcome`` and ``join`` need the header ``Authorization: Bearer <token>``; there are no
cookies. Errors are ``{"error": <kind>, "said": <sentence>}`` with a status of 4xx or 503, and nothing is stored but a flag.

``GET  welcome?recruiter=&language=&<the page's own parameters>`` -> title, languages, information, consent, words, state:
    ``open``, ``preview`` (look, but do not join), ``paused`` or ``full``. Writes nothing.
``POST join``    Joining -> ``{"token": …}`` (201); the same person again gets a new token for the same session, and the old one
    is void: another tab or browser takes over. 403 ``paused`` or ``full``, 409 ``finished``, ``withdrawn`` or ``taken_part``.
``GET  session`` -> instructions, words, showing, questions, options, trials (number, kind, asset, rest, text of a check), held
    (number of trials that the server holds: the page goes on with the next), state.
``GET  asset/<asset>`` -> image/png of one trial of this session (masks are made by the page itself).
``POST answers`` Answers -> ``{"held": n, "feedback": {"3": "right"}}`` after commit; feedback of practice trials alone. Trials
    come in order: the first in a body must be held + 1 or one that is held (then it is not stored again; if it differs from what
    is held, it is flagged and the one held stays). 409 ``out_of_order`` with ``held``.
``POST withdraw`` Withdrawal -> 200.
``POST finish``  Finishing -> completion (see `Completion`) and debriefing; 409 ``incomplete`` with ``held`` as long as a trial is
    lacking. Again: the same completion.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_BYTES = 64 * 1024
"""Of a body."""
MOST_AT_ONCE = 50
"""Answers, or happenings, in one body."""

Milliseconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
"""Since the page was loaded, by the page's monotonic clock."""
Short = Annotated[str, Field(max_length=64)]


class Message(BaseModel):
    """The body of a request: unknown keys are refused, and nothing is turned into what it is not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Joining(Message):
    """Somebody agrees to take part.

    consent : which of the statements were ticked; all must be.
    arrival : parameters of the page's address, as they were.
    """

    recruiter: Annotated[str, Field(max_length=32, pattern=r"^[a-z][a-z0-9_]*$")]
    arrival: Annotated[dict[Short, Annotated[str, Field(max_length=512)]], Field(max_length=20)]
    language: Annotated[str, Field(max_length=35)]
    consent: Annotated[list[bool], Field(max_length=50)]


class Given(Message):
    """The answer to one question.

    value : an option, a step, or ``nothing``; null where a name was typed.
    typed : what was typed; null otherwise.
    rt_ms : of the first question since the first visible frame of the image, of later ones since they appeared.
    """

    question: Short
    value: Annotated[str, Field(max_length=200)] | None = None
    typed: Annotated[str, Field(max_length=200)] | None = None
    rt_ms: Milliseconds
    by: Literal["key", "pointer", "touch"]


class Shown(Message):
    """How the image was shown: timestamps of frames (requestAnimationFrame) since the page was loaded.

    frames_ms : of every frame from the first with the image to the first without it, at most 1,000 of them.
    """

    onset_ms: Milliseconds
    offset_ms: Milliseconds | None = None
    asked_ms: Milliseconds | None = None
    n_frames: Annotated[int, Field(ge=0, le=10_000_000)]
    late_frames: Annotated[int, Field(ge=0, le=10_000_000)]
    frame_ms: Annotated[float, Field(ge=0, le=10_000, description="median time between frames", allow_inf_nan=False)]
    frames_ms: Annotated[list[Milliseconds], Field(max_length=1000)] = []


class TrialAnswer(Message):
    """A trial that was answered.

    shown    : null for an attention check.
    sent_ms  : when the page sent it first, by its clock.
    load     : counted by the page: how often it was loaded in this session, from 1 (its clock begins anew each time).
    """

    trial: Annotated[int, Field(ge=1, le=1_000_000)]
    shown: Shown | None
    given: Annotated[list[Given], Field(min_length=1, max_length=5)]
    hidden: bool
    sent_ms: Milliseconds
    load: Annotated[int, Field(ge=1, le=100_000)]


class Happening(Message):
    """Something else that the page tells: `hidden`, `shown`, `left`, `came_back`, `offline`, `online`, `loaded` and suchlike.

    number : counted by the page over the whole session, from 1.
    """

    number: Annotated[int, Field(ge=1, le=1_000_000)]
    kind: Annotated[str, Field(max_length=32, pattern=r"^[a-z_]+$")]
    trial: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    at_ms: Milliseconds
    content: Annotated[str, Field(max_length=500)] | None = None


class Answers(Message):
    """What lies in the page's outbox."""

    answers: Annotated[list[TrialAnswer], Field(max_length=MOST_AT_ONCE)] = []
    happenings: Annotated[list[Happening], Field(max_length=MOST_AT_ONCE)] = []


class Withdrawal(Message):
    """Somebody ends it.

    erase : whether what was answered shall be erased, too.
    """

    erase: bool


class Finishing(Message):
    """Everything was answered.

    comment : what the person wants to say.
    arrival : as in `Joining`: what the recruiter needs to end it.
    """

    comment: Annotated[str, Field(max_length=2000)] = ""
    arrival: Annotated[dict[Short, Annotated[str, Field(max_length=512)]], Field(max_length=20)]
