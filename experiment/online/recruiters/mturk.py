"""Amazon Mechanical Turk, as the page sees it: who came from a HIT, and the form by which a finished assignment is submitted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from experiment.online.recruiters.recruiter import Arrival, Completion, Preview, Refused
from protocols.online_plan import OnlinePlan
from protocols.problems import FoolscanError

PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
ENTITY = re.compile(r"[A-Z0-9]{1,64}")  # EntityId of Amazon's service model
WORKER = re.compile(r"A[A-Z0-9]{1,63}")  # CustomerId
CODE_FIELD = "code"
"""Of the submitted form: Amazon keeps it with the assignment, and by it who submitted is told to be who finished."""


@dataclass(frozen=True)
class Turk:
    """One of Amazon's two environments.

    submit_host     : the only one to which the form goes; an address is free to claim any.
    frame_ancestors : the workers' site, which shows the page in a frame.
    form_action     : the submit host and where it redirects to (browsers check redirects of forms, too).
    """

    name: str
    submit_host: str
    frame_ancestors: tuple[str, ...]
    form_action: tuple[str, ...]

    def arrived(self, query: Mapping[str, str]) -> Arrival | Preview:
        """Who came. Raises Refused for ids that Amazon does not give, or for the other environment's submit host."""
        assignment = query.get("assignmentId", "")
        if assignment == PREVIEW:
            return Preview()
        worker, hit = query.get("workerId", ""), query.get("hitId", "")
        for name, found, form in (
            ("assignmentId", assignment, ENTITY),
            ("hitId", hit, ENTITY),
            ("workerId", worker, WORKER),
        ):
            if not form.fullmatch(found):
                raise Refused(
                    f"{name}: not one of Amazon's; please open this page by accepting the HIT on Mechanical Turk"
                )
        if query.get("turkSubmitTo", "").removesuffix("/") != self.submit_host:
            raise Refused(
                f"turkSubmitTo: expected {self.submit_host}; please open this page by accepting the HIT there"
            )
        return Arrival(worker, assignment, hit)

    def completion(self, query: Mapping[str, str], new_code: str) -> Completion:
        """A form to Amazon: the assignment, and a code that only the page of this person has."""
        came = self.arrived(query)
        if isinstance(came, Preview) or came.assignment is None:
            raise Refused("assignmentId: found a preview; please accept the HIT on Mechanical Turk")
        fields = {"assignmentId": came.assignment, CODE_FIELD: new_code}
        return Completion("form", code=new_code, url=f"{self.submit_host}/mturk/externalSubmit", fields=fields)


LIVE = Turk(
    "mturk",
    "https://www.mturk.com",
    ("https://worker.mturk.com", "https://www.mturk.com"),
    ("https://www.mturk.com", "https://worker.mturk.com"),
)
SANDBOX = Turk(
    "mturk_sandbox",
    "https://workersandbox.mturk.com",
    ("https://workersandbox.mturk.com",),
    ("https://workersandbox.mturk.com",),
)


def recruiter(name: str, plan: OnlinePlan) -> Turk:
    """The recruiter `mturk` (people and money), or `mturk_sandbox` (neither).

    Raises FoolscanError where the study does not say what is paid.
    """
    if plan.mturk is None:
        raise FoolscanError(
            f"online.mturk: found nothing, which {name} needs; say title, description and reward_usd in the study"
        )
    return {turk.name: turk for turk in (LIVE, SANDBOX)}[name]
