"""The commands of the analysis room: parse, call the importable function, print what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Measure: betas, ROIs, patterns, RDMs, similarity, reports.")

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan (demo, zhang2018) or a file")
]
FolderOption = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")]


@app.callback()
def analysis() -> None:
    """Measure: betas, ROIs, patterns, RDMs, similarity, reports."""
