"""A campaign on Mechanical Turk: places ordered as HITs of 9 at most, people kept from coming twice, and the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, select

from experiment.online.recruiters.ledger import Entry, Intent, Ledger, usd
from experiment.online.recruiters.turk_client import SANDBOX, Environment, Hit, TurkApi, TurkRefused, TurkUnclear
from experiment.online.recruiters.turk_hits import batches, bonus_with_fee_cents, hit_request, reward_with_fee_cents
from experiment.online.tables import lists, payments, sessions, workers
from protocols.online_plan import TurkPlan
from protocols.problems import FoolscanError

LISTED_MS = 10 * 60_000
"""After which a HIT that Amazon does not list is taken for one that was never made."""


@dataclass(frozen=True)
class Campaign:
    """All that a console needs.

    reading : engine of the task's database that cannot write.
    key     : for pseudonyms.
    """

    study: str
    plan: TurkPlan
    environment: Environment
    api: TurkApi
    ledger: Ledger
    reading: Engine
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Batch:
    """A HIT of the campaign: its number, and what Amazon says of it now."""

    number: int
    entry: Entry
    now: Hit
    submitted: int


@dataclass(frozen=True)
class Order:
    """What is to be made.

    unfinished : places of batches that were begun before and not finished.
    new        : assignments of each new HIT.
    cents      : of all of these, rewards and fees.
    bonus_cents: promised with them, bonuses and fees.
    """

    unfinished: int
    new: tuple[int, ...]
    cents: int
    bonus_cents: int

    @property
    def places(self) -> int:
        """How many people can come by it."""
        return self.unfinished + sum(self.new)


def missing_places(campaign: Campaign) -> int:
    """How many people are still wanted: of all lists, what the counted and the HITs' open places do not fill."""
    counted = (
        select(sessions.c.list_id, func.count().label("n"))
        .where(sessions.c.counted)
        .group_by(sessions.c.list_id)
        .subquery()
    )
    rows = select(lists.c.quota, func.coalesce(counted.c.n, 0)).join_from(
        lists, counted, lists.c.list_id == counted.c.list_id, isouter=True
    )
    with campaign.reading.begin() as connection:
        wanted = sum(max(0, quota - n) for quota, n in connection.execute(rows))
    for entry in _made(campaign):
        hit = campaign.api.hit(entry.answer["hit"])
        wanted -= hit.pending + (hit.free if hit.open else 0)
    return max(0, wanted)


def order(campaign: Campaign, *, more: bool, places: int | None = None) -> Order:
    """What opening (or topping up) would make; nothing is written.

    more   : False: the first batches alone, or those of them that were not finished.
    places : at most so many new ones; None: as many as are missing.
    """
    entries = campaign.ledger.entries("create_hit")
    unfinished = sum(_places(entry) for entry in entries if entry.state == "intended")
    new: list[int] = []
    if more or not entries or any(entry.state == "failed" for entry in entries):  # what was refused is ordered anew
        missing = missing_places(campaign) - unfinished
        new = batches(missing if places is None else min(missing, places))
    total = unfinished + sum(new)
    return Order(
        unfinished,
        tuple(new),
        total * reward_with_fee_cents(campaign.plan),
        total * bonus_with_fee_cents(campaign.plan),
    )


def place(campaign: Campaign, wanted: Order, address: str, *, most_cents: int | None) -> list[Hit]:
    """Make what was ordered; begun before, it is finished.

    address    : of the page, https.
    most_cents : that the whole campaign may cost, rewards, bonuses and fees; None: no cap.

    Returns the HITs that were made. Raises OverCap, or FoolscanError where the account has less; then nothing was made.
    """
    _refuse_sandbox_people(campaign)
    unit = reward_with_fee_cents(campaign.plan)
    begun = _begun(campaign)
    for entry in begun:
        if entry.cents != _places(entry) * unit:
            raise FoolscanError(
                f"online.mturk.reward_usd: batch {entry.about} was begun for {usd(entry.cents)}, and would now be "
                f"{usd(_places(entry) * unit)}; set it back until that batch is finished, or `foolscan online mturk close` first"
            )
    first = 1 + max((int(entry.about) for entry in campaign.ledger.entries("create_hit")), default=0)
    intents = [Intent("create_hit", entry.about, entry.cents) for entry in begun]
    intents += [
        Intent("create_hit", str(first + n), size * unit, {"places": size}) for n, size in enumerate(wanted.new)
    ]
    if not intents:
        return []
    refuse_low_balance(campaign, sum(intent.cents for intent in intents))
    promised = _promised_cents(campaign) + sum(wanted.new) * bonus_with_fee_cents(campaign.plan)
    entries = campaign.ledger.intend(intents, most_cents=None if most_cents is None else most_cents - promised)
    qualification = study_qualification(campaign)
    return [_make(campaign, entry, address, qualification) for entry in entries if entry.state != "done"]


def study_qualification(campaign: Campaign) -> str:
    """The id of that which everybody gets who took part; made the first time."""
    (entry,) = campaign.ledger.intend([Intent("create_qualification", "study")])
    if entry.state == "done":
        return str(entry.answer["qualification"])
    name = f"Took part: {campaign.study} ({entry.token[:12]})"  # names are unique with Amazon: by it a lost answer is found
    made = None if entry.fresh else campaign.api.find_qualification(name)
    if made is None:
        try:
            made = campaign.api.create_qualification(name, "Given to everybody who has taken part in this study.")
        except TurkRefused as refused:
            made = campaign.api.find_qualification(name)
            if made is None:
                _note_refused(campaign, entry, refused)
                raise
    campaign.ledger.done(entry, {"qualification": made})
    return made


def qualify_everybody(campaign: Campaign) -> tuple[int, int]:
    """Give the study's qualification to everybody who took part and has not got it: (given now, refused in all).

    Who is refused (there is no such worker: the id was forged) is not tried again.
    """
    with campaign.reading.begin() as connection:
        who = select(payments.c.worker, payments.c.raw_id).join_from(
            payments, workers, payments.c.worker == workers.c.worker
        )
        known = connection.execute(
            who.where(workers.c.recruiter == campaign.environment.name, payments.c.raw_id.is_not(None))
        ).all()
    tried = {entry.about: entry.state for entry in campaign.ledger.entries("qualify")}
    refused = sum(state == "failed" for state in tried.values())
    todo = [(worker, raw_id) for worker, raw_id in known if tried.get(worker) in (None, "intended")]
    if not todo:
        return 0, refused
    qualification = study_qualification(campaign)
    entries = campaign.ledger.intend([Intent("qualify", worker) for worker, _ in todo])
    given = 0
    for entry, (_, raw_id) in zip(entries, todo, strict=True):
        try:
            campaign.api.qualify(qualification, raw_id)
        except TurkRefused as no:
            campaign.ledger.failed(entry, no.code)
            refused += 1
        else:
            campaign.ledger.done(entry)
            given += 1
    return given, refused


def status(campaign: Campaign) -> list[Batch]:
    """The campaign's HITs as Amazon has them now."""
    return [
        Batch(
            int(entry.about),
            entry,
            campaign.api.hit(entry.answer["hit"]),
            len(campaign.api.assignments(entry.answer["hit"])),
        )
        for entry in _made(campaign)
    ]


def close(campaign: Campaign) -> tuple[int, int]:
    """End all HITs: (HITs that were ended now, US cents that are no longer bound). Who has accepted one may finish and is paid.

    Raises TurkUnclear, with all others ended, where a HIT may have been made that Amazon does not list yet.
    """
    unclear = []
    for entry in _begun(campaign):
        found = campaign.api.find_hit(entry.token)
        if found is not None:
            _note_made(campaign, entry, found)
        elif campaign.ledger.now_ms() - entry.created_ms < LISTED_MS:
            unclear.append(entry.about)
        else:
            campaign.ledger.failed(entry, "never made; the campaign was closed")
    ended = _end(campaign, _made(campaign))
    if unclear:
        raise TurkUnclear(
            f"batch {', '.join(unclear)}: begun a moment ago; Amazon may have it and not list it yet. All others are ended; "
            f"run the same command in {LISTED_MS // 60_000} minutes"
        )
    return ended


def release_expired(campaign: Campaign) -> int:
    """Note the places of HITs that have ended by themselves as no longer bound, US cents."""
    return _end(campaign, [entry for entry in _made(campaign) if not campaign.api.hit(entry.answer["hit"]).open])[1]


def batch_hits(campaign: Campaign) -> list[str]:
    """Amazon's ids of the campaign's HITs."""
    return [str(entry.answer["hit"]) for entry in _made(campaign)]


def _end(campaign: Campaign, made: Sequence[Entry]) -> tuple[int, int]:
    ended = released_cents = 0
    for entry, end in zip(made, campaign.ledger.intend([Intent("expire", entry.about) for entry in made]), strict=True):
        if end.state == "done":
            continue
        campaign.api.expire(entry.answer["hit"])
        now, submitted = campaign.api.hit(entry.answer["hit"]), len(campaign.api.assignments(entry.answer["hit"]))
        left = max(0, now.places - now.pending - submitted)
        cents = left * (entry.cents // _places(entry))
        campaign.ledger.done(end, {"places": left}, cents=-cents)
        ended, released_cents = ended + 1, released_cents + cents
    return ended, released_cents


def _make(campaign: Campaign, entry: Entry, address: str, qualification: str) -> Hit:
    hit = None if entry.fresh else campaign.api.find_hit(entry.token)
    if hit is None:
        live = campaign.environment.live
        request = hit_request(campaign.plan, address, qualification, _places(entry), entry.token, live=live)
        try:
            hit = campaign.api.create_hit(request)
        except TurkRefused as refused:  # the token may be known already: the call took place, and its answer was lost
            hit = campaign.api.find_hit(entry.token)
            if hit is None:
                _note_refused(campaign, entry, refused)
                raise
    _note_made(campaign, entry, hit)
    return hit


def _note_made(campaign: Campaign, entry: Entry, hit: Hit) -> None:
    campaign.ledger.done(entry, {"hit": hit.hit, "hit_type": hit.hit_type})


def _note_refused(campaign: Campaign, entry: Entry, refused: TurkRefused) -> None:
    if "already" in refused.code.lower():  # it is there, but Amazon's lists are behind
        raise TurkUnclear(
            f"{entry.action} {entry.about}: made a moment ago, and not listed yet; run the same command in a minute"
        )
    campaign.ledger.failed(entry, refused.code)


def _refuse_sandbox_people(campaign: Campaign) -> None:
    if not campaign.environment.live:
        return
    rows = select(func.count()).select_from(workers).where(workers.c.recruiter == SANDBOX.name)
    with campaign.reading.begin() as connection:
        n = connection.execute(rows).scalar_one()
    if n:
        raise FoolscanError(
            f"--live: found {n} people from the sandbox in this study folder; recruit with --to another folder"
        )


def refuse_low_balance(campaign: Campaign, cents: int) -> None:
    """Raise FoolscanError where the account has less than `cents`."""
    has = campaign.api.balance_cents()
    if has < cents:
        raise FoolscanError(
            f"Amazon account: found {usd(has)}, {usd(cents)} needed; add to it, or order less. Nothing was done"
        )


def _promised_cents(campaign: Campaign) -> int:
    """Bonuses that people who have a place may still get, with fees, US cents."""
    entries = campaign.ledger.entries("create_hit", "expire", "bonus")
    places = sum(_places(entry) for entry in entries if entry.action == "create_hit" and entry.state != "failed")
    places -= sum(_places(entry) for entry in entries if entry.action == "expire" and entry.state == "done")
    paid = sum(entry.cents for entry in entries if entry.action == "bonus" and entry.state != "failed")
    return max(0, places * bonus_with_fee_cents(campaign.plan) - paid)


def _made(campaign: Campaign) -> Sequence[Entry]:
    return [entry for entry in campaign.ledger.entries("create_hit") if entry.state == "done"]


def _begun(campaign: Campaign) -> Sequence[Entry]:
    return [entry for entry in campaign.ledger.entries("create_hit") if entry.state == "intended"]


def _places(entry: Entry) -> int:
    return int(entry.answer.get("places", 0))
