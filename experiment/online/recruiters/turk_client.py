"""Mechanical Turk's requester API, as few calls as a campaign needs, through boto3 and its own chain of keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from experiment.online.recruiters.turk_hits import annotation, cents_of, submitted_fields
from protocols.problems import FoolscanError

REGION = "us-east-1"  # the only one that Mechanical Turk has
TRIES = 5
CONNECT_S, ANSWER_S = 10, 30
LONG_AGO = datetime(2015, 1, 1, tzinfo=UTC)
"""A time that has passed: a HIT that expires then expires now."""
PAGE = 100


@dataclass(frozen=True)
class Environment:
    """Where calls go.

    name : of the recruiter: its pseudonyms, ledger and page address are apart from the other environment's.
    """

    name: str
    endpoint: str
    workers_site: str
    live: bool


LIVE = Environment("mturk", f"https://mturk-requester.{REGION}.amazonaws.com", "https://worker.mturk.com", True)
SANDBOX = Environment(
    "mturk_sandbox", f"https://mturk-requester-sandbox.{REGION}.amazonaws.com", "https://workersandbox.mturk.com", False
)


class TurkRefused(FoolscanError):
    """Amazon answered that it will not; `code` is Amazon's own."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"Mechanical Turk refused {operation} ({code}): {message}")


class TurkUnclear(FoolscanError):
    """No answer came, or that of a broken server: whether the call took place is not known."""


@dataclass(frozen=True)
class Hit:
    """A HIT as Amazon has it.

    open    : whether workers can still accept it.
    free    : places that nobody holds (of a HIT that is not open: lost ones).
    pending : accepted, or being previewed, and not submitted.
    """

    hit: str
    hit_type: str
    status: str
    places: int
    free: int
    pending: int
    expires: datetime
    open: bool


@dataclass(frozen=True)
class Assignment:
    """Work that was submitted. The worker's id is kept out of its representation, so that no log has it."""

    assignment: str
    hit: str
    worker_id: str = field(repr=False)
    status: Literal["Submitted", "Approved", "Rejected"]
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class TurkApi:
    """The calls. Each raises TurkRefused, TurkUnclear, or FoolscanError where keys are missing.

    client : boto3's of the service ``mturk``.
    now    : the time; a HIT that has expired is not open, whatever its status.
    """

    client: Any
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def balance_cents(self) -> int:
        """What the account can spend, US cents."""
        return cents_of(float(self._call("get_account_balance")["AvailableBalance"]))

    def create_qualification(self, name: str, description: str) -> str:
        """A new qualification that nobody can ask for; its id. Its name must be new."""
        made = self._call(
            "create_qualification_type", Name=name, Description=description, QualificationTypeStatus="Active"
        )
        return str(made["QualificationType"]["QualificationTypeId"])

    def find_qualification(self, name: str) -> str | None:
        """The id of one's own qualification of this name."""
        wanted = {"Query": name, "MustBeRequestable": False, "MustBeOwnedByCaller": True}
        for found in self._pages("list_qualification_types", "QualificationTypes", **wanted):
            if found["Name"] == name:
                return str(found["QualificationTypeId"])
        return None

    def qualify(self, qualification: str, worker_id: str) -> None:
        """Give somebody a qualification, without an e-mail; again: nothing changes."""
        who = {"QualificationTypeId": qualification, "WorkerId": worker_id}
        self._call("associate_qualification_with_worker", **who, IntegerValue=1, SendNotification=False)

    def create_hit(self, request: Mapping[str, Any]) -> Hit:
        """A new HIT."""
        return self._hit(self._call("create_hit", **request)["HIT"])

    def find_hit(self, token: str) -> Hit | None:
        """The HIT that was made with a request token."""
        wanted = annotation(token)
        for found in self._pages("list_hits", "HITs"):
            if found.get("RequesterAnnotation") == wanted:
                return self._hit(found)
        return None

    def hit(self, hit_id: str) -> Hit:
        """A HIT as it is now."""
        return self._hit(self._call("get_hit", HITId=hit_id)["HIT"])

    def expire(self, hit_id: str) -> None:
        """End a HIT: nobody can accept it any more; who has accepted it may go on. Again: nothing changes."""
        self._call("update_expiration_for_hit", HITId=hit_id, ExpireAt=LONG_AGO)

    def assignments(self, hit_id: str) -> list[Assignment]:
        """All work that was submitted for a HIT, approved and rejected work too."""
        return [_assignment(found) for found in self._pages("list_assignments_for_hit", "Assignments", HITId=hit_id)]

    def assignment(self, assignment_id: str) -> Assignment:
        """One assignment as it is now."""
        return _assignment(self._call("get_assignment", AssignmentId=assignment_id)["Assignment"])

    def approve(self, assignment_id: str) -> None:
        """Pay the reward. Refused when it was paid before."""
        self._call("approve_assignment", AssignmentId=assignment_id)

    def bonus(self, work: Assignment, cents: int, reason: str, token: str) -> None:
        """Pay a bonus. Refused when one with this token was paid before."""
        self._call(
            "send_bonus",
            WorkerId=work.worker_id,
            AssignmentId=work.assignment,
            BonusAmount=f"{cents / 100:.2f}",
            Reason=reason,
            UniqueRequestToken=token,
        )

    def has_bonus(self, work: Assignment, cents: int, reason: str) -> bool:
        """Whether this bonus was paid: same work, amount and reason."""
        for paid in self._pages("list_bonus_payments", "BonusPayments", AssignmentId=work.assignment):
            same = paid["WorkerId"] == work.worker_id and paid.get("Reason") == reason
            if same and cents_of(float(paid["BonusAmount"])) == cents:
                return True
        return False

    def _hit(self, found: Mapping[str, Any]) -> Hit:
        running = found["HITStatus"] in ("Assignable", "Unassignable")
        return Hit(
            hit=found["HITId"],
            hit_type=found["HITTypeId"],
            status=found["HITStatus"],
            places=found["MaxAssignments"],
            free=found["NumberOfAssignmentsAvailable"],
            pending=found["NumberOfAssignmentsPending"],
            expires=found["Expiration"],
            open=running and found["Expiration"] > self.now(),
        )

    def _pages(self, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        more: dict[str, Any] = {}
        while True:
            page = self._call(operation, **parameters, MaxResults=PAGE, **more)
            yield from page.get(key, ())
            if not page.get("NextToken"):  # a page may be empty and yet not the last
                return
            more = {"NextToken": page["NextToken"]}

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**parameters)
        except ClientError as error:
            raise _of_amazon(operation, error.response) from None  # the original's text may hold a worker's id
        except (NoCredentialsError, ParamValidationError) as error:
            if isinstance(error, ParamValidationError):
                raise FoolscanError(
                    f"{operation}: not as Amazon's service model has it: {without_workers(str(error))}"
                ) from None
            raise _no_keys(error) from None
        except BotoCoreError as error:
            if type(error).__name__ in KEY_ERRORS:
                raise _no_keys(error) from None
            raise TurkUnclear(
                f"Mechanical Turk: no answer to {operation} ({type(error).__name__}); whether it took place is not known. "
                "Run the same command again: nothing is done or paid twice"
            ) from None
        return answer


KEY_ERRORS = {
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ConfigNotFound",
    "ConfigParseError",
    "ProfileNotFound",
    "TokenRetrievalError",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "LoginRefreshRequired",
}
REFUSED_KEYS = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "ExpiredTokenException",
    "ExpiredToken",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "AccessDeniedException",
    "AccessDenied",
}
THROTTLED = {
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
}


def connect(environment: Environment, *, endpoint: str | None = None) -> TurkApi:
    """The API of an environment; keys come from boto3's own chain (environment, ~/.aws, roles) and from nowhere else.

    endpoint : another address of the service, for tests.

    Raises FoolscanError when boto3 is missing or its settings cannot be read. Nothing is sent yet.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise FoolscanError("boto3: not installed; Mechanical Turk needs it: pip install 'foolscan[online]'") from error
    settings = Config(
        region_name=REGION,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        connect_timeout=CONNECT_S,
        read_timeout=ANSWER_S,
    )
    try:
        client = boto3.Session().client("mturk", endpoint_url=endpoint or environment.endpoint, config=settings)
    except BotoCoreError as error:
        raise _no_keys(error) from None
    return TurkApi(client)


def without_workers(text: str) -> str:
    """A message without ids of workers."""
    return re.sub(r"\bA[A-Z0-9]{7,63}\b", "(a worker)", text)


def _no_keys(error: Exception) -> FoolscanError:
    return FoolscanError(
        f"Amazon's keys: {type(error).__name__}; name a profile of ~/.aws (AWS_PROFILE=mturk), or set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY for this command. foolscan reads keys through boto3 alone and stores none"
    )


def _of_amazon(operation: str, response: Mapping[str, Any]) -> FoolscanError:
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(response.get("TurkErrorCode") or error.get("Code", "unknown"))
    message = without_workers(str(error.get("Message") or response.get("Message") or "no reason given"))
    if code in REFUSED_KEYS:
        return FoolscanError(
            f"Mechanical Turk does not take these keys for {operation} ({code}): is the AWS account linked to the requester's "
            "account, also in the sandbox, and may the user call mechanicalturk:*?"
        )
    if status >= 500 or code in THROTTLED or code == "ServiceFault":
        return TurkUnclear(
            f"Mechanical Turk could not answer {operation} ({code}) after {TRIES} tries; whether it took place is not known. "
            "Run the same command again later: nothing is done or paid twice"
        )
    return TurkRefused(operation, code, message)


def _assignment(found: Mapping[str, Any]) -> Assignment:
    return Assignment(
        assignment=found["AssignmentId"],
        hit=found["HITId"],
        worker_id=found["WorkerId"],
        status=found["AssignmentStatus"],
        fields=submitted_fields(found.get("Answer") or ""),
    )
