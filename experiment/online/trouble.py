"""What the operator should know of a running server, from wherever it is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Trouble:
    """Something that the operator should know of, and act on.

    level : alarm: at once; warning: when there is time.
    said  : what is wrong and what to do, in a sentence.
    """

    level: Literal["alarm", "warning"]
    said: str
