"""The commands of the stimuli room: parse, call the importable function, print what was written."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Make the images: regular, adversarial noise, adversarial interference.")


@app.callback()
def stimuli() -> None:
    """Make the images: regular, adversarial noise, adversarial interference."""
