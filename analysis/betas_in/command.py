"""The verb ``import-betas``: options to a request, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Kinds = Literal["nilearn", "spm", "fsl", "glmsingle", "trials4d", "gifti"]


def import_betas(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="a study that comes with foolscan, or a file")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="the study folder")],
    source: Annotated[Path, typer.Option("--from", metavar="PATH", help="file or folder that has the betas")],
    kind: Annotated[Kinds, typer.Option(help="whose format it is")],
    units: Annotated[str, typer.Option(help="of the betas, in words: 'percent signal change'")],
    sub: Annotated[str | None, typer.Option(help="subject")] = None,
    ses: Annotated[str | None, typer.Option(help="session; left out: all")] = None,
    run: Annotated[
        str | None, typer.Option(help="number, or 'all': one model of the session; left out: all runs")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="instead of labels: TSV with sub, ses, run, and path or part")
    ] = None,
    names: Annotated[Path | None, typer.Option(help="TSV with name and stim_id: what conditions stand for")] = None,
    trials: Annotated[Path | None, typer.Option(help="TSV with stim_id for each map, in order")] = None,
    like: Annotated[Path | None, typer.Option(help="glmsingle: an image on the grid of the betas")] = None,
    mask: Annotated[Path | None, typer.Option(help="glmsingle: the mask whose voxels are the rows")] = None,
    mask_order: Annotated[
        Literal["C", "F"] | None, typer.Option(help="C: numpy's order of voxels, F: MATLAB's")
    ] = None,
    vertices: Annotated[tuple[int, int] | None, typer.Option(help="glmsingle: vertices left and right")] = None,
    maps: Annotated[Literal["cope", "pe"] | None, typer.Option(help="fsl: contrasts or parameter estimates")] = None,
    scale: Annotated[float, typer.Option(help="what stored numbers are multiplied by")] = 1.0,
    single_trials: Annotated[
        bool | None, typer.Option("--single-trials/--per-image", help="maps are single trials, or one per image")
    ] = None,
    as_logged: Annotated[bool, typer.Option("--as-logged", help="unlabelled trials are in the logged order")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="write over betas that foolscan estimated")] = False,
) -> None:
    """Import betas of nilearn, SPM, FSL, GLMsingle or others.

    Example: foolscan analysis import-betas demo --from spm/sub-01 --kind spm --units "SPM units" --sub 01 --to demo-study
    """
    import sys

    from analysis.betas_in.glmsingle import Space
    from analysis.betas_in.importing import Request
    from analysis.betas_in.importing import import_betas as import_all
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    request = Request(
        source=source,
        kind=kind,
        units=units,
        scale=scale,
        sub=sub,
        ses=ses,
        run=run,
        table=table,
        names=names,
        trials=trials,
        space=Space(like, mask, mask_order, vertices),
        single_trials=single_trials,
        as_logged=as_logged,
        fsl_maps=maps,
        replace=replace,
    )
    for item in import_all(load_study(study), StudyFolder(to), request):
        for path in item.files:
            print(f"{'wrote' if item.written else 'current'} {path}")
        left = f"; {len(item.left_out)} of the source's maps left out" if item.left_out else ""
        print(f"  {item.maps} maps, checked: {item.checked}{left}")
        for warning in item.warnings:
            print(f"warning: {item.stem}: {warning}", file=sys.stderr)
