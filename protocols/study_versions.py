"""Two versions of a study file: which keys differ, and whether what differs changes what a participant is put through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from protocols.provenance import sha256_of_bytes
from protocols.study import Study

# Enough of a hash to tell two values of a key apart.
DIGITS = 12
# What people read, and what is worked out elsewhere, afterwards or only in a rehearsal: a visit that has begun may go on with it changed.
# All else decides: the images, what is asked, when, in which order, with which answers and buttons.
WITHOUT_WEIGHT = re.compile(
    r"(title|reference|basis|analysis|rehearsal|fragile|online|design\.(subjects|sessions)"
    r"|tasks\.\w+\.(question|instructions"
    r"|screens\.(names|instructions|button_test|waiting|pause|end)"
    r"|practice\.(right|wrong|missed|noted)"
    r"|confidence\.(question|labels)))(\..*)?"
)
# Keys that a message names one by one.
MOST_NAMED = 8


@dataclass(frozen=True)
class Changes:
    """Keys of a study that differ from those of another version of it.

    deciding : those that change what a participant is put through.
    others   : texts that people read, the analysis, and what is emulated in a rehearsal.
    """

    deciding: tuple[str, ...]
    others: tuple[str, ...]


def keys_of(study: Study) -> dict[str, str]:
    """Dotted key -> the beginning of the hash of its value, for each key of a study that is not as if left out.

    Keys that are left out do not count, so that a release with further keys sees the same study.
    """
    leaves = _leaves("", study.model_dump(mode="json", exclude_defaults=True))
    return {key: sha256_of_bytes(json.dumps(value).encode())[:DIGITS] for key, value in sorted(leaves)}


def changes(before: Mapping[str, str], study: Study) -> Changes:
    """What differs between an earlier version of a study and this one.

    before : of the earlier one, as by `keys_of`.
    """
    now = keys_of(study)
    differing = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    others = tuple(key for key in differing if WITHOUT_WEIGHT.fullmatch(key))
    return Changes(tuple(key for key in differing if key not in others), others)


def named(keys: tuple[str, ...]) -> str:
    """Keys for a message, at most a few of them by name."""
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return ", ".join(keys[:MOST_NAMED]) + more


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        yield prefix, value
        return
    for key, member in value.items():
        yield from _leaves(f"{prefix}.{key}" if prefix else str(key), member)
