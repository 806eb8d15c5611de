"""From what a source calls its conditions to the study's images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analysis.betas_in.given_tables import Named

LEFT_OUT = Named(0, None, None)


def named(name: str, stim_ids: Iterable[str], table: Mapping[str, Named]) -> Named | None:
    """What a condition's name stands for: by the lab's table, else the image of that very name; None when neither knows it."""
    if name in table:
        return table[name]
    return Named(0, name, None) if name in set(stim_ids) else None


def named_alike(name: str, stim_ids: Iterable[str], table: Mapping[str, Named]) -> Named | None:
    """The same for programs that strip names of what is no letter or digit: then the one image that reads alike."""
    found = named(name, stim_ids, table)
    if found is not None:
        return found
    alike = [stim_id for stim_id in stim_ids if plain(stim_id) == plain(name)]
    return Named(0, alike[0], None) if len(alike) == 1 else None


def plain(name: str) -> str:
    """A name's letters and digits, in small letters."""
    return "".join(character for character in name.casefold() if character.isalnum())
