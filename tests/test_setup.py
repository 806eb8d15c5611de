"""Set-up on machines of every kind: the real script, on a machine made of stand-ins for the system's commands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BORROWED = ("sh", "cat", "cksum", "cut", "date", "dirname", "env", "grep", "mktemp", "rm", "sed", "tail", "tr", "wc")

on_unix = pytest.mark.skipif(sys.platform == "win32", reason="set-up is a POSIX shell script")


@dataclass(frozen=True)
class Machine:
    """A checkout, and a PATH on which only stand-ins and a few plain tools are found."""

    checkout: Path
    programs: Path
    calls: Path

    def put(self, name: str, script: str) -> None:
        """Put a program on the PATH: a shell script that notes how it was called, then does what is given."""
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.calls}"\n{script}\n', encoding="utf-8", newline="\n")
        path.chmod(0o755)

    def set_up(self, extras: str = "all") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "setup/setup.sh", extras],
            cwd=self.checkout,
            env={"PATH": str(self.programs), "TMPDIR": str(self.checkout.parent), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
        )

    def called(self) -> str:
        return self.calls.read_text(encoding="utf-8") if self.calls.exists() else ""


# A Python that says its version, and whose `-m venv` makes an environment with itself in it.
PYTHON = """
case "$1 $2" in
  "-c import sys; sys.exit"*) exit {supported} ;;
  "-c import sys; print"*) echo python3.11-venv ;;
  "-c import ensurepip"*) exit 0 ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") : > .venv/bin/foolscan; chmod +x .venv/bin/foolscan ;;
esac
[ "$1" = --version ] && echo "Python 3.{minor}"
exit 0
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Debian with everything installed, Python 3.11, and a user who is not root."""
    made = Machine(tmp_path / "checkout", tmp_path / "programs", tmp_path / "calls")
    made.programs.mkdir()
    (made.checkout / "setup").mkdir(parents=True)
    for name in ("setup/setup.sh", "setup/system-packages.txt", "setup/system-packages-dev.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, made.checkout / name)
    for name in (*BORROWED, "cp", "mkdir", "chmod"):
        found = shutil.which(name)
        assert found is not None
        (made.programs / name).symlink_to(found)
    made.put("python3.11", PYTHON.format(supported=0, minor=11))
    made.put("dpkg-query", "printf installed")
    made.put("apt-cache", 'case "$2" in *t64) echo "Candidate: (none)" ;; *) echo "Candidate: 1.0" ;; esac')
    made.put("apt-get", "exit 0")
    made.put("id", "echo 1000")
    made.put("uname", "echo Linux")
    return made


@on_unix
def test_a_complete_machine_gets_an_environment_and_no_system_packages(machine: Machine):
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert "-m pip install" in machine.called()
    assert "apt-get" not in machine.called()


@on_unix
def test_the_second_call_asks_neither_pip_nor_apt(machine: Machine):
    machine.set_up()
    machine.calls.unlink()
    done = machine.set_up()
    assert done.returncode == 0
    assert "pip" not in machine.called()
    assert "apt-get" not in machine.called()
    assert done.stdout == ""


@on_unix
def test_the_environment_of_the_tests_serves_the_demo(machine: Machine):
    machine.set_up("all,dev")
    machine.calls.unlink()
    machine.set_up("all")
    assert "pip" not in machine.called()


@on_unix
def test_the_environment_of_the_demo_is_completed_for_the_tests(machine: Machine):
    machine.set_up("all")
    machine.calls.unlink()
    machine.set_up("all,dev")
    assert ".[all,dev]" in machine.called()


@on_unix
def test_a_changed_pyproject_installs_again(machine: Machine):
    machine.set_up()
    machine.calls.unlink()
    with (machine.checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    machine.set_up()
    assert "-m pip install" in machine.called()


@on_unix
def test_a_failed_install_is_said_and_tried_again(machine: Machine):
    broken = PYTHON.replace(": > .venv/bin/foolscan; chmod +x .venv/bin/foolscan", "echo no route to host; exit 1")
    machine.put("python3.11", broken.format(supported=0, minor=11))
    done = machine.set_up()
    assert done.returncode == 2
    assert "no route to host" in done.stderr
    machine.calls.unlink()
    assert machine.set_up().returncode == 2
    assert "-m pip install" in machine.called()


@on_unix
def test_another_python_is_refused_and_the_right_ones_are_named(machine: Machine):
    (machine.programs / "python3.11").unlink()
    machine.put("python3", PYTHON.format(supported=1, minor=14))
    done = machine.set_up()
    assert done.returncode == 2
    assert "Python 3.11 or 3.12" in done.stderr
    assert "Python 3.14" in done.stderr
    assert not (machine.checkout / ".venv").exists()


@on_unix
def test_python_3_12_will_do(machine: Machine):
    (machine.programs / "python3.11").unlink()
    machine.put("python3.12", PYTHON.format(supported=0, minor=12))
    assert machine.set_up().returncode == 0


@on_unix
def test_without_root_or_sudo_missing_packages_are_named_and_set_up_stops(machine: Machine):
    machine.put("dpkg-query", 'case "$*" in *xvfb|*libasound2*) exit 1 ;; *) printf installed ;; esac')
    done = machine.set_up()
    assert done.returncode == 2
    (command,) = re.findall(r"apt-get install .*", done.stderr)
    assert command.split()[-2:] == ["xvfb", "libasound2"]
    assert not (machine.checkout / ".venv").exists()
    assert "apt-get" not in machine.called()


@on_unix
def test_a_sudo_that_asks_for_a_password_is_not_used(machine: Machine):
    machine.put("dpkg-query", "exit 1")
    machine.put("sudo", "exit 1")
    assert machine.set_up().returncode == 2
    assert "apt-get" not in machine.called()


@on_unix
@pytest.mark.parametrize("who", ["root", "sudo"])
def test_root_and_sudo_install_what_is_missing(machine: Machine, who: str):
    machine.put("dpkg-query", 'case "$*" in *xvfb) exit 1 ;; *) printf installed ;; esac')
    if who == "root":
        machine.put("id", "echo 0")
    else:
        machine.put("sudo", 'shift; [ "$1" = true ] && exit 0; exec "$@"')
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert re.search(r"apt-get .*install --no-install-recommends xvfb", machine.called())


@on_unix
def test_an_apt_that_fails_stops_set_up_with_its_words(machine: Machine):
    machine.put("dpkg-query", "exit 1")
    machine.put("id", "echo 0")
    machine.put("apt-get", 'case "$*" in *install*) echo "Unable to locate package"; exit 100 ;; esac')
    done = machine.set_up()
    assert done.returncode == 2
    assert "Unable to locate package" in done.stderr


@on_unix
def test_another_linux_is_told_where_the_list_is_and_goes_on(machine: Machine):
    for name in ("dpkg-query", "apt-get", "apt-cache"):
        (machine.programs / name).unlink()
    done = machine.set_up()
    assert done.returncode == 0
    assert "setup/system-packages.txt" in done.stdout


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_ci_runs_exactly_what_the_readme_tells():
    assert re.search(r"^exec make test$", text_of(".ci/run"), re.MULTILINE)
    assert "make demo" in text_of("README.md")
    assert "make test" in text_of("README.md")


@pytest.mark.parametrize("check", ["ruff check", "ruff format --check", "mypy --platform", "pytest"])
def test_make_test_checks_everything(check: str):
    assert check in text_of("Makefile")


def test_types_are_checked_for_every_system():
    assert "linux win32 darwin" in text_of("Makefile")


def declared_dependencies() -> set[str]:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[\[<>=~!; ]", line)[0] for lines in lists for line in lines}
    return names - {"foolscan"}


@pytest.mark.parametrize("name", sorted(declared_dependencies()))
def test_every_dependency_is_listed_with_its_licence(name: str):
    rows = [line for line in text_of("docs/dependencies.md").splitlines() if line.startswith("| ")]
    assert any(name in re.split(r"[ ,|]+", row.split("|")[1]) for row in rows)


def test_the_python_ceiling_is_psychopys():
    assert tomllib.loads(text_of("pyproject.toml"))["project"]["requires-python"] == ">=3.11,<3.13"
