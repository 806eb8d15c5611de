"""The commands on pulses: parse, call the importable function, print, exit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="the study folder")]
SubOption = Annotated[str, typer.Option("--sub", help="the participant's label, such as 01")]
SesOption = Annotated[str, typer.Option("--ses", help="the session's label, such as 01")]
TaskOption = Annotated[str, typer.Option("--task", help="the task's name")]
RunOption = Annotated[int, typer.Option("--run", help="the run's number, from 1")]


def pulses(
    folder: FolderArgument,
    sub: Annotated[str, typer.Option(help="only this participant, such as 01")] = "",
) -> None:
    """Say of every run which pulses came, how the scanner's clock ran, and what missing pulses may mean.

    Example: foolscan experiment pulses demo-study
    """
    from experiment.correct_onsets import pulses_in
    from experiment.pulse_table import pulse_table, sentences

    found = pulses_in(folder, sub)
    console = Console()
    console.print(pulse_table(found))
    for sentence in sentences(found):
        console.print(sentence, style="red", highlight=False, markup=False, soft_wrap=True)
    if any(item.report.hypotheses and item.correction is None for item in found):
        raise typer.Exit(1)


def correct_onsets(
    folder: FolderArgument,
    sub: SubOption,
    ses: SesOption,
    task: TaskOption,
    run: RunOption,
    hypothesis: Annotated[str, typer.Option(help="first-missed or stopped-early")],
    image: Annotated[Path | None, typer.Option(help="the run's BOLD file; left out: the one in the folder")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="yes, it was so")] = False,
) -> None:
    """Rewrite a run's onsets under a hypothesis on missing pulses, if its image file agrees; the old ones are kept.

    Example: foolscan experiment correct-onsets study --sub 01 --ses 01 --task animals --run 2 --hypothesis first-missed
    """
    from experiment.correct_onsets import correct_onsets as correct
    from protocols.folder import RunId

    done = correct(folder, RunId(sub, ses, task, run), hypothesis, image=image, confirmed=confirm)
    typer.echo(f"{done.events}: onsets shifted by {done.correction.shift_s:g} s ({done.correction.hypothesis})")
    for path in (*done.kept, done.record, done.page):
        typer.echo(path)


def listen(
    rig: Annotated[str, typer.Option("--rig", help="a rig that comes with foolscan, or a file")],
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="how long")] = 30.0,
) -> None:
    """Show what the trigger box and the button box of a rig send, and what it means; nothing is recorded.

    Example: foolscan experiment listen --rig my_scanner.yaml
    """
    from experiment.listening import Heard
    from experiment.listening import listen as hear
    from protocols.rig import load_rig

    def say(heard: Heard) -> None:
        since = "" if heard.since_s is None else f"{heard.since_s * 1000:.1f} ms after the last"
        typer.echo(f"{heard.t_s:9.3f} s  {heard.what:8}{heard.meaning}{since}")

    loaded = load_rig(rig)
    typer.echo(f"listening to rig {loaded.name} for {seconds:g} s; Ctrl-C ends it")
    if hear(loaded, seconds, say) == 0:
        typer.echo("nothing came in that the rig gives a meaning", err=True)
        raise typer.Exit(1)


def mount(app: typer.Typer) -> None:
    """Put these commands into the room's."""
    app.command()(listen)
    app.command()(pulses)
    app.command(name="correct-onsets")(correct_onsets)
