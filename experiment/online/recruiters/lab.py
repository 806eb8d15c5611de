"""The laboratory's own computer: somebody of the lab says who is sitting there, and the page ends with thanks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from experiment.online.recruiters.recruiter import Arrival, Completion, Refused
from protocols.online_plan import OnlinePlan

LABEL = re.compile(r"[A-Za-z0-9]{1,64}")


@dataclass(frozen=True)
class Lab:
    """``/lab?label=07``: a participant's label, as BIDS has them."""

    name: str = "lab"
    frame_ancestors: tuple[str, ...] = ()
    form_action: tuple[str, ...] = ()

    def arrived(self, query: Mapping[str, str]) -> Arrival:
        """Who came. Raises Refused for a label that is none."""
        label = query.get("label", "")
        if not LABEL.fullmatch(label):
            raise Refused("label: expected the participant's, 1 to 64 letters and digits, as in /lab?label=07")
        return Arrival(label)

    def completion(self, query: Mapping[str, str], new_code: str) -> Completion:
        """Nothing more to do."""
        return Completion("thanks")


def recruiter(name: str, plan: OnlinePlan) -> Lab:
    """The recruiter `lab`."""
    return Lab()
