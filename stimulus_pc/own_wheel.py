"""foolscan's own wheel: built from a checkout, or packed again from where it is installed."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from protocols.problems import FoolscanError
from protocols.provenance import SOURCE

# What an installer adds, and what belongs to one computer.
NOT_PACKED = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
# As old as a zip file can be: the same files give the same bytes.
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def own_wheel(to: Path) -> Path:
    """The foolscan that runs now, as a wheel in a folder.

    Raises FoolscanError when it cannot be built.
    """
    if (SOURCE / "pyproject.toml").is_file():
        return _built(SOURCE, to)
    return packed("foolscan", to)


def _built(source: Path, to: Path) -> Path:
    """Build from a copy, which leaves nothing in the checkout and finds nothing that an earlier build left there."""
    import tomllib

    plan = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = [pattern.removesuffix("*") for pattern in plan["packages"]["find"]["include"]]
    with tempfile.TemporaryDirectory(prefix="foolscan-") as temporary:
        copy = Path(temporary)
        for name in ("pyproject.toml", "README.md", "LICENSE", *(f"{module}.py" for module in plan["py-modules"])):
            shutil.copy2(source / name, copy / name)
        for package in packages:
            shutil.copytree(source / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
        pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--disable-pip-version-check"]
        isolation = ["--no-build-isolation"] if _can_build_here() else []
        command = [*pip, *isolation, "--wheel-dir", str(to), str(copy)]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode != 0:
        last = "\n".join(done.stderr.splitlines()[-5:])
        raise FoolscanError(
            f"foolscan's own wheel could not be built:\n{last}\npip install build setuptools, try again"
        )
    (wheel,) = to.glob("foolscan-*.whl")
    return wheel


def _can_build_here() -> bool:
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0]) >= 77
    except importlib.metadata.PackageNotFoundError:
        return False


def packed(name: str, to: Path) -> Path:
    """A wheel with the files of an installed distribution (PEP 427); for this system and this Python.

    Raises FoolscanError when it is not installed, is installed from a checkout, or its list of files is wrong.
    """
    try:
        installed = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise FoolscanError(f"{name}: is not installed here; pip install {name}") from error
    tags = [line.partition(": ")[2] for line in (installed.read_text("WHEEL") or "").splitlines() if "Tag: " in line]
    files = [file for file in installed.files or () if _belongs(file.parts, file.name)]
    if not tags or not files:
        raise FoolscanError(f"{name}: is installed without a list of its files; install it from a wheel")
    python, abi = (".".join(sorted({tag.split("-")[part] for tag in tags})) for part in (0, 1))
    platforms = ".".join(sorted({tag.split("-")[2] for tag in tags}))
    info = next(file.parts[0] for file in files if file.parts[0].endswith(".dist-info"))
    wheel = to / f"{info.removesuffix('.dist-info')}-{python}-{abi}-{platforms}.whl"
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(files, key=str):
            content = Path(str(file.locate())).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{file.as_posix()},sha256={digest},{len(content)}")
            archive.writestr(zipfile.ZipInfo(file.as_posix(), LONG_AGO), content)
        record.append(f"{info}/RECORD,,\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD", LONG_AGO), "\n".join(record))
    return wheel


def _belongs(parts: tuple[str, ...], name: str) -> bool:
    """Whether an installed file came in the wheel: not a program beside the library, not Python's cache."""
    if ".." in parts or "__pycache__" in parts:
        return False
    return not (parts[0].endswith(".dist-info") and len(parts) == 2 and name in NOT_PACKED)
