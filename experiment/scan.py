"""When the scanner's pulses and volumes are, on the timeline's axis: 0 s is the first stored volume."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from protocols.rig import Rig
from protocols.study import ScanProtocol

Per = Literal["volume", "run", "slice"]


@dataclass(frozen=True)
class ScanTimes:
    """The scanner's part of a plan; 0 s is the onset of the first stored volume, as in BIDS.

    tr_s          : repetition time, s.
    first_pulse_s : when the first pulse arrives, s (below 0 when discarded dummies send pulses).
    pulses        : pulses to expect over the whole scan.
    task_start_s  : when the task's lead-in begins, s (after dummies that are stored).
    end_s         : end of the last volume, s; None without a scanner.
    per           : what a pulse stands for.
    slices        : pulses in each TR, 1 unless there is one per slice (or per group of slices taken at once).
    """

    tr_s: float
    first_pulse_s: float
    pulses: int
    task_start_s: float
    end_s: float | None
    per: Per = "volume"
    slices: int = 1

    @property
    def pulse_interval_s(self) -> float:
        """From one pulse to the next, s."""
        return self.tr_s / self.slices

    def volume_at(self, time_s: float) -> int:
        """The stored volume, counted from 0, during which a time on the timeline's axis falls."""
        return math.floor(time_s / self.tr_s + 1e-9)

    def pulse_s(self, number: int) -> float:
        """When the pulse of a number, counted from 0, is due."""
        return self.first_pulse_s + number * self.pulse_interval_s


def scan_times(scan: ScanProtocol, rig: Rig) -> ScanTimes:
    """Pulses and volumes of a scan; dummy volumes make four cases.

    ======  =========  =============  ======================
    pulses  images     first pulse    task starts
    ======  =========  =============  ======================
    sent    discarded  −n·TR          0 (first stored volume)
    silent  discarded  0              0
    sent    stored     0              n·TR
    silent  stored     n·TR           n·TR
    ======  =========  =============  ======================

    scan : the study's scan protocol, with n dummy volumes.
    rig  : what a pulse stands for: one per volume, one per slice, or one for the whole run (then the first pulse is the
           only one). A rig whose run is started by a key has one "pulse", that key, and no volumes.
    """
    if rig.trigger.kind == "start_key":
        return ScanTimes(scan.tr_s, 0.0, 1, 0.0, None)
    dummies_s = scan.dummies.volumes * scan.tr_s
    sent, stored = scan.dummies.pulses == "sent", scan.dummies.images == "stored"
    task_start_s = dummies_s if stored else 0.0
    first_pulse_s = task_start_s - (dummies_s if sent else 0.0)
    per, slices = rig.trigger.per, rig.trigger.slices if rig.trigger.per == "slice" else 1
    volumes = scan.volumes + (scan.dummies.volumes if sent else 0)
    pulses = 1 if per == "run" else volumes * slices
    end_s = task_start_s + scan.volumes * scan.tr_s
    return ScanTimes(scan.tr_s, first_pulse_s, pulses, task_start_s, end_s, per, slices)
