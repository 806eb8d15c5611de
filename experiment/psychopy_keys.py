"""Keys through PsychoPy: one reader, whose presses go to triggers, responses and the abort key separately."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psychopy import event, logging
from psychopy.hardware.keyboard import Keyboard

from experiment.responses import Press
from experiment.timeline import Row
from experiment.triggers import Pulse

# Two presses of the abort key within this time end a run; one alone never does.
ABORT_WITHIN_S = 1.0


@dataclass(frozen=True)
class KeyPress:
    """One key that went down.

    t_s   : s on the run's clock.
    raw_s : the driver's stamp, s on PsychoPy's clock.
    """

    key: str
    t_s: float
    raw_s: float


class KeyReader:
    """Reads the keyboard and hands each press to whoever asked for that key.

    read : the run's clock.
    """

    def __init__(self, read: Callable[[], float] = time.perf_counter) -> None:
        self._read = read
        self._keyboard = Keyboard()
        # On Windows and macOS keys are muted while another window has the focus: a click of the operator would cost pulses.
        self._keyboard.device.muteOutsidePsychopy = False
        self.backend: str = self._keyboard.getBackend()
        self._queues: list[tuple[frozenset[str], deque[KeyPress]]] = []
        self._seen: deque[tuple[str, float]] = deque(maxlen=64)
        self._last_s = read()

    def presses_of(self, keys: Iterable[str]) -> deque[KeyPress]:
        """A queue that every press of these keys will be put into."""
        mine: deque[KeyPress] = deque()
        self._queues.append((frozenset(keys), mine))
        return mine

    def collect(self) -> None:
        """Take all that was pressed since the last call, keys that are already up again included."""
        found = self._from_event() if self.backend == "event" else self._from_driver()
        now_s, now_raw_s = self._read(), logging.defaultClock.getTime()
        for key, raw_s in sorted(found, key=lambda item: item[1]):
            # The driver's clock may be the computer's date: only the press's age is taken from it, and a press cannot be
            # older than the last look at the keyboard.
            t_s = min(max(now_s - (now_raw_s - raw_s), self._last_s), now_s)
            for keys, mine in self._queues:
                if key in keys:
                    mine.append(KeyPress(key, t_s, raw_s))
        self._last_s = now_s

    def start_over(self) -> None:
        """A new run: whoever asked for keys is gone, and what was pressed before does not count."""
        self._queues.clear()
        self.collect()

    def forget(self) -> None:
        """Drop everything that was pressed up to now."""
        self.collect()
        for _, mine in self._queues:
            mine.clear()

    def _from_driver(self) -> list[tuple[str, float]]:
        # Keys still down and keys up again are two lists, and asking for one hides the other (a short pulse would vanish).
        down = self._keyboard.getKeys(waitRelease=False, clear=True)
        up = self._keyboard.getKeys(waitRelease=True, clear=True)
        found = []
        for press in (*down, *up):
            stamp = (str(press.name), float(press.tDown))
            if stamp not in self._seen:
                self._seen.append(stamp)
                found.append(stamp)
        return found

    def _from_event(self) -> list[tuple[str, float]]:
        # PsychoPy's Keyboard keeps only the first key of each look with this backend: ask underneath it.
        return [(str(key), float(t_s)) for key, t_s in event.getKeys(timeStamped=logging.defaultClock)]


class KeyboardTriggers:
    """Pulses that arrive as presses of one key (also the key by which a participant starts a run at a desk)."""

    def __init__(self, reader: KeyReader, key: str, kind: str = "keyboard") -> None:
        self._reader, self._key, self._kind = reader, key, kind
        self._presses = reader.presses_of([key])

    def start(self, now_s: float) -> None:
        """Presses from now on count; those of other keys are left to whoever asked for them."""
        self._reader.collect()
        self._presses.clear()

    def due_s(self) -> float:
        """Unknown."""
        return math.inf

    def poll(self, now_s: float) -> list[Pulse]:
        """The pulses since the last call."""
        self._reader.collect()
        return [Pulse(press.t_s, press.raw_s) for press in _taken(self._presses)]

    def close(self) -> None:
        """Nothing to give back."""

    def facts(self) -> dict[str, Any]:
        """Key and backend."""
        return {"kind": self._kind, "key": self._key, "backend": self._reader.backend}


class KeyboardResponses:
    """Buttons that arrive as keys.

    keys : abstract button -> key, from the rig.
    """

    def __init__(self, reader: KeyReader, keys: Mapping[str, str]) -> None:
        self._reader = reader
        self._button_of = {key: button for button, key in keys.items()}
        self._presses = reader.presses_of(self._button_of)

    def shown(self, row: Row, onset_s: float) -> None:
        """The participant sees it without being told."""

    def poll(self, now_s: float) -> list[Press]:
        """The presses since the last call."""
        self._reader.collect()
        return [Press(self._button_of[press.key], press.key, press.t_s, press.raw_s) for press in _taken(self._presses)]

    def due_s(self) -> float:
        """Unknown."""
        return math.inf

    def facts(self) -> dict[str, Any]:
        """Keys and backend."""
        keys = {button: key for key, button in self._button_of.items()}
        return {"kind": "keyboard", "keys": keys, "backend": self._reader.backend}


class AbortKey:
    """The key that ends a run when it is pressed twice in a row."""

    def __init__(self, reader: KeyReader, key: str) -> None:
        self._reader, self._key = reader, key
        self._presses = reader.presses_of([key])
        self._before_s = -math.inf

    def stop(self) -> str | None:
        """Why the run shall end, or None."""
        self._reader.collect()
        for press in _taken(self._presses):
            if press.t_s - self._before_s <= ABORT_WITHIN_S:
                return f"{self._key} was pressed twice"
            self._before_s = press.t_s
        return None


def _taken(presses: deque[KeyPress]) -> list[KeyPress]:
    return [presses.popleft() for _ in range(len(presses))]
