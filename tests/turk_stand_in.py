"""A stand-in for Mechanical Turk: a real HTTP server behind boto3's `endpoint_url` that remembers what it was told.

Every request and every answer is checked against botocore's own service model (types, required members, lengths, patterns, enums,
unknown members), and against what Amazon's documentation says beyond it: request tokens (known for 24 hours), expiry, places,
qualifications, the life of an assignment (accepted, returned, abandoned, submitted, approved or rejected, approved by itself), pages
of lists, money held and paid with fees. Faults come on demand: throttling, 5xx, an answer lost before or after the effect, one that
comes too late, lists that lag behind.

What it cannot prove:
- The texts and `TurkErrorCode`s of refusals are from memory of the documentation; only HitAlreadyExists and
  InvalidMaximumAssignmentsIncrease are named there. Nothing may depend on the others.
- How long Amazon's lists lag behind, when it throttles, and that SendBonus's token is known for 24 hours (said of CreateHIT alone).
- When and how much of an account's balance is held for open HITs (here: everything that can still be paid, with its fee).
- Whether NumberOfAssignmentsAvailable of an expired HIT stays (here: it does) or goes to 0: the project may depend on neither.
- That Amazon takes the page into its frame, and what www.mturk.com/mturk/externalSubmit answers: that needs the sandbox and a browser.
- Signatures, IAM policies, and whether an AWS account is linked to a requester's: only that a request is signed at all is looked at.
- That the service model of the installed botocore is the one that Amazon serves.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_to_aware_datetime
from turk_rules import (
    CODE,
    DAY_S,
    LOCALE,
    MODEL,
    NUMBER_APPROVED,
    PERCENT_APPROVED,
    SYSTEM,
    Refusal,
    answer_xml,
    begin_of,
    cents_of,
    fee_of,
    refuse_bad_hit,
    violations,
)


class NotAllowed(Exception):
    """What a worker is told who may not accept or submit."""


@dataclass
class Worker:
    """Somebody with a worker's account."""

    worker_id: str
    country: str = "US"
    approved_pct: int = 99
    approved_count: int = 500


@dataclass
class Work:
    """An assignment's life: accepted, (returned or abandoned: it is gone), Submitted, Approved, Rejected."""

    assignment: str
    hit: str
    worker: str
    accepted_s: float
    status: str = "accepted"
    submitted_s: float = 0.0
    approved_s: float | None = None
    answer: str = ""


@dataclass
class Fault:
    """What goes wrong with the next calls of an operation (None: of any).

    kind : throttle, broken (500), lost_before (no effect, no answer), lost_after (effect, no answer), late (effect, and an answer
           for which nobody waits).
    """

    kind: str
    operation: str | None = None
    times: int = 1


@dataclass
class TurkStandIn:
    """The service's memory; `turk_wire.serving` gives it an address."""

    balance_cents: int = 1_000_000
    page_size: int = 100
    lists_lag: bool = False
    now_s: float = field(default_factory=time.time)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    hits: dict[str, dict[str, Any]] = field(default_factory=dict)
    work: dict[str, Work] = field(default_factory=dict)
    qualification_types: dict[str, dict[str, Any]] = field(default_factory=dict)
    qualified: dict[tuple[str, str], int] = field(default_factory=dict)
    bonuses: list[dict[str, Any]] = field(default_factory=list)
    workers: dict[str, Worker] = field(default_factory=dict)
    tokens: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    paid_cents: int = 0
    fees_cents: int = 0
    waited_for: threading.Event = field(
        default_factory=threading.Event
    )  # somebody waits for an answer that comes too late
    _returned: list[tuple[str, str]] = field(default_factory=list)
    _number: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # --- what people do on the workers' site -------------------------------------------------------------------------

    def somebody(self, name: str, **traits: Any) -> str:
        """A new worker's account; its id."""
        worker_id = "A" + re.sub("[^A-Z0-9]", "", name.upper()).ljust(13, "X")
        self.workers[worker_id] = Worker(worker_id, **traits)
        return worker_id

    def offered(self, worker_id: str) -> list[str]:
        """The HITs that a worker finds."""
        with self._lock:
            self._settle()
            return [hit for hit in self.hits if not self._why_not(worker_id, hit)]

    def accept(self, worker_id: str, hit_id: str) -> str:
        """A worker takes a place; the assignment's id, which is that of a returned one where there is such."""
        with self._lock:
            self._settle()
            if why := self._why_not(worker_id, hit_id):
                raise NotAllowed(why)
            reused = next((one for hit, one in self._returned if hit == hit_id), None)
            if reused:
                self._returned.remove((hit_id, reused))
            assignment = reused or self._new("3ASG")
            self.work[assignment] = Work(assignment, hit_id, worker_id, self.now_s)
            return assignment

    def give_back(self, assignment: str) -> None:
        """A worker returns an assignment; the next who accepts gets the same id."""
        with self._lock:
            work = self.work.pop(assignment)
            self._returned.append((work.hit, assignment))

    def submit(self, assignment: str, fields: Mapping[str, str]) -> None:
        """The form of a page arrives at externalSubmit."""
        with self._lock:
            self._settle()
            work = self.work.get(assignment)
            if work is None or work.status != "accepted":
                raise NotAllowed("there is no such assignment at work")
            others = {name: value for name, value in fields.items() if name != "assignmentId"}
            if fields.get("assignmentId") != assignment or not others:
                raise NotAllowed("a form needs assignmentId and one more field")
            work.status, work.submitted_s, work.answer = "Submitted", self.now_s, answer_xml(others)

    def advance(self, *, days: float = 0.0, minutes: float = 0.0) -> None:
        """Let time pass."""
        with self._lock:
            self.now_s += days * DAY_S + minutes * 60
            self._settle()

    def now(self) -> datetime:
        """The service's clock."""
        return datetime.fromtimestamp(self.now_s, UTC)

    @property
    def totals(self) -> dict[str, Any]:
        """What a campaign came to, whatever happened on the way."""
        return {
            "hits": sorted(hit["MaxAssignments"] for hit in self.hits.values()),
            "qualification_types": len(self.qualification_types),
            "qualified": len(self.qualified),
            "approved": sorted(one.worker for one in self.work.values() if one.status == "Approved"),
            "bonuses": sorted((one["WorkerId"], one["BonusAmount"]) for one in self.bonuses),
            "paid_cents": self.paid_cents,
            "fees_cents": self.fees_cents,
        }

    # --- the requester's API ------------------------------------------------------------------------------------------

    def do(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """One call: checked, done, and its answer checked."""
        if operation not in MODEL.operation_names:
            raise Refusal("UnknownOperation", operation, kind="UnknownOperationException")
        model = MODEL.operation_model(operation)
        wrong = violations(request, model.input_shape)
        if wrong:
            raise Refusal(f"{CODE}ParameterValidationError", "; ".join(wrong))
        handler: Callable[[dict[str, Any]], dict[str, Any]] | None = getattr(self, f"_do_{operation}", None)
        assert handler is not None, f"the stand-in has no {operation}"
        with self._lock:
            self._settle()
            self.calls.append((operation, request))
            answer = handler(request)
        wrong = violations(answer, model.output_shape) if model.output_shape else []
        assert not wrong, f"{operation} of the stand-in answers what Amazon cannot: {wrong}"
        return answer

    def _do_GetAccountBalance(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"AvailableBalance": f"{self._available() / 100:.2f}", "OnHoldBalance": f"{self._held() / 100:.2f}"}

    def _do_CreateQualificationType(self, request: dict[str, Any]) -> dict[str, Any]:
        if any(kind["Name"] == request["Name"] for kind in self.qualification_types.values()):
            raise Refusal(
                f"{CODE}QualificationTypeAlreadyExists", "You have already created a QualificationType with this name."
            )
        made = {
            "QualificationTypeId": self._new("3QUA"),
            "CreationTime": self.now(),
            "Name": request["Name"],
            "Description": request["Description"],
            "QualificationTypeStatus": request["QualificationTypeStatus"],
            "IsRequestable": True,
            "AutoGranted": request.get("AutoGranted", False),
        }
        self.qualification_types[made["QualificationTypeId"]] = made
        return {"QualificationType": made}

    def _do_ListQualificationTypes(self, request: dict[str, Any]) -> dict[str, Any]:
        found = [
            kind
            for kind in self.qualification_types.values()
            if request.get("Query", "").lower() in kind["Name"].lower()
        ]
        return self._page(request, "QualificationTypes", [] if self.lists_lag else found)

    def _do_AssociateQualificationWithWorker(self, request: dict[str, Any]) -> dict[str, Any]:
        self._own_qualification(request["QualificationTypeId"])
        if request["WorkerId"] not in self.workers:
            raise Refusal(f"{CODE}WorkerDoesNotExist", f"Worker {request['WorkerId']} does not exist.")
        self.qualified[request["QualificationTypeId"], request["WorkerId"]] = request.get("IntegerValue", 1)
        return {}

    def _do_GetQualificationScore(self, request: dict[str, Any]) -> dict[str, Any]:
        key = request["QualificationTypeId"], request["WorkerId"]
        if key not in self.qualified:
            raise Refusal(f"{CODE}QualificationDoesNotExist", "You requested a Qualification that does not exist.")
        known = {"QualificationTypeId": key[0], "WorkerId": key[1], "GrantTime": self.now(), "Status": "Granted"}
        return {"Qualification": {**known, "IntegerValue": self.qualified[key]}}

    def _do_CreateHIT(self, request: dict[str, Any]) -> dict[str, Any]:
        known = self._known_token("hit", request.get("UniqueRequestToken"))
        if known:
            raise Refusal(f"{CODE}HitAlreadyExists", f'The HIT with ID "{known}" already exists.')
        refuse_bad_hit(request)
        for one in request.get("QualificationRequirements", ()):
            self._refuse_bad_requirement(one)
        places, reward = request.get("MaxAssignments", 1), cents_of(request["Reward"])
        if self._available() < places * (reward + fee_of(reward, places)):
            raise Refusal(f"{CODE}InsufficientFunds", "This Requester has insufficient funds in their account.")
        made = {
            "HITId": self._new("3HIT"),
            "HITTypeId": self._hit_type(request),
            "HITGroupId": self._new("3GRP"),
            "CreationTime": self.now(),
            "Title": request["Title"],
            "Description": request["Description"],
            "Keywords": request.get("Keywords", ""),
            "Question": request["Question"],
            "MaxAssignments": places,
            "Reward": request["Reward"],
            "AutoApprovalDelayInSeconds": request.get("AutoApprovalDelayInSeconds", 30 * DAY_S),
            "AssignmentDurationInSeconds": request["AssignmentDurationInSeconds"],
            "Expiration": datetime.fromtimestamp(self.now_s + request["LifetimeInSeconds"], UTC),
            "RequesterAnnotation": request.get("RequesterAnnotation", ""),
            "QualificationRequirements": request.get("QualificationRequirements", []),
            "HITReviewStatus": "NotReviewed",
        }
        self.hits[made["HITId"]] = made
        self._keep_token("hit", request.get("UniqueRequestToken"), made["HITId"])
        return {"HIT": self._hit(made["HITId"])}

    def _do_GetHIT(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"HIT": self._hit(request["HITId"])}

    def _do_ListHITs(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._page(request, "HITs", [] if self.lists_lag else [self._hit(hit) for hit in self.hits])

    def _do_UpdateExpirationForHIT(self, request: dict[str, Any]) -> dict[str, Any]:
        self._hit(request["HITId"])
        self.hits[request["HITId"]]["Expiration"] = parse_to_aware_datetime(request["ExpireAt"])
        return {}

    def _do_ListAssignmentsForHIT(self, request: dict[str, Any]) -> dict[str, Any]:
        self._hit(request["HITId"])
        wanted = request.get("AssignmentStatuses") or ["Submitted", "Approved", "Rejected"]
        found = [one for one in self.work.values() if one.hit == request["HITId"] and one.status in wanted]
        return self._page(request, "Assignments", [self._assignment(one) for one in found])

    def _do_GetAssignment(self, request: dict[str, Any]) -> dict[str, Any]:
        work = self._submitted(request["AssignmentId"])
        return {"Assignment": self._assignment(work), "HIT": self._hit(work.hit)}

    def _do_ApproveAssignment(self, request: dict[str, Any]) -> dict[str, Any]:
        work = self._submitted(request["AssignmentId"])
        if work.status != "Submitted" and not (work.status == "Rejected" and request.get("OverrideRejection")):
            raise Refusal(
                f"{CODE}InvalidAssignmentState",
                f"This operation can be called with a status of: Submitted. ({work.status})",
            )
        self._approve(work)
        return {}

    def _do_RejectAssignment(self, request: dict[str, Any]) -> dict[str, Any]:
        work = self._submitted(request["AssignmentId"])
        if work.status != "Submitted":
            raise Refusal(
                f"{CODE}InvalidAssignmentState",
                f"This operation can be called with a status of: Submitted. ({work.status})",
            )
        work.status = "Rejected"
        return {}

    def _do_SendBonus(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._known_token("bonus", request.get("UniqueRequestToken")):
            raise Refusal(f"{CODE}DuplicateRequest", "There is already a request with this token.")
        work = self._submitted(request["AssignmentId"])
        if work.worker != request["WorkerId"]:
            raise Refusal(
                f"{CODE}AssignmentWorkerMismatch", f"Worker {request['WorkerId']} has not submitted this assignment."
            )
        cents = cents_of(request["BonusAmount"])
        if cents <= 0 or self._available() < cents + fee_of(cents, 1):
            raise Refusal(f"{CODE}InsufficientFunds", "This Requester has insufficient funds in their account.")
        self._pay(cents, fee_of(cents, 1))
        known = {name: request[name] for name in ("WorkerId", "BonusAmount", "AssignmentId", "Reason")}
        self.bonuses.append({**known, "GrantTime": self.now()})
        self._keep_token("bonus", request.get("UniqueRequestToken"), self._new("3REQ"))
        return {}

    def _do_ListBonusPayments(self, request: dict[str, Any]) -> dict[str, Any]:
        found = [one for one in self.bonuses if one["AssignmentId"] == request.get("AssignmentId", one["AssignmentId"])]
        if "HITId" in request:
            found = [one for one in found if self.work[one["AssignmentId"]].hit == request["HITId"]]
        return self._page(request, "BonusPayments", [] if self.lists_lag else found)

    # --- its memory ---------------------------------------------------------------------------------------------------

    def _new(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number:026d}"

    def _hit_type(self, request: Mapping[str, Any]) -> str:
        same = (
            "Title",
            "Description",
            "Keywords",
            "Reward",
            "AssignmentDurationInSeconds",
            "QualificationRequirements",
        )
        for hit in self.hits.values():
            if all(hit.get(name) == request.get(name, hit.get(name)) for name in same):
                return str(hit["HITTypeId"])
        return self._new("3TYP")

    def _known_token(self, kind: str, token: str | None) -> str | None:
        made_s, what = self.tokens.get((kind, token or ""), (0.0, ""))
        return what if token and self.now_s - made_s < DAY_S and what else None

    def _keep_token(self, kind: str, token: str | None, what: str) -> None:
        if token:
            self.tokens[kind, token] = (self.now_s, what)

    def _settle(self) -> None:
        """What happens by itself: whoever took too long has lost the place, and what nobody looked at is approved."""
        for work in [*self.work.values()]:
            hit = self.hits[work.hit]
            if work.status == "accepted" and self.now_s > work.accepted_s + hit["AssignmentDurationInSeconds"]:
                self.give_back(work.assignment)
            elif work.status == "Submitted" and self.now_s > work.submitted_s + hit["AutoApprovalDelayInSeconds"]:
                self._approve(work)

    def _counts(self, hit_id: str) -> tuple[int, int, int]:
        states = [one.status for one in self.work.values() if one.hit == hit_id]
        pending = states.count("accepted")
        return (
            self.hits[hit_id]["MaxAssignments"] - len(states),
            pending,
            states.count("Approved") + states.count("Rejected"),
        )

    def _expired(self, hit_id: str) -> bool:
        return bool(self.hits[hit_id]["Expiration"] <= self.now())

    def _hit(self, hit_id: str) -> dict[str, Any]:
        if hit_id not in self.hits:
            raise Refusal(f"{CODE}HITDoesNotExist", f"Hit {hit_id} does not exist.")
        free, pending, completed = self._counts(hit_id)
        ended = self._expired(hit_id) or free == 0
        status = "Assignable" if not ended else "Unassignable" if pending else "Reviewable"
        counts = {
            "NumberOfAssignmentsAvailable": free,
            "NumberOfAssignmentsPending": pending,
            "NumberOfAssignmentsCompleted": completed,
        }
        return {**self.hits[hit_id], **counts, "HITStatus": status}

    def _assignment(self, work: Work) -> dict[str, Any]:
        hit = self.hits[work.hit]
        known = {
            "AssignmentId": work.assignment,
            "WorkerId": work.worker,
            "HITId": work.hit,
            "AssignmentStatus": work.status,
            "AutoApprovalTime": datetime.fromtimestamp(work.submitted_s + hit["AutoApprovalDelayInSeconds"], UTC),
            "AcceptTime": datetime.fromtimestamp(work.accepted_s, UTC),
            "SubmitTime": datetime.fromtimestamp(work.submitted_s, UTC),
            "Answer": work.answer,
        }
        return (
            known
            if work.approved_s is None
            else {**known, "ApprovalTime": datetime.fromtimestamp(work.approved_s, UTC)}
        )

    def _submitted(self, assignment: str) -> Work:
        work = self.work.get(assignment)
        if work is None or work.status == "accepted":
            raise Refusal(f"{CODE}AssignmentDoesNotExist", f"Assignment {assignment} does not exist.")
        return work

    def _approve(self, work: Work) -> None:
        work.status, work.approved_s = "Approved", self.now_s
        reward = cents_of(self.hits[work.hit]["Reward"])
        self._pay(reward, fee_of(reward, self.hits[work.hit]["MaxAssignments"]))

    def _pay(self, cents: int, fee: int) -> None:
        self.paid_cents, self.fees_cents = self.paid_cents + cents, self.fees_cents + fee
        self.balance_cents -= cents + fee

    def _held(self) -> int:
        held = 0
        for hit_id, hit in self.hits.items():
            free, pending, _ = self._counts(hit_id)
            submitted = sum(one.hit == hit_id and one.status == "Submitted" for one in self.work.values())
            places = submitted + pending + (0 if self._expired(hit_id) else free)
            reward = cents_of(hit["Reward"])
            held += places * (reward + fee_of(reward, hit["MaxAssignments"]))
        return held

    def _available(self) -> int:
        return self.balance_cents - self._held()

    def _own_qualification(self, kind: str) -> None:
        if kind not in self.qualification_types:
            raise Refusal(f"{CODE}QualificationTypeDoesNotExist", f"QualificationType {kind} does not exist.")

    def _refuse_bad_requirement(self, one: Mapping[str, Any]) -> None:
        kind, comparator = one["QualificationTypeId"], one["Comparator"]
        integers, locales = one.get("IntegerValues"), one.get("LocaleValues")
        if kind not in SYSTEM:
            self._own_qualification(kind)
        wrong = (
            (comparator in ("Exists", "DoesNotExist") and (integers or locales))
            or (kind == LOCALE) != (locales is not None)
            or (kind == LOCALE and comparator not in ("In", "NotIn", "EqualTo", "NotEqualTo"))
            or (
                comparator in ("GreaterThanOrEqualTo", "LessThan", "EqualTo")
                and kind != LOCALE
                and len(integers or ()) != 1
            )
            or len(locales or ()) > 30
            or len(integers or ()) > 15
        )
        if wrong:
            raise Refusal(f"{CODE}InvalidQualificationRequirement", f"not a requirement: {dict(one)}")

    def _why_not(self, worker_id: str, hit_id: str) -> str:
        worker, free = self.workers[worker_id], self._counts(hit_id)[0]
        if self._expired(hit_id) or free <= 0:
            return "there is no place"
        if any(one.worker == worker_id and one.hit == hit_id for one in self.work.values()):
            return "once for each HIT"
        for one in self.hits[hit_id]["QualificationRequirements"]:
            if not self._meets(worker, one):
                return f"not qualified: {one['QualificationTypeId']}"
        return ""

    def _meets(self, worker: Worker, one: Mapping[str, Any]) -> bool:
        kind, comparator = one["QualificationTypeId"], one["Comparator"]
        if kind == LOCALE:
            inside = worker.country in [place["Country"] for place in one["LocaleValues"]]
            return inside == (comparator in ("In", "EqualTo"))
        has = {PERCENT_APPROVED: worker.approved_pct, NUMBER_APPROVED: worker.approved_count}.get(
            kind, self.qualified.get((kind, worker.worker_id))
        )
        if comparator in ("Exists", "DoesNotExist"):
            return (has is not None) == (comparator == "Exists")
        assert comparator == "GreaterThanOrEqualTo", comparator
        return has is not None and has >= one["IntegerValues"][0]

    def _page(self, request: Mapping[str, Any], key: str, found: list[dict[str, Any]]) -> dict[str, Any]:
        begin = begin_of(request.get("NextToken"))
        end = begin + min(request.get("MaxResults", 10), self.page_size)
        answer: dict[str, Any] = {"NumResults": len(found[begin:end]), key: found[begin:end]}
        if end < len(found):
            answer["NextToken"] = base64.b64encode(f"from {end}".encode()).decode()
        return answer
