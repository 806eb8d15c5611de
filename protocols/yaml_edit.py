"""Puts a value into a YAML file that people wrote: comments, order and layout of all the rest stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from protocols.folder import write_text
from protocols.problems import FoolscanError


def put_value(path: Path, keys: Sequence[str], value: Mapping[str, Any]) -> None:
    """Set a value in a YAML file, written in one line in braces.

    path  : the file.
    keys  : where, such as ``("display", "measured")``; mappings that are not there are made.
    value : numbers and words.

    Raises FoolscanError, with the line to put in by hand and the file as it was, when that cannot be done.
    """
    text = path.read_text(encoding="utf-8")
    edited = edited_text(text, keys, value)
    if edited is None:
        by_hand = ".".join(keys)
        raise FoolscanError(f"{path}: cannot be edited without harm; put this in by hand: {by_hand}: {_flow(value)}")
    write_text(path, edited)


def edited_text(text: str, keys: Sequence[str], value: Mapping[str, Any]) -> str | None:
    """The text with the value set; None when it would not read back as the same data with that value."""
    root = yaml.compose(text, Loader=yaml.BaseLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    edited = _edited(text, root, list(keys), _flow(value))
    wanted = _words(text)
    here = wanted
    for key in keys[:-1]:
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            return None
    here[keys[-1]] = _words(_flow(value))
    try:
        return edited if _words(edited) == wanted and _comments(text) <= _comments(edited) else None
    except yaml.YAMLError:
        return None


def _words(text: str) -> Any:
    """YAML with every scalar left as it is written, and what is named twice (``&``, ``*``) as two."""
    return json.loads(json.dumps(yaml.load(text, Loader=yaml.BaseLoader)))


def _edited(text: str, node: yaml.MappingNode, keys: list[str], flow: str) -> str:
    first, *rest = keys
    found = next((value for key, value in node.value if key.value == first), None)
    if found is not None and not rest:
        return text[: found.start_mark.index] + flow + text[_end(found) :]
    if isinstance(found, yaml.MappingNode) and found.value:
        return _edited(text, found, rest, flow)
    line = f"{first}: " + "".join(f"{{{key}: " for key in rest) + flow + "}" * len(rest)
    last = _end(node)
    if node.flow_style:
        before = text[: node.end_mark.index - 1].rstrip()
        comma = "" if before.endswith(("{", ",")) else ","
        return f"{before}{comma} {line}{text[node.end_mark.index - 1 :]}"
    end_of_line = text.find("\n", last)
    end_of_line = len(text) if end_of_line == -1 else end_of_line
    return f"{text[:end_of_line]}\n{' ' * node.start_mark.column}{line}{text[end_of_line:] or chr(10)}"


def _end(node: yaml.Node) -> int:
    """Where the text of a node ends: a block's own mark lies behind the comments that follow it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _flow(value: Mapping[str, Any]) -> str:
    """``{key: 1.5, word: "text"}``; a word in JSON's quotes is the same word in YAML."""
    return "{" + ", ".join(f"{key}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items()) + "}"


def _comments(text: str) -> set[str]:
    return {line[line.index("#") :].strip() for line in text.splitlines() if "#" in line}
