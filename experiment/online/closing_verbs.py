"""The commands that close a task in the browser: export, verify, erase; parse, call the importable function, print what was done."""

from __future__ import annotations

from typing import Annotated

import typer

from experiment.online.arguments import FolderOption, StudyArgument

PERSONS_WORD = "identifier by which the recruiter knows the person"


def export(study: StudyArgument, to: FolderOption) -> None:
    """Write what was answered as tables and as BIDS behaviour of every person; again and again, also while it is served.

    Example: foolscan online export srivastava2019 --to srivastava
    """
    from rich.console import Console
    from rich.progress import Progress

    from experiment.online.export import export as write
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("people", total=None)
        done = write(
            load_study(study), StudyFolder(to), lambda number, of: progress.update(bar, completed=number, total=of)
        )
    people, answers = _number(len(done.beh), "person", "people"), _number(done.n_answers, "answer", "answers")
    typer.echo(f"{people}, {answers}; last link of the chain: {done.head or 'none'}", err=True)
    for path in done.removed:
        typer.echo(f"erased: {path}", err=True)
    for path in (done.answers, done.sessions):
        typer.echo(path)
    if done.beh:
        typer.echo(to / "sub-*" / "beh")


def verify(study: StudyArgument, to: FolderOption) -> None:
    """Check over again that no answer was lost, changed or slipped in: counts, chain, seeds, rules, exported files.

    Example: foolscan online verify srivastava2019 --to srivastava
    """
    from experiment.online.verify import verify as check
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    found = check(load_study(study), StudyFolder(to))
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    for finding in found.findings:
        typer.echo(f"{finding.check}: {finding.said}")
    people, answers = (
        _number(found.people, "person", "people"),
        _number(found.answers, "answered trial", "answered trials"),
    )
    counted = f"{people}, {answers}, {found.erased} of them erased"
    if found.findings:
        typer.echo(f"{counted}: {_number(len(found.findings), 'fault', 'faults')}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{counted}: all as it was written")


def erase(
    study: StudyArgument,
    to: FolderOption,
    participant: Annotated[
        str | None, typer.Option(metavar="SUB", help="as exported: sub- and twelve letters and digits")
    ] = None,
    recruiter: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="instead of --participant: then the person's own identifier is asked for"),
    ] = None,
    answers: Annotated[bool, typer.Option("--answers", help="what was answered and told")] = False,
    payment: Annotated[bool, typer.Option("--payment", help="raw identifiers: who it was")] = False,
) -> None:
    """Erase a person's answers, or who it was; tombstones stay, so that the rest can still be verified.

    Example: foolscan online erase srivastava2019 --to srivastava --participant sub-7k2m9x4q1abc --answers --payment
    """
    import time

    from experiment.online.erase import erase as take_out
    from experiment.online.erase import pseudonym_of
    from protocols.folder import StudyFolder
    from protocols.problems import FoolscanError
    from protocols.study import load_study

    loaded, folder = load_study(study), StudyFolder(to)
    if (participant is None) == (recruiter is None):
        raise FoolscanError("--participant, --recruiter: found both or none; give one of them")
    if participant is None:
        raw_id = typer.prompt(
            PERSONS_WORD, err=True
        ).strip()  # asked for: a command line is kept in the shell's history
        participant = pseudonym_of(loaded, folder, recruiter or "", raw_id)
    done = take_out(
        loaded,
        folder,
        participant,
        answers=answers,
        payment=payment,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    if done.answers is not None:
        said = f" and {_number(done.comments, 'comment or notice', 'comments and notices')}" if done.comments else ""
        typer.echo(f"{done.participant}: {_number(done.answers, 'answered trial', 'answered trials')}{said} erased")
    if done.payment is not None:
        typer.echo(
            f"{done.participant}: {'raw identifiers erased' if done.payment else 'there were no raw identifiers'}"
        )
    if done.unused_code:
        typer.echo("their completion code had not been redeemed here, and is void now", err=True)
    if done.exported:
        typer.echo(
            f"exported files still have them; remove them with: foolscan online export {study} --to {to}", err=True
        )


def mount(app: typer.Typer) -> None:
    """Add these commands to the online task's."""
    for verb in (export, verify, erase):
        app.command()(verb)


def _number(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
