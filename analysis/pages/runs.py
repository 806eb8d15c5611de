"""The runs: what the certificates say of timing, pulses and answers, and pictures of the participant's window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.pages.blocks import Block, Cell, Column, Gallery, Page, Shown, Table, Words, section
from analysis.pages.brief import timing_brief
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder, data_address

NAME, TITLE = "runs", "Runs"
SUMMARY = "Whether every run was shown as planned: onsets, pulses, dropped frames, missed answers."
HEADINGS = (
    "run",
    "certified",
    "trials shown",
    "pulses",
    "onset error, median / max",
    "frames dropped",
    "no response",
    "remarks",
)


def sources(contents: Contents) -> list[Path]:
    """The certificates, and pictures of the window."""
    return [*contents.certificate_files, *contents.screenshots] if contents.certificates else []


def page(contents: Contents, figures: FigureFolder) -> Page:
    """A sentence of each kind, and a row per run."""
    columns = tuple(Column(name, text=name in ("run", "remarks"), key=name == "certified") for name in HEADINGS)
    rows = tuple(tuple(Cell(text) for text in _row(item)) for item in contents.certificates)
    blocks: list[Block | None] = [
        Words("\n".join(timing_brief(contents.certificates)), "list"),
        Table(f"Certificates of {len(rows)} runs", columns, rows),
    ]
    pictures = tuple(
        Shown(path.stem, data_address(path), "The participant's window", (), 0, 420, path.stem.replace("_", " "), "")
        for path in contents.screenshots
    )
    if pictures:
        blocks.append(Gallery(pictures))
        blocks.append(Words("The participant’s window, as captured from the display during the runs.", "note"))
    return Page(NAME, TITLE, SUMMARY, (section("Timing", "timing", blocks),))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    def text(name: str) -> str:
        return "–" if item.get(name) is None else str(item[name])

    median, largest = item.get("onset_error_median_s"), item.get("onset_error_max_s")
    return (
        text("run"),
        "yes" if item.get("passed") else "no",
        f"{text('trials_shown')}/{text('trials_planned')}",
        f"{text('pulses_seen')}/{text('pulses_expected')}",
        "–" if median is None or largest is None else f"{1000 * median:.1f} / {1000 * largest:.1f} ms",
        text("frames_dropped"),
        text("missed"),
        "; ".join(item.get("remarks", [])) or "none",
    )
