"""The chain behind a derived file: what it was made from, and what that was made from, back to the start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.provenance import read_provenance, recorded_sha256, sha256_of, sidecar_path


@dataclass(frozen=True)
class Link:
    """One file of the chain.

    name        : relative to the study folder, or a bare name for a file from elsewhere.
    sha256      : as recorded by the file that was made from it (for the first file: as it is now).
    state       : "unchanged", "changed since", "gone" or "elsewhere".
    provenance  : its own sidecar's record; None for a file that nothing derived.
    inputs      : what it was made from.
    """

    name: str
    sha256: str
    state: str
    provenance: dict[str, Any] | None
    inputs: tuple[Link, ...]

    @property
    def unchanged(self) -> bool:
        """Whether this file and all behind it are as they were used."""
        return self.state in ("unchanged", "elsewhere") and all(link.unchanged for link in self.inputs)

    def all_links(self) -> Iterator[Link]:
        """This link and all behind it, a file as often as it was used."""
        yield self
        for link in self.inputs:
            yield from link.all_links()


def trace_file(path: Path, root: Path | None = None) -> Link:
    """The chain of a derived file.

    path : a file with a sidecar: a table, betas, RDMs, a page, or one of a figure's SVG, PNG and TSV, which share one.
    root : the study folder; found from the path when None.

    Raises FoolscanError when there is no such file, no sidecar, or no study folder around it.
    """
    if not path.is_file():
        raise FoolscanError(f"{path}: no such file")
    record = read_provenance(path)
    folder = StudyFolder(root if root is not None else _study_root(path))
    digest = sha256_of(path)
    name = folder.relative(path)
    chain = _link(folder, name, digest, {}, (), {name: digest})
    made_as = recorded_sha256(path, record)
    return replace(chain, state="changed since") if made_as not in (None, digest) else chain


def _link(
    folder: StudyFolder,
    name: str,
    sha256: str,
    known: dict[str, Link],
    seen: tuple[str, ...],
    hashes: dict[str, str],
) -> Link:
    if name in known and known[name].sha256 == sha256:
        return known[name]
    path = folder.root / name
    if not path.is_file():
        return Link(name, sha256, "gone" if "/" in name else "elsewhere", None, ())
    if name not in hashes:
        hashes[name] = sha256_of(path)
    state = "unchanged" if hashes[name] == sha256 else "changed since"
    sidecar = sidecar_path(path)
    provenance = None
    inputs: tuple[Link, ...] = ()
    if sidecar.exists() and sidecar != path and name not in seen:
        try:
            provenance = read_provenance(path)
        except FoolscanError:
            provenance = None  # a sidecar that is not ours, such as a scanner's
        if provenance is not None:
            inputs = tuple(
                _link(folder, other, digest, known, (*seen, name), hashes)
                for other, digest in provenance["inputs"].items()
            )
    known[name] = Link(name, sha256, state, provenance, inputs)
    return known[name]


def as_text(chain: Link) -> str:
    """The chain as an indented list, each file with what shaped it; one that comes again is named without its own chain."""
    lines: list[str] = []
    _lines(chain, 0, lines, set(), {})
    provenance = chain.provenance or {}
    versions = ", ".join(f"{name} {version}" for name, version in provenance.get("versions", {}).items())
    tail = [f"made with {versions}"] if versions else []
    tail += [f"commit {provenance['commit']}"] if provenance.get("commit") else []
    tail += [f"seed {provenance['seed']}"] if provenance.get("seed") is not None else []
    altered = list(dict.fromkeys(link.name for link in chain.all_links() if link.state in ("changed since", "gone")))
    if altered:
        tail.append(f"no longer as it was used: {', '.join(altered)}")
    return "\n".join([*lines, *tail])


def _lines(link: Link, depth: int, lines: list[str], shown: set[str], told: dict[str, str]) -> None:
    again = link.name in shown and bool(link.inputs)
    mark = "" if link.state == "unchanged" else f"  [{link.state}]"
    indent = "  " * depth
    lines.append(f"{indent}{link.name}  {link.sha256[:12]}{mark}{'  (as above)' if again else ''}")
    if again:
        return
    shown.add(link.name)
    parameters = _parameters(link.provenance)
    if parameters:
        first = told.setdefault(parameters, link.name)
        lines.append(f"{indent}    with {parameters if first == link.name else f'the parameters of {first}'}")
    for other in link.inputs:
        _lines(other, depth + 1, lines, shown, told)


def _parameters(provenance: Mapping[str, Any] | None) -> str:
    """What shaped a file, on one line."""
    named = (provenance or {}).get("parameters") or {}
    return "; ".join(f"{name}: {_value(value)}" for name, value in named.items())


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _study_root(path: Path) -> Path:
    for parent in path.resolve().parents:
        if (parent / "dataset_description.json").is_file() and (parent / "stimuli").is_dir():
            return parent
    raise FoolscanError(f"{path}: not inside a study folder; name it with --to")
