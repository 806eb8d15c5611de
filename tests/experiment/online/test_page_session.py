"""Whole sessions in a real browser, against the real server: by mouse, by keyboard alone, by finger; what is stored is what was pressed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import agree, screen, served, trial, visiting
from online_study import crop_study, set_study
from page_person import Person, happenings, last_session, pressed_in, reach, rows, stored
from playwright.sync_api import Browser, Page, Route, expect

from experiment.online.recruiters.recruiter import Arrival, Completion
from experiment.online.serving import Listening

PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
QUICK = "  showing: {fixation_s: 0.05, image_s: 0.1}\n"
TURK = "  mturk: {title: t, description: d, reward_usd: 0.5}\n"  # the entrance needs what is said and paid
TABLES = ("workers", "sessions", "payments", "responses", "happenings", "seen", "flags")


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    more = "  showing: {fixation_s: 0.05}\n  rest_every: 3\n" + TURK
    study, folder = crop_study(tmp_path_factory.mktemp("crops"), per_list=50, more=more)
    with served(study, folder, recruiters=("link", "lab", "mturk_sandbox")) as listening:
        yield listening


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    more = QUICK.replace("}", ", mask_s: 0.05, mask_delay_s: 0.03}")
    study, folder = set_study(tmp_path_factory.mktemp("sets"), per_list=50, conditions=("free",), more=more)
    with served(study, folder) as listening:
        yield listening


def test_a_whole_session_by_mouse(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        person = Person(visitor.page)
        person.joins(crops.pages["link"])
        session = last_session(crops.database)
        person.answers_all()
        person.finishes("The fish were hard. <script>alert(1)</script>")
        assert pressed_in(crops.database, session) == person.pressed
        assert len(person.pressed) == 7  # one practised, four shown, two checks
        code = visitor.page.locator("#code").inner_text()
        assert len(code) >= 16
        visitor.page.reload()
        screen(visitor.page, "end")
        assert visitor.page.locator("#code").inner_text() == code  # the same, however often
        assert rows(crops.database, f"select state, n_held from sessions where session = '{session}'") == [
            ("finished", 7)
        ]
        assert rows(
            crops.database, f"select content from happenings where session = '{session}' and kind = 'comment'"
        ) == [("The fish were hard. <script>alert(1)</script>",)]
        assert visitor.complaints == []
        assert visitor.elsewhere(crops.pages["link"]) == []


def test_a_whole_session_by_the_keyboard_alone(browser: Browser, sets: Listening) -> None:
    with visiting(browser) as visitor:
        person = Person(visitor.page, "keys")
        person.joins(sets.pages["link"])
        session = last_session(sets.database)
        person.answers_all()
        person.finishes()
        held = pressed_in(sets.database, session)
        assert held == person.pressed
        assert {by for given in held.values() for _, _, by in given} == {"key"}
        assert {question for given in held.values() for question, _, _ in given} == {"animal", "name", "confidence"}
        assert visitor.complaints == []
        assert visitor.elsewhere(sets.pages["link"]) == []


def test_a_whole_session_on_a_phone_by_finger(browser: Browser, sets: Listening) -> None:
    with visiting(browser, **PHONE) as visitor:
        person = Person(visitor.page, "touch")
        person.joins(sets.pages["link"])
        session = last_session(sets.database)
        person.answers_all()
        person.finishes()
        assert pressed_in(sets.database, session) == person.pressed
        assert {by for given in person.pressed.values() for _, _, by in given} == {"touch"}
        assert visitor.complaints == []


def test_what_others_add_to_the_link_does_not_matter(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        added = "&".join(f"p{k}=1" for k in range(30)) + "&fbclid=" + "x" * 600
        visitor.page.goto(f"{crops.pages['link']}?{added}")
        agree(visitor.page)
        session = last_session(crops.database)
        visitor.page.goto(crops.pages["link"])  # the same browser without it: the same person
        agree_again(visitor.page)
        assert last_session(crops.database) == session


@dataclass(frozen=True)
class Panel:
    """An entrance that another package could publish: who has finished goes on by a link."""

    name: str = "panel"
    frame_ancestors: tuple[str, ...] = ()
    form_action: tuple[str, ...] = ()

    def arrived(self, query: Mapping[str, str]) -> Arrival:
        return Arrival(query["who"])

    def completion(self, query: Mapping[str, str], new_code: str) -> Completion:
        return Completion("redirect", code="SAMEFORALL", url="https://panel.example/complete?cc=SAMEFORALL")


def test_another_packages_entrance_may_send_people_on_by_a_link(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiment.online.recruiters.published", lambda name: Panel())
    study, folder = crop_study(tmp_path, more="  showing: {fixation_s: 0.05}\n")
    with served(study, folder, recruiters=("panel",)) as panel, visiting(browser) as visitor:
        page = visitor.page
        visitor.context.route("https://panel.example/**", lambda route: route.fulfill(body="welcome back"))
        for number in range(2):  # the same code for everybody
            person = Person(page)
            person.joins(f"{panel.pages['panel']}?who=p{number}")
            person.answers_all()
            person.finishes()
            assert page.locator("#completion").get_attribute("href") == "https://panel.example/complete?cc=SAMEFORALL"
            page.locator("#completion").click()
            page.wait_for_url("https://panel.example/complete?cc=SAMEFORALL")
        assert visitor.complaints == []


def agree_again(page: Page) -> None:
    """Through information and consent to a session that goes on."""
    while not page.locator('[data-screen="consent"].sheet').count():
        page.wait_for_selector(".sheet button.main")
        page.locator("button.main").click()
    for box in page.locator(".statement input").all():
        box.check()
    page.locator("button.main").click()
    page.wait_for_selector('[data-screen="instructions"].sheet, [data-screen="welcome_back"].sheet')


def test_consent_needs_every_statement(browser: Browser, crops: Listening) -> None:
    before = rows(crops.database, "select count(*) from sessions")
    with visiting(browser) as visitor:
        page = visitor.page
        page.goto(crops.pages["link"])
        while not page.locator('[data-screen="consent"].sheet').count():
            page.locator("button.main").click()
        page.locator(".statement input").first.check()
        page.locator("button.main").click()
        expect(page.locator(".hint")).to_have_text("Please tick every statement if you want to take part.")
        expect(page.locator(".statement input").last).to_be_focused()
        page.get_by_role("button", name="I do not want to take part").click()
        assert "nothing was stored" in screen(page, "declined").inner_text()
    assert rows(crops.database, "select count(*) from sessions") == before


def test_the_language_is_the_browsers_and_can_be_changed_before_consent(browser: Browser, crops: Listening) -> None:
    with visiting(browser, locale="de-AT") as visitor:
        page = visitor.page
        page.goto(crops.pages["link"])
        screen(page, "information")
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("h1")).to_have_text("Teile von Bildern")
        page.locator("#language").select_option("en")
        expect(page.locator("h1")).to_have_text("Parts of pictures")
        agree(page)
        assert page.locator("#language").count() == 0
        session = last_session(crops.database)
        assert rows(crops.database, f"select language from sessions where session = '{session}'") == [("en",)]


def test_a_preview_shows_the_information_and_writes_nothing(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        before = [rows(crops.database, f"select count(*) from {table}") for table in TABLES]
        page.goto(crops.pages["mturk_sandbox"] + "?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=3HIT")
        screen(page, "information")
        while not page.locator('[data-screen="preview"].sheet').count():
            page.locator("button.main").click()
        assert "preview" in page.locator("#main").inner_text().lower()
        assert page.locator(".statement").count() == 0
        assert [r.method for r in visitor.requests if r.method != "GET"] == []
        assert [rows(crops.database, f"select count(*) from {table}") for table in TABLES] == before


def test_on_mechanical_turk_the_page_ends_by_posting_the_form(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        page, posted = visitor.page, []
        visitor.context.route(
            "https://workersandbox.mturk.com/**",
            lambda route: (posted.append(route.request.post_data), route.fulfill(body="ok")),
        )
        person = Person(page)
        person.joins(
            crops.pages["mturk_sandbox"]
            + "?assignmentId=3ASSIGN1&hitId=3HIT&workerId=A1WORKER&turkSubmitTo=https%3A%2F%2Fworkersandbox.mturk.com"
        )
        person.answers_all()
        person.finishes()
        page.locator("#completion button").click()
        page.wait_for_url("**/mturk/externalSubmit")
        assert "assignmentId=3ASSIGN1" in posted[0]


def test_in_the_workers_sites_own_frame(browser: Browser, crops: Listening) -> None:
    arrival = "?assignmentId=3ASSIGN2&hitId=3HIT&workerId=A2WORKER&turkSubmitTo=https%3A%2F%2Fworkersandbox.mturk.com"
    with visiting(browser, permissions=["local-network-access"]) as visitor:  # this server is a local one
        page, posted = visitor.page, []

        def amazon(route: Route) -> None:
            if route.request.method == "POST":
                posted.append(route.request.post_data)
            shown = f"<iframe name=work width=900 height=700 src='{crops.pages['mturk_sandbox']}{arrival}'></iframe>"
            route.fulfill(content_type="text/html", body="received by Amazon" if posted else shown)

        visitor.context.route("https://workersandbox.mturk.com/**", amazon)
        page.goto("https://workersandbox.mturk.com/projects/1/tasks/2")
        work = page.frame(name="work")
        assert work is not None
        person = Person(work)
        agree(work)
        session = last_session(crops.database)
        person.answers_all()
        person.finishes()
        assert pressed_in(crops.database, session) == person.pressed
        work.locator("#completion button").click()
        work.wait_for_selector("text=received by Amazon")
        assert "assignmentId=3ASSIGN2" in posted[0]
        assert visitor.complaints == []


def test_in_the_laboratory_the_page_asks_for_the_label_and_returns_to_the_start(
    browser: Browser, crops: Listening
) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        page.goto(crops.pages["lab"])
        screen(page, "label").locator("input").fill("s 01")
        page.keyboard.press("Enter")
        assert page.locator('[data-screen="label"].sheet').count() == 1  # no label has a space
        page.locator("#label").fill("s01")
        page.keyboard.press("Enter")
        agree(page)
        assert page.url.endswith("/lab?label=s01")
        assert page.locator("#full-screen").count() == 1
        person = Person(page)
        person.answers_all()
        person.finishes()
        page.get_by_role("button", name="Next participant").click()
        screen(page, "label")
        assert page.url == crops.pages["lab"]
        assert page.evaluate("Object.keys(localStorage).filter(key => key.includes('s01'))") == []
        page.locator("#label").fill("s01")
        page.keyboard.press("Enter")
        while not page.locator('[data-screen="consent"].sheet').count():
            page.locator("button.main").click()
        for box in page.locator(".statement input").all():
            box.check()
        page.locator("button.main").click()
        assert "already taken part" in screen(page, "finished").inner_text()


@pytest.mark.parametrize(("choice", "left"), [("Stop, and keep my answers", 2), ("Stop, and erase my answers", 0)])
def test_whoever_stops_says_what_becomes_of_the_answers(
    browser: Browser, crops: Listening, choice: str, left: int
) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(crops.pages["link"])
        session = last_session(crops.database)
        person.answers()
        person.answers()
        person.waits_for_trial()
        page.locator("#withdraw").click()
        page.get_by_role("button", name="Go on with the study").click()
        assert page.locator(".trial").get_attribute("data-trial") == "3"
        page.locator("#withdraw").click()
        page.get_by_role("button", name=choice).click()
        screen(page, "withdrawn")
        assert len(stored(crops.database, session)) == left
        state = rows(crops.database, f"select state from sessions where session = '{session}'")
        assert state == [("withdrawn" if left else "erased",)]
        page.reload()
        page.wait_for_selector('[data-screen="withdrawn"].sheet, [data-screen="information"].sheet')
        assert visitor.complaints == []


def test_practice_is_judged_by_the_server_and_nothing_else_is(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(crops.pages["link"])
        person.waits_for_trial()
        page.keyboard.press("1")
        feedback = page.wait_for_selector(".feedback")
        assert feedback.inner_text().startswith(("Right.", "Not quite."))
        expect(page.locator(".between h1")).to_have_text("That was the practice. Now it begins.")
        person.waits_for_trial()
        page.keyboard.press("1")
        person.waits_for_trial()
        assert page.locator(".feedback").count() == 0


def test_keys_before_the_image_held_keys_and_second_clicks_are_no_answers(browser: Browser, tmp_path: Path) -> None:
    study, folder = set_study(
        tmp_path,
        practice=0,
        attention_every=None,
        conditions=("free",),
        more="  showing: {fixation_s: 0.6, image_s: 0.3}\n",
    )
    with served(study, folder) as at, visiting(browser) as visitor:
        page = visitor.page
        page.goto(at.pages["link"])
        agree(page)
        page.wait_for_selector(".trial .fixation:not([data-hidden])")
        page.keyboard.press("2")  # too early
        trial(page, 1)
        page.keyboard.down("1")
        for _ in range(5):
            page.keyboard.down("1")  # held: repeated by the keyboard
        page.wait_for_selector(".asked.typed:not([data-hidden])")
        page.keyboard.up("1")
        page.wait_for_timeout(200)
        page.locator(".option.nothing").dblclick()  # the second click falls on the next question's place
        page.wait_for_selector(".asked.rating:not([data-hidden])")
        page.keyboard.press("3", delay=20)
        trial(page, 2)
        answer = stored(at.database, at_least=1)[1]
        assert [given["value"] for given in answer["given"]] == ["animal", "nothing", "3"]
        assert all(given["rt_ms"] >= 0 for given in answer["given"])


def test_an_empty_name_is_no_answer(browser: Browser, sets: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(sets.pages["link"])
        person.waits_for_trial()
        page.keyboard.press("1")
        page.wait_for_selector(".asked.typed:not([data-hidden])")
        page.keyboard.type("   ")
        page.keyboard.press("Enter")
        expect(page.locator(".asked .hint")).to_have_text("Please type an answer, or choose “nothing recognisable”.")
        assert page.locator(".asked.typed").count() == 1


def test_digits_count_by_their_place_on_other_keyboards(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(crops.pages["link"])
        session = last_session(crops.database)
        person.waits_for_trial()
        values = [option.get_attribute("value") for option in page.locator(".option").all()]
        page.evaluate(
            "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'é', code: 'Digit2'}))"
        )  # a French row
        page.wait_for_selector(".feedback, .between")
        person.waits_for_trial()
        page.keyboard.press("Numpad3")
        page.wait_for_selector('.trial[data-trial="2"]', state="detached")
        person.waits_for_trial()
        held = stored(crops.database, session, 2)
        assert [held[1]["given"][0]["value"], held[2]["given"][0]["value"]] == values[1:3]


def test_the_page_tells_how_it_was_looked_at(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(crops.pages["link"])
        session = last_session(crops.database)
        person.answers()
        person.waits_for_trial()
        page.evaluate("window.dispatchEvent(new Event('blur'))")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        person.answers()
        person.answers()
        person.waits_for_trial()
        assert [answer["hidden"] for answer in stored(crops.database, session, 3).values()] == [False, True, False]
        told = happenings(crops.database, session)
        assert told[0] == "loaded"
        assert {"measured", "left", "came_back"} <= set(told)
        content = rows(
            crops.database, f"select content from happenings where session = '{session}' and kind = 'loaded'"
        )[0][0]
        assert '"viewport":[1280,800]' in content


def test_neither_answers_nor_names_reach_the_browser(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        texts = []
        visitor.context.on(
            "response", lambda response: texts.append(response) if "/api/session" in response.url else None
        )
        person = Person(visitor.page)
        person.joins(crops.pages["link"])
        person.waits_for_trial()
        told = texts[0].text()
        for secret in ("crop", "pair", "fragile", "altered", ".png", "asked", "right_value", "p001"):
            assert secret not in told.replace("ragile-", ""), secret


def test_the_page_can_be_reached_by_the_tab_key_in_order(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page, "keys")
        person.joins(crops.pages["link"])
        person.waits_for_trial()
        for place in (0, 9):
            reach(page, page.locator(".option").nth(place))
            style = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid"
        page.keyboard.press("Space")
        page.wait_for_selector('.trial[data-trial="1"]', state="detached")
