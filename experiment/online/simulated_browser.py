"""A simulated person at a real page: a headless Chromium, driven by Playwright, through one whole session."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from experiment.online.simulated_page import Eyes
from experiment.online.simulated_people import Person, Response, check_response, responses
from protocols.problems import FoolscanError, NotReady

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from playwright.sync_api import Response as Came

REMEDY = "pip install playwright, and a Chromium browser (or name one in FOOLSCAN_CHROMIUM)"
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
LOOKS_MS = (300, 900)
PATIENCE_MS = 60_000
ASKED = ".trial .asked:not([data-hidden])"


@dataclass(frozen=True)
class Browsed:
    """What a real browser did.

    trials    : that were answered.
    code      : completion code that it was shown.
    elsewhere : addresses of other hosts that the page asked for: there must be none.
    """

    trials: int
    code: str
    elsewhere: tuple[str, ...]


def chromium() -> str | None:
    """The browser's program: FOOLSCAN_CHROMIUM, or the system's; None: there is none."""
    named = os.environ.get("FOOLSCAN_CHROMIUM")
    usual = Path("/usr/bin/chromium")
    return named or (str(usual) if usual.exists() else shutil.which("chromium") or shutil.which("google-chrome"))


def missing() -> str | None:
    """What a real browser lacks on this machine, with its remedy; None: nothing."""
    if importlib.util.find_spec("playwright") is None:
        return f"a real browser needs Playwright: {REMEDY}"
    return None if chromium() else f"found no Chromium: {REMEDY}"


def whole_session(address: str, person: Person, eyes: Eyes) -> Browsed:
    """Come, agree, answer every trial and finish, as a person with a mouse does.

    address : of the page, with the person's identifier.

    Raises NotReady without Playwright or a browser, FoolscanError where the page does not come to its end.
    """
    lacking, program = missing(), chromium()
    if lacking is not None:
        raise NotReady(f"{lacking}; or leave --browsers out")
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            return _Visitor(browser.new_page(viewport={"width": 1280, "height": 800}), person, eyes).whole(address)
        except Error as error:
            raise FoolscanError(f"the browser did not come to the end of {address}: {error.message}") from error
        finally:
            browser.close()


class _Visitor:
    """Somebody in front of a page, who sees what it is sent."""

    def __init__(self, page: Page, person: Person, eyes: Eyes) -> None:
        self.page, self.person, self.eyes = page, person, eyes
        self.images: dict[str, Came] = {}
        self.sessions: list[Came] = []
        self.asked: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("response", self._came)
        page.on("request", lambda request: self.asked.append(request.url))

    def _came(self, response: Came) -> None:
        path = urlsplit(response.url).path
        if "/api/asset/" in path:
            self.images[path.rsplit("/", 1)[1]] = response
        elif path.endswith("/api/session"):
            self.sessions.append(response)

    def whole(self, address: str) -> Browsed:
        """From the address to the code."""
        self.page.goto(address)
        self._agree()
        answered = 0
        while self._waits_for_trial():
            self._answer()
            answered += 1
        self.page.locator('[data-screen="comment"].sheet button.main').click()
        self.page.wait_for_selector('[data-screen="end"].sheet')
        code = self.page.locator("#code").inner_text()
        here = urlsplit(address).netloc
        elsewhere = {
            url for url in self.asked if urlsplit(url).scheme.startswith("http") and urlsplit(url).netloc != here
        }
        return Browsed(answered, code, tuple(sorted(elsewhere)))

    def _agree(self) -> None:
        """Information, consent, instructions."""
        first = '[data-screen="information"].sheet, [data-screen="consent"].sheet'
        self.page.wait_for_selector(first)
        while not self.page.locator('[data-screen="consent"].sheet').count():
            self.page.locator("button.main").click()
            self.page.wait_for_selector(first)
        for box in self.page.locator(".statement input").all():
            box.check()
        self.page.locator("button.main").click()
        self.page.wait_for_selector('[data-screen="instructions"].sheet')
        while self.page.locator('[data-screen="instructions"].sheet').count():
            self.page.locator("button.main").click()

    def _waits_for_trial(self) -> bool:
        """Whether there is a trial to be answered; presses on through breaks."""
        while True:
            self.page.wait_for_selector(f"{ASKED}, .sheet.between button.main, .sheet[data-screen=comment]")
            if self.page.locator(ASKED).count():
                return True
            between = self.page.locator(".sheet.between button.main")
            if not between.count():
                return False
            between.click()

    def _answer(self) -> None:
        """Look at the trial that is there, and answer its questions."""
        number = int(self.page.locator(".trial").get_attribute("data-trial") or 0)
        session: dict[str, Any] = self.sessions[-1].json()
        trial = session["trials"][number - 1]
        questions = session["questions"]
        if trial["asset"] is None:
            given = [check_response(self.person, trial["text"], questions[0], number)]
        else:
            item = self.eyes.see(self._image(trial["asset"]))
            given = responses(self.person, self.eyes.plan, questions, item, self.eyes.names, self.eyes.truth)
        chance = self.person.generator(f"browser/{number}")
        for question, response in zip(questions, given, strict=False):
            self.page.wait_for_timeout(float(chance.integers(*LOOKS_MS)))
            self._give(question["name"], response)
            gone = f'.trial[data-trial="{number}"] #question-{question["name"]}'
            self.page.wait_for_selector(gone, state="detached")

    def _image(self, asset: str) -> bytes:
        """What the page was sent, asked for once more in its name: a browser forgets what scripts have read."""
        sent = self.images[asset].request
        return self.page.request.get(sent.url, headers={"authorization": sent.headers["authorization"]}).body()

    def _give(self, question: str, response: Response) -> None:
        asked = self.page.locator(f"{ASKED}:has(#question-{question})")
        if response.value is not None:
            asked.locator(f'.option[value="{response.value}"]').click()
            return
        asked.locator("input").fill(response.typed or "")
        asked.locator(".typing button").click()
