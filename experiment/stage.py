"""What a run is shown on: a window, or nothing at all for rehearsals and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiment.drawings import Still


class Stage(Protocol):
    """Draws stills into a back buffer and flips it; the fixation point lies over everything."""

    @property
    def keys(self) -> Any:
        """The reader of the window's keys (`experiment.psychopy_keys.KeyReader`); None where there is no window."""
        ...

    @property
    def holds_flips(self) -> bool:
        """Whether a flip returns at the display's refresh."""
        ...

    def load(self, pictures: Mapping[str, Path]) -> None:
        """Put images (stim_id -> file at this rig's pixels) into video memory and draw each once, unseen."""
        ...

    def prepare(self, stills: Iterable[Still]) -> None:
        """Make words, masks and scales ready, each drawn once, unseen: nothing is laid out while a run lasts."""
        ...

    def draw(self, still: Still, code: int = 0) -> None:
        """Draw one still, and the fixation point over it, into the back buffer.

        code : 1-based number of the timeline's row that is on the screen, 0 for none; shown by the photodiode patch.
        """
        ...

    def flip(self) -> None:
        """Show the back buffer."""
        ...

    def snapshot(self) -> np.ndarray:
        """The back buffer, (height, width, 3) uint8."""
        ...

    def check_refresh(self) -> float | None:
        """Measure the display's refresh, Hz; None where there is none to measure.

        Raises FoolscanError when it is not the rig's.
        """
        ...

    def close(self) -> None:
        """Close the window."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the journal says of this stage."""
        ...


class NullStage:
    """No screen: for rehearsals without a display, and for tests."""

    holds_flips = False
    keys: Any = None

    def load(self, pictures: Mapping[str, Path]) -> None:
        """Nothing to load."""

    def prepare(self, stills: Iterable[Still]) -> None:
        """Nothing to make ready."""

    def draw(self, still: Still, code: int = 0) -> None:
        """Nothing to draw on."""

    def flip(self) -> None:
        """Nothing to flip."""

    def snapshot(self) -> np.ndarray:
        """An empty picture, (0, 0, 3)."""
        return np.zeros((0, 0, 3), dtype=np.uint8)

    def check_refresh(self) -> float | None:
        """Nothing to measure."""
        return None

    def close(self) -> None:
        """Nothing to close."""

    def facts(self) -> dict[str, Any]:
        """That there was none."""
        return {"kind": "null"}


class HashingStage:
    """Any stage, with the hash of every back buffer kept at its flip: proves what was on the screen in which flip."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.hashes: list[str] = []

    @property
    def keys(self) -> Any:
        """As the stage beneath."""
        return self._stage.keys

    @property
    def holds_flips(self) -> bool:
        """As the stage beneath."""
        return self._stage.holds_flips

    def load(self, pictures: Mapping[str, Path]) -> None:
        """As the stage beneath."""
        self._stage.load(pictures)

    def prepare(self, stills: Iterable[Still]) -> None:
        """As the stage beneath."""
        self._stage.prepare(stills)

    def draw(self, still: Still, code: int = 0) -> None:
        """As the stage beneath."""
        self._stage.draw(still, code)

    def flip(self) -> None:
        """Hash, then flip."""
        self.hashes.append(hash_of(self._stage.snapshot()))
        self._stage.flip()

    def snapshot(self) -> np.ndarray:
        """As the stage beneath."""
        return self._stage.snapshot()

    def check_refresh(self) -> float | None:
        """As the stage beneath."""
        return self._stage.check_refresh()

    def close(self) -> None:
        """As the stage beneath."""
        self._stage.close()

    def facts(self) -> dict[str, Any]:
        """As the stage beneath."""
        return self._stage.facts()


def hash_of(picture: np.ndarray) -> str:
    """SHA-256 of a picture's shape and pixels.

    picture : (height, width, 3) uint8.
    """
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()
