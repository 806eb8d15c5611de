"""The commands about the participant's screen: parse, call the importable function, print what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def luminance(
    rig: Annotated[str, typer.Option("--rig", help="a rig that comes with foolscan, or a file")],
    levels: Annotated[int, typer.Option(help="how many grey levels, from black to white")] = 17,
    out: Annotated[Path | None, typer.Option("--out", help="write the table here too, as YAML")] = None,
) -> None:
    """Show grey levels on the whole screen and write down what your photometer reads, as a table for the rig file.

    With a rig that is linearised already, its curve is checked. Have this terminal on another screen than the participant's.

    Example: foolscan experiment luminance --rig my_scanner.yaml
    """
    from experiment.measure_luminance import levels_to_measure, measure
    from protocols.folder import write_text
    from protocols.rig import load_rig

    place, shown = load_rig(rig), levels_to_measure(levels)
    typer.echo(
        f"{len(shown)} levels on screen {place.display.screen}. Let the display warm up, darken the room.", err=True
    )
    found = measure(place, shown, lambda level: float(typer.prompt(f"level {level}: cd/m²", type=float, err=True)))
    if found.through_curve:
        typer.echo(f"furthest from a straight line: {found.furthest_from_straight:.2%} of white minus black")
        return
    typer.echo(found.yaml(), nl=False)
    if out is not None:
        write_text(out, found.yaml())
        typer.echo(out)


def photodiode(
    rig: Annotated[str, typer.Option("--rig", help="the file of your rig")],
    flashes: Annotated[int, typer.Option(help="how often the patch is flashed, at least 500")] = 500,
    null_stage: Annotated[bool, typer.Option("--null-stage", help="no window (emulated photodiode only)")] = False,
) -> None:
    """Flash the photodiode patch, read it back, and write the offset, SD and missed frames of the light into the rig file.

    Example: foolscan experiment photodiode --rig my_scanner.yaml --flashes 500
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from experiment.photodiode import photodiode as measure
    from experiment.photodiode import summary

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("flashes", total=flashes)
        timing, measured = measure(
            rig,
            flashes,
            stage="null" if null_stage else "window",
            rng=np.random.default_rng(),
            told=lambda done, n: progress.update(bar, completed=done, total=n),
        )
    for line in summary(timing):
        typer.echo(line)
    emulated = "" if measured.real else " (emulated: nothing was measured)"
    typer.echo(f"{rig}: display.measured is written{emulated}")


def mount(app: typer.Typer) -> None:
    """Add these commands to the experiment room's."""
    app.command()(luminance)
    app.command()(photodiode)
