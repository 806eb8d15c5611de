"""What Mechanical Turk takes: its service model as botocore has it, and the rules that its documentation adds."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

import botocore.loaders
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

CODE = "AWS.MechanicalTurk."
LOCALE, PERCENT_APPROVED, NUMBER_APPROVED = "00000000000000000071", "000000000000000000L0", "00000000000000000040"
SYSTEM = {LOCALE, PERCENT_APPROVED, NUMBER_APPROVED}
EXTERNAL = "{http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd}"
ANSWERS = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/QuestionFormAnswers.xsd"
DAY_S = 86_400

MODEL = ServiceModel(botocore.loaders.Loader().load_service_model("mturk", "service-2"), "mturk")


class Refusal(Exception):
    """What Amazon answers to a request that it will not do."""

    def __init__(self, code: str, message: str, status: int = 400, kind: str = "RequestError") -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.kind = code, message, status, kind


def violations(value: Any, shape: Shape, where: str = "") -> list[str]:
    """What in a request or an answer is not as the service model has it."""
    report = "" if where else ParamValidator().validate(value, shape).generate_report()
    if report:
        return [report]
    wrong: list[str] = []
    if isinstance(shape, StructureShape):
        for name, member in value.items():
            wrong += violations(member, shape.members[name], f"{where}.{name}")
    elif isinstance(shape, ListShape):
        for place, member in enumerate(value):
            wrong += violations(member, shape.member, f"{where}.{place}")
    elif isinstance(value, str):
        rules = shape.metadata
        if not rules.get("min", 0) <= len(value) <= rules.get("max", 65_535):
            wrong.append(f"{where}: {len(value)} letters")
        if "pattern" in rules and not re.search(rules["pattern"], value):
            wrong.append(f"{where}: {value!r} is not of the form {rules['pattern']}")
        if shape.enum and value not in shape.enum:
            wrong.append(f"{where}: {value!r} is none of {shape.enum}")
    elif "max" in shape.metadata and value > shape.metadata["max"]:
        wrong.append(f"{where}: {value} is more than {shape.metadata['max']}")
    return wrong


def cents_of(usd: str) -> int:
    return round(float(usd) * 100)


def fee_of(cents: int, places: int) -> int:
    return max(1, -(-cents * (20 if places < 10 else 40) // 100))


def answer_xml(fields: Mapping[str, str]) -> str:
    ET.register_namespace("", ANSWERS)
    document = ET.Element(f"{{{ANSWERS}}}QuestionFormAnswers")
    for name, value in fields.items():
        answer = ET.SubElement(document, f"{{{ANSWERS}}}Answer")
        ET.SubElement(answer, f"{{{ANSWERS}}}QuestionIdentifier").text = name
        ET.SubElement(answer, f"{{{ANSWERS}}}FreeText").text = value
    return '<?xml version="1.0" encoding="ASCII"?>' + ET.tostring(document, encoding="unicode")


def refuse_bad_hit(request: Mapping[str, Any]) -> None:
    limits = {
        "LifetimeInSeconds": (30, 365 * DAY_S),
        "AssignmentDurationInSeconds": (30, 365 * DAY_S),
        "AutoApprovalDelayInSeconds": (0, 30 * DAY_S),
        "MaxAssignments": (1, 1_000_000_000),
    }
    for name, (least, most) in limits.items():
        if name in request and not least <= request[name] <= most:
            raise Refusal(f"{CODE}ParameterValidationError", f"{name}: {request[name]}")
    for name, most in {"Title": 128, "Description": 2000, "Keywords": 1000, "RequesterAnnotation": 255}.items():
        if len(request.get(name, "")) > most:
            raise Refusal(f"{CODE}ParameterValidationError", f"{name}: {len(request[name])} letters")
    if len(request.get("QualificationRequirements", ())) > 10:
        raise Refusal(f"{CODE}ParameterValidationError", "QualificationRequirements: more than 10")
    question = request.get("Question", "")
    try:
        root = ET.fromstring(question)
    except ET.ParseError as error:
        raise Refusal(f"{CODE}XMLParseError", str(error)) from error
    address, height = root.findtext(f"{EXTERNAL}ExternalURL"), root.findtext(f"{EXTERNAL}FrameHeight")
    shape = root.tag == f"{EXTERNAL}ExternalQuestion" and [one.tag for one in root] == [
        f"{EXTERNAL}ExternalURL",
        f"{EXTERNAL}FrameHeight",
    ]
    if (
        not shape
        or not (address or "").startswith("https://")
        or not (height or "").isdigit()
        or len(question) > 65_535
    ):
        raise Refusal(f"{CODE}XMLSchemaError", "not an ExternalQuestion")


def begin_of(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token).decode().removeprefix("from "))
    except ValueError:
        raise Refusal(f"{CODE}InvalidNextToken", "The NextToken is invalid.") from None
