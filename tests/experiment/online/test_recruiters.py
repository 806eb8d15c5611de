"""Who came, by the address they came with; and how the page ends for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.online.recruiters import by_name
from experiment.online.recruiters.lab import Lab
from experiment.online.recruiters.link import Link
from experiment.online.recruiters.mturk import LIVE, SANDBOX, Turk
from experiment.online.recruiters.recruiter import Arrival, Preview, Refused
from protocols.online_plan import OnlinePlan
from protocols.problems import FoolscanError
from protocols.study import load_study

CODE = "7QK2-M1ZD-0F9A-X3TB"


@pytest.fixture(scope="module")
def plan() -> OnlinePlan:
    study = load_study("srivastava2019")
    assert study.online is not None
    return study.online


def address(turk: Turk = LIVE, **changed: str) -> dict[str, str]:
    """The parameters that Amazon gives to a worker who has accepted a HIT."""
    query = {"assignmentId": "3ASSIGNMENT", "hitId": "3HIT", "workerId": "A1WORKER", "turkSubmitTo": turk.submit_host}
    return {name: value for name, value in {**query, **changed}.items() if value is not None}


def test_every_recruiter_is_found_by_its_name(plan: OnlinePlan):
    for name in ("link", "lab", "mturk", "mturk_sandbox"):
        assert by_name(name, plan).name == name


def test_a_name_that_is_none_is_said_with_those_that_are(plan: OnlinePlan):
    with pytest.raises(FoolscanError, match=r"found 'mturkk' \(did you mean 'mturk'\?\)"):
        by_name("mturkk", plan)


@pytest.mark.parametrize("name", ["mturk", "mturk_sandbox"])
def test_a_study_that_pays_nothing_is_not_on_mechanical_turk(plan: OnlinePlan, name: str):
    with pytest.raises(FoolscanError, match=r"online.mturk: found nothing"):
        by_name(name, plan.model_copy(update={"mturk": None}))


def test_another_package_brings_a_recruiter_without_touching_the_others(
    plan: OnlinePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As Prolific could: one module and one entry point."""
    (tmp_path / "prolific_here.py").write_text(
        "from dataclasses import dataclass\n"
        "from experiment.online.recruiters.recruiter import Arrival, Completion, Preview, Refused\n"
        "@dataclass(frozen=True)\n"
        "class Here:\n"
        "    name: str = 'prolific'\n"
        "    frame_ancestors: tuple[str, ...] = ()\n"
        "    form_action: tuple[str, ...] = ('https://app.prolific.com',)\n"
        "    def arrived(self, query):\n"
        "        if 'PROLIFIC_PID' not in query:\n"
        "            raise Refused('PROLIFIC_PID: missing')\n"
        "        return Arrival(query['PROLIFIC_PID'], query['SESSION_ID'], query['STUDY_ID'])\n"
        "    def completion(self, query, new_code):\n"
        "        return Completion('form', code=new_code, url='https://app.prolific.com/submissions/complete', fields={'cc': new_code})\n",
        encoding="utf-8",
    )
    package = tmp_path / "prolific_here-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: prolific-here\nVersion: 1.0\n", encoding="utf-8")
    (package / "entry_points.txt").write_text(
        "[foolscan.recruiters]\nprolific = prolific_here:Here\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = by_name("prolific", plan)
    query = {"PROLIFIC_PID": "p1", "SESSION_ID": "s1", "STUDY_ID": "t1"}
    assert found.arrived(query) == Arrival("p1", "s1", "t1")
    assert found.completion(query, CODE).fields == {"cc": CODE}
    with pytest.raises(Refused):
        found.arrived({})


def test_recruiters_are_loaded_without_what_only_the_console_needs():
    code = (
        "import sys, experiment.online.recruiters.mturk, experiment.online.recruiters.link, experiment.online.recruiter_verbs\n"
        "print(sorted({'boto3', 'botocore', 'sqlalchemy', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- a link


def test_a_personal_link_says_who_it_is():
    assert Link().arrived({"id": "anna-7"}) == Arrival("anna-7")
    assert Link().arrived({"id": "anna-7", "browser": "b" * 22}) == Arrival("anna-7")


def test_a_browser_is_the_same_person_each_time_and_nobody_with_a_personal_link():
    came = Link().arrived({"browser": "Zm9vbHNjYW4tcmFuZG9tLWlk"})
    assert came == Link().arrived({"browser": "Zm9vbHNjYW4tcmFuZG9tLWlk"})
    with pytest.raises(Refused):
        Link().arrived({"id": came.raw_id})


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"id": ""},
        {"id": "a b"},
        {"id": "<b>"},
        {"id": "é"},
        {"id": "a" * 65},
        {"id": "a\n"},
        {"browser": "short"},
        {"browser": "x" * 65},
    ],
)
def test_what_is_no_link_is_refused(query: dict[str, str]):
    with pytest.raises(Refused):
        Link().arrived(query)


def test_a_link_ends_with_a_code():
    ended = Link().completion({"id": "anna"}, CODE)
    assert (ended.kind, ended.code, ended.url) == ("code", CODE, None)


# --- the lab


def test_the_lab_says_who_sits_there():
    assert Lab().arrived({"label": "07"}) == Arrival("07")
    assert Lab().completion({"label": "07"}, CODE).kind == "thanks"


@pytest.mark.parametrize("label", ["", "0 7", "sub-07", "../07", "ü", "7" * 65, "07\n"])
def test_a_label_is_letters_and_digits(label: str):
    with pytest.raises(Refused, match="label: expected the participant's"):
        Lab().arrived({"label": label})


# --- Mechanical Turk


@pytest.mark.parametrize("turk", [LIVE, SANDBOX])
def test_a_worker_who_has_accepted_is_known_by_amazon_s_ids(turk: Turk):
    assert turk.arrived(address(turk)) == Arrival("A1WORKER", "3ASSIGNMENT", "3HIT")


@pytest.mark.parametrize(
    "query", [{}, {"hitId": "3HIT"}, {"hitId": "3HIT", "turkSubmitTo": "https://evil.example", "workerId": "<script>"}]
)
def test_a_preview_looks_and_leaves_nothing(query: dict[str, str]):
    assert LIVE.arrived({"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE", **query}) == Preview()


@pytest.mark.parametrize("name", ["assignmentId", "hitId", "workerId"])
@pytest.mark.parametrize("value", [None, "", "a1worker", "A 1", "A1;", "A1\n", "A" * 65, "Ä1", "<script>", "../A1"])
def test_ids_that_amazon_does_not_give_are_refused(name: str, value: str | None):
    with pytest.raises(Refused, match=name):
        LIVE.arrived({key: found for key, found in address(**{name: value}).items() if found is not None})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host",
    [
        "https://workersandbox.mturk.com",
        "http://www.mturk.com",
        "https://www.mturk.com.evil.example",
        "https://evil.example/https://www.mturk.com",
        "https://www.mturk.com@evil.example",
        "https://www.mturk.com:8443",
        "https://www.mturk.com/elsewhere",
        "javascript:alert(1)",
        "",
    ],
)
def test_the_form_goes_to_amazon_and_nowhere_else(host: str):
    with pytest.raises(Refused, match=r"turkSubmitTo: expected https://www\.mturk\.com"):
        LIVE.arrived(address(turkSubmitTo=host))
    with pytest.raises(Refused):
        LIVE.completion(address(turkSubmitTo=host), CODE)


@pytest.mark.parametrize("turk", [LIVE, SANDBOX])
def test_the_form_has_the_assignment_and_the_code(turk: Turk):
    ended = turk.completion(address(turk), CODE)
    assert ended.kind == "form"
    assert ended.url == f"{turk.submit_host}/mturk/externalSubmit"
    assert ended.fields == {"assignmentId": "3ASSIGNMENT", "code": CODE}
    assert ended.code == CODE
    assert turk.submit_host in turk.form_action
    assert all(
        source.startswith("https://") and source.endswith(".mturk.com")
        for source in (*turk.frame_ancestors, *turk.form_action)
    )


@given(
    st.dictionaries(
        st.sampled_from(["assignmentId", "hitId", "workerId", "turkSubmitTo", "id", "browser", "label", "x"]),
        st.text(max_size=80),
    )
)
def test_whatever_comes_is_somebody_a_preview_or_refused(query: dict[str, str]):
    for recruiter in (Link(), Lab(), LIVE, SANDBOX):
        try:
            came = recruiter.arrived(query)
        except Refused as refused:
            said = str(refused)
            assert said
        else:
            assert isinstance(came, Preview) or (came.raw_id.isascii() and len(came.raw_id) <= 256)
