"""How late a pulse is stamped: 500 pulses of 2 ms each 0.5 s over a pseudo-terminal, while a run is being shown.

The sender is another process with a log of its own; both read the same monotonic clock. The run is a real one (journal,
timeline, 60 frames per second, no screen); its trigger and buttons are one box of state bytes, read by pyserial in a thread.
A pseudo-terminal has no wire: what a USB adapter adds (1 to 16 ms, by its latency timer) is not in these figures. But its
bytes are handed on by an ordinary thread of the kernel, which other programs hold up: `line_*` is what a process that only
reads and stamps finds on a second such line at the same moments. Measure on a computer that does nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from _record import measure_once
from _small_study import fill, small_study

from experiment.journal import read_journal
from experiment.run import run
from protocols.folder import RunId
from protocols.rig import load_rig

SENDER = Path(__file__).with_name("_pulse_sender.py")
PULSES, TR_S, WIDTH_S = 500, 0.5, 0.002
TARGETS = {"median_ms": "<= 1", "max_ms": "<= 10", "lost": "0", "numbered_wrongly": "0"}
RUN = RunId("01", "01", "animals", 1)
RIG = """format: 1
name: box
display: {width_mm: 400.0, distance_mm: 800.0, size_px: [1024, 768], refresh_hz: 60.0, full_screen: false}
trigger: {preset: current_designs_serial, port: PORT}
buttons: {preset: current_designs_serial, port: PORT}
"""


def errors_ms(sent_s: np.ndarray, stamped_s: np.ndarray) -> np.ndarray:
    """Stamp minus sending of each thing sent, ms: (n,), for as many as both sides have."""
    many = min(len(sent_s), len(stamped_s))
    return (stamped_s[:many] - sent_s[:many]) * 1000


def measure() -> dict[str, float]:
    """One run of 250 s, and the two logs of it."""
    with tempfile.TemporaryDirectory() as new:
        place = Path(new)
        # 14 trials of 14 s and their rest: not quite as long as 500 pulses
        study = small_study(place, scan=f"{{tr_s: {TR_S}, volumes: {PULSES}}}", times=7.0)
        log = place / "sent.tsv"
        journal = place / "study" / "sourcedata" / "journals" / f"{RUN.stem}_journal.jsonl"
        arguments = [str(log), str(journal), str(PULSES), str(TR_S), str(WIDTH_S)]
        with subprocess.Popen(
            [sys.executable, str(SENDER), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as sender:
            assert sender.stdin is not None
            assert sender.stdout is not None
            port = sender.stdout.readline().strip()
            rig_file = place / "box.yaml"
            rig_file.write_text(RIG.replace("PORT", port), encoding="utf-8")
            rig = load_rig(rig_file)
            folder = fill(place / "study", study, rig)
            run(study, rig, folder.root, RUN, stage="null")
            sender.stdin.close()
        sent = [line.split("\t") for line in log.read_text(encoding="utf-8").splitlines()]
        bare = [line.split("\t") for line in (place / "sent.tsv.line").read_text(encoding="utf-8").splitlines()]
        found = read_journal(folder.journal(RUN))
    pulses, presses = found.of("pulse"), found.of("press")
    sent_s = {what: np.array([float(t_s) for name, t_s, _ in sent if name == what]) for what in ("pulse", "press")}
    late_ms = errors_ms(sent_s["pulse"], np.array([pulse["t_s"] for pulse in pulses]))
    press_ms = errors_ms(sent_s["press"], np.array([press["t_s"] for press in presses]))
    line_ms = errors_ms(
        np.array([float(again_s) for _, _, again_s in sent]),
        np.array([float(t_s) for bits, t_s in bare if bits != "0"]),
    )
    return {
        "pulses_sent": float(len(sent_s["pulse"])),
        "lost": float(len(sent_s["pulse"]) - len(pulses)),
        "numbered_wrongly": float(sum(pulse["n"] != number for number, pulse in enumerate(pulses))),
        "median_ms": float(np.median(late_ms)),
        "p99_ms": float(np.percentile(late_ms, 99)),
        "max_ms": float(late_ms.max()),
        "line_median_ms": float(np.median(line_ms)),
        "line_p99_ms": float(np.percentile(line_ms, 99)),
        "line_max_ms": float(line_ms.max()),
        "presses_sent": float(len(sent_s["press"])),
        "presses_lost": float(len(sent_s["press"]) - len(presses)),
        "press_median_ms": float(np.median(press_ms)),
        "press_max_ms": float(press_ms.max()),
        "load_average": os.getloadavg()[0],
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether every figure meets its target."""
    return (
        figures["lost"] == 0
        and figures["numbered_wrongly"] == 0
        and figures["pulses_sent"] == PULSES
        and figures["median_ms"] <= 1
        and figures["max_ms"] <= 10
    )


if __name__ == "__main__":
    facts = {"tr_s": TR_S, "pulse_width_s": WIDTH_S, "line": "pseudo-terminal, one process to another"}
    raise SystemExit(measure_once(__file__, str(__doc__).splitlines()[0], TARGETS, measure, met, facts))
