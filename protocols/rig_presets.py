"""Presets: what is known of a scanner or a box, taken over into a rig's trigger or buttons by ``preset:``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from protocols.problems import Problem, ProtocolError
from protocols.yamlfile import Document, KeyPath, Place, find_file, read_document

SECTIONS = ("trigger", "buttons")


def with_presets(document: Document) -> Document:
    """A rig's document with the presets that its sections name put in.

    document : as read; ``trigger: {preset: lumina, port: COM3}`` takes the trigger of the preset ``lumina``, and a list
               takes several, the later ones first in rank. A key that is written beside ``preset`` replaces the preset's.

    Raises ProtocolError when there is no such preset, or it says nothing of that section.
    """
    data, places = dict(document.data), dict(document.places)
    for section in SECTIONS:
        written = data.get(section)
        if not isinstance(written, dict) or "preset" not in written:
            continue
        names = written["preset"]
        merged: dict[str, Any] = {}
        for name in names if isinstance(names, list) else [names]:
            part, found = _section(document, section, name)
            merged |= part
            places = found | places
        data[section] = merged | {key: value for key, value in written.items() if key != "preset"}
    return replace(document, data=data, places=places)


def _section(document: Document, section: str, name: Any) -> tuple[dict[str, Any], dict[KeyPath, Place]]:
    place = document.place((section, "preset"))
    try:
        preset = read_document(find_file(str(name), "preset"), "preset")
    except ProtocolError as error:
        allowed = error.problems[0].allowed
        raise ProtocolError([Problem(place.file, place.line, f"{section}.preset", repr(name), allowed)]) from error
    part = preset.data.get(section)
    if not isinstance(part, dict):
        found = f"{name!r}, which has {', '.join(key for key in SECTIONS if key in preset.data) or 'nothing'}"
        raise ProtocolError([Problem(place.file, place.line, f"{section}.preset", found, f"a preset with {section}")])
    return part, {path: found for path, found in preset.places.items() if path[:1] == (section,)}
