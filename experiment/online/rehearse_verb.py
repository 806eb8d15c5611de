"""The command that plays a simulated crowd: `foolscan online rehearse`."""

from __future__ import annotations

from typing import Annotated

import typer

from experiment.online.arguments import FolderOption, StudyArgument


def mount(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(rehearse)


def rehearse(
    study: StudyArgument,
    to: FolderOption,
    workers: Annotated[int, typer.Option(min=1, max=100_000, help="simulated people who come")] = 50,
    kinds: Annotated[
        str,
        typer.Option(
            metavar="KIND=SHARE,…",
            help="honest, lapsing, cheat, one_answer, drop_out, withdraw, again, two_ids, reloader, two_tabs, flaky; "
            "left out: some of each",
        ),
    ] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="of the crowd; left out: the study's")] = None,
    browsers: Annotated[
        int, typer.Option(min=0, max=20, help="real headless browsers that do a whole session each (needs Playwright)")
    ] = 0,
) -> None:
    """Play a crowd of simulated people, honest and other, against the real server; everything is marked as simulated.

    Example: foolscan online rehearse crops_demo --to crops-demo --workers 50
    """
    from rich.console import Console

    from experiment.online.simulated_crowd import rehearse as play
    from experiment.online.simulated_people import SHARES, shares_of
    from protocols.folder import open_folder
    from protocols.problems import WorkWanting
    from protocols.study import load_study

    console = Console(highlight=False, soft_wrap=True)
    shares = shares_of(kinds) if kinds else SHARES
    plan = load_study(study)
    folder = open_folder(to, plan.title, rehearsal=True)
    with console.status(f"{workers} simulated people") as status:
        done = play(
            plan,
            folder,
            people=workers,
            shares=shares,
            seed=seed,
            browsers=browsers,
            told=lambda said: status.update(said),
        )
    for (kind, end), count in sorted(done.ends.items()):
        console.print(f"  {count:4d} {kind}: {end}")
    for name, tally in done.counts.items():
        console.print(
            f"list {name}: {tally.counted} of {tally.quota} counted, {tally.excluded} excluded, {tally.withdrawn} withdrawn, "
            f"{tally.active + tally.lapsed} not finished",
            markup=False,
        )
    browsed = f", {done.browsers} real browsers" if done.browsers else ""
    console.print(
        f"{len(done.endings)} simulated people{browsed}, {done.acknowledged} answers acknowledged, {done.hours:.1f} h of theirs in "
        f"{done.seconds:.0f} s"
    )
    if done.oddities:
        raise WorkWanting("the rehearsal met what should not be:\n" + "\n".join(done.oddities))
