"""All packages that a run needs, as wheels for a computer that is not this one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.problems import FoolscanError
from stimulus_pc.target import Target

# So many packages without a wheel, and no more, are built here before something else must be wrong.
MOST_BUILT = 20
WITHOUT_WHEEL = (
    re.compile(r"no matching distributions available for your environment:\n((?: {4}\S.*\n)+)"),
    re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)"),
)


@dataclass(frozen=True)
class Wheels:
    """What a bundle's environment consists of.

    files : names of wheels, in order.
    built : packages that their makers give on as source only, built here (pure Python).
    """

    files: tuple[str, ...]
    built: tuple[str, ...]


Gather = Callable[[Target, Sequence[str], Path], Wheels]


def gather(target: Target, requirements: Sequence[str], to: Path) -> Wheels:
    """Download what some requirements need, with all that that needs in turn.

    target       : the system and Python it shall run on.
    requirements : as pip takes them (``foolscan.whl[experiment]``).
    to           : the folder for the wheels.

    Raises FoolscanError naming the packages that cannot be had as a wheel for that system, or what pip said.
    """
    return _gathered(target, requirements, ["download", "--dest", str(to)], to)


def look_up(target: Target, requirements: Sequence[str], to: Path) -> Wheels:
    """As `gather`, without the download: `to` takes only what had to be built to find out."""
    report = to / "report.json"
    rehearsed = ["install", "--dry-run", "--ignore-installed", "--target", str(to / "nowhere"), "--report", str(report)]
    found = _gathered(target, requirements, rehearsed, to)
    installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    names = sorted(item["download_info"]["url"].rpartition("/")[2] for item in installs)
    return Wheels(tuple(names), found.built)


def _gathered(target: Target, requirements: Sequence[str], verb: Sequence[str], to: Path) -> Wheels:
    built: list[str] = []
    while True:
        done = _pip_for(target, [*verb, "--find-links", str(to), *requirements])
        if done.returncode == 0:
            return Wheels(tuple(sorted(path.name for path in to.glob("*.whl"))), tuple(sorted(built)))
        said = done.stdout + done.stderr
        lacking = [name for name in without_wheel(said) if name not in built]
        if not lacking or len(built) >= MOST_BUILT:
            last = "\n".join(line for line in said.splitlines() if not line.startswith("WARNING"))[-1500:]
            raise FoolscanError(
                f"pip could not gather the wheels for {target.platform}, Python {target.python}:\n{last}"
            )
        for name in lacking:
            _build_pure(name, target, to)
        built += lacking


def without_wheel(said: str) -> list[str]:
    """The packages of which pip says that it found no wheel."""
    listed = WITHOUT_WHEEL[0].findall(said)
    names = [line.split()[0] for block in listed for line in block.splitlines()] or WITHOUT_WHEEL[1].findall(said)
    return list(dict.fromkeys(re.split(r"[<>=!~;\[ ]", name)[0] for name in names))


def _pip_for(target: Target, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    shim = Path(__file__).with_name("pip_for_target.py")
    verb, *rest = arguments
    platforms = [part for tag in target.tags for part in ("--platform", tag)]
    python = ["--python-version", target.python, "--implementation", "cp", "--only-binary=:all:"]
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command = [sys.executable, str(shim), json.dumps(target.markers), verb, *quiet, *platforms, *python, *rest]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")


def _build_pure(name: str, target: Target, to: Path) -> None:
    """Build a wheel of a package that is given on as source only; one for this system alone helps nobody."""
    with tempfile.TemporaryDirectory(prefix="foolscan-") as temporary:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]
        command = [*pip, "--wheel-dir", temporary, name]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
        wheels = [*Path(temporary).glob("*.whl")]
        if done.returncode == 0 and len(wheels) == 1 and wheels[0].name.endswith("-none-any.whl"):
            to.joinpath(wheels[0].name).write_bytes(wheels[0].read_bytes())
            return
    why = "it has parts in C" if wheels else "it cannot be built here, or there is no network"
    raise FoolscanError(
        f"{name}: has no wheel for {target.platform}, Python {target.python}, and {why}; take another --python or --platform"
    )
