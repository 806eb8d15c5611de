"""A plain link: people come with a personal address or with none, and leave with a completion code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from experiment.online.recruiters.recruiter import Arrival, Completion, Refused
from protocols.online_plan import OnlinePlan

PERSONAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
BROWSER = re.compile(r"[A-Za-z0-9_-]{22,64}")  # 128 random bits at least: nobody meets another's
BROWSER_PREFIX = "browser:"


@dataclass(frozen=True)
class Link:
    """``/link?id=anna``, or ``/link`` alone.

    A personal link carries an `id` that the lab gave out. Without one, the page makes a random id once, keeps it in the browser
    and sends it as `browser` each time, so that whoever reloads, or comes back tomorrow, is still the same person. A browser's
    id never equals a personal one: it is stored with a colon, which personal ids cannot have.
    """

    name: str = "link"
    frame_ancestors: tuple[str, ...] = ()
    form_action: tuple[str, ...] = ()

    def arrived(self, query: Mapping[str, str]) -> Arrival:
        """Who came. Raises Refused for an id that has other signs, or is none."""
        personal = query.get("id")
        if personal is not None:
            if not PERSONAL.fullmatch(personal):
                raise Refused(
                    "id: found another thing than 1 to 64 letters, digits, - and _; please use the link exactly as you got it"
                )
            return Arrival(personal)
        browser = query.get("browser")
        if browser is None or not BROWSER.fullmatch(browser):
            raise Refused("this browser has no id of its own yet; please reload the page, and allow it to store data")
        return Arrival(f"{BROWSER_PREFIX}{browser}")

    def completion(self, query: Mapping[str, str], new_code: str) -> Completion:
        """A code to be copied; it is good once."""
        return Completion("code", code=new_code)


def recruiter(name: str, plan: OnlinePlan) -> Link:
    """The recruiter `link`."""
    return Link()
