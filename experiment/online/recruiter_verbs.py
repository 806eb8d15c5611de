"""The commands about recruiting and paying: `foolscan online code`, `foolscan online mturk …`; parse, call, print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiment.online.arguments import FolderOption, StudyArgument

if TYPE_CHECKING:
    from rich.console import Console

    from experiment.online.recruiters.turk_campaign import Campaign, Order
    from experiment.online.recruiters.turk_pay import Paid, Reconciled

mturk = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Recruit and pay on Mechanical Turk; in its sandbox unless --live.",
)

UrlOption = Annotated[
    str, typer.Option("--public-url", metavar="URL", help="where the world reaches the server, https://…")
]
LiveOption = Annotated[bool, typer.Option("--live", help="people and money; without it, Amazon's sandbox")]
CapOption = Annotated[
    float | None,
    typer.Option(
        "--spend-at-most", metavar="USD", min=0, help="that the whole campaign may cost with fees; --live needs it"
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="do not ask")]
PlacesOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="people at most; left out: as many as the lists want")
]
UnseenOption = Annotated[bool, typer.Option("--unseen", help="do not look at the page first")]


def mount(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(code)
    app.add_typer(mturk, name="mturk")


def code(
    study: StudyArgument,
    completion_code: Annotated[str, typer.Argument(metavar="CODE", help="as the person has it")],
    to: FolderOption,
) -> None:
    """Check a completion code, and mark it as used: it is good once. Exit status 1: it is nobody's, or was used before.

    Example: foolscan online code srivastava2019 7QK2-M1ZD-0F9A-X3TB --to study
    """
    from experiment.online.database import connect, readable
    from experiment.online.recruiters.codes import use_code
    from experiment.online.recruiters.turk_console import database_of, now_ms
    from protocols.folder import StudyFolder
    from protocols.problems import WorkWanting
    from protocols.study import load_study

    path = database_of(load_study(study), StudyFolder(to))
    engine = connect(path)
    with readable(path), engine.begin() as connection:
        found = use_code(connection, completion_code, now_ms())
    engine.dispose()
    if found is None:
        raise WorkWanting(f"{completion_code}: no such code; is every letter right, and is it of this study?")
    if found.used_ms is not None:
        raise WorkWanting(
            f"{completion_code}: used before, at {_time(found.used_ms)}, by sub-{found.worker} ({found.recruiter})"
        )
    remark = f"; does not count ({found.excluded_for}), which is no reason not to pay" if found.excluded_for else ""
    typer.echo(f"valid, and used from now on: sub-{found.worker} ({found.recruiter}), {found.state}{remark}")


@mturk.command(name="open")
def open_(
    study: StudyArgument,
    to: FolderOption,
    public_url: UrlOption,
    live: LiveOption = False,
    spend_at_most: CapOption = None,
    places: PlacesOption = None,
    yes: YesOption = False,
    unseen: UnseenOption = False,
) -> None:
    """Open the campaign: HITs of 9 places at most for all people who are wanted. Cut off, it is finished by running it again.

    Example: foolscan online mturk open srivastava2019 --to study --public-url https://study.lab.example
    """
    _place(study, to, public_url, live, spend_at_most, places, yes, unseen, more=False)


@mturk.command(name="top-up")
def top_up(
    study: StudyArgument,
    to: FolderOption,
    public_url: UrlOption,
    live: LiveOption = False,
    spend_at_most: CapOption = None,
    places: PlacesOption = None,
    yes: YesOption = False,
    unseen: UnseenOption = False,
) -> None:
    """Open further HITs for people who are still wanted: after exclusions, drop-outs, or when the first HITs have expired.

    Example: foolscan online mturk top-up srivastava2019 --to study --public-url https://study.lab.example
    """
    _place(study, to, public_url, live, spend_at_most, places, yes, unseen, more=True)


@mturk.command()
def status(study: StudyArgument, to: FolderOption, live: LiveOption = False) -> None:
    """Show the HITs, what is bound, and what was begun and not finished.

    Example: foolscan online mturk status srivastava2019 --to study
    """
    from rich.table import Table

    from experiment.online.recruiters import turk_campaign
    from experiment.online.recruiters.ledger import usd

    with _campaign(study, to, live, alone=False) as campaign:
        table = Table("batch", "HIT", "status", "places", "free", "pending", "submitted", "expires (UTC)")
        for batch in turk_campaign.status(campaign):
            now = batch.now
            counts = (now.places, now.free if now.open else 0, now.pending, batch.submitted)
            table.add_row(str(batch.number), now.hit, now.status, *map(str, counts), f"{now.expires:%Y-%m-%d %H:%M}")
        _console().print(table)
        entries = campaign.ledger.entries()
        approved = sum(entry.action == "approve" and entry.state == "done" for entry in entries)
        bound = usd(campaign.ledger.committed_cents())
        typer.echo(f"{campaign.environment.name}: {bound} bound with fees, {approved} approved")
        typer.echo(f"wanted beyond the places that are open: {turk_campaign.missing_places(campaign)}")
    begun = [f"{entry.action} {entry.about}" for entry in entries if entry.state == "intended"]
    if begun:
        typer.echo(f"begun and not finished, run that command again: {', '.join(begun)}")


@mturk.command()
def watch(
    study: StudyArgument,
    to: FolderOption,
    live: LiveOption = False,
    every: Annotated[float, typer.Option(min=5, metavar="SECONDS", help="how often")] = 60.0,
) -> None:
    """Give the study's qualification to people as they take part, so that no other HIT is offered to them. Ctrl-C ends it.

    Example: foolscan online mturk watch srivastava2019 --to study
    """
    import time

    from experiment.online.recruiters.turk_campaign import qualify_everybody
    from experiment.online.recruiters.turk_client import TurkUnclear

    while True:
        try:
            with _campaign(study, to, live, alone=True) as campaign:
                given, refused = qualify_everybody(campaign)
        except TurkUnclear as unclear:
            typer.echo(f"foolscan: {unclear}", err=True)
        else:
            typer.echo(f"{time.strftime('%H:%M:%S')}: {given} new; {refused} that Amazon refuses (forged ids)")
        time.sleep(every)


@mturk.command()
def close(study: StudyArgument, to: FolderOption, live: LiveOption = False) -> None:
    """End all HITs now. Who has accepted one may finish it, and is paid.

    Example: foolscan online mturk close srivastava2019 --to study
    """
    from experiment.online.recruiters import turk_campaign
    from experiment.online.recruiters.ledger import usd

    with _campaign(study, to, live, alone=True) as campaign:
        ended, cents = turk_campaign.close(campaign)
    typer.echo(f"{campaign.environment.name}: {ended} HITs ended, {usd(cents)} no longer bound")


@mturk.command()
def reconcile(study: StudyArgument, to: FolderOption, live: LiveOption = False) -> None:
    """Hold Amazon's list of submitted work against what was finished here; pays nobody. Exit status 1: there are problems.

    Example: foolscan online mturk reconcile srivastava2019 --to study
    """
    from experiment.online.recruiters import turk_pay

    with _campaign(study, to, live, alone=False) as campaign:
        found = turk_pay.reconcile(campaign)
    _say_found(found)
    if found.troubles:
        raise typer.Exit(1)


@mturk.command()
def approve(
    study: StudyArgument,
    to: FolderOption,
    live: LiveOption = False,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also", metavar="ASSIGNMENT", help="a problem that you have decided to pay (repeat it for more)"
        ),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Pay everybody who has finished here and submitted there, counted or excluded. Nobody is paid twice, and nobody rejected.

    Example: foolscan online mturk approve srivastava2019 --to study
    """
    from experiment.online.recruiters import turk_pay
    from experiment.online.recruiters.ledger import usd
    from experiment.online.recruiters.turk_campaign import qualify_everybody
    from experiment.online.recruiters.turk_hits import reward_with_fee_cents

    with _campaign(study, to, live, alone=True) as campaign:
        found = turk_pay.reconcile(campaign)
        _say_found(found)
        waiting = sum(one.work.status == "Submitted" for one in found.due) + len(set(also or ()))
        cost = usd(waiting * reward_with_fee_cents(campaign.plan))
        if waiting:
            _agree(live, yes, f"approve {waiting} assignments, {cost} with fees")
        paid = turk_pay.approve(campaign, found, also=also or ())
        qualify_everybody(campaign)
    _say_paid("approved", paid)


@mturk.command()
def bonus(
    study: StudyArgument,
    to: FolderOption,
    live: LiveOption = False,
    spend_at_most: CapOption = None,
    yes: YesOption = False,
) -> None:
    """Pay the study's bonus to everybody whose reward was paid. Nobody gets it twice.

    Example: foolscan online mturk bonus srivastava2019 --to study
    """
    from experiment.online.recruiters import turk_pay
    from experiment.online.recruiters.ledger import usd
    from experiment.online.recruiters.turk_hits import bonus_with_fee_cents

    most_cents = _cap(live, spend_at_most)
    with _campaign(study, to, live, alone=True) as campaign:
        found = turk_pay.reconcile(campaign)
        done = {entry.about for entry in campaign.ledger.entries("bonus") if entry.state == "done"}
        waiting = sum(one.worker not in done for one in turk_pay.to_bonus(found))
        cost = usd(waiting * bonus_with_fee_cents(campaign.plan))
        if waiting:
            _agree(live, yes, f"pay {waiting} bonuses, {cost} with fees")
        paid = turk_pay.bonus(campaign, found, most_cents=most_cents)
    _say_paid("bonuses paid", paid)


def _place(
    study: str,
    to: Path,
    public_url: str,
    live: bool,
    spend_at_most: float | None,
    places: int | None,
    yes: bool,
    unseen: bool,
    *,
    more: bool,
) -> None:
    from experiment.online.recruiters import turk_campaign
    from experiment.online.recruiters.turk_console import look_at_page
    from experiment.online.recruiters.turk_hits import page_address

    most_cents = _cap(live, spend_at_most)
    with _campaign(study, to, live, alone=True) as campaign:
        address = page_address(public_url, campaign.environment.name)
        if more:
            turk_campaign.qualify_everybody(campaign)
            turk_campaign.release_expired(campaign)
        order = turk_campaign.order(campaign, more=more, places=places)
        if not order.places:
            typer.echo("nothing is wanted" if more else "open already, or nobody is wanted; `top-up` orders more")
            return
        if not unseen:
            look_at_page(address, campaign.environment.workers_site)
        _say_order(campaign, order, most_cents)
        _agree(live, yes, f"order {order.places} places")
        hits = turk_campaign.place(campaign, order, address, most_cents=most_cents)
    for hit in hits:
        typer.echo(f"{hit.hit}: {hit.places} places until {hit.expires:%Y-%m-%d %H:%M} UTC")
    for kind in dict.fromkeys(hit.hit_type for hit in hits):
        typer.echo(f"{campaign.environment.workers_site}/mturk/preview?groupId={kind}")


@contextmanager
def _campaign(study: str, to: Path, live: bool, *, alone: bool) -> Iterator[Campaign]:
    from experiment.online.recruiters import turk_console
    from protocols.folder import StudyFolder
    from protocols.study import load_study

    loaded, folder = load_study(study), StudyFolder(to)
    with turk_console.campaign(loaded, folder, live=live) as campaign:
        with turk_console.alone(loaded, folder) if alone else nullcontext():
            yield campaign


def _cap(live: bool, spend_at_most: float | None) -> int | None:
    """The cap in US cents; with --live there must be one."""
    from protocols.problems import FoolscanError

    if live and spend_at_most is None:
        raise FoolscanError(
            "--spend-at-most: found nothing; with --live, say what the whole campaign may cost, in US dollars"
        )
    return None if spend_at_most is None else round(spend_at_most * 100)


def _agree(live: bool, yes: bool, what: str) -> None:
    """Ask before money is spent; an end without an answer spends none."""
    if live and not yes:
        typer.confirm(f"{what}, with real money?", abort=True)


def _say_order(campaign: Campaign, order: Order, most_cents: int | None) -> None:
    from experiment.online.recruiters.ledger import usd

    sizes = "+".join(map(str, order.new)) or "none new"
    begun = f", {order.unfinished} places of batches that were begun before" if order.unfinished else ""
    typer.echo(f"{campaign.environment.name}: {order.places} places (HITs of {sizes}){begun}")
    promised = f", and {usd(order.bonus_cents)} in bonuses later" if order.bonus_cents else ""
    cap = "" if most_cents is None else f"; at most {usd(most_cents)}"
    typer.echo(
        f"{usd(order.cents)} with Amazon's fee{promised}; bound before: {usd(campaign.ledger.committed_cents())}{cap}"
    )
    if not campaign.environment.live:
        typer.echo(
            "sandbox: no money, and only the study's own qualification is asked for (countries and earlier work: --live)"
        )


def _say_found(found: Reconciled) -> None:
    from collections import Counter

    excluded = sum(one.excluded_for is not None for one in found.due)
    waiting = sum(one.work.status == "Submitted" for one in found.due)
    typer.echo(
        f"{len(found.due)} assignments in order, {waiting} of them not approved yet; {excluded} of people who do not count, "
        "who are paid all the same"
    )
    for trouble in found.troubles:
        typer.echo(f"problem: {trouble.assignment or '-'} sub-{trouble.worker}: {trouble.kind}: {trouble.said}")
    if found.troubles:
        kinds = Counter(trouble.kind for trouble in found.troubles)
        said = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
        typer.echo(
            f"{said}: neither paid nor rejected; pay with `approve --also ASSIGNMENT` whom you have made sure of"
        )


def _say_paid(what: str, paid: Paid) -> None:
    typer.echo(f"{what}: {paid.now} now, {paid.before} before")
    for worker, why in paid.refused:
        typer.echo(f"refused: sub-{worker}: {why}")
    if paid.refused:
        raise typer.Exit(1)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _time(ms: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
