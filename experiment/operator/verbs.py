"""The operator's commands: parse, call the importable function, exit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="the study folder")],
    sub: Annotated[str, typer.Option(help="only this participant, such as 01")] = "",
    ses: Annotated[str, typer.Option(help="only this session, such as 01")] = "",
    run: Annotated[int | None, typer.Option(help="only this run, from 1")] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="leave when the run has ended")] = False,
) -> None:
    """Show a run while it lasts, from any terminal; it only reads, and Ctrl-C ends nothing but the view.

    Example: foolscan experiment watch demo-study
    """
    from experiment.operator.watch import watch as follow
    from protocols.problems import FoolscanError

    if not folder.is_dir():
        raise FoolscanError(f"{folder}: found no study folder")
    follow(folder, Console(), sub=sub, ses=ses, run=run, until_end=until_end)


def session(
    context: typer.Context,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan, or a file")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")],
    rig: Annotated[str, typer.Option("--rig", help="a rig that comes with foolscan (rehearsal, desk), or a file")],
    sub: Annotated[str, typer.Option("--sub", help="the participant's label, such as 01")],
    ses: Annotated[str, typer.Option("--ses", help="the session's label, such as 01")],
    task: Annotated[str | None, typer.Option(help="a task of the study; left out: the one that is analysed")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="start all pending runs, one after the other")] = False,
) -> None:
    """Show the session board, start the runs from it, and show each one while it lasts and its certificate at its end.

    What follows -- goes to every run, as in: -- --stage null --real-time

    Example: foolscan experiment session demo --rig rehearsal --sub 01 --ses 01 --to demo-study
    """
    from experiment.operator.session import Visit
    from experiment.operator.session import session as hold
    from protocols.folder import StudyFolder
    from protocols.rig import load_rig
    from protocols.study import load_study

    loaded = load_study(study)
    chosen = task or loaded.analysis.task
    options = tuple(context.args)
    visit = Visit(loaded, study, load_rig(rig), rig, StudyFolder(to), sub, ses, chosen, options)
    outcomes = hold(visit, Console(), yes=yes)
    if "failed" in outcomes:
        raise typer.Exit(2)
    if yes and "aborted" in outcomes:
        raise typer.Exit(130)
    if yes and "wanting" in outcomes:
        raise typer.Exit(1)


def mount(app: typer.Typer) -> None:
    """Add the operator's commands to the experiment room's."""
    app.command()(watch)
    app.command(context_settings={"allow_extra_args": True})(session)
