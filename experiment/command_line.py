"""The commands of the experiment room: parse, call the importable function, print what was written."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from experiment import display_verbs, pulse_verbs
from experiment.operator import verbs

if TYPE_CHECKING:
    from experiment.run import RunResult
    from protocols.folder import RunId
    from protocols.study import Study

app = typer.Typer(no_args_is_help=True, help="Show the images to a participant and log every flip, pulse and key.")
verbs.mount(app)
pulse_verbs.mount(app)
display_verbs.mount(app)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan, or a file")]
FolderOption = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")]
RigOption = Annotated[str, typer.Option("--rig", help="a rig that comes with foolscan (rehearsal, desk), or a file")]
SubOption = Annotated[str, typer.Option("--sub", help="the participant's label, such as 01")]
SesOption = Annotated[str, typer.Option("--ses", help="the session's label, such as 01")]
TaskOption = Annotated[str | None, typer.Option(help="a task of the study; left out: the one that is analysed")]
LanguageOption = Annotated[str | None, typer.Option(help="the participant's language, such as de, in a new session")]
RunOption = Annotated[int, typer.Option("--run", help="the run's number, from 1")]


class StageName(StrEnum):
    """Where a run is shown."""

    window = "window"
    null = "null"


class PaceName(StrEnum):
    """Which frames a simulated clock draws."""

    changes = "changes"
    every = "every"


StageOption = Annotated[StageName, typer.Option(help="a PsychoPy window, or no screen at all")]
PaceOption = Annotated[PaceName, typer.Option(help="simulated clock: draw the frames that change, or every one")]
FaultOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="KIND[=VALUE]",
        help="what shall go wrong (rehearsals; repeat it for more): first-pulse-missed, bounce, jitter, late-start, stop, "
        "drop, button-storm, kill",
    ),
]
HashOption = Annotated[bool, typer.Option("--hash-frames", help="write the hash of every back buffer (rehearsals)")]


@app.command()
def run(
    study: StudyArgument,
    to: FolderOption,
    rig: RigOption,
    sub: SubOption,
    ses: SesOption,
    run: Annotated[int | None, typer.Option("--run", help="the run's number, from 1")] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", help="the run that was aborted, started again; else the next of this visit")
    ] = False,
    task: TaskOption = None,
    stage: StageOption = StageName.window,
    real_time: Annotated[bool, typer.Option("--real-time", help="play a rehearsal by the wall's clock")] = False,
    pace: PaceOption = PaceName.changes,
    screenshots: Annotated[int, typer.Option(help="keep N pictures of the screen (rehearsals)")] = 0,
    hash_frames: HashOption = False,
    fault: FaultOption = None,
    language: LanguageOption = None,
) -> None:
    """Show one run, log it, write its events and certificate.

    Example: foolscan experiment run demo --rig rehearsal --sub 01 --ses 01 --run 1 --to demo-study
    """
    from experiment.faults import faults_of
    from experiment.run import RunAborted
    from experiment.run import run as show
    from protocols.folder import RunId
    from protocols.problems import FoolscanError
    from protocols.rig import load_rig
    from protocols.study import load_study

    faults = faults_of(fault or ())
    loaded = load_study(study)
    if go_on == (run is not None):
        raise FoolscanError("--run, --continue: found both or none; give one of them")
    task = task or loaded.analysis.task
    run_id = _next_run(loaded, to, sub, ses, task) if run is None else RunId(sub, ses, task, run)
    if run_id.run > loaded.design.runs:
        beyond = f"run {run_id.run}: the study has {loaded.design.runs} a session; it is recorded beyond its design"
        typer.echo(f"foolscan: warning: {beyond}", err=True)
    try:
        result = show(
            loaded,
            load_rig(rig),
            to,
            run_id,
            stage=stage.value,
            real_time=real_time,
            pace=pace.value,
            screenshots=screenshots,
            hash_frames=hash_frames,
            faults=faults,
            language=language,
            begun=lambda: typer.echo(f"{run_id.stem}: begun; Ctrl-C, or the abort key twice, ends it"),
            warn=lambda warning: typer.echo(f"foolscan: warning: {warning}", err=True),
        )
    except RunAborted as aborted:
        typer.echo(f"foolscan: {aborted}", err=True)
        raise typer.Exit(130) from None
    _say(result, Console())
    page = result.certificate_file.with_suffix(".html")
    for path in (result.events, result.journal, result.timeline, page, *result.screenshots):
        typer.echo(path)
    if result.frames is not None:
        typer.echo(result.frames)
    if not result.certificate.passed:
        raise typer.Exit(1)


@app.command()
def rehearse(
    study: StudyArgument,
    to: FolderOption,
    rig: RigOption = "rehearsal",
    stage: StageOption = StageName.window,
    pace: PaceOption = PaceName.changes,
    screenshots: Annotated[int, typer.Option(help="keep N pictures of the screen from the first run")] = 5,
    hash_frames: HashOption = False,
    fault: FaultOption = None,
) -> None:
    """Show every run of every subject that is not there yet, with scanner and participants emulated.

    Example: foolscan experiment rehearse demo --to demo-study
    """
    from rich.progress import Progress

    from experiment.attempts import is_done
    from experiment.faults import faults_of
    from experiment.rehearse import rehearse as rehearse_all
    from experiment.rehearse import runs_of
    from experiment.run import RunAborted
    from protocols.folder import StudyFolder
    from protocols.rig import load_rig
    from protocols.study import load_study

    faults = faults_of(fault or ())
    loaded, place = load_study(study), load_rig(rig)
    missing = sum(not is_done(StudyFolder(to), run_id) for run_id in runs_of(loaded, loaded.analysis.task))
    console = Console()
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("runs", total=missing)

        def done(result: RunResult) -> None:
            progress.advance(bar)
            _say(result, console)

        try:
            results = rehearse_all(
                loaded,
                place,
                to,
                stage=stage.value,
                pace=pace.value,
                screenshots=screenshots,
                hash_frames=hash_frames,
                faults=faults,
                done=done,
            )
        except RunAborted as aborted:
            typer.echo(f"foolscan: {aborted}", err=True)
            raise typer.Exit(130) from None
    for path in (path for result in results for path in result.screenshots):
        typer.echo(path)
    if not results:
        console.print("every run is there already")
    if any(not result.certificate.passed for result in results):
        raise typer.Exit(1)


@app.command()
def timeline(
    study: StudyArgument,
    to: FolderOption,
    rig: RigOption,
    sub: SubOption,
    ses: SesOption,
    run: RunOption,
    task: TaskOption = None,
) -> None:
    """Compile the plan of a run, show it as a table and write it, with a picture of it.

    Example: foolscan experiment timeline demo --rig rehearsal --sub 01 --ses 01 --run 1 --to demo-study
    """
    from experiment.plan import plan_run, timeline_table
    from protocols.folder import RunId
    from protocols.rig import load_rig
    from protocols.study import load_study

    loaded = load_study(study)
    planned = plan_run(loaded, load_rig(rig), to, RunId(sub, ses, task or loaded.analysis.task, run))
    Console().print(timeline_table(planned))
    typer.echo(planned.table)
    typer.echo(planned.picture)


@app.command()
def recover(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="the study folder")],
    journal: Annotated[Path | None, typer.Option(help="one journal, such as that of an aborted attempt")] = None,
) -> None:
    """Rebuild the events of runs that were cut off, from their journals.

    Example: foolscan experiment recover demo-study
    """
    from experiment.recover import recover as rebuild

    for recovered in rebuild(folder, journal):
        typer.echo(f"{recovered.events or recovered.journal}: {recovered.note}")


def _next_run(study: Study, to: Path, sub: str, ses: str, task: str) -> RunId:
    """The run with which a visit goes on, said in words; runs that were shown but lack their events get them first."""
    from experiment.attempts import next_run
    from experiment.recover import recover as rebuild
    from protocols.folder import RunId, StudyFolder

    visit = [RunId(sub, ses, task, number) for number in range(1, study.design.runs + 1)]
    upcoming = next_run(StudyFolder(to), visit)
    for journal in upcoming.to_recover:
        for recovered in rebuild(to, journal):
            typer.echo(f"{recovered.events or recovered.journal}: {recovered.note}")
    if upcoming.continues is not None:
        order = "a new order, as trials of the old one were seen" if upcoming.continues.seen else "the same order"
        ended = f"{upcoming.continues.journal.name} ended early ({upcoming.continues.reason})"
        typer.echo(f"{upcoming.run.stem}: started again with {order}; {ended}")
    return upcoming.run


def _say(result: RunResult, console: Console) -> None:
    """One line on how a run went, and what was wrong with it."""
    certificate = result.certificate
    if result.set_aside is not None:
        console.print(
            f"an attempt that had been cut off is kept as {result.set_aside}", highlight=False, soft_wrap=True
        )
    verdict = "[green]passed[/green]" if certificate.passed else "[red]wanting[/red]"
    error_ms = (certificate.onset_error_max_s or 0.0) * 1000
    pulses = (
        f"{certificate.pulses_seen}/{certificate.pulses_expected} pulses, " if certificate.pulses_expected > 1 else ""
    )
    console.print(
        f"{result.run.stem}: {verdict}, {certificate.trials_shown}/{certificate.trials_planned} trials, "
        f"{pulses}{certificate.frames_dropped} frames dropped, "
        f"onsets within {error_ms:.1f} ms of the plan, {certificate.missed} without a response",
        highlight=False,
        soft_wrap=True,
    )
    for remark in certificate.remarks:
        console.print(f"  {remark}", style="red", highlight=False, markup=False, soft_wrap=True)
