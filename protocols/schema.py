"""Turns YAML documents into checked models, with every problem reported at its line."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, TypeVar, Union

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from protocols.problems import Problem, ProtocolError, near
from protocols.yamlfile import Document, KeyPath, dotted

Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Inside = Annotated[float, Field(strict=True, gt=0, lt=1)]
Count = Annotated[int, Field(strict=True, ge=1)]
Whole = Annotated[int, Field(strict=True, ge=0)]
GreyLevel = Annotated[int, Field(strict=True, ge=0, le=255)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True, min_length=1)]
Label = Annotated[str, Field(strict=True, max_length=64, pattern=r"^[A-Za-z0-9]+$")]


def _each_once(items: tuple[Any, ...]) -> tuple[Any, ...]:
    again = [item for place, item in enumerate(items) if item in items[:place]]
    if again:
        raise ValueError(f"names {again[0]!r} twice; each once")
    return items


EachOnce = AfterValidator(_each_once)
"""For a list whose items differ."""

PlanType = TypeVar("PlanType", bound="Plan")


class Plan(BaseModel):
    """A part of a study or rig file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def validated(model: type[PlanType], document: Document) -> PlanType:
    """The checked model of a document.

    Raises ProtocolError with every problem: file, line, key, what was found, what is allowed.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise ProtocolError([_problem(model, document, dict(item)) for item in error.errors()]) from None


def _problem(model: type[BaseModel], document: Document, error: dict[str, Any]) -> Problem:
    path = _path_in_data(document.data, error["loc"])
    place = document.place(path)
    if error["type"] == "extra_forbidden":
        allowed = _keys_at(model, document.data, path[:-1])
        found = f"the unknown key {str(path[-1])!r}{near(str(path[-1]), allowed)}"
        return Problem(place.file, place.line, dotted(path), found, f"allowed here: {', '.join(sorted(allowed))}")
    if error["type"] == "missing":
        return Problem(place.file, place.line, dotted(path), "nothing", "this key is required")
    if error["type"] == "too_short":
        message = f"at least {error['ctx']['min_length']} of them"
    else:
        message = error["msg"][0].lower() + error["msg"][1:]
        if error["type"].startswith(("greater_than", "less_than")):
            message += _other_limit(model, document.data, path, message)
    found = "a mapping" if isinstance(error["input"], dict) else repr(error["input"])
    return Problem(place.file, place.line, dotted(path), found, message.removeprefix("value error, "))


_LIMITS = (
    (Ge, "ge", "greater than or equal to"),
    (Gt, "gt", "greater than"),
    (Le, "le", "less than or equal to"),
    (Lt, "lt", "less than"),
)


def _other_limit(model: type[BaseModel], data: Any, path: KeyPath, message: str) -> str:
    """The limit of a number that a message about its other limit leaves out, or an empty string."""
    fields = [member.model_fields.get(str(path[-1])) for member in _models_at(model, data, path[:-1])]
    for limit in [item for field in fields if field is not None for item in field.metadata]:
        for kind, name, words in _LIMITS:
            if isinstance(limit, kind) and words.split()[0] not in message:
                return f" and {words} {getattr(limit, name)}"
    return ""


def _path_in_data(data: Any, loc: tuple[str | int, ...]) -> KeyPath:
    """The key path of an error, without the names of union members that pydantic puts in between."""
    path: list[str | int] = []
    here: Any = data
    for i, part in enumerate(loc):
        inside = dict(enumerate(here)) if isinstance(here, list) else here
        if isinstance(inside, dict) and part in inside:
            here = inside[part]
        elif i < len(loc) - 1:
            continue
        path.append(part)
    return tuple(path)


def _keys_at(model: type[BaseModel], data: Any, path: KeyPath) -> list[str]:
    """The keys that the model allows at a key path."""
    return sorted({key for member in _models_at(model, data, path) for key in member.model_fields})


def _models_at(model: type[BaseModel], data: Any, path: KeyPath) -> list[type[BaseModel]]:
    """The models whose keys stand at a key path; of several kinds, the one that the data name."""
    annotation: Any = model
    here = data
    for part in path:
        here = here[part]
        annotation = _inside(annotation, part, here)
    return [member for member in models_in(annotation) if _same_kind(member, here)]


def _inside(annotation: Any, part: str | int, value: Any) -> Any:
    for member in models_in(annotation):
        if part in member.model_fields:
            return member.model_fields[str(part)].annotation
    arguments = [a for a in typing.get_args(unwrapped(annotation)) if a is not Ellipsis]
    return arguments[-1] if arguments else Any


def unwrapped(annotation: Any) -> Any:
    """A type annotation without its ``Annotated`` shells."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation names, alone or in a union."""
    annotation = unwrapped(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return [model for member in typing.get_args(annotation) for model in models_in(member)]
    return []


def _same_kind(model: type[BaseModel], value: Any) -> bool:
    if "kind" not in model.model_fields or not isinstance(value, dict) or "kind" not in value:
        return True
    return value["kind"] in typing.get_args(model.model_fields["kind"].annotation)
