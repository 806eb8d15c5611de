"""Measures when light leaves the display: flashes of the patch, read back by a photodiode, against the flips' stamps."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from experiment.clock import FrameClock, VirtualClock, WallClock
from experiment.drawings import Nothing
from experiment.light_sensors import LightSensor, open_sensor
from experiment.rigging import StageKind, interruptible, opened_stage, stopper
from experiment.stage import Stage
from protocols.problems import FoolscanError, WorkWanting
from protocols.rig import Rig, load_rig
from protocols.rig_photodiode import MeasuredLight
from protocols.study import load_study
from protocols.yaml_edit import put_value
from protocols.yamlfile import SHIPPED, find_file

# Fewer flashes than this cannot show a frame that is missed once in a few hundred.
LEAST_FLASHES = 500
LIT_S = 0.05
# The dark between flashes is drawn anew each time, so that nothing periodic in the computer hides in step with it.
DARK_S = (0.1, 0.2)
# When the sensor saw less than this share of the flashes, it did not look at the patch.
LEAST_SEEN = 0.9


@dataclass(frozen=True)
class Flashes:
    """What was shown and what was seen, s on one clock.

    onsets_s : the stamp of each flip that made the patch light.
    dropped  : frames that passed unseen, as the flips' own stamps tell.
    seen_s   : when the sensor saw it become light.
    """

    onsets_s: tuple[float, ...]
    dropped: int
    seen_s: tuple[float, ...]


@dataclass(frozen=True)
class LightTiming:
    """How light follows the flips.

    offset_ms : from the flip's stamp to the light, median.
    sd_ms     : standard deviation of that over the flashes that were on time.
    worst_ms  : largest distance from the median among those.
    late      : flashes whose light came half a frame or more off the median.
    unseen    : flashes of which the sensor saw nothing.
    surplus   : further onsets of light within one flash (a lamp that is pulsed, or a threshold that is too low).
    """

    flashes: int
    offset_ms: float
    sd_ms: float
    worst_ms: float
    late: int
    unseen: int
    surplus: int
    dropped: int

    @property
    def missed(self) -> int:
        """Flashes that were not in the frame in which the journal would have them."""
        return self.late + self.unseen


def photodiode(
    name_or_path: str | Path,
    flashes: int = LEAST_FLASHES,
    *,
    stage: StageKind | Stage = "window",
    rng: np.random.Generator,
    today: Callable[[], datetime] = lambda: datetime.now(UTC),
    told: Callable[[int, int], None] = lambda done, n: None,
) -> tuple[LightTiming, MeasuredLight]:
    """Flash the patch of a rig's display, read it back, and write what was found into the rig file (``display.measured``).

    name_or_path : the rig's own file: one that comes with foolscan is not written into.
    flashes      : at least `LEAST_FLASHES`.
    stage        : a window, or another that shows the patch.
    rng          : the dark times, and an emulated sensor.
    told         : progress, (flashes done, of all).

    Raises FoolscanError when the rig has no patch or no photodiode, WorkWanting when the flashes were not seen; then the
    file stays as it is.
    """
    path, rig = find_file(name_or_path, "rig"), load_rig(name_or_path)
    _refuse_what_cannot_be(path, rig, flashes)
    emulated = rig.photodiode is not None and rig.photodiode.kind == "emulated"
    study = load_study("demo")  # its background and fixation point: what a run draws, without its images
    with opened_stage(stage, rig, study.tasks[study.analysis.task]) as on:
        hz = rig.display.refresh_hz
        clock: FrameClock = VirtualClock(hz, "every") if emulated else WallClock(hz, held=on.holds_flips)
        if not emulated:
            on.check_refresh()
        with closing(open_sensor(rig, clock.now_s, rng)) as sensor:
            found = flash(on, clock, sensor, rig, flashes, rng, told)
    timing = timing_of(found, hz)
    _refuse_blindness(timing)
    measured = MeasuredLight(
        onset_offset_ms=round(timing.offset_ms, 3),
        sd_ms=round(timing.sd_ms, 3),
        missed=timing.missed,
        flashes=timing.flashes,
        date=today().date().isoformat(),
        method="" if rig.photodiode is None else rig.photodiode.kind,
    )
    put_value(path, ("display", "measured"), measured.model_dump())
    return timing, measured


def _refuse_what_cannot_be(path: Path, rig: Rig, flashes: int) -> None:
    if path.resolve().is_relative_to(SHIPPED):
        raise FoolscanError(
            f"--rig: {path.stem} comes with foolscan, and what is measured belongs to one display; write a rig file of your own "
            f"(extends: {path.stem})"
        )
    if rig.display.patch is None:
        example = "patch: {corner: bottom_right, size_mm: 8.0}"
        raise FoolscanError(f"display.patch: rig {rig.name} has none to flash; put {example} below display")
    if flashes < LEAST_FLASHES:
        raise FoolscanError(f"--flashes: found {flashes}; a frame missed now and then shows in {LEAST_FLASHES} or more")


def flash(
    stage: Stage,
    clock: FrameClock,
    sensor: LightSensor,
    rig: Rig,
    n: int,
    rng: np.random.Generator,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> Flashes:
    """Show flashes of the patch, by the loop and the stamps of a run.

    Raises FoolscanError when the operator ends it, or the sensor is lost.
    """
    hz = rig.display.refresh_hz
    lit, (least, most) = max(1, round(LIT_S * hz)), (max(1, round(dark_s * hz)) for dark_s in DARK_S)
    onsets_s: list[float] = []
    seen_s: list[float] = []
    dropped = 0
    with interruptible() as interrupted, _undisturbed():
        stop = stopper(stage, rig, interrupted)
        sensor.poll(clock.now_s())  # what came before counts no more
        for number in range(n + 1):
            dark = int(rng.integers(least, most + 1))
            for frame in range(dark + (lit if number < n else 0)):  # dark at the end, too: light may take its time
                is_lit = frame >= dark
                stage.draw(Nothing(), number + 1 if is_lit else 0)
                clock.hold()
                stage.flip()
                flip = clock.flipped()
                sensor.shown(flip.t_s, lit=is_lit)
                dropped += flip.lost
                if frame == dark:
                    onsets_s.append(flip.t_s)
                seen_s += sensor.poll(clock.now_s())
                if (reason := stop()) is not None:
                    raise FoolscanError(
                        f"photodiode: ended by {reason} after {len(onsets_s)} flashes; nothing was written"
                    )
            told(min(number + 1, n), n)
    return Flashes(tuple(onsets_s), dropped, tuple(seen_s))


@contextmanager
def _undisturbed() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def timing_of(found: Flashes, refresh_hz: float) -> LightTiming:
    """How light followed the flips; the first light after a flip, and before the next, is its.

    refresh_hz : of the display.
    """
    onsets_s, seen_s = np.array(found.onsets_s), np.sort(np.array(found.seen_s, dtype=float))
    frame_s = 1.0 / refresh_hz
    # A stamp may come after the light: drivers return from the flip when they please, within the frame.
    edges = np.searchsorted(seen_s, np.append(onsets_s - frame_s / 2, np.inf))
    has_light = edges[1:] > edges[:-1]
    offsets_s = seen_s[edges[:-1][has_light]] - onsets_s[has_light]
    middle_s = float(np.median(offsets_s)) if len(offsets_s) else float("nan")
    on_time_s = offsets_s[np.abs(offsets_s - middle_s) < frame_s / 2] - middle_s
    return LightTiming(
        flashes=len(onsets_s),
        offset_ms=middle_s * 1000,
        sd_ms=float(on_time_s.std(ddof=1)) * 1000 if len(on_time_s) > 1 else 0.0,
        worst_ms=float(np.abs(on_time_s).max()) * 1000 if len(on_time_s) else 0.0,
        late=len(offsets_s) - len(on_time_s),
        unseen=int(np.count_nonzero(~has_light)),
        surplus=int(edges[-1] - edges[0] - np.count_nonzero(has_light)),
        dropped=found.dropped,
    )


def _refuse_blindness(timing: LightTiming) -> None:
    seen = timing.flashes - timing.unseen
    if seen < LEAST_SEEN * timing.flashes:
        raise WorkWanting(
            f"photodiode: saw {seen} of {timing.flashes} flashes; nothing was written. Put the diode over the square in the very "
            "corner, shade it, and compare port, code or threshold with the rig file"
        )
    if timing.late > (1 - LEAST_SEEN) * timing.flashes:
        raise WorkWanting(
            f"photodiode: {timing.late} of {timing.flashes} flashes came half a frame or more off; nothing was written. Switch "
            "vertical sync on and other programs off"
        )


def summary(timing: LightTiming) -> Sequence[str]:
    """What was found, in words."""
    lines = [
        f"light comes {timing.offset_ms:.2f} ms after the flip's stamp (SD {timing.sd_ms:.2f} ms, at most "
        f"{timing.worst_ms:.2f} ms off among those on time)",
        f"{timing.missed} of {timing.flashes} flashes missed their frame ({timing.unseen} unseen); {timing.dropped} frames were "
        "dropped, as the flips' own stamps tell",
    ]
    if timing.surplus:
        lines.append(f"{timing.surplus} further onsets of light: a pulsed lamp, or a threshold that is too low?")
    return lines
