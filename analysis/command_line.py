"""The commands of the analysis room: parse, call the importable function, print what was written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.betas_in.command import import_betas

if TYPE_CHECKING:
    from protocols.folder import StudyFolder
    from protocols.study import Study

app = typer.Typer(no_args_is_help=True, help="Measure: betas, ROIs, patterns, RDMs, similarity, reports.")

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan (demo, zhang2018) or a file")
]
FolderOption = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")]


@app.callback()
def analysis() -> None:
    """Measure: betas, ROIs, patterns, RDMs, similarity, reports."""


@app.command("simulate-bold")
def simulate_bold(study: StudyArgument, to: FolderOption) -> None:
    """Simulate the scanner's images of every run, from a stated truth. Example: foolscan analysis simulate-bold demo --to demo-study"""
    from analysis.simulate_bold import simulate_bold as simulate
    from analysis.truth_files import truth_path
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    folder = StudyFolder(to)
    with _progress() as progress:
        written = simulate(load_study(study), folder, progress)
    _say_written(written, "simulated runs")
    print(f"The stated truth: {truth_path(folder)}")


@app.command()
def betas(
    study: StudyArgument,
    to: FolderOption,
    memory: Annotated[
        float, typer.Option("--memory", metavar="GIB", min=0.05, help="what time series may hold at a time, GiB")
    ] = 1.0,
) -> None:
    """Estimate the betas of every run by a first-level GLM. Example: foolscan analysis betas demo --to demo-study"""
    from analysis.betas import NO_CONFOUNDS, estimate_betas, runs_without_confounds
    from analysis.brain_rdms import missing_runs
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    loaded, folder = load_study(study), StudyFolder(to)
    with _progress() as progress:
        written = estimate_betas(loaded, folder, progress, round(memory * 2**30))
    _say_written(written, "runs' betas")
    for run in runs_without_confounds(loaded, folder):
        _warn(f"{run.stem}: {NO_CONFOUNDS}")
    for told in missing_runs(loaded, folder):
        _warn(told)


app.command("import-betas")(import_betas)


@app.command()
def rois(study: StudyArgument, to: FolderOption) -> None:
    """List the ROI masks of every subject and check them. Example: foolscan analysis rois demo --to demo-study"""
    from rich.table import Table

    from analysis.rois import check_rois
    from protocols.folder import StudyFolder
    from protocols.problems import NotReady
    from protocols.study import load_study

    loaded, folder = load_study(study), StudyFolder(to)
    subjects = list(dict.fromkeys(run.sub for run in folder.runs(loaded.analysis.task)))
    if not subjects:
        raise NotReady(f"{to}: no events of task {loaded.analysis.task} yet; show the runs first")
    checked = check_rois(loaded, folder, subjects)
    table = Table("subject", "ROI", "voxels", "found")
    for item in checked:
        found = "; ".join([item.problem or "fine", *item.notes])
        table.add_row(item.sub, item.roi, "" if item.voxels is None else str(item.voxels), found)
    Console().print(table)
    if any(item.problem for item in checked):
        raise typer.Exit(1)


@app.command()
def rdms(study: StudyArgument, to: FolderOption) -> None:
    """Compute the RDMs of every ROI and network layer. Example: foolscan analysis rdms demo --to demo-study"""
    from analysis.rdms import rdms as compute
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    loaded, folder = load_study(study), StudyFolder(to)
    with _progress() as progress:
        written = compute(loaded, folder, progress)
    _say_written(written, "RDMs")
    _say_warnings(loaded, folder)


@app.command()
def compare(study: StudyArgument, to: FolderOption) -> None:
    """Compare RDMs of different stimulus sets, with intervals. Example: foolscan analysis compare demo --to demo-study"""
    from analysis.compare import compare as compare_rdms
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    loaded, folder = load_study(study), StudyFolder(to)
    with _progress() as progress:
        written = compare_rdms(loaded, folder, progress)
    _say_written(written, "similarities")
    _say_warnings(loaded, folder)


@app.command()
def report(study: StudyArgument, to: FolderOption) -> None:
    """Write the report, one self-contained HTML page, and its figures. Example: foolscan analysis report demo --to demo-study"""
    from analysis.report import report as write_report
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    loaded, folder = load_study(study), StudyFolder(to)
    with _progress() as progress:
        written = write_report(loaded, folder, progress)
    _say_written(written, "pages")
    _say_warnings(loaded, folder)


@app.command()
def behaviour(study: StudyArgument, to: FolderOption) -> None:
    """Tabulate accuracy, d', reaction times and confidence. Example: foolscan analysis behaviour desk --to desk-study"""
    from analysis.behaviour_table import write_behaviour
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    _say_written([write_behaviour(load_study(study), StudyFolder(to))], "tables")


@app.command()
def crops(study: StudyArgument, to: FolderOption) -> None:
    """Tabulate what people recognised online, beside chance. Example: foolscan analysis crops srivastava2019 --to crop-study"""
    from analysis.crops.tables import write_crops_analysis
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    _say_written(write_crops_analysis(load_study(study), StudyFolder(to)), "tables")


@app.command()
def trace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a derived file, such as .../rdms/similarity_brain.tsv")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="the study folder, if FILE is elsewhere")
    ] = None,
) -> None:
    """Print what a derived file was made from, back to the start. Example: foolscan analysis trace .../rdms/similarity_brain.tsv"""
    from analysis.trace import as_text, trace_file

    chain = trace_file(file, to)
    print(as_text(chain))
    if not chain.unchanged:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on the terminal, as the callback that the importable functions take."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _say_written(written: Sequence[Path], what: str) -> None:
    if not written:
        print(f"Nothing to do: all {what} are current.")
    for path in written:
        print(f"wrote {path}")


def _say_warnings(study: Study, folder: StudyFolder) -> None:
    """What to know before quoting a number of the brain, where there is one."""
    from analysis.brain_rdms import warnings_of
    from analysis.rdms import has_betas

    for told in warnings_of(study, folder) if has_betas(folder) else ():
        _warn(told)


def _warn(told: str) -> None:
    print(f"warning: {told}", file=sys.stderr)
