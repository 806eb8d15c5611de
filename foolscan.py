"""The one command: mounts each room's own command line and chains them in a rehearsal."""

from __future__ import annotations

import importlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from protocols.problems import FoolscanError, WorkWanting

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Runs a vision study end to end: [b]stimuli[/b] makes the images, [b]experiment[/b] shows them, [b]analysis[/b] measures.",
)
for _room in ("stimuli", "experiment", "analysis"):
    app.add_typer(importlib.import_module(f"{_room}.command_line").app, name=_room)
app.add_typer(importlib.import_module("experiment.online.command_line").app, name="online")


class PlatformOption(StrEnum):
    """What a stimulus PC runs."""

    windows = "windows"
    linux = "linux"
    macos = "macos"


class PythonOption(StrEnum):
    """The Pythons that PsychoPy runs on."""

    py311 = "3.11"
    py312 = "3.12"


INTERRUPTED = 130  # what typer makes of Ctrl-C, as shells do

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan (demo, zhang2018) or a file")
]
FolderOption = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")]


@app.command()
def check(
    study: StudyArgument,
    rig: Annotated[str | None, typer.Option(help="a rig that comes with foolscan (rehearsal, desk) or a file")] = None,
) -> None:
    """Check a study file, and that it fits a rig; every problem at once. Example: foolscan check demo --rig rehearsal"""
    from protocols.checks import check as cross_check
    from protocols.rig import load_rig
    from protocols.study import load_study
    from stimuli.checks import check as check_images

    console = Console()
    loaded = load_study(study)
    checked = cross_check(loaded, load_rig(rig) if rig else None)
    for note in checked.notes:
        console.print(f"rounded: {note}", style="dim", markup=False, highlight=False)
    problems = [*checked.problems, *check_images(loaded)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if any(not problem.needed for problem in problems):
        raise typer.Exit(2)
    if problems:
        raise typer.Exit(1)
    where = f" on rig {rig}" if rig else ""
    console.print(f"{loaded.name}: fine{where} (content hash {loaded.sha256[:12]})", highlight=False)


@app.command()
def doctor() -> None:
    """Say what this machine can and cannot do, with the remedy for each missing thing. Example: foolscan doctor"""
    from protocols.doctor import table

    findings = [
        finding
        for room in ("protocols", "stimuli", "experiment", "analysis")
        for finding in importlib.import_module(f"{room}.doctor").probes()
    ]
    Console().print(table(findings))


@app.command()
def rehearse(
    study: StudyArgument,
    to: FolderOption,
    online: Annotated[
        bool, typer.Option("--online", help="its task in the browser, with a simulated crowd and one real browser")
    ] = False,
) -> None:
    """Run a whole study with an emulated scanner, observer and brain, or crowd. Example: foolscan rehearse demo --to demo-study"""
    from rehearsal import rehearse as whole_study
    from rehearsal import rehearse_online

    report = rehearse_online(study, to) if online else whole_study(study, to)
    Console().print(f"\nReport: [b]{report}[/b]", highlight=False, soft_wrap=True)


@app.command()
def bundle(
    study: StudyArgument,
    to: FolderOption,
    rig: Annotated[str, typer.Option(help="a rig that comes with foolscan (rehearsal, desk) or a file")],
    out: Annotated[Path | None, typer.Option(metavar="BUNDLE", help="the new folder")] = None,
    platform: Annotated[PlatformOption, typer.Option(help="of the stimulus PC")] = PlatformOption.windows,
    python: Annotated[PythonOption, typer.Option(help="of the stimulus PC")] = PythonOption.py311,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say which packages there would be")] = False,
) -> None:
    """Make one folder that installs and runs a study on a computer without a network.

    Example: foolscan bundle demo --rig rehearsal --to demo-study --out bundle --platform linux
    """
    from stimulus_pc.bundle import bundle as make
    from stimulus_pc.bundle import packages_for
    from stimulus_pc.target import Target

    target, console = Target(platform.value, python.value), Console()
    if dry_run or out is None:
        if not dry_run:
            raise FoolscanError("--out: found nothing; name the new folder, or look with --dry-run")
        wheels, where = packages_for(target), ""
    else:
        made = make(study, rig, to, out, target, told=lambda what: console.print(what, style="dim"))
        wheels, where = made.wheels, f", {made.mib:.0f} MiB: {out}"
    built = f" (built here, from source: {', '.join(wheels.built)})" if wheels.built else ""
    said = f"{len(wheels.files)} wheels for {target.platform}, Python {target.python}{built}{where}"
    console.print(said, highlight=False, soft_wrap=True)
    if not dry_run:
        console.print(f"on the stimulus PC, in that folder: {target.launcher} install.py", highlight=False)


@app.command()
def merge(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="the study folder that comes from the stimulus PC")],
    to: FolderOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False,
) -> None:
    """Bring the runs of another copy of a study folder into this one; nothing that differs is overwritten.

    Example: foolscan merge bundle/study --to demo-study
    """
    from stimulus_pc.merge import merge as bring

    for line in bring(source, to, dry_run=dry_run).lines:
        Console().print(line, highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    """Entry point: a mistake of use is one message and exit status 2, unfinished work is 1, an interruption 130."""
    try:
        app(prog_name="foolscan")
    except WorkWanting as error:
        _say(error)
        sys.exit(1)
    except FoolscanError as error:
        _say(error)
        sys.exit(2)
    except OSError as error:
        _say(of_the_system(error))
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print("\nInterrupted. Run the same command again to go on.", file=sys.stderr)
        raise


def of_the_system(error: OSError) -> FoolscanError:
    """What the operating system refused, as a message: no permission, a full disk, a folder where a file should be."""
    where = f"{error.filename}: " if error.filename else ""
    why = error.strerror or str(error)
    return FoolscanError(f"{where}{why}; check permission, free space and the path, then run the command again")


def _say(error: Exception) -> None:
    print(f"foolscan: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
