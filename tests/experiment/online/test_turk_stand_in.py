"""The stand-in for Mechanical Turk does what Amazon's service model and documentation say, as the real boto3 sees it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ParamValidationError
from turk_rules import MODEL, violations
from turk_stand_in import Fault, NotAllowed, TurkStandIn
from turk_study import with_keys
from turk_wire import serving

from experiment.online.recruiters.turk_hits import external_question

QUESTION = external_question("https://study.lab.example/mturk")
HIT = {
    "Title": "Pictures",
    "Description": "Look at pictures.",
    "Reward": "1.00",
    "MaxAssignments": 3,
    "AssignmentDurationInSeconds": 600,
    "LifetimeInSeconds": 86_400,
    "AutoApprovalDelayInSeconds": 3 * 86_400,
    "Question": QUESTION,
}


@pytest.fixture
def turk() -> TurkStandIn:
    return TurkStandIn()


@pytest.fixture
def client(turk: TurkStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with_keys(monkeypatch, tmp_path)
    monkeypatch.setattr("time.sleep", lambda s: None)
    with serving(turk) as endpoint:
        once = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        yield boto3.client("mturk", endpoint_url=endpoint, region_name="us-east-1", config=once)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response.get("TurkErrorCode", error.value.response["Error"]["Code"])).removeprefix(
        "AWS.MechanicalTurk."
    )


def hit(client: Any, **changed: Any) -> dict[str, Any]:
    return dict(client.create_hit(**{**HIT, **changed})["HIT"])


def test_a_hit_comes_back_as_it_was_made_with_real_times(client: Any, turk: TurkStandIn):
    made = hit(client, Keywords="a, b", RequesterAnnotation="ours")
    found = client.get_hit(HITId=made["HITId"])["HIT"]
    assert found["Expiration"].replace(microsecond=0) == datetime.fromtimestamp(int(turk.now_s) + 86_400, UTC)
    assert (found["HITStatus"], found["NumberOfAssignmentsAvailable"], found["RequesterAnnotation"]) == (
        "Assignable",
        3,
        "ours",
    )
    assert [one["HITId"] for one in client.list_hits()["HITs"]] == [made["HITId"]]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Reward": "1.005"}, "ParameterValidationError"),
        ({"Reward": "$1"}, "ParameterValidationError"),
        ({"LifetimeInSeconds": 5}, "ParameterValidationError"),
        ({"Title": "x" * 129}, "ParameterValidationError"),
        ({"UniqueRequestToken": "x" * 65}, "ParameterValidationError"),
        ({"Question": "<ExternalQuestion"}, "XMLParseError"),
        ({"Question": "<ExternalQuestion/>"}, "XMLSchemaError"),
        (
            {"Question": QUESTION.replace("https://", "http://", 2).replace("http://study", "http://study")},
            "XMLSchemaError",
        ),
        (
            {"QualificationRequirements": [{"QualificationTypeId": "3NONE", "Comparator": "DoesNotExist"}]},
            "QualificationTypeDoesNotExist",
        ),
        (
            {
                "QualificationRequirements": [
                    {"QualificationTypeId": "00000000000000000071", "Comparator": "In", "IntegerValues": [1]}
                ]
            },
            "InvalidQualificationRequirement",
        ),
        ({"MaxAssignments": 100_000}, "InsufficientFunds"),
    ],
)
def test_what_amazon_does_not_take_is_refused(client: Any, turk: TurkStandIn, changed: dict[str, Any], code: str):
    with pytest.raises(ClientError) as error:
        hit(client, **changed)
    assert code_of(error) == code
    assert turk.hits == {}


def test_boto3_refuses_the_rest_itself_and_so_does_the_stand_in(client: Any):
    with pytest.raises(ParamValidationError):
        client.create_hit(Title="x")
    shape = MODEL.operation_model("CreateHIT").input_shape
    assert violations(HIT, shape) == []
    assert violations({**HIT, "Unknown": 1}, shape)
    assert violations({**HIT, "MaxAssignments": "3"}, shape)
    assert violations({key: value for key, value in HIT.items() if key != "Title"}, shape)


def test_a_token_makes_one_hit_for_a_day(client: Any, turk: TurkStandIn):
    made = hit(client, UniqueRequestToken="t1")
    with pytest.raises(ClientError, match=made["HITId"]) as error:
        hit(client, UniqueRequestToken="t1")
    assert code_of(error) == "HitAlreadyExists"
    hit(client, UniqueRequestToken="t2")
    turk.advance(days=1.01)
    hit(client, UniqueRequestToken="t1")
    assert len(turk.hits) == 3


def test_places_are_held_returned_lost_and_filled(client: Any, turk: TurkStandIn):
    made = hit(client)["HITId"]

    def counts() -> tuple[str, int, int, int]:
        now = client.get_hit(HITId=made)["HIT"]
        names = ("Available", "Pending", "Completed")
        return (now["HITStatus"], *(now[f"NumberOfAssignments{name}"] for name in names))  # type: ignore[return-value]

    people = [turk.somebody(name) for name in ("a", "b", "c", "d")]
    work = [turk.accept(one, made) for one in people[:3]]
    assert counts() == ("Unassignable", 0, 3, 0)
    with pytest.raises(NotAllowed, match="no place"):
        turk.accept(people[3], made)
    turk.give_back(work[0])
    assert counts() == ("Assignable", 1, 2, 0)
    with pytest.raises(NotAllowed, match="once for each HIT"):
        turk.accept(people[1], made)
    assert turk.accept(people[3], made) == work[0]
    turk.submit(work[1], {"assignmentId": work[1], "code": "x"})
    turk.advance(minutes=11)  # the others took too long
    assert counts() == ("Assignable", 2, 0, 0)
    client.update_expiration_for_hit(HITId=made, ExpireAt=datetime(2015, 1, 1, tzinfo=UTC))
    assert counts()[0] == "Reviewable"
    with pytest.raises(NotAllowed):
        turk.accept(people[0], made)


def test_work_is_approved_once_and_by_itself_after_days(client: Any, turk: TurkStandIn):
    made = hit(client)["HITId"]
    work = [turk.accept(turk.somebody(name), made) for name in ("a", "b", "c")]
    with pytest.raises(ClientError) as error:
        client.approve_assignment(AssignmentId=work[0])
    assert code_of(error) == "AssignmentDoesNotExist"
    for one in work:
        turk.submit(one, {"assignmentId": one, "code": "<&>"})
    client.approve_assignment(AssignmentId=work[0])
    client.reject_assignment(AssignmentId=work[1], RequesterFeedback="no")
    for one in work[:2]:
        with pytest.raises(ClientError) as error:
            client.approve_assignment(AssignmentId=one)
        assert code_of(error) == "InvalidAssignmentState"
    turk.advance(days=3.1)
    states = [one["AssignmentStatus"] for one in client.list_assignments_for_hit(HITId=made)["Assignments"]]
    assert states == ["Approved", "Rejected", "Approved"]
    assert (turk.paid_cents, turk.fees_cents) == (200, 40)
    assert "&lt;&amp;&gt;" in client.get_assignment(AssignmentId=work[0])["Assignment"]["Answer"]


def test_money_is_held_paid_and_given_back(client: Any, turk: TurkStandIn):
    def balance() -> tuple[str, str]:
        said = client.get_account_balance()
        return said["AvailableBalance"], said["OnHoldBalance"]

    assert balance() == ("10000.00", "0.00")
    made = hit(client)["HITId"]
    assert balance() == ("9996.40", "3.60")
    dear = hit(client, MaxAssignments=10)["HITId"]  # 40 %
    assert balance() == ("9982.40", "17.60")
    client.update_expiration_for_hit(HITId=dear, ExpireAt=datetime(2015, 1, 1, tzinfo=UTC))
    work = turk.accept(worker := turk.somebody("a"), made)
    turk.submit(work, {"assignmentId": work, "code": "x"})
    client.approve_assignment(AssignmentId=work)
    assert balance() == ("9996.40", "2.40")
    bonus = {"WorkerId": worker, "AssignmentId": work, "BonusAmount": "0.50", "Reason": "Thanks"}
    client.send_bonus(**bonus, UniqueRequestToken="b1")
    with pytest.raises(ClientError):
        client.send_bonus(**bonus, UniqueRequestToken="b1")
    assert len(client.list_bonus_payments(AssignmentId=work)["BonusPayments"]) == 1
    client.send_bonus(**bonus)  # without a token it is paid again
    assert balance() == ("9995.20", "2.40")


def test_qualifications_decide_who_finds_a_hit(client: Any, turk: TurkStandIn):
    kind = {"Name": "took part", "Description": "has", "QualificationTypeStatus": "Active"}
    took_part = client.create_qualification_type(**kind)["QualificationType"]["QualificationTypeId"]
    with pytest.raises(ClientError) as error:
        client.create_qualification_type(**kind)
    assert code_of(error) == "QualificationTypeAlreadyExists"
    found = client.list_qualification_types(Query="took", MustBeRequestable=False, MustBeOwnedByCaller=True)
    assert [one["QualificationTypeId"] for one in found["QualificationTypes"]] == [took_part]
    asked = [
        {"QualificationTypeId": took_part, "Comparator": "DoesNotExist", "ActionsGuarded": "DiscoverPreviewAndAccept"}
    ]
    hit(client, QualificationRequirements=asked)
    worker = turk.somebody("a")
    assert turk.offered(worker)
    with pytest.raises(ClientError) as error:
        client.get_qualification_score(QualificationTypeId=took_part, WorkerId=worker)
    assert code_of(error) == "QualificationDoesNotExist"
    client.associate_qualification_with_worker(QualificationTypeId=took_part, WorkerId=worker, IntegerValue=1)
    assert (
        client.get_qualification_score(QualificationTypeId=took_part, WorkerId=worker)["Qualification"]["IntegerValue"]
        == 1
    )
    assert turk.offered(worker) == []
    with pytest.raises(ClientError) as error:
        client.associate_qualification_with_worker(QualificationTypeId=took_part, WorkerId="ANOBODY")
    assert code_of(error) == "WorkerDoesNotExist"


def test_lists_come_in_pages(client: Any, turk: TurkStandIn):
    ids = [hit(client)["HITId"] for _ in range(5)]
    turk.page_size = 2
    pages = client.get_paginator("list_hits").paginate(PaginationConfig={"PageSize": 100})
    sizes = [[one["HITId"] for one in page["HITs"]] for page in pages]
    assert [len(page) for page in sizes] == [2, 2, 1]
    assert [one for page in sizes for one in page] == ids
    with pytest.raises(ClientError):
        client.list_hits(NextToken="made up")


def test_faults_come_as_often_as_they_were_ordered(client: Any, turk: TurkStandIn):
    turk.faults += [
        Fault("throttle", "CreateHIT"),
        Fault("broken", "CreateHIT"),
        Fault("lost_before", "CreateHIT"),
        Fault("lost_after"),
    ]
    with pytest.raises(ClientError, match="ThrottlingException"):
        hit(client)
    with pytest.raises(ClientError) as error:
        hit(client)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    with pytest.raises(ConnectionClosedError):
        hit(client)
    assert turk.hits == {}
    with pytest.raises(ConnectionClosedError):
        hit(client)
    assert len(turk.hits) == 1
    hit(client)


def test_a_request_without_the_right_key_is_none(client: Any, turk: TurkStandIn, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFANOTHER0000000")
    other = boto3.Session().client("mturk", endpoint_url=client.meta.endpoint_url, region_name="us-east-1")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        other.get_account_balance()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(
            urllib.request.Request(client.meta.endpoint_url, data=b"{}", headers={"X-Amz-Target": "x.ListHITs"})
        )


def test_a_form_needs_a_field_besides_the_assignment(client: Any, turk: TurkStandIn):
    made = hit(client)["HITId"]
    work = turk.accept(turk.somebody("a"), made)
    address = f"{client.meta.endpoint_url}/mturk/externalSubmit"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(address, data=urllib.parse.urlencode({"assignmentId": work}).encode())
    assert "one more field" in json.loads(error.value.read())["Message"]
    urllib.request.urlopen(address, data=urllib.parse.urlencode({"assignmentId": work, "code": "x"}).encode()).close()
    assert turk.work[work].status == "Submitted"
