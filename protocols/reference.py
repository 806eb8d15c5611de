"""The reference of the study and rig files, written from their schema: ``python -m protocols.reference docs``."""

from __future__ import annotations

import re
import sys
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from protocols.folder import write_text
from protocols.rig import Rig
from protocols.schema import models_in, unwrapped
from protocols.study import Study

INTRODUCTION = """# Study and rig files

Written by `python -m protocols.reference docs` from the schema; do not edit by hand.

A **study** file says what is made, shown and measured. A **rig** file says what belongs to the place: screen, trigger,
buttons. Unknown keys are errors. `extends: NAME` at the top of a study takes over another study (one that comes with
foolscan, or a file beside it) and changes only the keys that are written; a value that is changed loses the `basis` of
the study it came from. Rigs extend rigs in the same way, and `preset: NAME` in a rig's `trigger` or `buttons` takes over what
is known of a scanner or a box ([scanner.md](scanner.md)). Check a file with `foolscan check STUDY --rig RIG`. Times are in
seconds (`_s`), sizes on the screen in degrees of visual angle (`_deg`), on paper in mm, in images in pixels (`_px`).
"""


def reference() -> str:
    """The whole reference as Markdown."""
    parts = [INTRODUCTION]
    for title, model in (("The study file", Study), ("The rig file", Rig)):
        parts.append(f"## {title}\n")
        parts += [_section(prefix, part) for prefix, part in _parts("", model)]
    return "\n".join(parts)


def _parts(prefix: str, model: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    found = [(prefix, model)]
    for name, field in model.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        if typing.get_origin(unwrapped(field.annotation)) is dict:
            key += ".<name>"
            members = models_in(typing.get_args(unwrapped(field.annotation))[1])
        else:
            members = models_in(field.annotation)
        for member in members:
            found += _parts(key, member)
    return found


def _section(prefix: str, model: type[BaseModel]) -> str:
    kind = model.model_fields.get("kind")
    names = typing.get_args(kind.annotation) if kind else ()
    title = prefix or "Top level"
    if names:
        title += f" (kind: {names[0]})"
    summary = (model.__doc__ or "").strip().splitlines()[0]
    lines = [f"### {title}\n", f"{summary}\n", "| key | value | if left out | meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", _value(field), _default(field), field.description or "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _value(field: FieldInfo) -> str:
    words = _words(field.annotation)
    many = words.startswith(("list", "names"))
    fewest = [f"at least {item.min_length}" for item in field.metadata if isinstance(item, MinLen) and many]
    return ", ".join([words, *_limits(field.metadata), *fewest])


def _limits(metadata: Sequence[Any]) -> list[str]:
    """The narrowest limits: ``> 0`` of a kind of number is not said beside a field's own ``≥ 10``."""
    low: list[tuple[Any, str]] = [(item.ge, "≥") for item in metadata if isinstance(item, Ge)]
    low += [(item.gt, ">") for item in metadata if isinstance(item, Gt)]
    high: list[tuple[Any, str]] = [(item.le, "≤") for item in metadata if isinstance(item, Le)]
    high += [(item.lt, "<") for item in metadata if isinstance(item, Lt)]
    narrowest = [*([max(low)] if low else []), *([min(high)] if high else [])]
    return [f"{sign} {limit}" for limit, sign in narrowest]


def _words(annotation: Any) -> str:
    bare = unwrapped(annotation)
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys("nothing" if member is type(None) else _words(member) for member in arguments))
    if origin is tuple:
        many = len(arguments) == 2 and arguments[1] is Ellipsis
        return (
            f"list of {_words(arguments[0])}" if many else "[" + ", ".join(_words(member) for member in arguments) + "]"
        )
    if origin is dict:
        return f"names, each with {_words(arguments[1])}"
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return "keys (below)"
    names = {float: "number", int: "whole number", str: "text", bool: "true or false", Any: "anything"}
    return names.get(bare, str(bare))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined:
        return "empty"
    if isinstance(field.default, BaseModel):
        return "as below"
    text = (
        "nothing"
        if field.default is None
        else str(field.default).lower()
        if isinstance(field.default, bool)
        else str(field.default)
    )
    plain = re.sub(r"[()']", "", text)
    return f"`{plain}`" if plain else "empty"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    write_text(folder / "study-file.md", reference())
    print(folder / "study-file.md")
