"""The commands of the task in the browser: parse, call the importable function, print where everything is."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from experiment.online import closing_verbs, recruiter_verbs, rehearse_verb
from experiment.online.arguments import FolderOption, StudyArgument

if TYPE_CHECKING:
    from experiment.online.serving import Listening

app = typer.Typer(
    no_args_is_help=True, help="Ask people in their browsers: serve the task, recruit, watch, export, verify."
)

INTERRUPTED = 130  # what typer makes of Ctrl-C, as shells do


@app.command()
def serve(
    study: StudyArgument,
    to: FolderOption,
    port: Annotated[int, typer.Option(min=0, max=65535, help="for participants; 0: any that is free")] = 8420,
    operator_port: Annotated[int, typer.Option(min=0, max=65535, help="for the operator's page")] = 8421,
    host: Annotated[
        str,
        typer.Option(help="where participants' requests are taken from; 127.0.0.1: this computer, and a proxy on it"),
    ] = "127.0.0.1",
    operator_host: Annotated[str, typer.Option(help="the same for the operator's page")] = "127.0.0.1",
    trust_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IP", help="a proxy whose X-Forwarded-For is believed, for rate limits (repeat it for more)"
        ),
    ] = None,
    recruiter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="an entrance: link, lab, mturk, mturk_sandbox (repeat it for more; left out: link and lab)",
        ),
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="the address that people see, where a proxy stands in front")
    ] = None,
) -> None:
    """Put the task online until Ctrl-C; started again, it goes on with the same people.

    Example: foolscan online serve srivastava2019 --to study --recruiter link
    """
    from experiment.online.serving import serve as listen
    from protocols.folder import open_folder
    from protocols.study import load_study

    loaded = load_study(study)
    ended = listen(
        loaded,
        open_folder(to, loaded.title, rehearsal=False),
        host=host,
        port=port,
        operator_host=operator_host,
        operator_port=operator_port,
        recruiters=tuple(recruiter or ("link", "lab")),
        trusted_proxies=tuple(trust_proxy or ()),
        public_url=public_url,
        listening=_say,
    )
    typer.echo("ended; every acknowledged answer is in the database")
    if ended == signal.SIGINT:
        raise typer.Exit(INTERRUPTED)


def _say(listening: Listening) -> None:
    """Where everything is."""
    for remark in listening.remarks:
        typer.echo(f"foolscan: warning: {remark}", err=True)
    for name, address in listening.pages.items():
        typer.echo(f"{name + ':':<10} {address}{HINTS.get(name, '')}")
    typer.echo(f"operator:  {listening.operator}")
    typer.echo(f"database:  {listening.database}")
    typer.echo(f"log:       {listening.log}")
    typer.echo("Ctrl-C ends it; started again, it goes on with the same people")


HINTS = {
    "link": "?id=<yours for each person>, or as it is",
    "lab": "?label=<participant>",
    "mturk": " (workers come by HITs: foolscan online --help)",
    "mturk_sandbox": " (workers come by HITs: foolscan online --help)",
}


recruiter_verbs.mount(app)
closing_verbs.mount(app)
rehearse_verb.mount(app)
