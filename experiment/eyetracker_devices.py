"""The eye trackers that have packages of their own: EyeLink (pylink) and Pupil (pylsl, and zmq for Pupil Remote).

Written from the makers' documentation and tested against stand-ins of the same shape: no tracker was at hand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiment.gaze import NO_GAZE, Gaze
from protocols.problems import FoolscanError
from protocols.rig_display import Display
from protocols.rig_eyetracker import EyeLinkTracker, PupilTracker

LEAVE_OUT = "or leave eye_tracker out of the rig file"
# The Host PC's names are those of DOS.
LONGEST_NAME = 8
# The pause that EyeLink's manual asks for before a recording is stopped, so that the last samples arrive.
LAST_SAMPLES_S = 0.1
REMOTE_ANSWER_MS = 2000
PULL_AT_MOST = 4096


class EyeLinkEyeTracker:
    """An EyeLink: samples by the link, messages into its EDF file.

    plan    : address of the Host PC.
    display : the screen, whose pixels the EyeLink's gaze is in.

    Raises FoolscanError without pylink, and when the Host PC does not answer.
    """

    def __init__(self, plan: EyeLinkTracker, display: Display) -> None:
        try:
            import pylink
        except ImportError as error:
            raise FoolscanError(
                f"eye_tracker: EyeLink needs SR Research's pylink ({error}); install it from their Developers Kit, {LEAVE_OUT}"
            ) from error
        self._pylink: Any = pylink
        self._plan, self._display = plan, display
        self._read: Callable[[], float] = time.perf_counter
        try:
            self._tracker = pylink.EyeLink(plan.address)
        except RuntimeError as error:
            raise FoolscanError(
                f"eye_tracker.address: no EyeLink answers at {plan.address} ({error}); switch the Host PC on, mend the "
                f"address, {LEAVE_OUT}"
            ) from error
        width_px, height_px = display.size_px
        self._tracker.sendCommand(f"screen_pixel_coords = 0 0 {width_px - 1} {height_px - 1}")
        self._file = ""
        self._name = ""
        self._last_ms = -math.inf

    def calibrate(self) -> None:
        """The EyeLink's own set-up screen, in a window of its own, until the operator leaves it."""
        self._pylink.openGraphics(self._display.size_px)
        try:
            self._tracker.doTrackerSetup()
        except RuntimeError as error:
            raise FoolscanError(f"eye_tracker: the set-up was broken off ({error}); run the command again") from error
        finally:
            self._pylink.closeGraphics()

    def start(self, name: str, read: Callable[[], float]) -> None:
        """Open a file on the Host PC and record samples and events into it and over the link."""
        self._name, self._read = name, read
        digits = "".join(filter(str.isdigit, name))
        self._file = f"F{digits[1 - LONGEST_NAME :]}.EDF"
        if self._tracker.openDataFile(self._file) != 0:
            raise FoolscanError(f"eye_tracker: the Host PC opens no file {self._file}; is its disk full?")
        width_px, height_px = self._display.size_px
        self._tracker.sendMessage(f"DISPLAY_COORDS 0 0 {width_px - 1} {height_px - 1}")
        self._tracker.sendMessage(f"RUN {name}")
        if self._tracker.startRecording(1, 1, 1, 1) != 0:
            raise FoolscanError("eye_tracker: the EyeLink does not record; see the Host PC's screen")

    def message(self, text: str, t_s: float) -> None:
        """A message with the time of the event in it, and how long ago that was, in ms, as SR Research's software reads it."""
        ago_ms = round((self._read() - t_s) * 1000)
        self._tracker.sendMessage(f"{-ago_ms} foolscan t={t_s:.6f} {text}")

    def samples(self) -> Gaze:
        """The newest sample, if it is a new one; what came between two looks is in the EyeLink's file."""
        sample = self._tracker.getNewestSample()
        if sample is None or sample.getTime() <= self._last_ms:
            return NO_GAZE
        self._last_ms = sample.getTime()
        eyes = [sample.getLeftEye(), sample.getRightEye()]  # None for the one that is not tracked
        missing = self._pylink.MISSING_DATA
        places = [eye.getGaze() for eye in eyes if eye is not None]
        seen = [place for place in places if missing not in place]
        x_px, y_px = np.mean(seen, axis=0) if seen else (math.nan, math.nan)
        x_deg, y_deg = from_middle_deg(float(x_px), float(y_px), self._display)
        return Gaze(np.array([self._read()]), np.array([x_deg]), np.array([y_deg]))

    def stop(self, folder: Path) -> Path | None:
        """Stop, fetch the EDF file, and let go of the Host PC."""
        time.sleep(LAST_SAMPLES_S)
        self._tracker.stopRecording()
        self._tracker.setOfflineMode()
        self._tracker.closeDataFile()
        path = free_path(folder, self._name, ".edf")
        try:
            self._tracker.receiveDataFile(self._file, str(path))
        except RuntimeError as error:
            raise FoolscanError(
                f"eye_tracker: {self._file} stays on the Host PC ({error}); fetch it by hand to {path}"
            ) from error
        finally:
            self._tracker.close()
        return path

    def facts(self) -> dict[str, Any]:
        """Where it is."""
        return {"kind": "eyelink", "address": self._plan.address}


class PupilEyeTracker:
    """Pupil Capture: gaze from its LSL stream, messages as an LSL stream of markers, recording by Pupil Remote if wanted.

    plan : stream, remote, and what norm_pos means here.

    Raises FoolscanError without pylsl, or when there is no such stream.
    """

    def __init__(self, plan: PupilTracker) -> None:
        try:
            import pylsl
        except ImportError as error:
            raise FoolscanError(f"eye_tracker: Pupil needs pylsl ({error}); pip install pylsl, {LEAVE_OUT}") from error
        self._plan, self._lsl_now = plan, pylsl.local_clock
        self._read: Callable[[], float] = time.perf_counter
        found = pylsl.resolve_byprop("name", plan.stream, timeout=plan.wait_s)
        if not found:
            raise FoolscanError(
                f"eye_tracker.stream: no LSL stream {plan.stream!r} within {plan.wait_s:g} s; start Pupil Capture with its LSL "
                f"plugin, {LEAVE_OUT}"
            )
        self._inlet = pylsl.StreamInlet(found[0])
        channels = _labels_of(self._inlet.info())
        self._confidence = channels.index("confidence")
        self._x, self._y = channels.index("norm_pos_x"), channels.index("norm_pos_y")
        info = pylsl.StreamInfo("foolscan", "Markers", 1, 0, "string", "foolscan-markers")
        self._markers = pylsl.StreamOutlet(info)
        self._remote = None if plan.remote is None else _Remote(plan.remote, plan.remote_port)

    def calibrate(self) -> None:
        """Pupil Capture's calibration, where Pupil Remote is there to start it."""
        if self._remote is not None:
            self._remote.ask("C")

    def start(self, name: str, read: Callable[[], float]) -> None:
        """Begin a recording in Pupil Capture, and forget the gaze up to now."""
        self._read = read
        if self._remote is not None:
            self._remote.ask(f"R {name}")
        self._inlet.pull_chunk(timeout=0.0, max_samples=PULL_AT_MOST)

    def message(self, text: str, t_s: float) -> None:
        """A marker at the event's own time."""
        self._markers.push_sample([f"foolscan t={t_s:.6f} {text}"], self._lsl_now() - (self._read() - t_s))

    def samples(self) -> Gaze:
        """The gaze that the stream has brought, at the times Pupil gave it."""
        rows, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=PULL_AT_MOST)
        if not rows:
            return NO_GAZE
        values = np.asarray(rows, dtype=float)
        behind_s = self._inlet.time_correction()
        t_s = np.asarray(stamps, dtype=float) + behind_s - self._lsl_now() + self._read()
        (across_deg, up_deg), (x0, y0) = self._plan.field_deg, self._plan.centre
        x_deg, y_deg = (values[:, self._x] - x0) * across_deg, (values[:, self._y] - y0) * up_deg
        unseen = values[:, self._confidence] < self._plan.least_confidence
        return Gaze(t_s, np.where(unseen, np.nan, x_deg), np.where(unseen, np.nan, y_deg))

    def stop(self, folder: Path) -> Path | None:
        """End the recording, which stays where Pupil Capture keeps its own."""
        if self._remote is not None:
            self._remote.ask("r")
            self._remote.close()
        self._inlet.close_stream()
        return None

    def facts(self) -> dict[str, Any]:
        """The stream, and what its numbers were taken for."""
        taken_for = {"field_deg": list(self._plan.field_deg), "centre": list(self._plan.centre)}
        return {"kind": "pupil", "stream": self._plan.stream, **taken_for}


class _Remote:
    """Pupil Remote: one request, one answer."""

    def __init__(self, host: str, port: int) -> None:
        try:
            import zmq
        except ImportError as error:
            raise FoolscanError(f"eye_tracker.remote: needs zmq ({error}); pip install pyzmq, {LEAVE_OUT}") from error
        self._where = f"tcp://{host}:{port}"
        self._again: type[Exception] = zmq.Again
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.setsockopt(zmq.RCVTIMEO, REMOTE_ANSWER_MS)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(self._where)

    def ask(self, request: str) -> str:
        """Send one request; FoolscanError when no answer comes."""
        self._socket.send_string(request)
        try:
            return str(self._socket.recv_string())
        except self._again as error:
            raise FoolscanError(
                f"eye_tracker.remote: Pupil Remote at {self._where} does not answer; start it, {LEAVE_OUT}"
            ) from error

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        self._context.term()


def _labels_of(info: Any) -> list[str]:
    """The names of a stream's channels, from its description."""
    labels, channel = [], info.desc().child("channels").child("channel")
    for _ in range(info.channel_count()):
        labels.append(str(channel.child_value("label")))
        channel = channel.next_sibling("channel")
    if not {"confidence", "norm_pos_x", "norm_pos_y"} <= set(labels):
        raise FoolscanError(
            f"eye_tracker.stream: found channels {', '.join(labels)}; expected confidence, norm_pos_x and norm_pos_y, as "
            "Pupil Capture's LSL plugin gives them"
        )
    return labels


def from_middle_deg(x_px: float, y_px: float, display: Display) -> tuple[float, float]:
    """A point on the screen as degrees right of and above its middle, by tangent geometry; NaN stays NaN.

    x_px, y_px : from the top left corner of the screen.
    """
    width_px, height_px = display.size_px
    mm_per_px = display.width_mm / width_px
    right_mm, up_mm = (x_px - (width_px - 1) / 2) * mm_per_px, ((height_px - 1) / 2 - y_px) * mm_per_px
    return (
        math.degrees(math.atan2(right_mm, display.distance_mm)),
        math.degrees(math.atan2(up_mm, display.distance_mm)),
    )


def free_path(folder: Path, name: str, suffix: str) -> Path:
    """A path for a new file of this name; one that exists already is not touched: ``name-2``, ``name-3`` …"""
    folder.mkdir(parents=True, exist_ok=True)
    path, number = folder / f"{name}{suffix}", 2
    while path.exists():
        path, number = folder / f"{name}-{number}{suffix}", number + 1
    return path
