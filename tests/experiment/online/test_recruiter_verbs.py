"""The commands that recruit and pay, beside a server at work; money only with --live, a cap, and a yes."""

from __future__ import annotations

import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from click.testing import Result
from online_server import running
from turk_stand_in import Fault
from turk_study import Turking, turk_study, turking, with_keys
from typer.testing import CliRunner

from experiment.online.command_line import app
from experiment.online.recruiters import turk_client, turk_console
from experiment.online.recruiters.turk_console import look_at_page
from protocols.problems import FoolscanError, NotReady, WorkWanting

URL = ("--public-url", "https://study.lab.example", "--unseen")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_keys(monkeypatch, tmp_path)


def at(monkeypatch: pytest.MonkeyPatch, turked: Turking) -> Turking:
    """Have the commands talk to the stand-in."""
    for name in ("LIVE", "SANDBOX"):
        monkeypatch.setattr(turk_console, name, replace(getattr(turk_client, name), endpoint=turked.endpoint))
    return turked


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Turking]:
    with turking(tmp_path, per_list=2, live=False, mturk=", bonus_usd: 0.5") as turked:
        yield at(monkeypatch, turked)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Turking]:
    with turking(tmp_path, per_list=2, mturk=", bonus_usd: 0.5") as turked:
        yield at(monkeypatch, turked)


def run(turked: Turking, *words: str, answer: str = "") -> Result:
    """A command of `foolscan online` about the study."""
    verb = 2 if words[0] == "mturk" else 1
    study = [str(turked.folder.root.parent / "tiny.yaml"), "--to", str(turked.folder.root)]
    return CliRunner().invoke(app, [*words[:verb], *study, *words[verb:]], input=answer)


def test_a_whole_campaign_in_the_sandbox(sandbox: Turking):
    opened = run(sandbox, "mturk", "open", *URL)
    assert opened.exit_code == 0, opened.output
    assert "mturk_sandbox: 4 places (HITs of 4)" in opened.output
    assert "$4.80 with Amazon's fee, and $2.40 in bonuses later; bound before: $0.00" in opened.output
    assert "https://workersandbox.mturk.com/mturk/preview?groupId=3TYP" in opened.output
    assert next(iter(sandbox.turk.hits.values()))["Question"].count("https://study.lab.example/mturk_sandbox<") == 1
    assert "open already" in run(sandbox, "mturk", "open", *URL).output

    worker, hit, assignment = sandbox.accept("anna")
    form = sandbox.finish(sandbox.join(worker, hit, assignment), worker, hit, assignment)
    post = urllib.parse.urlencode(form).encode()  # what the page's form sends to externalSubmit
    urllib.request.urlopen(f"{sandbox.endpoint}/mturk/externalSubmit", data=post).close()
    status = run(sandbox, "mturk", "status")
    assert "$4.80 bound with fees, 0 approved" in status.output
    assert "wanted beyond the places that are open: 0" in status.output

    approved = run(sandbox, "mturk", "approve")
    assert "1 assignments in order, 1 of them not approved yet; 0 of people who do not count" in approved.output
    assert "approved: 1 now, 0 before" in approved.output
    assert "approved: 0 now, 1 before" in run(sandbox, "mturk", "approve").output
    assert "bonuses paid: 1 now, 0 before" in run(sandbox, "mturk", "bonus").output
    assert "bonuses paid: 0 now, 1 before" in run(sandbox, "mturk", "bonus").output
    assert "1 HITs ended, $3.60 no longer bound" in run(sandbox, "mturk", "close").output
    assert "HITs of 3" in run(sandbox, "mturk", "top-up", *URL).output
    assert sandbox.turk.totals["approved"] == [worker]
    assert sandbox.turk.totals["qualified"] == 1
    assert not any(worker in said.output for said in (opened, status, approved))


def test_problems_are_shown_and_are_exit_status_1(sandbox: Turking):
    run(sandbox, "mturk", "open", *URL)
    worker, _, assignment = sandbox.accept("lazy")
    sandbox.turk.submit(assignment, {"assignmentId": assignment, "code": ""})
    found = run(sandbox, "mturk", "reconcile")
    assert found.exit_code == 1
    assert f"problem: {assignment} sub-" in found.output
    assert "without_session" in found.output
    assert worker not in found.output
    assert "approved: 1 now" in run(sandbox, "mturk", "approve", "--also", assignment).output
    assert sandbox.turk.totals["approved"] == [worker]


def test_money_needs_a_cap_and_a_yes(live: Turking):
    without = run(live, "mturk", "open", *URL, "--live")
    assert isinstance(without.exception, FoolscanError)
    assert "--spend-at-most: found nothing" in str(without.exception)
    low = run(live, "mturk", "open", *URL, "--live", "--spend-at-most", "7.19", "--yes")
    assert "the whole comes to" in str(low.exception)
    for answer in ("n\n", ""):
        said_no = run(live, "mturk", "open", *URL, "--live", "--spend-at-most", "7.20", answer=answer)
        assert said_no.exit_code == 1
        assert "order 4 places, with real money?" in said_no.output
    assert live.turk.hits == {}
    said_yes = run(live, "mturk", "open", *URL, "--live", "--spend-at-most", "7.20", answer="y\n")
    assert said_yes.exit_code == 0, said_yes.output
    assert live.turk.totals["hits"] == [4]

    live.take_part("anna")
    assert run(live, "mturk", "approve", "--live", answer="n\n").exit_code == 1
    assert live.turk.paid_cents == 0
    assert "approved: 1 now" in run(live, "mturk", "approve", "--live", answer="y\n").output
    assert "--spend-at-most" in str(run(live, "mturk", "bonus", "--live").exception)
    assert "paid: 1 now" in run(live, "mturk", "bonus", "--live", "--spend-at-most", "7.20", "--yes").output
    assert (live.turk.paid_cents, live.turk.fees_cents) == (150, 30)


def test_a_command_that_was_cut_off_says_so_and_is_run_again(sandbox: Turking, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("time.sleep", lambda s: None)
    sandbox.turk.faults.append(Fault("lost_after", "CreateHIT", 5))
    cut = run(sandbox, "mturk", "open", *URL)
    assert "Run the same command again: nothing is done or paid twice" in str(cut.exception)
    assert "begun and not finished, run that command again: create_hit 1" in run(sandbox, "mturk", "status").output
    again = run(sandbox, "mturk", "open", *URL)
    assert "4 places of batches that were begun before" in again.output
    assert sandbox.turk.totals["hits"] == [4]


def test_watching_qualifies_people_as_they_come(sandbox: Turking, monkeypatch: pytest.MonkeyPatch):
    run(sandbox, "mturk", "open", *URL)
    rounds: list[float] = []

    def come(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 1:
            sandbox.join(*sandbox.accept("anna"))
        if len(rounds) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", come)
    said = run(sandbox, "mturk", "watch")
    assert [line.split(": ")[1] for line in said.output.splitlines()[:3]] == [
        f"{n} new; 0 that Amazon refuses (forged ids)" for n in (0, 1, 0)
    ]
    assert sandbox.turk.totals["qualified"] == 1


def test_no_keys_no_url_no_database_no_reward(sandbox: Turking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bad = run(sandbox, "mturk", "open", "--public-url", "http://localhost:8420")
    assert "Amazon frames https alone" in str(bad.exception)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    lacking = run(sandbox, "mturk", "open", *URL)
    assert isinstance(lacking.exception, FoolscanError)
    assert "Amazon's keys: NoCredentialsError" in str(lacking.exception)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    turk_study(elsewhere)
    nobody = CliRunner().invoke(
        app, ["mturk", "status", str(elsewhere / "tiny.yaml"), "--to", str(elsewhere / "study")]
    )
    assert isinstance(nobody.exception, NotReady)
    assert "nobody was asked yet" in str(nobody.exception)
    other = CliRunner().invoke(app, ["mturk", "status", "srivastava2019", "--to", str(sandbox.folder.root)])
    assert "found the answers to study 'tinycrops'" in str(other.exception)


def test_a_rehearsal_recruits_no_people(live: Turking):
    description = live.folder.root / "dataset_description.json"
    description.write_text(
        description.read_text(encoding="utf-8").replace("{", '{"Simulated": true,', 1), encoding="utf-8"
    )
    refused = run(live, "mturk", "open", *URL, "--live", "--spend-at-most", "100", "--yes")
    assert "found a rehearsal (simulated) folder" in str(refused.exception)


def test_two_consoles_are_not_at_it_at_once(sandbox: Turking):
    with turk_console.alone(sandbox.study, sandbox.folder):
        second = run(sandbox, "mturk", "open", *URL)
    assert "the campaign on Mechanical Turk: process" in str(second.exception)
    assert sandbox.turk.calls == []


def console(turked: Turking, verb: str) -> subprocess.Popen[str]:
    """`foolscan online mturk <verb>` in a process of its own."""
    code = (
        "import sys, foolscan\n"
        "from dataclasses import replace\n"
        "from experiment.online.recruiters import turk_console\n"
        f"turk_console.SANDBOX = replace(turk_console.SANDBOX, endpoint={turked.endpoint!r})\n"
        "sys.argv[1:] = ['online', 'mturk', *sys.argv[1:]]\n"
        "foolscan.main()\n"
    )
    words = [verb, str(turked.folder.root.parent / "tiny.yaml"), "--to", str(turked.folder.root)]
    process = [sys.executable, "-c", code, *words]
    return subprocess.Popen(process, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def test_another_process_pays_while_the_server_serves(sandbox: Turking):
    run(sandbox, "mturk", "open", *URL)
    worker, _ = sandbox.take_part("anna")
    process = console(sandbox, "approve")
    said, complaints = process.communicate()
    assert process.returncode == 0, complaints
    assert "approved: 1 now" in said
    assert sandbox.turk.totals["approved"] == [worker]
    assert worker not in said + complaints
    sandbox.take_part("ben")  # and the server goes on


@pytest.mark.parametrize(("verb", "operation"), [("approve", "ApproveAssignment"), ("bonus", "SendBonus")])
def test_killed_while_it_waits_for_amazon_it_pays_once(sandbox: Turking, verb: str, operation: str):
    run(sandbox, "mturk", "open", *URL)
    workers = sorted(sandbox.take_part(name)[0] for name in ("anna", "ben"))
    if verb == "bonus":
        run(sandbox, "mturk", "approve")
    sandbox.turk.faults.append(Fault("late", operation))
    process = console(sandbox, verb)
    assert sandbox.turk.waited_for.wait(120)
    process.kill()
    process.communicate()
    for _ in range(2):
        again = run(sandbox, "mturk", verb)
        assert again.exit_code == 0, again.exception
    assert sandbox.turk.totals["approved"] == workers
    assert sandbox.turk.totals["bonuses"] == ([] if verb == "approve" else [(worker, "0.50") for worker in workers])
    assert sandbox.turk.paid_cents == (200 if verb == "approve" else 300)


# --- the page, seen from outside


def test_the_page_is_looked_at_as_a_worker_s_browser_would(tmp_path: Path):
    study, folder = turk_study(tmp_path)
    with running(study, folder, recruiters=("link", "mturk_sandbox")) as listening:
        address = listening.pages["mturk_sandbox"].partition("?")[0]
        look_at_page(address, turk_client.SANDBOX.workers_site)
        with pytest.raises(FoolscanError, match=r"https://worker\.mturk\.com may not frame this page"):
            look_at_page(address, turk_client.LIVE.workers_site)
        with pytest.raises(FoolscanError, match=r"does not come \(Not Found\); start `foolscan online serve`"):
            look_at_page(address.removesuffix("_sandbox"), turk_client.LIVE.workers_site)
    with pytest.raises(FoolscanError, match="does not come"):
        look_at_page(address, turk_client.SANDBOX.workers_site)


# --- codes


def test_a_code_is_good_once_as_it_was_typed(sandbox: Turking):
    from online_study import answer_all, joined

    from experiment.online.recruiters.link import Link

    token = joined(sandbox.crowd).token
    answer_all(sandbox.crowd, token)
    done = sandbox.crowd.finish(token, "", lambda code: Link().completion({"id": "anna"}, code)).result()
    typed = (done.completion.code or "").lower().replace("-", " ")
    first = run(sandbox, "code", typed)
    assert first.exit_code == 0, first.exception
    assert first.output.startswith("valid, and used from now on: sub-")
    assert "(link), finished" in first.output
    assert "anna" not in first.output
    second = run(sandbox, "code", typed)
    assert isinstance(second.exception, WorkWanting)
    assert "used before, at 20" in str(second.exception)
    wrong = run(sandbox, "code", "0000-0000-0000-0000")
    assert isinstance(wrong.exception, WorkWanting)
    assert "no such code" in str(wrong.exception)


def test_every_command_has_help_with_an_example():
    group = typer.main.get_command(app)
    for name, verb in {"code": group.commands["code"], **group.commands["mturk"].commands}.items():  # type: ignore[attr-defined]
        assert f"Example: foolscan online {'' if name == 'code' else 'mturk '}{name} srivastava2019" in verb.help
