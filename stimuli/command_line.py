"""The commands of the stimuli room: parse, call the importable function, print what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

app = typer.Typer(no_args_is_help=True, help="Make the images: regular, adversarial noise, adversarial interference.")

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan (demo, zhang2018) or a file")
]
FolderOption = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")]
DeviceOption = Annotated[str, typer.Option(help="where the network computes: auto, cpu, cuda, mps")]


@app.callback()
def stimuli() -> None:
    """Make the images: regular, adversarial noise, adversarial interference."""


@app.command()
def make(study: StudyArgument, to: FolderOption, device: DeviceOption = "auto") -> None:
    """Make every image of a study, judged on the saved file; goes on where it was. Example: foolscan stimuli make demo --to demo-study"""
    from protocols.problems import WorkWanting
    from protocols.study import load_study
    from stimuli.make import make as make_images

    with _progress() as told:
        result = make_images(load_study(study), to, device, progress=told)
    print(f"{len(result.stimuli)} images: {result.manifest}")
    if result.complaint:
        raise WorkWanting(result.complaint)


@app.command()
def verify(study: StudyArgument, to: FolderOption, device: DeviceOption = "auto") -> None:
    """Re-read every image and compare it with the manifest. Example: foolscan stimuli verify demo --to demo-study"""
    from protocols.folder import StudyFolder
    from protocols.problems import WorkWanting
    from protocols.study import load_study
    from stimuli.verify import verify as verify_images

    found = verify_images(load_study(study), StudyFolder(to), device)
    if found.disagreements:
        raise WorkWanting(
            "\n".join([f"{len(found.disagreements)} disagreements in {found.n_images} images:", *found.disagreements])
        )
    print(f"{found.n_images} images are what the manifest says: file, size, content, class, confidence")


@app.command("contact-sheet")
def contact_sheet(study: StudyArgument, to: FolderOption) -> None:
    """Draw the sets for a person to look at. Example: foolscan stimuli contact-sheet demo --to demo-study"""
    from protocols.folder import StudyFolder
    from protocols.study import load_study
    from stimuli.contact_sheet import contact_sheet as draw

    for path in draw(load_study(study), StudyFolder(to)):
        print(path)


@app.command()
def activations(study: StudyArgument, to: FolderOption, device: DeviceOption = "auto") -> None:
    """Save what the network computes for every image, layer by layer. Example: foolscan stimuli activations demo --to demo-study"""
    from protocols.folder import StudyFolder
    from protocols.study import load_study
    from stimuli.activations import activations as save

    print(save(load_study(study), StudyFolder(to), device))


@app.command()
def export(
    study: StudyArgument,
    to: FolderOption,
    rig: Annotated[str, typer.Option(help="a rig that comes with foolscan (rehearsal, desk) or a file")],
    task: Annotated[
        str | None, typer.Option(help="the task whose image size counts; left out: the analysed one")
    ] = None,
) -> None:
    """Resample every image, once, to a rig's exact pixels. Example: foolscan stimuli export demo --rig rehearsal --to demo-study"""
    from protocols.folder import StudyFolder
    from protocols.rig import load_rig
    from protocols.study import load_study
    from stimuli.export import export as export_images

    with _progress() as told:
        index = export_images(
            load_study(study), load_rig(rig), StudyFolder(to), task=task, told=lambda done, n: told(rig, done, n, "")
        )
    print(index)


@app.command()
def train(
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="the weights, .safetensors; the model card is written beside them")
    ],
    seed: Annotated[int, typer.Option(min=0, help="another seed is another, independent network")] = 0,
) -> None:
    """Train a PictureNet from scratch on the picture book (about 12 minutes). Example: foolscan stimuli train --out mine.safetensors"""
    from stimuli.networks.training import train_picturenet

    train_picturenet(out, seed)
    print(out)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int, str], None]]:
    """A bar for each thing that is made: told (what, done, in all, a note)."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns) as progress:

        def told(what: str, done: int, n_all: int, note: str) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, note=note)
            progress.update(bars[what], completed=done, total=n_all, note=note)

        yield told
