"""A real browser for tests: Chromium without a window, driven by Playwright, in front of the real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from online_server import in_thread, needs_jspsych
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from experiment.online import simulated_browser
from experiment.online.serving import Listening
from protocols.folder import StudyFolder
from protocols.study import Study

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window; the test is skipped where there is none."""
    path = simulated_browser.chromium()
    if path is None:
        pytest.skip("needs a Chromium browser: apt install chromium, or name one in FOOLSCAN_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(study: Study, folder: StudyFolder, **settings: Any) -> Iterator[Listening]:
    """The real server in a thread, on free ports, with jsPsych and the usual limits."""
    needs_jspsych()
    with in_thread(study, folder, **settings) as listening:
        yield listening


class Visitor:
    """A page in a browser context of its own, and everything that it asked for, said and complained about.

    requests   : method and address of every request.
    complaints : errors of the console and of scripts.
    """

    def __init__(self, browser: Browser, **settings: Any) -> None:
        self.context: BrowserContext = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings})
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request))
        self.page = self.opened()

    def opened(self) -> Page:
        """Another tab."""
        page = self.context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def elsewhere(self, address: str) -> list[str]:
        """Requests to any other place than this address's."""
        here = urlsplit(address).netloc
        return [
            r.url
            for r in self.requests
            if urlsplit(r.url).scheme in ("http", "https", "ws", "wss") and urlsplit(r.url).netloc != here
        ]

    def close(self) -> None:
        """Close every tab."""
        self.context.close()


@contextmanager
def visiting(browser: Browser, **settings: Any) -> Iterator[Visitor]:
    """Somebody with a browser of their own."""
    visitor = Visitor(browser, **settings)
    try:
        yield visitor
    finally:
        visitor.close()


def screen(page: Page, name: str) -> Any:
    """Wait for a screen of the page; its sheet."""
    page.wait_for_selector(f'[data-screen="{name}"].sheet')
    return page.locator(f'[data-screen="{name}"].sheet')


def agree(page: Page, press: Callable[[Any], None] = lambda button: button.click()) -> None:
    """Through information, consent and instructions to the first trial."""
    while True:
        page.wait_for_selector('[data-screen="information"].sheet, [data-screen="consent"].sheet')
        if page.locator('[data-screen="consent"].sheet').count():
            break
        press(page.locator("button.main"))
    for box in page.locator(".statement input").all():
        box.check()
    press(page.locator("button.main"))
    screen(page, "instructions")
    while page.locator('[data-screen="instructions"].sheet').count():
        press(page.locator("button.main"))


def trial(page: Page, number: int | None = None) -> Any:
    """Wait for a trial's first question (pressing on through breaks and notices); the trial's section."""
    which = f'[data-trial="{number}"]' if number else "[data-trial]"
    while True:
        page.wait_for_selector(f".trial{which} .asked:not([data-hidden]), .sheet.between button.main")
        between = page.locator(".sheet.between button.main")
        if not between.count():
            return page.locator(f".trial{which}")
        between.click()
