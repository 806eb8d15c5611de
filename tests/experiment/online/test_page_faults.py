"""What goes wrong between a browser and a server: reloads, no network, lost replies, two tabs, a killed server. No answer is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import agree, screen, served, trial, visiting
from online_server import needs_jspsych
from online_study import crop_study
from page_person import Person, happenings, last_session, pressed_in, rows, stored
from playwright.sync_api import Browser, Page, Route, expect

from experiment.online.crowd import Crowd
from experiment.online.serving import Listening

QUICK = "  showing: {fixation_s: 0.02}\n"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    study, folder = crop_study(tmp_path_factory.mktemp("faults"), n_pairs=6, per_list=50, more=QUICK)
    with served(study, folder) as listening:
        yield listening


def goes_on(page: Page) -> None:
    """Press on where the page says welcome back."""
    screen(page, "welcome_back").locator("button.main").click()


def held(at: Listening, session: str, at_least: int = 1) -> int:
    return len(stored(at.database, session, at_least))


def images_are_here(page: Page, n: int) -> None:
    """Wait until so many images have been fetched."""
    for _ in range(200):
        fetched = page.evaluate(
            "() => performance.getEntriesByType('resource').filter(e => e.name.includes('/api/asset/') && e.responseEnd).length"
        )
        if fetched >= n:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{n} images are not fetched")


def test_a_reload_in_mid_trial_shows_the_trial_again(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        person.answers()
        assert person.waits_for_trial() == 3
        page.reload()
        goes_on(page)
        assert person.waits_for_trial() == 3
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed
        answers = stored(at.database, session)
        assert [answer["load"] for answer in answers.values()] == [1, 1, *[2] * (len(answers) - 2)]
        assert "resumed" in happenings(at.database, session)


def test_a_closed_browser_goes_on_at_the_same_trial(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        person = Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        person.answers()
        person.waits_for_trial()
        visitor.page.close()
        page = visitor.opened()
        page.goto(at.pages["link"])
        goes_on(page)
        person.page = page
        assert person.waits_for_trial() == 3
        assert last_session(at.database) == session


def test_three_trials_without_network(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        person.waits_for_trial()
        images_are_here(page, 7)
        assert held(at, session) >= 1
        visitor.context.set_offline(True)
        for _ in range(3):
            person.answers()
        expect(page.locator("#notice")).to_have_text(
            "No connection. You can go on; your answers are kept here and sent later."
        )
        assert held(at, session) == 1
        visitor.context.set_offline(False)
        expect(page.locator("#notice")).to_have_text("Connected again.")
        assert held(at, session, 4) == 4
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed
        assert "offline" in happenings(at.database, session)


def test_answers_given_without_network_survive_a_reload(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        person.waits_for_trial()
        images_are_here(page, 7)
        assert held(at, session) >= 1
        page.route("**/api/answers", lambda route: route.abort())
        person.answers()
        person.answers()
        person.waits_for_trial()
        assert held(at, session) == 1
        page.close()  # at once, without asking
        page = visitor.opened()
        page.goto(at.pages["link"])
        goes_on(page)
        person.page = page
        assert person.waits_for_trial() == 4
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed


def test_the_end_waits_until_the_server_holds_everything(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        for _ in range(6):
            person.answers()
        person.waits_for_trial()
        images_are_here(page, 7)
        assert held(at, session) >= 1
        page.route("**/api/answers", lambda route: route.abort())
        while person.answers() is not None:
            pass
        sheet = screen(page, "saving")
        expect(sheet).to_contain_text("Not yet saved: 4.")
        assert rows(at.database, f"select state from sessions where session = '{session}'") == [("active",)]
        page.unroute("**/api/answers")
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed


def test_leaving_is_questioned_only_while_something_is_unsent(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        asked: list[str] = []
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        person.joins(at.pages["link"])
        person.answers()
        person.waits_for_trial()
        assert held(at, last_session(at.database)) == 1
        page.goto("about:blank")
        assert asked == []
        page.goto(at.pages["link"])
        goes_on(page)
        page.route("**/api/answers", lambda route: route.abort())
        person.answers()
        page.goto("about:blank")
        assert asked == ["beforeunload"]


def test_a_reply_that_is_lost_stores_the_answer_once(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        lost: list[int] = []

        def lose(route: Route) -> None:
            if len(lost) == 3:
                return route.continue_()
            route.fetch()  # it reaches the server
            lost.append(1)
            return route.abort()  # and its reply reaches nobody

        page.route("**/api/answers", lose)
        person.answers_all()
        person.finishes()
        assert len(lost) == 3
        assert pressed_in(at.database, session) == person.pressed
        assert rows(at.database, f"select kind from flags where session = '{session}' and kind = 'conflict'") == []


def test_a_server_that_asks_for_time_is_given_it(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        times: list[str | None] = []

        def busy(route: Route) -> None:
            times.append(route.request.post_data)
            route.fulfill(status=503, headers={"Retry-After": "2"}, json={"error": "not_stored", "said": "later"})

        person.answers()
        person.waits_for_trial()
        assert held(at, session) == 1
        page.route("**/api/answers", busy)
        person.answers()
        page.wait_for_timeout(1500)
        assert len(times) == 1  # its own first waits would have been shorter
        page.unroute("**/api/answers")
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed


def test_images_that_are_not_here_yet_are_waited_for(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        page.route("**/api/asset/*", lambda route: route.abort())
        person.joins(at.pages["link"])
        expect(page.locator("#notice")).to_have_text("Waiting for the next image …")
        page.unroute("**/api/asset/*")
        person.waits_for_trial()
        expect(page.locator("#notice")).to_have_text("")


def test_an_image_that_is_refused_is_not_asked_for_without_end(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        asked: list[str] = []

        def refuse(route: Route) -> None:
            asked.append(route.request.url)
            route.fulfill(status=404, json={"error": "no_such_asset", "said": "No such image."})

        page.route("**/api/asset/*", refuse)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        assert "No such image." in screen(page, "trouble").inner_text()
        page.wait_for_timeout(500)
        assert len(asked) <= 8  # each once, and the first once more
        page.unroute("**/api/asset/*")
        screen(page, "trouble").locator("button.main").click()
        screen(page, "instructions").locator("button.main").click()
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed


def test_the_newer_tab_takes_over(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        older, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        person.waits_for_trial()
        newer = visitor.opened()
        newer.goto(at.pages["link"])
        goes_on(newer)
        assert "another tab" in screen(older, "taken_over").inner_text()
        person.page = newer
        person.answers()
        assert person.waits_for_trial() == 3
        older.bring_to_front()
        older.locator("button.main").click()  # here again
        goes_on(older)
        screen(newer, "taken_over")
        person.page = older
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed


def test_another_device_takes_over(browser: Browser, at: Listening) -> None:
    address = at.pages["link"] + "?id=twodevices"
    with visiting(browser) as first, visiting(browser) as second:
        person = Person(first.page)
        person.joins(address)
        session = last_session(at.database)
        person.answers()
        person.waits_for_trial()
        other = Person(second.page)
        second.page.goto(address)
        while not second.page.locator('[data-screen="welcome_back"].sheet').count():
            second.page.wait_for_selector(".sheet button.main")
            for box in second.page.locator(".statement input").all():
                box.check()
            second.page.locator("button.main").click()
            second.page.wait_for_timeout(100)
        goes_on(second.page)
        assert other.waits_for_trial() == 2
        first.page.keyboard.press("5")  # its token is void now
        assert "another tab, window or device" in screen(first.page, "taken_over").inner_text()
        other.answers_all()
        other.finishes()
        assert pressed_in(at.database, session) == {**person.pressed, **other.pressed}
        assert rows(at.database, "select count(*) from payments where raw_id = 'twodevices'") == [(1,)]


def test_the_back_button_asks_before_it_leaves(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        page.goto("about:blank")
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        person.waits_for_trial()
        page.go_back()
        dialog = page.locator("dialog")
        expect(dialog).to_contain_text("Stop taking part?")
        assert page.url == at.pages["link"]
        page.keyboard.press("3")  # no answer while something is in front
        page.keyboard.press("Escape")
        assert page.locator(".trial").get_attribute("data-trial") == "2"
        person.answers()
        person.waits_for_trial()
        assert stored(at.database, session, 2)[2]["hidden"]  # something was in front of it
        assert pressed_in(at.database, session) == person.pressed


def test_stopping_without_network_is_told_later(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        person.waits_for_trial()
        assert held(at, session) == 1
        visitor.context.set_offline(True)
        page.locator("#withdraw").click()
        page.get_by_role("button", name="Stop, and erase my answers").click()
        screen(page, "withdrawing")
        assert held(at, session) == 1
        visitor.context.set_offline(False)
        screen(page, "withdrawn")
        assert stored(at.database, session) == {}


def test_a_browser_that_forgot_is_asked_again_for_what_the_server_lacks(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        person.waits_for_trial()
        assert held(at, session) == 1
        page.route("**/api/answers", lambda route: route.abort())
        person.answers()
        person.answers()
        person.waits_for_trial()
        page.evaluate(
            "for (const key of Object.keys(localStorage)) if (key.includes('|answer|')) localStorage.removeItem(key)"
        )
        page.unroute("**/api/answers")
        page.keyboard.press("1")  # trial 4, of which the server does not hold 2 and 3
        goes_on(page)
        assert person.waits_for_trial() == 2
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed


def test_a_browser_that_keeps_nothing_says_so_and_still_works(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
        )
        person.joins(at.pages["link"])
        session = last_session(at.database)
        expect(page.locator("#notice")).to_contain_text("does not let the page keep anything")
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed


def test_a_full_storage_loses_nothing(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.answers()
        page.evaluate(
            "() => { const set = Storage.prototype.setItem; Storage.prototype.setItem = function (key, text) {"
            "if (String(key).includes('answer')) throw new DOMException('full', 'QuotaExceededError');"
            "return set.call(this, key, text); }; }"
        )
        person.answers_all()
        person.finishes()
        assert pressed_in(at.database, session) == person.pressed


def test_a_wrong_link_says_what_is_wrong(browser: Browser, at: Listening) -> None:
    with visiting(browser) as visitor:
        visitor.page.goto(at.pages["link"] + "?id=not%20mine")
        assert "use the link exactly as you got it" in screen(visitor.page, "trouble").inner_text()


def test_a_study_that_pauses_says_so_and_keeps_those_who_have_begun(browser: Browser, tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path, per_list=5, more=QUICK)
    with served(study, folder) as one, visiting(browser) as begun, visiting(browser) as late:
        person = Person(begun.page)
        person.joins(one.pages["link"])
        person.answers()
        with Crowd.open(study, folder, now_ms=lambda: time.time_ns() // 1_000_000, alone=False) as beside:
            beside.pause(True)
        late.page.goto(one.pages["link"])
        assert "paused at the moment" in screen(late.page, "paused").inner_text()
        person.answers_all()
        person.finishes()
        assert pressed_in(one.database) == person.pressed


def test_a_full_study_says_so(browser: Browser, tmp_path: Path) -> None:
    study, folder = crop_study(
        tmp_path,
        n_pairs=1,
        per_list=1,
        practice=0,
        attention_every=None,
        more=QUICK + "  exclusions: {impossible_rt_s: 0.0}\n",
    )
    with served(study, folder) as one:
        for _ in range(2):  # two lists of one
            with visiting(browser) as visitor:
                person = Person(visitor.page)
                person.joins(one.pages["link"])
                person.answers_all()
                person.finishes()
        assert rows(one.database, "select counted, excluded_for from sessions") == [(1, None), (1, None)]
        with visiting(browser) as visitor:
            visitor.page.goto(one.pages["link"])
            assert "Enough people" in screen(visitor.page, "full").inner_text()
            visitor.page.get_by_role("button", name="I have begun already").click()
            screen(visitor.page, "information")


def test_script_in_the_texts_of_a_study_is_shown_and_never_run(browser: Browser, tmp_path: Path) -> None:
    evil = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
    more = f"""
  questions:
    - kind: choice
      name: thing
      about: supercategory
      text: {{en: '{evil}'}}
      labels: {{en: {{birds: '{evil}'}}}}
  saying:
    title: {{en: '{evil}'}}
    information: {{en: ['{evil}']}}
    consent: {{en: ['{evil}']}}
    debriefing: {{en: '{evil}'}}
"""
    study, folder = crop_study(tmp_path, n_pairs=2, practice=0, more=QUICK + more.lstrip("\n"))
    with served(study, folder) as one, visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        page.goto(one.pages["link"])
        assert screen(page, "information").locator("p").first.inner_text() == evil
        agree(page)
        trial(page)
        assert page.locator(".option .label").first.inner_text() == evil
        person.answers_all()
        person.finishes()
        assert page.locator("img").count() == 0
        assert page.evaluate("window.hacked") is None
        assert visitor.complaints == []


@contextmanager
def process(study: Path, folder: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server as the command starts it, ready; killed at the end if it still lives."""
    with log.open("ab") as out:
        command = [
            sys.executable,
            "-c",
            "from foolscan import main; main()",
            "online",
            "serve",
            str(study),
            "--to",
            str(folder),
        ]
        running = subprocess.Popen(
            [*command, "--port", str(port), "--operator-port", "0"],
            stdout=out,
            stderr=out,
            env={**os.environ, "COLUMNS": "200"},
        )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if running.poll() is not None:
                raise AssertionError(log.read_text())
            time.sleep(0.1)
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_server_that_is_killed_and_started_again_lacks_nothing(browser: Browser, tmp_path: Path) -> None:
    needs_jspsych()
    _, folder = crop_study(tmp_path, n_pairs=6, more=QUICK)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/link"
    database = folder.derived("online") / "crops.sqlite3"
    log = tmp_path / "log.txt"
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        with process(tmp_path / "tiny.yaml", folder.root, port, log) as running:
            person.joins(address)
            person.answers()
            person.answers()
            person.waits_for_trial()
            images_are_here(page, 7)
            assert len(stored(database, at_least=2)) == 2
            running.send_signal(signal.SIGKILL)
            running.wait()
        person.answers()  # nobody is there
        person.answers()
        with process(tmp_path / "tiny.yaml", folder.root, port, log):
            person.answers_all()
            person.finishes()
            assert pressed_in(database) == person.pressed
            assert rows(database, "select count(*) from sessions") == [(1,)]
