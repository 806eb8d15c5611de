"""A person in front of the page: answers by mouse, by keys alone or by finger, and remembers what was pressed."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from browser import agree, screen
from playwright.sync_api import Frame, Locator, Page

By = Literal["mouse", "keys", "touch"]
KEYS = "1234567890abcdef"
STORED_AS = {"mouse": "pointer", "keys": "key", "touch": "touch"}


@dataclass
class Person:
    """Somebody in front of a page.

    page    : or a frame of one: by mouse alone.
    pressed : of each trial, (question, answer, how) in order: what the database must hold.
    """

    page: Page | Frame
    by: By = "mouse"
    pressed: dict[int, list[tuple[str, str, str]]] = field(default_factory=dict)

    def press(self, button: Locator) -> None:
        """Press a button in the person's way."""
        if self.by == "mouse":
            button.click()
        elif self.by == "touch":
            button.tap()
        else:
            reach(self.page, button)
            self.page.keyboard.press("Enter")

    def joins(self, address: str) -> None:
        """Comes, reads, agrees, and reads the instructions."""
        self.page.goto(address)
        agree(self.page, self.press)

    def waits_for_trial(self) -> int | None:
        """The number of the trial whose question can be answered; None once there are none. Presses on through breaks."""
        asked = ".trial .asked:not([data-hidden])"
        while True:
            self.page.wait_for_selector(
                f"{asked}, .sheet.between button.main, .sheet[data-screen=comment], .sheet[data-screen=saving]"
            )
            if self.page.locator(asked).count():
                return int(self.page.locator(".trial").get_attribute("data-trial") or 0)
            between = self.page.locator(".sheet.between button.main")
            if not between.count():
                return None
            self.press(between)

    def answers(self, choose: Callable[[int, int], int] = lambda trial, n: (trial * 7) % n) -> int | None:
        """Answers every question of the next trial; its number.

        choose : (trial, number of answers) -> which.
        """
        number = self.waits_for_trial()
        if number is None:
            return None
        given: list[tuple[str, str, str]] = []
        section = self.page.locator(f'.trial[data-trial="{number}"]')
        while section.count():
            asked = section.locator(".asked:not([data-hidden])")
            question = (asked.locator(".question").get_attribute("id") or "").removeprefix("question-")
            kind = asked.get_attribute("class") or ""
            if given and self.by != "keys":
                self.page.wait_for_timeout(
                    200
                )  # nobody reads faster; a click sooner than that is the last question's second one
            if "typed" in kind:
                given.append(self._types(asked, question, number))
            else:
                given.append(self._chooses(asked, question, lambda n: choose(number, n)))
            self.page.wait_for_selector(f'.trial[data-trial="{number}"] #question-{question}', state="detached")
        self.pressed[number] = given
        return number

    def _chooses(self, asked: Locator, question: str, choose: Callable[[int], int]) -> tuple[str, str, str]:
        options = asked.locator(".option")
        place = choose(options.count())
        value = options.nth(place).get_attribute("value") or ""
        if self.by == "keys":
            self.page.keyboard.press(KEYS[place])
        else:
            self.press(options.nth(place))
        return question, value, STORED_AS[self.by]

    def _types(self, asked: Locator, question: str, number: int) -> tuple[str, str, str]:
        nothing = asked.locator(".option.nothing")
        if nothing.count() and number % 3 == 0:
            self.press(nothing)
            return question, "nothing", STORED_AS[self.by]
        text = f"thing {number}"
        if self.by == "keys":
            self.page.keyboard.type(text)  # the field has the focus
            self.page.keyboard.press("Enter")
            return question, text, "key"
        asked.locator("input").fill(text)
        self.press(asked.locator(".typing button"))
        return question, text, STORED_AS[self.by]

    def answers_all(self) -> None:
        """Answers until there are no more trials."""
        while self.answers() is not None:
            pass

    def finishes(self, comment: str = "") -> None:
        """Says something, or nothing, and ends it."""
        sheet = screen(self.page, "comment")
        if comment:
            sheet.locator("textarea").fill(comment)
        self.press(sheet.locator("button.main"))
        screen(self.page, "end")


def reach(page: Page, target: Locator) -> None:
    """Move the focus to something by the tab key alone."""
    handle = target.element_handle()
    for _ in range(60):
        if page.evaluate("element => document.activeElement === element", handle):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the tab key does not reach {target}")


def rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """What a query of the database says, beside the running server."""
    with closing(sqlite3.connect(f"file:{database.as_posix()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def stored(database: Path, session: str | None = None, at_least: int = 0) -> dict[int, dict[str, Any]]:
    """The answers that the database holds, by trial; of the only session, or of one.

    at_least : waits until it holds so many, for the page goes on before the server has answered.
    """
    which = f"where session = '{session}'" if session else ""
    for _ in range(400):
        found = rows(database, f"select trial, content from responses {which} order by trial")
        if len(found) >= at_least:
            break
        time.sleep(0.05)
    return {trial: json.loads(content) for trial, content in found if content is not None}


def pressed_in(database: Path, session: str | None = None, at_least: int = 0) -> dict[int, list[tuple[str, str, str]]]:
    """As `Person.pressed`, from the database."""
    return {
        trial: [(given["question"], given["value"] or given["typed"], given["by"]) for given in answer["given"]]
        for trial, answer in stored(database, session, at_least).items()
    }


def last_session(database: Path) -> str:
    """The session that began last."""
    return str(rows(database, "select session from sessions order by joined_ms desc, place desc limit 1")[0][0])


def happenings(database: Path, session: str) -> list[str]:
    """What the page told besides answers, in order."""
    found = rows(database, f"select kind from happenings where session = '{session}' order by number")
    return [kind for (kind,) in found]
