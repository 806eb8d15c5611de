"""What the crowd tells of a session: how it stands, that somebody was let in, that answers are held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from experiment.online.trials import SessionPlan


@dataclass(frozen=True)
class SessionState:
    """A session as the page needs it.

    assets      : random name of each image, by trial number.
    held        : number of trials that the server holds.
    happenings  : highest number of a happening that it holds.
    loads       : highest number of a page load in the last answer that it holds.
    state       : active, finished, withdrawn or erased.
    """

    session: str
    recruiter: str
    list_id: str
    condition: str
    language: str
    state: str
    held: int
    plan: SessionPlan
    assets: Mapping[int, str]
    happenings: int
    loads: int


@dataclass(frozen=True)
class Joined:
    """Somebody was let in, or goes on: the token is told once, and only its hash is kept."""

    token: str
    session_state: SessionState


@dataclass(frozen=True)
class Held:
    """Answers are on the disk.

    held     : number of trials that are held now.
    feedback : of the practice trials among them: whether the first answer was right, by trial number.
    """

    held: int
    feedback: Mapping[int, Literal["right", "wrong"]]
