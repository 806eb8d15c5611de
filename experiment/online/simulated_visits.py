"""What becomes of a simulated person's visit: from coming to the end, by the kind of person."""

from __future__ import annotations

from collections.abc import Callable, Generator

from experiment.online.simulated_page import Ask, Ending, Eyes, Page, Reply, Step, Stopped, Wait
from experiment.online.simulated_people import Person
from protocols.answers import SIMULATED

Visit = Generator[Wait | Ask, Reply | None, Ending]


def visit(
    person: Person,
    eyes: Eyes,
    now_s: Callable[[], float],
    *,
    recruiter: str = SIMULATED,
    parameter: str = "participant",
    ending: Ending | None = None,
) -> Visit:
    """One person's visit: see `Page`; `ending` is filled in on the way, so that it tells of a visit that was cut off, too."""
    ending = ending or Ending(person)
    page = Page(person, eyes, ending, now_s, recruiter, parameter)
    try:
        yield from page.come()
        page = yield from _trials(page)
        yield from page.finish()
        ending.end = "completed"
    except Stopped as stopped:
        ending.end = str(stopped)
    if person.kind == "again" and ending.end == "completed":
        yield from _comes_after_the_end(page)
    return ending


def _trials(page: Page) -> Step:
    """All trials of the session, with what the kind of person does meanwhile; returns the page that is used at the end."""
    person = page.person
    chance = person.generator("visit")
    turn = 1 + int(person.leaves * len(page.trials))
    away = range(turn, turn + 4) if person.kind == "flaky" else range(0)
    reloads = {turn, 1 + int(chance.integers(len(page.trials)))} if person.kind == "reloader" else set()
    while (number := max(page.held, max(page.outbox, default=0)) + 1) <= len(page.trials):
        if number == turn:
            if person.kind == "drop_out":
                raise Stopped("dropped")
            if person.kind == "withdraw":
                yield from page.flush()
                yield from page.insist("POST", "withdraw", {"erase": person.number % 2 == 0})
                raise Stopped("withdrawn")
        yield from page.do(number)
        if number == turn and person.kind == "again":
            page, turn = (yield from _another_tab(page)), 0  # once; what was not sent is answered anew
            continue
        if number == turn and person.kind == "two_tabs":
            turn = 0
            yield from _two_tabs(page)
            continue
        if number in reloads:
            reloads.discard(number)
            yield from _reload(page, sent=bool(chance.random() < 0.5))
        page.offline = number in away
        yield from page.send()
        page.offline = False
        if person.kind == "flaky" and chance.random() < 0.2:
            yield from _sends_again(page)
        yield from _feedback(page, number)
    return page


def _feedback(page: Page, number: int) -> Step:
    practice = page.session.get("practice")
    if practice and page.trials[number - 1]["kind"] == "practice":
        yield Wait(practice["feedback_s"])


def _reload(page: Page, *, sent: bool) -> Step:
    """The page is loaded anew, and sends whatever its outbox has, and some of what the server holds already."""
    if sent:
        yield from page.send()
    yield Wait(3.0)
    page.images.clear()
    yield from page.open()
    yield from _sends_again(page)


def _sends_again(page: Page) -> Step:
    """What is held already is sent once more, as it was."""
    held = [answer for number, answer in page.ending.acknowledged.items() if number <= page.held][-3:]
    if held:
        reply = yield from page.ask("POST", "answers", {"answers": held, "happenings": []})
        if reply is not None and reply.status != 200:
            page.ending.oddities.append(f"answers sent again: found {reply.status}")
        elif reply is not None and reply.said["held"] < page.held:
            page.ending.oddities.append(f"answers sent again: {page.held} were held, then {reply.said['held']}")


def _another_tab(page: Page) -> Step:
    """The same person comes a second time in mid-session: the same session, and the first page's token is void."""
    other = Page(page.person, page.eyes, page.ending, page.now_s, page.recruiter, next(iter(page.arrival)))
    held, token = page.held, page.token
    yield from other.come()
    if other.held != held:
        page.ending.oddities.append(f"a second tab: {held} trials were held, the second tab was told {other.held}")
    if [trial["number"] for trial in other.trials] != [trial["number"] for trial in page.trials]:
        page.ending.oddities.append("a second tab: found another session")
    if other.token == token:
        page.ending.oddities.append("a second tab: found the first one's token")
    return other


def _two_tabs(page: Page) -> Step:
    """A second tab takes over and does a trial; the first one is told; then the first one comes back in the same way."""
    second = yield from _another_tab(page)
    reply = yield from page.ask("POST", "answers", {"answers": page.batch(), "happenings": []})
    if reply is None or reply.status != 401:
        page.ending.oddities.append(
            f"the first of two tabs was answered {reply.status if reply else 'nothing'}, expected 401"
        )
    yield from second.do(second.held + 1)
    yield from second.flush()
    page.outbox.clear()
    page.images.clear()
    yield from page.come()
    if page.held != second.held:
        page.ending.oddities.append(f"back in the first of two tabs: {page.held} trials held, expected {second.held}")


def _comes_after_the_end(page: Page) -> Step:
    """Somebody who has finished comes again: is told so, and gets no second session."""
    again = Page(page.person, page.eyes, Ending(page.person), page.now_s, page.recruiter, next(iter(page.arrival)))
    try:
        yield from again.come()
    except Stopped as stopped:
        if str(stopped) != "finished":
            page.ending.oddities.append(f"came again after the end: found {stopped}, expected finished")
    else:
        page.ending.oddities.append("came again after the end: was let in")
    for what, count in again.ending.statuses.items():
        page.ending.statuses[what] = page.ending.statuses.get(what, 0) + count
