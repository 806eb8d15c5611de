"""The commands of the stimuli room: parse, call the importable function, print what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Make the images: regular, adversarial noise, adversarial interference.")

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan, or a file")]
FolderOption = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")]
DeviceOption = Annotated[str, typer.Option(help="auto (a GPU when there is one), cpu, cuda, cuda:1, mps")]


@app.command()
def make(study: StudyArgument, to: FolderOption, device: DeviceOption = "auto") -> None:
    """Make every image set of a study and its manifest; interrupted, the same command goes on.

    Example: foolscan stimuli make demo --to demo-study
    """
    from protocols.problems import WorkWanting
    from protocols.study import load_study
    from stimuli.make import make as make_sets

    with _progress() as tell:
        result = make_sets(load_study(study), to, device, progress=tell)
    typer.echo(result.manifest)
    typer.echo(result.sidecar)
    for name, line in result.summary.items():
        typer.echo(f"{name}: {line}")
    if result.failures:
        raise WorkWanting(result.complaint)


@app.command()
def verify(study: StudyArgument, to: FolderOption, device: DeviceOption = "auto") -> None:
    """Read every image again and compare it with the manifest: file, hash, size, class, confidence, change, criterion.

    Example: foolscan stimuli verify demo --to demo-study
    """
    from protocols.folder import StudyFolder
    from protocols.problems import WorkWanting
    from protocols.study import load_study
    from stimuli.verify import verify as compare

    result = compare(load_study(study), StudyFolder(to), device)
    if result.disagreements:
        n_wrong = len(result.disagreements)
        raise WorkWanting(
            "\n  ".join([f"{n_wrong} disagreements in {result.n_images} images:", *map(str, result.disagreements)])
        )
    typer.echo(
        f"{result.n_images} images: file, hash, size, class, confidence, change and criterion are as the manifest says"
    )
    for name, n_failures in result.expected_failures.items():
        typer.echo(f"{name}: {n_failures} do not meet its criterion, as the study file says that some may not")


@app.command("contact-sheet")
def contact_sheet(study: StudyArgument, to: FolderOption) -> None:
    """Draw each set on one sheet, and every source beside what was made from it.

    Example: foolscan stimuli contact-sheet demo --to demo-study
    """
    from protocols.folder import StudyFolder
    from protocols.study import load_study
    from stimuli.contact_sheet import contact_sheet as draw

    for path in draw(load_study(study), StudyFolder(to)):
        typer.echo(path)


@app.command()
def triptychs(study: StudyArgument, to: FolderOption) -> None:
    """Draw source, adversary and amplified difference of every changed image side by side, and a page of each set.

    Example: foolscan stimuli triptychs demo --to demo-study
    """
    from protocols.folder import StudyFolder
    from protocols.study import load_study
    from stimuli.triptychs import triptychs as draw

    with _progress() as tell:
        pages = draw(load_study(study), StudyFolder(to), told=lambda what, done, n: tell(what, done, n, ""))
    for path in pages:
        typer.echo(path)


@app.command()
def activations(study: StudyArgument, to: FolderOption, device: DeviceOption = "auto") -> None:
    """Save what networks compute for every image, and for the study's reference images, layer by layer (HDF5).

    Example: foolscan stimuli activations demo --to demo-study
    """
    from protocols.folder import StudyFolder
    from protocols.study import load_study
    from stimuli.activations import activations as save

    with _progress() as tell:
        written = save(load_study(study), StudyFolder(to), device, progress=tell)
    for path in written:
        typer.echo(path)


@app.command()
def export(
    study: StudyArgument,
    to: FolderOption,
    rig: Annotated[str, typer.Option("--rig", help="a rig that comes with foolscan (rehearsal, desk), or a file")],
    task: Annotated[str | None, typer.Option(help="the task that gives the size; else the analysed one")] = None,
) -> None:
    """Resample every image once to its exact pixels on a rig's screen.

    Example: foolscan stimuli export demo --rig rehearsal --to demo-study
    """
    from protocols.folder import StudyFolder
    from protocols.rig import load_rig
    from protocols.study import load_study
    from stimuli.export import export as resample

    loaded, place = load_study(study), load_rig(rig)
    with _progress() as tell:
        index = resample(loaded, place, StudyFolder(to), task=task, told=lambda done, n: tell(place.name, done, n, ""))
    typer.echo(index)


@app.command("judge-export")
def judge_export(
    study: StudyArgument,
    to: FolderOption,
    rig: Annotated[str, typer.Option("--rig", help="a rig that comes with foolscan (rehearsal, desk), or a file")],
    task: Annotated[str | None, typer.Option(help="the task that gives the size; else the analysed one")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Ask the network about the exported images: at the rig's pixels, and in its screen's light (needs torch).

    Example: foolscan stimuli judge-export demo --rig rehearsal --to demo-study
    """
    from protocols.doctor import is_installed
    from protocols.folder import StudyFolder
    from protocols.problems import FoolscanError
    from protocols.rig import load_rig
    from protocols.study import load_study

    if not is_installed("torch"):
        raise FoolscanError(
            "judge-export: torch is not installed here; run it where the images were made, or: pip install 'foolscan[stimuli]'"
        )
    from stimuli.judge_export import judge_export as judge

    loaded, place = load_study(study), load_rig(rig)
    with _progress() as tell:
        told = judge(
            loaded, place, StudyFolder(to), device, task=task, told=lambda done, n: tell(place.name, done, n, "")
        )
    typer.echo(told.table)
    typer.echo(told.sidecar)
    typer.echo(f"rig {place.name}: {told.display}")
    for line in told.summary:
        typer.echo(line)


@app.command()
def fragile(
    study: StudyArgument,
    to: FolderOption,
    device: DeviceOption = "auto",
    sample: Annotated[
        int | None, typer.Option(min=2, help="windows drawn of each map, for an estimate; else as the study says")
    ] = None,
    full: Annotated[
        bool | None,
        typer.Option("--full/--estimate", help="look at every window, or estimate; else: on a CUDA GPU every window"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="who computes: local, local:4 (workers), tcp://host:8786 (a Dask scheduler), slurm; else this process"
        ),
    ] = None,
) -> None:
    """Map which windows of pictures networks recognise, and which no longer when they shift or shrink by a pixel or two.

    Example: foolscan stimuli fragile srivastava2019 --to fragile-study
    """
    from rich.console import Console

    from protocols.problems import FoolscanError
    from protocols.study import load_study
    from stimuli.fragile.cluster import executor_of
    from stimuli.fragile.progress import shown
    from stimuli.fragile.run import fragile as map_fragility
    from stimuli.fragile.summary import lines

    if full and sample is not None:
        raise FoolscanError(f"--sample {sample} with --full: found both; a sample is no whole map: give one of them")
    console, loaded = Console(stderr=True), load_study(study)
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    with executor_of(cluster, device, say) as executor, shown(console) as tell:
        result = map_fragility(loaded, to, device, sample=sample, full=full, executor=executor, told=tell)
    for path in result.written:
        typer.echo(path)
    for line in lines(result):
        typer.echo(line)


@app.command("fragile-pictures")
def fragile_pictures(
    study: StudyArgument,
    to: FolderOption,
    picture: Annotated[str | None, typer.Option(help="the one picture that is drawn, by its id; else all")] = None,
) -> None:
    """Draw what a mapping found: maps, confidence, pairs of windows a pixel or two apart, and rates over window sizes.

    Example: foolscan stimuli fragile-pictures srivastava2019 --to fragile-study --picture elephant-0000
    """
    from protocols.folder import StudyFolder
    from protocols.study import load_study
    from stimuli.fragile.pictures import pictures

    with _progress() as tell:
        drawn = pictures(
            load_study(study), StudyFolder(to), picture, told=lambda done, n: tell("pictures", done, n, "")
        )
    for path in drawn.written:
        typer.echo(path)
    for line in drawn.said:
        typer.echo(line)


@app.command("fragile-pairs")
def fragile_pairs(study: StudyArgument, to: FolderOption, device: DeviceOption = "auto") -> None:
    """Export pairs of crops, one recognised and its twin not, as a stimulus set with a manifest and a contact sheet.

    Example: foolscan stimuli fragile-pairs srivastava2019 --to fragile-study
    """
    from protocols.folder import StudyFolder
    from protocols.study import load_study
    from stimuli.fragile.pairs_export import fragile_pairs as export_pairs

    with _progress() as tell:
        exported = export_pairs(
            load_study(study), StudyFolder(to), device, told=lambda done, n: tell("crops", done, n, "")
        )
    for path in exported.written:
        typer.echo(path)
    spread = ", ".join(f"{name} {count}" for name, count in exported.supercategories.items())
    typer.echo(f"{len(exported.crops) // 2} pairs: {spread}")


@app.command("fragile-activations")
def fragile_activations(
    study: StudyArgument,
    to: FolderOption,
    pairs: Annotated[int, typer.Option(min=1, help="how many of the exported pairs")] = 4,
    device: DeviceOption = "auto",
) -> None:
    """Draw the activations of exported pairs layer by layer, and tell how far apart they are in each.

    Example: foolscan stimuli fragile-activations srivastava2019 --to fragile-study --pairs 4
    """
    from protocols.folder import StudyFolder
    from protocols.study import load_study
    from stimuli.fragile.activation_maps import fragile_activations as draw

    with _progress() as tell:
        written = draw(
            load_study(study), StudyFolder(to), device, pairs, told=lambda done, n: tell("pairs", done, n, "")
        )
    for path in written:
        typer.echo(path)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="weights file to write, …/name.safetensors; its card stands beside it")],
    seed: Annotated[int, typer.Option(min=0, help="of the first weights, the order and the changes of pictures")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="threads that compute, and processes that draw")] = 2,
) -> None:
    """Train a PictureNet from nothing but the picture book, as the shipped one was (about a quarter of an hour).

    Example: foolscan stimuli train --out picturenet.safetensors --seed 0
    """
    from stimuli.networks.training import train_picturenet

    command = f"foolscan stimuli train --out {out.name} --seed {seed}"
    with _progress() as tell:
        trained = train_picturenet(
            out, seed, n_threads=threads, command=command, on_progress=lambda what, done, n: tell(what, done, n, "")
        )
    for path in (trained.weights, trained.facts, trained.card):
        typer.echo(path)
    typer.echo(", ".join(f"{split} {100 * share:.1f} %" for split, share in trained.accuracy.items()))


@contextmanager
def _progress() -> Iterator[Callable[..., None]]:
    """Takes a `Progress`, or (what, done, in all, a note), and shows it: a live table on a terminal, lines elsewhere."""
    from rich.console import Console

    from stimuli.progress import Progress
    from stimuli.progress_view import shown

    with shown(Console(stderr=True)) as tell:
        yield lambda told, *counts: tell(Progress(told, *counts[:2]) if counts else told)
