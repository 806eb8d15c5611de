"""Reads YAML with the line of every key, and files that extend one another."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from protocols.problems import Problem, ProtocolError

KeyPath = tuple[str | int, ...]

SHIPPED = Path(__file__).parent


class _Yaml12Loader(yaml.SafeLoader):
    """YAML as people expect it: only true/false are booleans ('no' is a word), and 1:30 is not a number."""


_Yaml12Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag in {"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf"),
    ("tag:yaml.org,2002:int", r"^[-+]?[0-9]+$", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$",
        "-+.0123456789",
    ),
):
    _Yaml12Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))

# Not the loader's own constructors: they read 010 as eight, and fall over 089.
_SCALARS: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:bool": lambda text: {"true": True, "false": False}[text],
    "tag:yaml.org,2002:null": lambda text: None,
}


class _Yaml12Dumper(yaml.SafeDumper):
    """The loader's inverse: quotes exactly the words that it would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value out wherever it stands."""
        return True


_Yaml12Dumper.yaml_implicit_resolvers = _Yaml12Loader.yaml_implicit_resolvers

DEEPEST, MOST_VALUES = 40, 20_000
"""What no study file comes near: an alias inside what it stands for, or aliases of aliases, are stopped here."""


@dataclass(frozen=True)
class Place:
    """Where a value stands."""

    file: str
    line: int


@dataclass
class Document:
    """A YAML file as plain data, the place of every key, and which keys an extending file changed.

    data    : mappings, lists and scalars.
    places  : key path -> place.
    changed : key paths whose value an extending study replaced (so that they no longer come from the paper).
    folder  : the folder of the outermost file, to which relative paths in the study refer.
    """

    data: dict[str, Any]
    places: dict[KeyPath, Place]
    folder: Path
    changed: set[KeyPath] = field(default_factory=set)

    def place(self, path: KeyPath) -> Place:
        """The place of a key, or of the nearest key around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(str(self.folder), 0))


def shipped_files(kind: str) -> dict[str, Path]:
    """The YAML files that come with foolscan: name -> path.

    kind : ``"study"``, ``"rig"``, or ``"preset"`` (a part of a rig: what a scanner or a box needs).
    """
    folder = {"study": SHIPPED, "rig": SHIPPED / "rigs", "preset": SHIPPED / "rigs" / "presets"}[kind]
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_file(name_or_path: str | Path, kind: str) -> Path:
    """The file meant by a shipped name (``demo``) or by a path (``my/study.yaml``).

    Raises ProtocolError when there is neither.
    """
    shipped = shipped_files(kind)
    text = str(name_or_path)
    if text in shipped:
        return shipped[text]
    path = Path(name_or_path)
    if path.is_file():
        return path
    allowed = f"a {kind} file, or one that comes with foolscan: {', '.join(shipped)}"
    raise ProtocolError([Problem(text or "''", 0, kind, "no such file", allowed)])


def read_document(path: Path, kind: str = "study") -> Document:
    """Read one YAML file and, through ``extends:``, those it builds on.

    path : the file; ``extends:`` names a shipped file of its kind or a path beside it.
    kind : ``"study"`` or ``"rig"``.

    Raises ProtocolError with file, line and key for what is not YAML, not UTF-8, a key written twice, or a circle.
    """
    return _read(path, kind, ())


def _read(path: Path, kind: str, seen: tuple[Path, ...]) -> Document:
    if path.resolve() in seen:
        raise ProtocolError(
            [
                Problem(
                    str(path),
                    1,
                    "extends",
                    f"a circle of {'studies' if kind == 'study' else 'rigs'}",
                    "each may extend one that does not extend it",
                )
            ]
        )
    document = _read_one(path)
    parent_name = document.data.pop("extends", None)
    if parent_name is None:
        return document
    beside = path.parent / str(parent_name)
    try:
        parent_path = beside if beside.is_file() else find_file(str(parent_name), kind)
    except ProtocolError as error:
        place = document.place(("extends",))
        raise ProtocolError(
            [Problem(place.file, place.line, "extends", repr(parent_name), error.problems[0].allowed)]
        ) from error
    parent = _read(parent_path, kind, (*seen, path.resolve()))
    data = _merge(parent.data, document.data, (), parent.changed)
    return Document(data, parent.places | document.places, document.folder, parent.changed)


def _merge(old: dict[str, Any], new: dict[str, Any], path: KeyPath, changed: set[KeyPath]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        here = (*path, key)
        if (
            isinstance(value, dict)
            and isinstance(old.get(key), dict)
            and "preset" not in value
            and value.get("kind", old[key].get("kind")) == old[key].get("kind")
        ):
            merged[key] = _merge(old[key], value, here, changed)
        else:
            if key in old and old[key] != value:
                changed.add(here)
            merged[key] = value
        if value is None and key in old:
            del merged[key]  # taken away: the default holds, or there is no such entry
    return merged


def _read_one(path: Path) -> Document:
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_Yaml12Loader)
    except UnicodeDecodeError as error:
        raise ProtocolError(
            [Problem(name, 0, "file", f"a byte that is not UTF-8 at {error.start}", "save it as UTF-8 text")]
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line + 1 if mark else 0
        found = str(getattr(error, "problem", None) or error).removeprefix("found ")
        raise ProtocolError(
            [Problem(name, line, "file", found, "YAML: 'key: value' lines, indented by spaces")]
        ) from error
    except RecursionError as error:
        raise ProtocolError(
            [Problem(name, 0, "file", "brackets within brackets, too deep to read", f"at most {DEEPEST} levels")]
        ) from error
    if not isinstance(node, yaml.MappingNode):
        raise ProtocolError(
            [Problem(name, 1, "file", "no keys" if node is None else "a list or a word", "'key: value' lines")]
        )
    places: dict[KeyPath, Place] = {}
    problems: list[Problem] = []
    data = _plain(node, (), name, places, problems)
    if problems:
        raise ProtocolError(problems)
    return Document(data, places, path.resolve().parent)


def _plain(node: yaml.Node, path: KeyPath, file: str, places: dict[KeyPath, Place], problems: list[Problem]) -> Any:
    here = node.start_mark.line + 1
    places.setdefault(path, Place(file, here))
    if len(path) > DEEPEST or len(places) > MOST_VALUES:
        allowed = f"at most {DEEPEST} levels and {MOST_VALUES} values; does an alias (*name) stand within itself?"
        raise ProtocolError([Problem(file, here, dotted(path[:3]), "a file without end", allowed)])
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                problems.append(Problem(file, line, dotted(path) or "file", "a list or mapping as a key", "a word"))
                continue
            key = str(key_node.value)
            if key in mapping:
                problems.append(
                    Problem(file, line, dotted((*path, key)), "the same key a second time", "each key once")
                )
            places[(*path, key)] = Place(file, line)
            mapping[key] = _plain(value_node, (*path, key), file, places, problems)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), file, places, problems) for i, item in enumerate(node.value)]
    try:
        return _SCALARS[node.tag](node.value)
    except (KeyError, ValueError):
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        problems.append(
            Problem(file, here, dotted(path), f"{node.value[:40]!r} as {kind}", "text, a number, true or false")
        )
        return None


def dumped(data: dict[str, Any]) -> str:
    """Plain data as YAML text that reads back as the same data; comments, and which file a key came from, are gone."""
    return yaml.dump(data, Dumper=_Yaml12Dumper, sort_keys=False, allow_unicode=True, width=120)


def dotted(path: KeyPath) -> str:
    """``("tasks", "animals", "image_s")`` as ``tasks.animals.image_s``."""
    return ".".join(str(part) for part in path)
