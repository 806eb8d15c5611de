"""What can be wrong with a study or a rig, said so that the reader can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where it stands, and what would be right.

    file, line, key : where it stands (line 0: not in a file).
    found, allowed  : what was read there, and what may stand there.
    remedy          : what to do next, if that is not plain from `allowed`.
    needed          : True for work that is still to be done (exit status 1) rather than a mistake (2).
    """

    file: str
    line: int
    key: str
    found: str
    allowed: str
    remedy: str = ""
    needed: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{where}: {self.key}: found {self.found}; {self.allowed}"
        return f"{text}. {self.remedy}" if self.remedy else text


class FoolscanError(Exception):
    """A mistake of use or of input: shown as one message, exit status 2."""


class ProtocolError(FoolscanError):
    """All the problems of a study or rig file, reported at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NotReady(FoolscanError):
    """Something that an earlier step should have made is missing: the message names that step."""


class WorkWanting(FoolscanError):
    """The command ran and found the work wanting: exit status 1."""


def near(word: str, allowed: Iterable[str]) -> str:
    """A hint such as " (did you mean 'alexnet'?)" for a misspelt word, or an empty string.

    word    : the word found.
    allowed : the words that would have been right.
    """
    matches = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
