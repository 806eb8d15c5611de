"""Lets an eye tracker take part in a run: it hears every event, and its gaze is folded into the journal, row by row."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiment.clock import FrameClock
from experiment.conductor import Log
from experiment.eyetracker import EyeTracker
from experiment.gaze import NO_GAZE, Gaze, joined
from experiment.journal import Record

# Shorter than this, a sample far away is noise of the tracker and no fixation break, s.
LEAST_BREAK_S = 0.1
# Gaze that a tracker has not given this long after a row ended is not waited for, s.
PATIENCE_S = 0.5
# How often the tracker is asked for gaze, s.
LOOK_EVERY_S = 0.02
# Records that the tracker hears of.
TOLD = ("segment", "pulse", "press", "late", "scanner", "fault")


def message_of(record: Record) -> str | None:
    """What the eye tracker is told of a record; None: nothing."""
    kind = record["kind"]
    if kind == "flip" and "shows" in record:
        return f"row {record['row']} {record['shows']}"
    if kind not in TOLD:
        return None
    words = [str(record[name]) for name in ("name", "what", "button", "n", "verdict", "lost") if name in record]
    return " ".join([kind, *words])


@dataclass(frozen=True)
class _Stretch:
    """A row of the timeline that was on the screen from one flip to another."""

    row: int
    on_s: float
    off_s: float


class GazeLog:
    """A log that hands records on at once, and tells an eye tracker of them on a thread of its own.

    log        : where records go.
    tracker    : started already.
    radius_deg : how far from the fixation point is still looking at it.
    threaded   : False under a simulated clock, where everything happens in its own time: the same run gives the same bytes.

    For every row a record of kind ``gaze`` follows: ``row``, ``samples``, ``share_on_fixation`` (of the samples with the eye
    seen; None without any), ``share_lost``, ``breaks``; and one for each break (``what``: ``fixation break``).
    """

    def __init__(self, log: Log, tracker: EyeTracker, radius_deg: float, *, threaded: bool) -> None:
        self._log, self._tracker, self._radius_deg = log, tracker, radius_deg
        self._gaze = NO_GAZE
        self._ended: deque[_Stretch] = deque()
        self._row: int | None = None
        self._row_on_s = 0.0
        self._now_s = 0.0
        self._lost: Exception | None = None
        self._records: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._listen, name="eye tracker", daemon=True) if threaded else None
        if self._thread is not None:
            self._thread.start()

    @property
    def failure(self) -> OSError | None:
        """As the log beneath."""
        return self._log.failure

    def put(self, record: Record) -> None:
        """Hand one record on; the tracker hears of it a moment later."""
        self._log.put(record)
        if self._thread is not None:
            self._records.put(record)
        else:
            self._take(record)
            self._look()

    def close(self) -> None:
        """The run is over: fold what is left."""
        if self._thread is not None:
            self._records.put(None)
            self._thread.join()
        self._look()
        self._end_row(self._now_s)
        self._fold(patient=False)

    def _listen(self) -> None:
        while True:
            try:
                record = self._records.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                self._look()
                continue
            if record is None:
                return
            self._take(record)
            if self._records.empty():
                self._look()

    def _take(self, record: Record) -> None:
        self._now_s = max(self._now_s, float(record.get("t_s", 0.0)))
        text = message_of(record)
        if text is not None:
            self._told(text, self._now_s if "t_s" not in record else float(record["t_s"]))
        if record["kind"] == "flip" and "shows" in record:
            self._end_row(float(record["t_s"]))
            self._row, self._row_on_s = record["row"], float(record["t_s"])

    def _told(self, text: str, t_s: float) -> None:
        if self._lost is None:
            try:
                self._tracker.message(text, t_s)
            except Exception as error:  # every maker's package has its own
                self._lose(error)

    def _look(self) -> None:
        if self._lost is None:
            try:
                gaze = self._tracker.samples()
            except Exception as error:  # as above
                self._lose(error)
            else:
                if len(gaze.t_s):
                    self._gaze = joined(self._gaze, gaze)
        self._fold(patient=True)

    def _lose(self, error: Exception) -> None:
        """A tracker that is lost costs its gaze, not the run."""
        self._lost = error
        self._log.put({"kind": "fault", "t_s": round(self._now_s, 6), "what": f"eye tracker: lost ({error})"})

    def _end_row(self, t_s: float) -> None:
        if self._row is not None and self._row >= 0:
            self._ended.append(_Stretch(self._row, self._row_on_s, t_s))
        self._row = None

    def _fold(self, *, patient: bool) -> None:
        while self._ended:
            row = self._ended[0]
            newest_s = float(self._gaze.t_s[-1]) if len(self._gaze.t_s) else -np.inf
            if patient and newest_s < row.off_s and self._now_s < row.off_s + PATIENCE_S:
                return
            self._ended.popleft()
            for record in gaze_records(row.row, row.on_s, row.off_s, self._gaze, self._radius_deg):
                self._log.put(record)
            rest = self._gaze.t_s >= row.off_s
            self._gaze = Gaze(self._gaze.t_s[rest], self._gaze.x_deg[rest], self._gaze.y_deg[rest])


@contextmanager
def with_gaze(
    log: Log, tracker: EyeTracker | None, radius_deg: float, run: str, clock: FrameClock, folder: Path
) -> Iterator[Log]:
    """The log of a run, through which an eye tracker (if there is one) takes part in it.

    log        : where records go.
    tracker    : calibrated; its recording lasts as long as the block.
    radius_deg : how far from the fixation point is still looking at it.
    run        : the run's name.
    clock      : the run's.
    folder     : where the tracker's own file goes, if it gives one.
    """
    if tracker is None:
        yield log
        return
    tracker.start(run, clock.now_s)
    gaze = GazeLog(log, tracker, radius_deg, threaded=not clock.virtual)
    try:
        yield gaze
    finally:
        gaze.close()
        stamp = {"t_s": round(clock.now_s(), 6)}
        try:
            path = tracker.stop(folder)
        except Exception as error:  # every maker's package has its own; the run itself is safe
            log.put({"kind": "fault", **stamp, "what": f"eye tracker: {error}"})
        else:
            if path is not None:
                log.put({"kind": "gaze", "what": "file", **stamp, "file": path.name})


def gaze_records(row: int, on_s: float, off_s: float, gaze: Gaze, radius_deg: float) -> Iterator[Record]:
    """What the journal says of the gaze while a row was on the screen.

    row         : its index in the timeline.
    on_s, off_s : its flips, s on the run's clock.
    gaze        : samples, of which those from `on_s` to before `off_s` count.
    radius_deg  : how far from the fixation point is still looking at it.
    """
    during = (gaze.t_s >= on_s) & (gaze.t_s < off_s)
    t_s, distance_deg = gaze.t_s[during], gaze.distance_deg[during]
    seen = ~np.isnan(distance_deg)
    away = list(breaks_of(t_s, distance_deg, radius_deg))
    for begin_s, end_s in away:
        times = {"t_s": round(begin_s, 6), "duration_s": round(end_s - begin_s, 6)}
        yield {"kind": "gaze", "what": "fixation break", "row": row, **times}
    yield {
        "kind": "gaze",
        "what": "row",
        "row": row,
        "t_s": round(on_s, 6),
        "samples": len(t_s),
        "share_lost": round(float(1 - seen.mean()), 4) if len(t_s) else None,
        "share_on_fixation": round(float((distance_deg[seen] <= radius_deg).mean()), 4) if seen.any() else None,
        "breaks": len(away),
    }


def breaks_of(t_s: np.ndarray, distance_deg: np.ndarray, radius_deg: float) -> Iterator[tuple[float, float]]:
    """The stretches of at least `LEAST_BREAK_S` in which the eye was seen to look away; (begin, end) in s.

    t_s          : (n,) s, in order.
    distance_deg : (n,) from the fixation point; NaN while the eye is not seen, which ends no break and is none.
    """
    seen = ~np.isnan(distance_deg)
    t_s, far = t_s[seen], distance_deg[seen] > radius_deg
    edges = np.diff(np.concatenate([[0], far.astype(int), [0]]))
    for begin, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        if t_s[end - 1] - t_s[begin] >= LEAST_BREAK_S:
            yield float(t_s[begin]), float(t_s[end - 1])
