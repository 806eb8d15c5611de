"""What Mechanical Turk is asked for: batches, what they cost, who may take part, the page's address; and what a worker submitted."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Any
from urllib.parse import urlsplit

from protocols.online_plan import MOST_KEYWORD_LETTERS, TurkPlan
from protocols.problems import FoolscanError

MOST_ASSIGNMENTS = 9
"""Of a HIT: from 10 on, Amazon's fee is 40 % and not 20 %."""
LEAST_FEE_CENTS = 1
MOST_COUNTRIES = 30

LOCALE = "00000000000000000071"
PERCENT_APPROVED = "000000000000000000L0"
NUMBER_APPROVED = "00000000000000000040"

QUESTION_SCHEMA = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"
ANSWER_SCHEMA = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/QuestionFormAnswers.xsd"
FRAME_HEIGHT_PX = 0
"""0: as high as the worker's window."""


def batches(places: int) -> list[int]:
    """Places dealt into HITs: as many of 9 as there are, and the rest.

    places : 0 or more.
    """
    full, rest = divmod(max(places, 0), MOST_ASSIGNMENTS)
    return [MOST_ASSIGNMENTS] * full + [rest] * bool(rest)


def cents_of(usd: float) -> int:
    """US dollars as whole cents; FoolscanError when they are not whole."""
    cents = round(usd * 100)
    if abs(cents - usd * 100) > 1e-6:
        raise FoolscanError(f"online.mturk: found ${usd}; Amazon pays whole cents: {cents / 100:.2f}?")
    return cents


def fee_cents(pay_cents: int, assignments: int = 1) -> int:
    """Amazon's fee on one payment: 20 % (40 % in a HIT of 10 or more), a cent at least, rounded up.

    pay_cents   : reward or bonus, US cents.
    assignments : of the HIT.
    """
    if pay_cents == 0:
        return 0
    percent = 20 if assignments <= MOST_ASSIGNMENTS else 40
    return max(LEAST_FEE_CENTS, ceil(pay_cents * percent / 100))


def reward_with_fee_cents(plan: TurkPlan) -> int:
    """What one approved assignment costs, US cents."""
    reward = cents_of(plan.reward_usd)
    return reward + fee_cents(reward)


def bonus_with_fee_cents(plan: TurkPlan) -> int:
    """What one bonus costs, US cents; 0: the study has none."""
    bonus = cents_of(plan.bonus_usd)
    return bonus + fee_cents(bonus)


def page_address(public_url: str, recruiter: str) -> str:
    """Where the worker's frame finds the page: ``https://lab.example/study/mturk``.

    Raises FoolscanError when `public_url` is not an https address without query, fragment and user.
    """
    try:
        parts = urlsplit(public_url)
        named = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    if not named or parts.scheme != "https" or parts.query or parts.fragment or parts.username or parts.password:
        raise FoolscanError(
            f"--public-url: found {public_url!r}; Amazon frames https alone: the address under which the world reaches "
            "`foolscan online serve`, as https://study.lab.example"
        )
    return f"{public_url.rstrip('/')}/{recruiter}"


def external_question(address: str) -> str:
    """The ExternalQuestion document (XML) that frames an address."""
    ET.register_namespace("", QUESTION_SCHEMA)
    question = ET.Element(f"{{{QUESTION_SCHEMA}}}ExternalQuestion")
    ET.SubElement(question, f"{{{QUESTION_SCHEMA}}}ExternalURL").text = address
    ET.SubElement(question, f"{{{QUESTION_SCHEMA}}}FrameHeight").text = str(FRAME_HEIGHT_PX)
    return ET.tostring(question, encoding="unicode")


def requirements(plan: TurkPlan, study_qualification: str, *, live: bool) -> list[dict[str, Any]]:
    """Who may find, preview and accept a HIT.

    study_qualification : id of that which everybody gets who took part: several HITs would otherwise let a worker repeat.
    live                : False: only that one, for nobody's sandbox account has the history that the others ask for.
    """
    guarded = {"ActionsGuarded": "DiscoverPreviewAndAccept"}
    asked: list[dict[str, Any]] = [
        {"QualificationTypeId": study_qualification, "Comparator": "DoesNotExist", **guarded}
    ]
    if not live:
        return asked
    if len(plan.countries) > MOST_COUNTRIES:
        raise FoolscanError(
            f"online.mturk.countries: found {len(plan.countries)}; Amazon takes {MOST_COUNTRIES} at most"
        )
    if plan.countries:
        places = [{"Country": country} for country in plan.countries]
        asked.append({"QualificationTypeId": LOCALE, "Comparator": "In", "LocaleValues": places, **guarded})
    for kind, least in ((PERCENT_APPROVED, plan.approved_pct), (NUMBER_APPROVED, plan.approved_count)):
        if least is not None:
            values = {"Comparator": "GreaterThanOrEqualTo", "IntegerValues": [least]}
            asked.append({"QualificationTypeId": kind, **values, **guarded})
    return asked


def hit_request(
    plan: TurkPlan, address: str, study_qualification: str, assignments: int, token: str, *, live: bool
) -> dict[str, Any]:
    """The parameters of CreateHIT.

    assignments : places of this HIT, 1 to 9.
    token       : the request token; it is the annotation, too, by which the HIT is found when the answer was lost and the token
                  is older than the 24 hours for which Amazon knows it.
    """
    keywords = ", ".join(plan.keywords)
    if len(keywords) > MOST_KEYWORD_LETTERS:
        raise FoolscanError(
            f"online.mturk.keywords: found {len(keywords)} letters; Amazon takes {MOST_KEYWORD_LETTERS} at most"
        )
    return {
        "Title": plan.title,
        "Description": plan.description,
        **({"Keywords": keywords} if keywords else {}),
        "Reward": f"{cents_of(plan.reward_usd) / 100:.2f}",
        "MaxAssignments": assignments,
        "AssignmentDurationInSeconds": seconds(minutes=plan.minutes_allowed),
        "LifetimeInSeconds": seconds(days=plan.days_open),
        "AutoApprovalDelayInSeconds": seconds(days=plan.days_to_approve),
        "Question": external_question(address),
        "QualificationRequirements": requirements(plan, study_qualification, live=live),
        "RequesterAnnotation": annotation(token),
        "UniqueRequestToken": token,
    }


def seconds(**span: int) -> int:
    """A span as whole seconds, s."""
    return int(timedelta(**span).total_seconds())


def annotation(token: str) -> str:
    """What is noted on a HIT; only the requester sees it."""
    return f"foolscan {token}"


def submitted_fields(answer: str) -> Mapping[str, str]:
    """The fields of the form that a worker submitted, from Amazon's QuestionFormAnswers document (XML).

    Empty when it cannot be read: what it holds comes from strangers.
    """
    if re.search(r"<!(DOCTYPE|ENTITY)", answer, re.IGNORECASE):
        return {}
    try:
        document = ET.fromstring(answer)
    except ET.ParseError:
        return {}
    space = {"a": ANSWER_SCHEMA}
    return {
        one.findtext("a:QuestionIdentifier", "", space): one.findtext("a:FreeText", "", space) or ""
        for one in document.findall("a:Answer", space)
    }
