"""Paying on Mechanical Turk: who is owed what, by Amazon's list and our own; approvals and bonuses, each made once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import select

from experiment.online.recruiters.ledger import Entry, Intent
from experiment.online.recruiters.mturk import CODE_FIELD
from experiment.online.recruiters.turk_campaign import Campaign, batch_hits, refuse_low_balance
from experiment.online.recruiters.turk_client import Assignment, TurkRefused
from experiment.online.recruiters.turk_hits import bonus_with_fee_cents, cents_of
from experiment.online.tables import sessions, workers
from experiment.online.tokens import completion_code, pseudonym, same, typed_code
from protocols.problems import FoolscanError


@dataclass(frozen=True)
class Due:
    """Work that Amazon lists and that was finished here, by the same person: it is paid.

    worker       : pseudonym.
    excluded_for : why it does not count; it is paid all the same.
    """

    worker: str
    work: Assignment
    excluded_for: str | None


@dataclass(frozen=True)
class Trouble:
    """Work that is neither paid nor rejected by itself: a person decides.

    kind       : without_session, unfinished, wrong_code, second, rejected, not_submitted.
    worker     : pseudonym.
    assignment : Amazon's id, to be named to `approve --also`; None: Amazon lists none.
    """

    kind: str
    worker: str
    assignment: str | None
    said: str
    work: Assignment | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Person:
    """Somebody who came from Mechanical Turk.

    state : of the session here; None: there is none.
    code  : that the page is given when the session is finished, and not before.
    """

    state: str | None
    excluded_for: str | None
    code: str | None = field(repr=False)


@dataclass(frozen=True)
class Reconciled:
    """Amazon's list held against ours."""

    due: tuple[Due, ...]
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True)
class Paid:
    """What a run of paying did.

    now     : paid in this run.
    before  : paid before, or by Amazon itself after the days that the study allows.
    refused : (pseudonym, Amazon's code) of those that Amazon would not pay; the next run tries them again.
    """

    now: int
    before: int
    refused: tuple[tuple[str, str], ...]


def reconcile(campaign: Campaign) -> Reconciled:
    """Hold Amazon's list of submitted work against the sessions that were finished here; nothing is written.

    The ids in a page's address are unsigned, so that anybody can come with anybody's. Work is due when Amazon lists it in one of
    the campaign's HITs for this worker, and what was submitted holds the code that the page of this worker's finished session
    was given: only who had that page could submit it.
    """
    people = _people(campaign)
    due: dict[str, Due] = {}
    troubles: list[Trouble] = []
    submitted: set[str] = set()
    work = [one for hit in batch_hits(campaign) for one in campaign.api.assignments(hit)]
    for one in sorted(
        work, key=lambda one: one.status != "Approved"
    ):  # of two, the one that was paid is the one that counts
        worker = pseudonym(campaign.key, campaign.environment.name, one.worker_id)
        submitted.add(worker)
        wrong = _wrong(one, people.get(worker))
        if wrong is None and worker in due:
            wrong = "second", "another assignment of this person is paid for the one session there is"
        if wrong is None:
            due[worker] = Due(worker, one, people[worker].excluded_for)
        else:
            troubles.append(Trouble(wrong[0], worker, one.assignment, wrong[1], one))
    for worker, person in people.items():
        if person.state == "finished" and worker not in submitted:
            said = "finished here, and Amazon lists nothing of it: not submitted yet, or the ids in the address were forged"
            troubles.append(Trouble("not_submitted", worker, None, said))
    return Reconciled(tuple(due.values()), tuple(troubles))


def approve(campaign: Campaign, found: Reconciled, *, also: Collection[str] = ()) -> Paid:
    """Pay the reward of all work that is due.

    also : assignments among the troubles that a person has decided to pay.

    Raises FoolscanError, with nothing paid, for an assignment that is no such trouble.
    """
    open_work = {one.assignment: one for one in found.troubles if one.work is not None and one.kind != "rejected"}
    strange = sorted(set(also) - open_work.keys())
    if strange:
        raise FoolscanError(f"--also: found {', '.join(strange)}; name assignments that `reconcile` lists as a problem")
    works = [(one.worker, one.work) for one in found.due]
    for name in sorted(set(also)):
        trouble = open_work[name]
        mark = pseudonym(
            campaign.key, campaign.environment.name, name
        )  # no two assignments of one person are the same call
        if trouble.work is not None:
            works.append((f"{trouble.worker}.{mark}", trouble.work))
    entries = campaign.ledger.intend([Intent("approve", about) for about, _ in works])
    now, refused = 0, []
    for entry, (about, work) in zip(entries, works, strict=True):
        if entry.state == "done":
            continue
        if work.status == "Approved":
            campaign.ledger.done(entry, {"found": "approved"})
            continue
        no = _refused_approval(campaign, work)
        if no is None:
            campaign.ledger.done(entry)
            now += 1
        else:
            campaign.ledger.failed(entry, no)
            refused.append((about.partition(".")[0], no))
    return Paid(now, len(works) - now - len(refused), tuple(refused))


def to_bonus(found: Reconciled) -> list[Due]:
    """Those who get a bonus: whose reward was paid."""
    return [one for one in found.due if one.work.status == "Approved"]


def bonus(campaign: Campaign, found: Reconciled, *, most_cents: int | None) -> Paid:
    """Pay the study's bonus to everybody whose reward was paid.

    most_cents : that the whole campaign may cost; None: no cap.

    Raises OverCap, or FoolscanError where the study has no bonus or the account too little; then nothing was paid.
    """
    pay_cents, cost_cents = cents_of(campaign.plan.bonus_usd), bonus_with_fee_cents(campaign.plan)
    if pay_cents == 0:
        raise FoolscanError("online.mturk.bonus_usd: found 0; the study promises no bonus")
    who = to_bonus(found)
    paid = {entry.about for entry in campaign.ledger.entries("bonus") if entry.state == "done"}
    refuse_low_balance(campaign, cost_cents * sum(one.worker not in paid for one in who))
    note = {"pay_cents": pay_cents, "reason": f"For finishing: {campaign.plan.title}"}
    entries = campaign.ledger.intend(
        [Intent("bonus", one.worker, cost_cents, note) for one in who], most_cents=most_cents
    )
    now, before, refused = 0, 0, []
    for entry, one in zip(entries, who, strict=True):
        if entry.state == "done" or (not entry.fresh and _had_bonus(campaign, entry, one.work)):
            campaign.ledger.done(entry)
            before += 1
            continue
        try:
            campaign.api.bonus(one.work, int(entry.answer["pay_cents"]), str(entry.answer["reason"]), entry.token)
        except TurkRefused as no:
            if not _had_bonus(campaign, entry, one.work):
                campaign.ledger.failed(entry, no.code)
                refused.append((one.worker, no.code))
                continue
        campaign.ledger.done(entry)
        now += 1
    return Paid(now, before, tuple(refused))


def _had_bonus(campaign: Campaign, entry: Entry, work: Assignment) -> bool:
    return campaign.api.has_bonus(work, int(entry.answer["pay_cents"]), str(entry.answer["reason"]))


def _refused_approval(campaign: Campaign, work: Assignment) -> str | None:
    try:
        campaign.api.approve(work.assignment)
    except TurkRefused as no:
        if campaign.api.assignment(work.assignment).status != "Approved":  # otherwise it took place before
            return no.code
    return None


def _wrong(work: Assignment, person: Person | None) -> tuple[str, str] | None:
    """Why work is not due: (kind, sentence)."""
    if work.status == "Rejected":
        return "rejected", "somebody has rejected it on Amazon's pages"
    if person is None or person.state is None:
        return "without_session", "submitted, and nobody with this worker id took part here"
    if person.code is not None and same(typed_code(work.fields.get(CODE_FIELD, "")), person.code):
        return None
    if person.state != "finished":
        return "unfinished", f"submitted, and the session here is {person.state}"
    return "wrong_code", "submitted without the code of the session that was finished here under this worker id"


def _people(campaign: Campaign) -> dict[str, Person]:
    # neither ids nor codes are asked of table payments: whoever had them erased is still owed the money
    rows = select(workers.c.worker, sessions.c.session, sessions.c.state, sessions.c.excluded_for)
    joined = rows.select_from(workers.outerjoin(sessions, sessions.c.worker == workers.c.worker))
    with campaign.reading.begin() as connection:
        found = connection.execute(joined.where(workers.c.recruiter == campaign.environment.name)).all()
    return {
        row.worker: Person(
            row.state, row.excluded_for, None if row.session is None else completion_code(campaign.key, row.session)
        )
        for row in found
    }
