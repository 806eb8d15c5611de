"""Exposures of 100 ms in headless Chromium while the page is busy: what the frames' timestamps, as stored by the server, tell.

200 trials of the real page against the real server; meanwhile a script keeps the page's thread busy for 30 ms of every 100 ms, with
no regard to frames. An exposure is from the first frame with the image to the first without it. `--trials N` makes fewer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from _crowd_server import crop_study, database_of_folder, kept_in
from _record import measure_once
from browser import agree, chromium, served, trial, visiting

from experiment.online import simulated_browser

ASKED_MS, BUSY_MS, OF_MS, TRIALS = 100.0, 30, 100, 200
TARGETS = {
    "trials_with_frame_times": "all",
    "share_within_one_frame": "reported",
}
BUSY = f"""() => {{
  window.busy = {{ms: 0, since: performance.now()}};
  setInterval(() => {{
    const begin = performance.now();
    while (performance.now() < begin + {BUSY_MS}) {{}}
    window.busy.ms += performance.now() - begin;
  }}, {OF_MS});
}}"""
SHARE = "() => window.busy.ms / (performance.now() - window.busy.since)"


def measure(trials: int) -> dict[str, float]:
    """One person, who presses a key whenever the question is there."""
    with tempfile.TemporaryDirectory(prefix="foolscan-online-exposure-") as work:
        more = "  showing: {fixation_s: 0.2, image_s: 0.1}\n  rest_every: null\n"
        design = {"n_pairs": trials, "per_list": 5, "practice": 0, "attention_every": None}
        study, folder = crop_study(Path(work), **design, pairs_of_each=-(-trials // 10), more=more)
        with (
            served(study, folder, recruiters=("lab",)) as listening,
            chromium() as browser,
            visiting(browser) as visitor,
        ):
            page = visitor.page
            page.goto(f"{listening.pages['lab']}?label=01")
            agree(page)
            page.evaluate(BUSY)
            for number in range(1, trials + 1):
                trial(page, number)
                page.keyboard.press("1")
            busy = float(page.evaluate(SHARE))
            end_s = time.monotonic() + 60
            while len(kept_in(database_of_folder(folder)).contents) < trials and time.monotonic() < end_s:
                page.wait_for_timeout(200)
            complaints = list(visitor.complaints)
        shown = [answer["shown"] for answer in kept_in(database_of_folder(folder)).contents.values()]
    if complaints:
        raise RuntimeError(f"the page complained: {complaints[:3]}")
    frame_ms = np.array([one["frame_ms"] for one in shown])
    exposed_ms = np.array([one["offset_ms"] - one["onset_ms"] for one in shown])
    off_ms = exposed_ms - ASKED_MS
    whole = [
        len(one["frames_ms"]) == one["n_frames"] + 1
        and one["frames_ms"][0] == one["onset_ms"]
        and one["frames_ms"][-1] == one["offset_ms"]
        for one in shown
    ]
    return {
        "trials": float(len(shown)),
        "trials_with_frame_times": float(sum(whole)),
        "busy_share": busy,
        "frame_ms": float(np.median(frame_ms)),
        "share_within_half_a_frame": float(np.mean(np.abs(off_ms) <= frame_ms / 2)),
        "share_within_one_frame": float(np.mean(np.abs(off_ms) <= frame_ms)),
        "exposure_median_ms": float(np.median(exposed_ms)),
        "exposure_min_ms": float(exposed_ms.min()),
        "exposure_p95_ms": float(np.percentile(exposed_ms, 95)),
        "exposure_max_ms": float(exposed_ms.max()),
        "trials_with_late_frames": float(sum(one["late_frames"] > 0 for one in shown)),
        "exposures_off_by_more_than_a_frame_without_a_late_frame": float(
            sum(
                abs(off) > frame and one["late_frames"] == 0
                for off, frame, one in zip(off_ms, frame_ms, shown, strict=True)
            )
        ),
    }


def met(figures: Mapping[str, float], trials: int) -> bool:
    """Whether every trial's frames are stored, and none was off without saying so."""
    return (
        figures["trials"] == figures["trials_with_frame_times"] == trials
        and figures["exposures_off_by_more_than_a_frame_without_a_late_frame"] == 0
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=TRIALS)
    trials = parser.parse_known_args()[0].trials
    if simulated_browser.chromium() is None:
        print("needs a Chromium browser", file=sys.stderr)
        raise SystemExit(2)
    what = f"{trials} exposures of {ASKED_MS:g} ms in headless Chromium, the page's thread kept busy for {BUSY_MS} of every {OF_MS} ms"
    raise SystemExit(
        measure_once(__file__, what, TARGETS, lambda: measure(trials), lambda figures: met(figures, trials))
    )
