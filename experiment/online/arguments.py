"""What every command of the task in the browser takes first: the study, and the folder of its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan, or a file")]
FolderOption = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")]
