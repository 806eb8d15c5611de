"""What a recruiter must be able to say: who came, and how somebody who has finished is sent back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Literal, Protocol

from protocols.problems import FoolscanError, near

RECRUITER_GROUP = "foolscan.recruiters"


@dataclass(frozen=True)
class Arrival:
    """Somebody who came.

    raw_id     : whom the recruiter knows; the server turns it into a pseudonym and keeps it in `payments` alone.
    assignment : of the work, where the recruiter has such; with the raw id it is what a return is told by.
    hit        : of the batch, where there is one.
    """

    raw_id: str
    assignment: str | None = None
    hit: str | None = None


@dataclass(frozen=True)
class Preview:
    """Somebody who only looks: sees the information, and nothing is written."""


class Refused(FoolscanError):
    """An arrival that is none: a parameter is missing, malformed or not allowed. Its message may be shown to the person."""


@dataclass(frozen=True)
class Completion:
    """How the page ends for somebody who has finished.

    kind   : code (shown to be copied), form (posted by the page to `url`), redirect (a link to `url`), thanks (nothing more to
             do).
    code   : single-use completion code, where `kind` is code.
    url    : where a form is posted, or a link leads: one of the recruiter's own addresses (https).
    fields : of the form; never empty (MTurk needs one besides the assignment).
    """

    kind: Literal["code", "form", "redirect", "thanks"]
    code: str | None = None
    url: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


class Recruiter(Protocol):
    """One way in which people come.

    name            : as in the page's address and in tables.
    frame_ancestors : sources of the content security policy that may show the page in a frame; empty: none may.
    form_action     : addresses to which the page may post a form at the end; empty: none.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see above; properties, so that a recruiter may be a frozen dataclass

    @property
    def frame_ancestors(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def form_action(self) -> tuple[str, ...]: ...  # noqa: D102

    def arrived(self, query: Mapping[str, str]) -> Arrival | Preview:
        """Who came with these parameters of the page's address. Raises Refused."""
        ...

    def completion(self, query: Mapping[str, str], new_code: str) -> Completion:
        """How the page of somebody who has finished ends.

        query    : parameters with which the person came; they were accepted before.
        new_code : a code that nobody has, stored as this person's before it is shown, where the recruiter shows one.
        """
        ...


def published(name: str) -> Recruiter:
    """A recruiter that another package publishes as an entry point of the group ``foolscan.recruiters``."""
    points = {point.name: point for point in entry_points(group=RECRUITER_GROUP)}
    if name not in points:
        known = ["link", "lab", "mturk", "mturk_sandbox", *sorted(points)]
        raise FoolscanError(f"recruiter: found {name!r}{near(name, known)}; there are {', '.join(known)}")
    found: Recruiter = points[name].load()()
    return found
