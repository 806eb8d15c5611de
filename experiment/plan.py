"""The plan of a run for people to read, before anything is shown: a table and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiment.attempts import order_number
from experiment.compiler import compile_timeline
from experiment.design_efficiency import Design
from experiment.design_file import design_of_run, write_design
from experiment.timeline import Timeline, timeline_text, write_timeline
from experiment.timeline_picture import COLOURS, OTHER, timeline_picture
from protocols.folder import RunId, StudyFolder, atomic_path, open_folder
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.session import open_session, record_for
from protocols.study import Study


@dataclass(frozen=True)
class PlannedRun:
    """A compiled plan and the files it was written to.

    design : what its order can tell; None without a scanner (see `experiment.design_efficiency`).
    """

    timeline: Timeline
    design: Design | None
    table: Path
    picture: Path


def plan_run(study: Study, rig: Rig, folder: Path | str, run_id: RunId) -> PlannedRun:
    """Compile and write the plan of a run as `run` would; nothing is shown.

    Raises as `compile_timeline` and `read_manifest` do.
    """
    place = StudyFolder(Path(folder))
    stimuli = read_manifest(place)
    open_folder(folder, study.title)
    visit = (run_id.sub, run_id.ses, run_id.task)
    began = place.session_record(run_id.sub, run_id.ses).exists()
    # a plan records nothing: it neither begins a visit nor makes the folder one of a rehearsal or of people's data
    record = (
        open_session(place, study, *visit, rehearsal=rig.rehearsal)
        if began
        else record_for(study, *visit, rehearsal=rig.rehearsal)
    )
    timeline = compile_timeline(study, rig, record, stimuli, run_id, order_number=order_number(place, run_id))
    if place.journal(run_id).exists() and place.timeline(run_id).read_text(encoding="utf-8") != timeline_text(timeline):
        raise FoolscanError(f"{place.timeline(run_id)}: the run was shown with another plan (rig, images?); it is kept")
    table = write_timeline(place, timeline, rig, record)
    write_design(place, study, timeline)
    design = design_of_run(study, timeline)
    picture = table.with_suffix(".png")
    with atomic_path(picture) as temporary:
        timeline_picture(timeline, design).save(temporary, format="PNG")
    return PlannedRun(timeline, design, table, picture)


def timeline_table(planned: PlannedRun) -> Table:
    """The rows of a run as a table for the terminal (80 columns do), with what its order can tell.

    Rows at the participant's own pace stand under the name of their segment and count from its beginning.
    """
    timeline = planned.timeline
    title = f"{timeline.run.stem}: {timeline.length_s:g} s, {timeline.scan.pulses} pulses"
    table = Table(
        title=title, caption=design_words(planned.design), box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
    )
    for name, justify in (
        ("trial", "right"),
        ("onset s", "right"),
        ("frame", "right"),
        ("s", "right"),
        ("vol.", "right"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for name in ("type", "image", "answer"):
        table.add_column(name, overflow="fold")
    segment = ""
    for row in timeline.rows:
        if row.segment != segment:
            segment = row.segment
            table.add_row(*[""] * 6, f"[b]{segment}[/]")
        table.add_row(
            str(row.trial or ""),
            f"{row.onset_s:.3f}",
            str(row.frame),
            f"{row.duration_s:.3f}",
            "" if row.expected_volume is None else str(row.expected_volume),
            f"[{COLOURS.get(row.trial_type, OTHER)}]{row.trial_type}[/]",
            row.stim_id or "",
            row.expected_answer or "",
        )
    return table


def design_words(design: Design | None) -> str:
    """What a plan's order can tell, in one line."""
    if design is None:
        return "no design: no scanner, or too few volumes to tell every image's response"
    return (
        f"design efficiency {design.efficiency:.3g} (images against rest), {design.difference_efficiency:.3g} (between "
        f"images); variance inflation median {median(design.inflation):.2f}, at most {design.inflation.max():.2f}"
    )
