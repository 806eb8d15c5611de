"""`foolscan online serve` as a process: what it prints, how it ends, and its exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from online_server import Client, answer_of, needs_jspsych
from online_study import crop_study

from protocols.folder import open_folder

ROOT = Path(__file__).resolve().parents[3]
FREE = ("--port", "0", "--operator-port", "0")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "foolscan", "online", *arguments]


def done(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=120)


@pytest.fixture(autouse=True)
def _jspsych() -> None:
    needs_jspsych()


@contextmanager
def serving(tmp_path: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A server in a process of its own, with what it printed."""
    arguments = command("serve", str(tmp_path / "tiny.yaml"), "--to", str(tmp_path / "study"), *FREE, *more)
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", cwd=ROOT
    )
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Ctrl-C"):
            break
    else:
        pytest.fail(f"it did not start: {lines} {process.stderr and process.stderr.read()}")
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        if process.stderr:
            process.stderr.close()


def page_of(lines: list[str]) -> str:
    """The participants' address."""
    return next(found[1] for line in lines if (found := re.match(r"link: +(http://127\.0\.0\.1:\d+)/link", line)))


def test_it_prints_where_everything_is(tmp_path: Path) -> None:
    crop_study(tmp_path)
    with serving(tmp_path) as (_, lines):
        told = "\n".join(lines)
        assert re.search(r"^lab: +http://127\.0\.0\.1:\d+/lab\?label=<participant>$", told, re.M)
        assert re.search(r"^operator: +http://127\.0\.0\.1:\d+/#[\w-]{32,}$", told, re.M)
        assert f"database:  {tmp_path / 'study' / 'derivatives' / 'foolscan' / 'online' / 'crops.sqlite3'}" in told
        assert lines[-1].startswith("Ctrl-C ends it")
        assert Client(page_of(lines)).ask("GET", "/link").status == 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_in_order_and_loses_nothing(tmp_path: Path, number: int, status: int) -> None:
    crop_study(tmp_path)
    with serving(tmp_path) as (process, lines):
        person = Client(page_of(lines)).person()
        session = person.session
        assert person.send(answer_of(session, 1)).json["held"] == 1
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == status, err
        assert "every acknowledged answer is in the database" in out
        assert "Traceback" not in err
    with serving(tmp_path) as (_, lines):
        person.client = Client(page_of(lines))
        assert person.session["held"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_killed_outright_it_has_what_it_acknowledged(tmp_path: Path) -> None:
    crop_study(tmp_path)
    with serving(tmp_path) as (process, lines):
        person = Client(page_of(lines)).person()
        session = person.session
        assert person.send(answer_of(session, 1), answer_of(session, 2)).json["held"] == 2
        process.kill()
        process.wait()
    with serving(tmp_path) as (_, lines):
        person.client = Client(page_of(lines))
        assert person.session["held"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_whoever_only_begins_a_request_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    import socket

    crop_study(tmp_path)
    with serving(tmp_path) as (process, lines):
        client = Client(page_of(lines))
        with socket.create_connection((client.host, client.port)) as door:
            door.sendall(b"GET /link HTT")
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err


def test_it_warns_of_what_others_can_reach(tmp_path: Path) -> None:
    crop_study(tmp_path)
    with serving(tmp_path, "--host", "0.0.0.0", "--public-url", "https://lab.example.org") as (process, lines):
        assert "link:      https://lab.example.org/link?id=<yours for each person>, or as it is" in lines
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert "foolscan: warning: 0.0.0.0 can be reached from other computers, and what is sent is not encrypted" in err


def test_mistakes_are_one_message_and_status_2(tmp_path: Path) -> None:
    crop_study(tmp_path)
    study, folder = str(tmp_path / "tiny.yaml"), str(tmp_path / "study")
    for arguments, said in (
        (("serve", "demo", "--to", folder), "online: found nothing"),
        (("serve", study, "--to", folder, "--recruiter", "prolific", *FREE), "found 'prolific'"),
        (("serve", study, "--to", folder, "--trust-proxy", "nginx", *FREE), "--trust-proxy: found 'nginx'"),
        (("serve", study, "--to", str(tmp_path / "new"), *FREE), "no pairs of crops yet; make them with"),
    ):
        found = done(*arguments)
        assert found.returncode == 2, found.stderr
        assert said in found.stderr
        assert "Traceback" not in found.stderr


def test_people_are_not_asked_into_a_folder_of_a_rehearsal(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    open_folder(folder.root, study.title, rehearsal=True)
    found = done("serve", str(tmp_path / "tiny.yaml"), "--to", str(folder.root), *FREE)
    assert found.returncode == 2
    assert "rehearsal (simulated) folder" in found.stderr


def test_its_command_line_loads_nothing_heavy() -> None:
    code = "import experiment.online.command_line, experiment.online.doctor, sys; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env={**os.environ}, timeout=120
    )
    heavy = {"starlette", "uvicorn", "sqlalchemy", "boto3", "numpy", "PIL", "pydantic", "torch", "psychopy"}
    assert found.returncode == 0
    assert not heavy & set(found.stdout.split())
