"""The commands of the experiment room: parse, call the importable function, print what was written."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Show the images to a participant and log every flip, pulse and key.")


@app.callback()
def experiment() -> None:
    """Show the images to a participant and log every flip, pulse and key."""
