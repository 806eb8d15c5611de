"""What a photodiode says: through a port of the rig, a sound card, an eye tracker's input, or made up for rehearsals."""

from __future__ import annotations

import math
import queue
import time
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from experiment.port import LOOK_UP_S, Sample
from experiment.ports import Arrived, PortReader, open_port, port_name
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.rig_devices import LslTrigger, SerialTrigger, TcpTrigger
from protocols.rig_photodiode import AudioDiode, EmulatedDiode, EyeLinkDiode

# After a flash, so long the sound card's signal rings, s.
RINGING_S = 0.02


class LightSensor(Protocol):
    """Says when it became light."""

    def poll(self, now_s: float) -> list[float]:
        """When it became light since the last call, s on the clock of the measurement; never blocks.

        Raises FoolscanError when the device is gone.
        """
        ...

    def shown(self, t_s: float, *, lit: bool) -> None:
        """What has just been put on the screen: an emulated sensor sees by it, a real one has eyes of its own."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


class EmulatedSensor:
    """Light that follows every flip by an offset that is stated.

    plan    : offset, spread, and how many flashes come a frame late.
    frame_s : length of a frame, s.
    rng     : where the spread comes from.
    """

    def __init__(self, plan: EmulatedDiode, frame_s: float, rng: np.random.Generator) -> None:
        self._plan, self._frame_s, self._rng = plan, frame_s, rng
        self._due: deque[float] = deque()
        self._lit = False

    def poll(self, now_s: float) -> list[float]:
        """The light up to now."""
        seen = []
        while self._due and self._due[0] <= now_s:
            seen.append(self._due.popleft())
        return seen

    def shown(self, t_s: float, *, lit: bool) -> None:
        """Light follows, where there was none before."""
        if lit and not self._lit:
            late_s = self._frame_s if self._rng.random() < self._plan.missed else 0.0
            self._due.append(t_s + (self._plan.offset_ms + self._rng.normal(0.0, self._plan.sd_ms)) / 1000 + late_s)
        self._lit = lit

    def close(self) -> None:
        """Nothing to give back."""


class PortSensor:
    """A photodiode at a port, whose thread stamps what comes.

    code : what means light; None: whatever comes in.
    """

    def __init__(self, reader: PortReader, code: str | None) -> None:
        self._reader = reader
        self._arrived: deque[Arrived] = reader.queue_of(None if code is None else [code])

    def poll(self, now_s: float) -> list[float]:
        """What the thread has stamped since the last call."""
        seen = [self._arrived.popleft().t_s for _ in range(len(self._arrived))]
        if not seen and self._reader.failure is not None:
            raise FoolscanError(
                f"photodiode: {self._reader.port.name} was lost ({self._reader.failure}); is it plugged in?"
            )
        return seen

    def shown(self, t_s: float, *, lit: bool) -> None:
        """It sees for itself."""

    def close(self) -> None:
        """Close the port."""
        self._reader.close()


class AudioIn:
    """A sound card's input: a crossing of the threshold is a flash.

    plan    : which input, how loud.
    library : the package sounddevice (a test hands in a stand-in).

    Raises ImportError, OSError or ValueError when there is no such input.
    """

    shared = False

    def __init__(self, plan: AudioDiode, library: Any = None) -> None:
        if library is None:
            library = import_module("sounddevice")
        self.name, self._plan = f"sound input {plan.device or '(default)'}", plan
        self._heard: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._below, self._quiet_until_s = True, -math.inf
        self._stream = library.InputStream(
            samplerate=plan.rate_hz, device=plan.device, channels=1, dtype="float32", latency="low", callback=self._take
        )
        self._stream.start()

    def wait(self) -> list[Sample]:
        """The flash that was heard, if one was."""
        try:
            t_s = self._heard.get(timeout=LOOK_UP_S)
        except queue.Empty:
            return []
        return [Sample("edge", time.perf_counter() - t_s)]

    def close(self) -> None:
        """Close the input."""
        self._stream.stop()
        self._stream.close()

    def facts(self) -> dict[str, Any]:
        """The input as the rig gives it."""
        return {"device": self._plan.device, "rate_hz": self._plan.rate_hz, "threshold": self._plan.threshold}

    def _take(self, block: np.ndarray, n: int, times: Any, status: object) -> None:
        """Find crossings in a block; its first sample was converted at a time that the sound system states (or nearly)."""
        stated = times.inputBufferAdcTime
        age_s = times.currentTime - stated if stated else n / self._plan.rate_hz
        first_s = time.perf_counter() - age_s
        loud = (-block[:, 0] if self._plan.falling else block[:, 0]) > self._plan.threshold
        before = np.concatenate([[not self._below], loud[:-1]])
        self._below = not bool(loud[-1])
        for index in np.flatnonzero(loud & ~before):
            t_s = first_s + float(index) / self._plan.rate_hz
            if t_s >= self._quiet_until_s:
                self._heard.put(t_s)
                self._quiet_until_s = t_s + RINGING_S


class EyeLinkInput:
    """The digital input of an EyeLink's Host PC: events of its port, stamped by the tracker.

    plan    : address, bit, direction.
    library : SR Research's pylink (a test hands in a stand-in).

    Raises ImportError without pylink, RuntimeError when the Host PC does not answer.
    """

    shared = False

    def __init__(self, plan: EyeLinkDiode, library: Any = None) -> None:
        if library is None:
            library = import_module("pylink")
        self.name, self._plan, self._input_event = f"EyeLink at {plan.address}", plan, library.INPUTEVENT
        self._tracker = library.EyeLink(plan.address)
        self._tracker.sendCommand("file_event_filter = INPUT")
        self._tracker.sendCommand("link_event_filter = INPUT")
        if self._tracker.startRecording(0, 0, 0, 1) != 0:
            raise OSError("the EyeLink does not record; see the Host PC's screen")
        self._before = not plan.rising

    def wait(self) -> list[Sample]:
        """The changes of the bit to light that have come over the link."""
        end_s = time.perf_counter() + LOOK_UP_S
        found: list[Sample] = []
        while not found and time.perf_counter() < end_s:
            while kind := self._tracker.getNextData():
                if kind == self._input_event:
                    found += self._edges(self._tracker.getFloatData())
            time.sleep(0.0005)
        return found

    def close(self) -> None:
        """Stop the recording and let go of the Host PC."""
        self._tracker.stopRecording()
        self._tracker.close()

    def facts(self) -> dict[str, Any]:
        """The input as the rig gives it."""
        return {"address": self._plan.address, "bit": self._plan.bit}

    def _edges(self, event: Any) -> list[Sample]:
        level = bool(int(event.getData()) >> self._plan.bit & 1)
        changed, self._before = level != self._before, level
        if not changed or level != self._plan.rising:
            return []
        return [Sample("edge", (self._tracker.trackerTime() - event.getTime()) / 1000)]


def open_sensor(rig: Rig, read: Callable[[], float], rng: np.random.Generator) -> LightSensor:
    """The rig's photodiode, open; the caller closes it.

    read : the clock of the measurement.
    rng  : for an emulated one.

    Raises FoolscanError when the rig has none, or it does not open.
    """
    plan = rig.photodiode
    if plan is None:
        example = "photodiode: {kind: serial_line, port: COM3, line: cts}"
        raise FoolscanError(
            f"photodiode: rig {rig.name} does not say where its signal comes in; such as {example} (docs/scanner.md)"
        )
    if isinstance(plan, EmulatedDiode):
        return EmulatedSensor(plan, 1.0 / rig.display.refresh_hz, rng)
    name = plan.kind if isinstance(plan, AudioDiode | EyeLinkDiode) else port_name(plan)
    try:
        if isinstance(plan, AudioDiode):
            return PortSensor(PortReader(AudioIn(plan), read), "edge")
        if isinstance(plan, EyeLinkDiode):
            return PortSensor(PortReader(EyeLinkInput(plan), read), "edge")
        reader = PortReader(open_port(plan), read)
    except Exception as error:  # every driver has its own
        raise FoolscanError(f"photodiode: {name} does not open ({error}); plug it in, or mend the rig file") from error
    if isinstance(plan, SerialTrigger):
        return PortSensor(reader, plan.byte)
    return PortSensor(reader, plan.message if isinstance(plan, LslTrigger | TcpTrigger) else "edge")
