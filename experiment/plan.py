"""The plan of a run for people to read, before anything is shown: a table and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from experiment.order import type_transitions
from experiment.timeline import Timeline, compile_timeline, timeline_text, write_timeline
from protocols.folder import RunId, StudyFolder, atomic_path, open_folder
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.session import open_session
from protocols.study import Study

# Colours that stay apart for colour-blind readers (Okabe & Ito 2008).
COLOURS = {"RE": "#0072B2", "AN": "#D55E00", "AI": "#009E73", "blank": "#999999", "rest": "#E5E5E5"}
OTHER = "#CC79A7"
ROW_S = 60.0


@dataclass(frozen=True)
class PlannedRun:
    """A compiled plan and the files it was written to."""

    timeline: Timeline
    table: Path
    picture: Path


def plan_run(study: Study, rig: Rig, folder: Path | str, run_id: RunId) -> PlannedRun:
    """Compile and write the plan of a run as `run` would; nothing is shown.

    Raises as `compile_timeline` and `read_manifest` do.
    """
    place = StudyFolder(Path(folder))
    stimuli = read_manifest(place)
    open_folder(folder, study.title, rehearsal=rig.rehearsal)
    record = open_session(place, study, run_id.sub, run_id.ses, run_id.task, rehearsal=rig.rehearsal)
    timeline = compile_timeline(study, rig, record, stimuli, run_id)
    if place.journal(run_id).exists() and place.timeline(run_id).read_text(encoding="utf-8") != timeline_text(timeline):
        raise FoolscanError(f"{place.timeline(run_id)}: the run was shown with another plan (rig, images?); it is kept")
    table = write_timeline(place, timeline, rig, record)
    picture = table.with_suffix(".png")
    with atomic_path(picture) as temporary:
        timeline_picture(timeline).save(temporary, format="PNG")
    return PlannedRun(timeline, table, picture)


def timeline_table(timeline: Timeline) -> Table:
    """The trials of a run as a table for the terminal."""
    table = Table(title=f"{timeline.run.stem}: {timeline.length_s:g} s, {timeline.scan.pulses} pulses")
    for name, justify in (
        ("trial", "right"),
        ("onset s", "right"),
        ("frame", "right"),
        ("s", "right"),
        ("volume", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("type", "image", "expected answer"):
        table.add_column(name)
    for row in timeline.rows:
        table.add_row(
            str(row.trial or ""),
            f"{row.onset_s:.3f}",
            str(row.frame),
            f"{row.duration_s:.3f}",
            str(row.expected_volume),
            f"[{COLOURS.get(row.trial_type, OTHER)}]{row.trial_type}[/]",
            row.stim_id or "",
            row.expected_answer or "",
        )
    return table


def timeline_picture(timeline: Timeline) -> Image.Image:
    """The plan as a picture: one line per minute, one box per row of the timeline, the type transitions below."""
    begin_s = min(0.0, timeline.scan.first_pulse_s)
    end_s = timeline.scan.first_pulse_s + timeline.length_s
    lines = int((end_s - begin_s) // ROW_S) + 1
    left, top, width, height, gap = 90, 90, 1380, 44, 16
    image = Image.new("RGB", (left + width + 30, top + lines * (height + gap) + 90), "white")
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(17), ImageFont.load_default(12)
    draw.text((left, 16), timeline.run.stem, fill="black", font=ImageFont.load_default(22))
    x: float = left
    for kind in dict.fromkeys(row.trial_type for row in timeline.rows):
        draw.rectangle((x, 54, x + 16, 70), fill=COLOURS.get(kind, OTHER))
        draw.text((x + 22, 51), kind, fill="black", font=font)
        x += 50 + draw.textlength(kind, font=font)
    for line in range(lines):
        y = top + line * (height + gap)
        draw.line((left, y + height, left + width, y + height), fill="#BBBBBB")
        draw.text((16, y + 12), f"{begin_s + line * ROW_S:.0f} s", fill="#444444", font=font)
    for row in timeline.rows:
        _box(
            draw,
            row.onset_s - begin_s,
            row.duration_s,
            COLOURS.get(row.trial_type, OTHER),
            (left, top, width, height, gap),
        )
    for number in range(timeline.scan.pulses):
        minute, second = divmod(timeline.scan.pulse_s(number) - begin_s, ROW_S)
        if minute < lines:
            tick, below = left + width * second / ROW_S, top + int(minute) * (height + gap) + height
            draw.line((tick, below, tick, below + 5), fill="black")
    draw.text((left + width - 200, 52), "small ticks: pulses", fill="#444444", font=small)
    _transitions(draw, timeline, (left, top + lines * (height + gap) + 20), font)
    return image


def _box(draw: ImageDraw.ImageDraw, onset_s: float, duration_s: float, colour: str, box: tuple[int, ...]) -> None:
    left, top, width, height, gap = box
    while duration_s > 1e-9:
        line, second = divmod(onset_s + 1e-9, ROW_S)
        here_s = min(duration_s, ROW_S - second)
        x, y = left + width * second / ROW_S, top + int(line) * (height + gap)
        draw.rectangle((x, y + 6, x + max(1.0, width * here_s / ROW_S - 1), y + height - 2), fill=colour)
        onset_s, duration_s = onset_s + here_s, duration_s - here_s


def _transitions(
    draw: ImageDraw.ImageDraw,
    timeline: Timeline,
    at: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    order = [(row.trial_type, "") if row.stim_id else None for row in timeline.trials]
    counts = type_transitions(order)
    text = "     ".join(f"{before} → {after}: {count}" for (before, after), count in sorted(counts.items()))
    draw.text(at, "How often each type follows each (blank trials left out)", fill="black", font=font)
    draw.text((at[0], at[1] + 30), text.replace("→", "-"), fill="#444444", font=font)
