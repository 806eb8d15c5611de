"""Installs foolscan from this folder on a computer without a network. Run: python install.py

Needs nothing but the Python that bundle.json names: checks the files, makes the environment, fills it from wheels/, and
lets foolscan say what this computer can and cannot do. Safe to run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SYSTEMS = {"linux": "linux", "windows": "win32", "macos": "darwin"}


def main() -> int:
    """Check, install, look; 0 when foolscan runs, 2 when something is not as it should be."""
    parser = argparse.ArgumentParser(description="Install foolscan from this folder, without a network.")
    parser.add_argument("--environment", default="environment", help="folder for the programs (environment)")
    parser.add_argument("--check-only", action="store_true", help="compare the files with checksums.sha256, no more")
    options = parser.parse_args()
    facts = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
    wrong = wrong_files()
    if wrong:
        return stop(
            f"{len(wrong)} files are not as they were sent; copy the bundle again:\n  " + "\n  ".join(wrong[:20])
        )
    print("files: as they were sent", flush=True)
    if options.check_only:
        return 0
    odd = misfit(facts)
    if odd:
        return stop(odd)
    return install(facts, HERE / options.environment)


def wrong_files() -> list[str]:
    """What differs from checksums.sha256, and how."""
    wrong = []
    for line in (HERE / "checksums.sha256").read_text(encoding="utf-8").splitlines():
        wanted, _, name = line.partition("  ")
        path = HERE / name
        if not path.is_file():
            wrong.append(f"{name}: is missing")
        elif sha256_of(path) != wanted:
            wrong.append(f"{name}: has changed")
    return wrong


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def misfit(facts: dict[str, str]) -> str:
    """Why this computer is not the one that the bundle was made for; empty if it is."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python != facts["python"]:
        return f"found Python {python}; this bundle needs Python {facts['python']}. Start it with: {facts['launcher']} install.py"
    if sys.platform != SYSTEMS[facts["platform"]] or platform.machine().lower() != facts["machine"].lower():
        wanted = f"{facts['platform']} ({facts['machine']})"
        return f"found {sys.platform} ({platform.machine()}); this bundle is for {wanted}. Make one with --platform"
    return ""


def install(facts: dict[str, list[str]], environment: Path) -> int:
    """Make the environment and fill it from wheels/ alone, whatever pip is configured to do otherwise."""
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    python = programs / ("python.exe" if os.name == "nt" else "python")
    if not python.exists() and subprocess.run([sys.executable, "-m", "venv", str(environment)]).returncode != 0:
        return stop("no environment could be made; on Debian and Ubuntu the package python3-venv is needed")
    print(f"installing {len(list((HERE / 'wheels').glob('*.whl')))} packages, a few minutes", flush=True)
    pip = [
        str(python),
        "-I",
        "-m",
        "pip",
        "--isolated",
        "install",
        "--no-index",
        "--quiet",
        "--disable-pip-version-check",
    ]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    done = subprocess.run([*pip, "--find-links", str(HERE / "wheels"), *facts["install"]], env=clean)
    if done.returncode != 0:
        return stop("pip could not install the wheels; its message is above")
    looked = subprocess.run([str(python), "-I", "-X", "utf8", "-m", "foolscan", "doctor"], cwd=HERE, env=clean)
    if looked.returncode != 0:
        return stop("foolscan is installed and does not run; its message is above")
    print(f"\nInstalled. Next, in this folder:\n\n    {facts['next']}\n")
    return 0


def stop(why: str) -> int:
    """Say what is wrong; the exit status for it."""
    print(f"install: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
