"""Where a file came from: hashes, versions, and the sidecar beside everything that is derived."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from protocols.folder import StudyFolder, describe_derivatives, read_json, write_json
from protocols.problems import FoolscanError

SIDECAR_FORMAT = 1
SOURCE = Path(__file__).resolve().parent.parent
ROOMS = ("protocols", "stimuli", "experiment", "analysis")


class NewerSidecar(FoolscanError):
    """A derived file whose sidecar a newer foolscan wrote: it is neither read nor made again."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@functools.cache
def source_hash() -> str:
    """The hash of foolscan's own source: of every Python file, wherever it is installed."""
    digest = hashlib.sha256()
    paths = [path for room in ROOMS for path in (SOURCE / room).rglob("*.py")]
    for path in sorted([*paths, SOURCE / "foolscan.py"]):
        digest.update(path.relative_to(SOURCE).as_posix().encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


@functools.cache
def source_commit() -> str | None:
    """The git commit of the source, with ``+changes`` when the tree differs from it; None outside a checkout."""
    if not (SOURCE / ".git").exists():
        return None
    try:
        commit = subprocess.run(
            ["git", "-C", str(SOURCE), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10
        )
        status = subprocess.run(
            ["git", "-C", str(SOURCE), "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if commit.returncode != 0:
        return None
    return commit.stdout.strip() + ("+changes" if status.stdout.strip() else "")


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed versions of packages, by name; those that are not installed are left out."""
    found = {}
    for package in ("foolscan", *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def sidecar_path(path: Path) -> Path:
    """The sidecar of a derived file: ``similarity.tsv`` -> ``similarity.json`` (``.nii.gz`` counts as one suffix)."""
    name = path.name.removesuffix(".gz")
    return path.with_name(Path(name).stem + ".json")


def write_sidecar(
    folder: StudyFolder,
    path: Path,
    *,
    inputs: Iterable[Path],
    parameters: Mapping[str, Any],
    packages: Iterable[str] = (),
    seed: int | None = None,
    more: Mapping[str, Any] | None = None,
    beside: Iterable[Path] = (),
) -> Path:
    """Write the sidecar of a derived file: what it was made from, how, and by what.

    path       : the derived file, already written.
    inputs     : the files it was made from (inside the study folder, or elsewhere: then their bare name is kept).
    parameters : the numbers and names that shaped it.
    packages   : distributions whose versions matter.
    more       : further keys (BIDS metadata such as column descriptions).
    beside     : further files of the same name that were written with it, such as a figure's SVG beside its table.

    What is made of simulated data is marked as simulated, too: no rehearsal can be mistaken for a participant's data.

    Returns the sidecar's path. No clock enters it: the same inputs give the same bytes.
    """
    inputs = sorted(set(inputs))
    record = dict(more or {})
    if "Simulated" not in record and any(is_simulated(item) for item in inputs):
        record["Simulated"] = True
    record["foolscan"] = {
        "format": SIDECAR_FORMAT,
        "sha256": sha256_of(path),
        "inputs": {name_in(folder, item): sha256_of(item) for item in inputs},
        "parameters": dict(parameters),
        "seed": seed,
        "versions": versions(packages),
        "source_sha256": source_hash(),
        "commit": source_commit(),
        "file": path.name,
        "beside": {item.name: sha256_of(item) for item in sorted(beside)},
    }
    written = sidecar_path(path)
    write_json(written, record)
    describe_derivatives(folder, versions(()).get("foolscan", ""))
    return written


def recorded_sha256(path: Path, record: Mapping[str, Any]) -> str | None:
    """The hash that a file had when it was made, from the record in its sidecar; None where that tells of another file."""
    beside = record.get("beside")
    if isinstance(beside, dict) and path.name in beside:
        return str(beside[path.name])
    return str(record["sha256"]) if record.get("file") == path.name else None


def is_simulated(path: Path) -> bool:
    """Whether a file's sidecar says that it comes from a rehearsal."""
    beside = sidecar_path(path)
    if path.suffix == ".json" or not beside.is_file():
        return False
    try:
        record = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(record, dict) and record.get("Simulated") is True


def read_provenance(path: Path) -> dict[str, Any]:
    """The provenance part of a derived file's sidecar.

    Raises FoolscanError when there is no sidecar or it is not readable, NewerSidecar when a newer foolscan wrote it.
    """
    sidecar = sidecar_path(path)
    if not sidecar.exists():
        raise FoolscanError(f"{path}: no sidecar {sidecar.name} beside it; make it again")
    record = read_json(sidecar).get("foolscan")
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise FoolscanError(f"{sidecar}: found no record of how {path.name} was made; make it again")
    if record["format"] > SIDECAR_FORMAT:
        raise NewerSidecar(
            f"{sidecar}: found format {record['format']}; this foolscan reads formats up to {SIDECAR_FORMAT} and leaves "
            f"{path.name} as it is: update foolscan"
        )
    lacking = {"inputs", "parameters", "source_sha256", "sha256"} - set(record)
    if lacking or not isinstance(record["inputs"], dict):
        raise FoolscanError(f"{sidecar}: lacks {', '.join(sorted(lacking)) or 'inputs'}; make {path.name} again")
    return record


def is_current(folder: StudyFolder, path: Path, inputs: Iterable[Path], parameters: Mapping[str, Any]) -> bool:
    """Whether a derived file stands, unchanged, from these very inputs and parameters: then it need not be made again.

    Raises NewerSidecar when a newer foolscan made it: an older one must not write over it.
    """
    if not path.exists() or not sidecar_path(path).exists():
        return False
    try:
        record = read_provenance(path)
    except NewerSidecar:
        raise
    except FoolscanError:
        return False  # a damaged sidecar says nothing: the file is made again
    now = {name_in(folder, item): sha256_of(item) for item in inputs}
    return (
        record["inputs"] == now
        and record["parameters"] == dict(parameters)
        and record["source_sha256"] == source_hash()
        and record["sha256"] == sha256_of(path)
    )


def name_in(folder: StudyFolder, path: Path) -> str:
    """A file's name in records: its path in the study folder; its bare name where it is elsewhere."""
    try:
        return folder.relative(path)
    except ValueError:
        return path.name
