"""The page on a desk, on phones, at 200 %, and from right to left: nothing is cut off, everything can be hit, read and reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import agree, screen, served, trial, visiting
from online_study import crop_study, set_study
from page_person import Person
from playwright.sync_api import Browser, Page

from experiment.online.serving import Listening

SIZES: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 800}},
    "zoomed to 200 %": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 3,
    },
    "small phone": {
        "viewport": {"width": 360, "height": 640},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    },
    "narrow (400 %)": {"viewport": {"width": 320, "height": 256}, "device_scale_factor": 4},
    "phone on its side": {"viewport": {"width": 740, "height": 360}, "has_touch": True, "is_mobile": True},
}
SMALL_TARGETS = """() => [...document.querySelectorAll("button, select, input, textarea")]
    .filter(e => e.checkVisibility({visibilityProperty: true}) && e.type !== "hidden")
    .map(e => [(e.closest("label") || e).getBoundingClientRect(), e.outerHTML])
    .filter(([box]) => box.width < 44 || box.height < 44)
    .map(([box, text]) => `${box.width} x ${box.height}: ${text.slice(0, 80)}`)"""
SCROLLS_SIDEWAYS = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
CUT_OFF = """() => [...document.querySelectorAll("button, h1, h2, p, label")]
    .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"""
CONTRASTS = """() => {
    const level = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const light = colours => {
        canvas.fillStyle = "white"; canvas.fillRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
        return .2126 * level(r) + .7152 * level(g) + .0722 * level(b);
    };
    const behind = element => {
        const found = [];
        for (let e = element; e; e = e.parentElement) found.unshift(getComputedStyle(e).backgroundColor);
        return found;
    };
    return [...document.querySelectorAll("body *")]
        .filter(e => e.checkVisibility({visibilityProperty: true}) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .map(e => {
            const ground = behind(e), [a, b] = [light(ground), light([...ground, getComputedStyle(e).color])].sort((x, y) => x - y);
            return [(b + .05) / (a + .05), e.textContent.slice(0, 40)];
        })
        .filter(([ratio]) => ratio < 4.5);
}"""
IN_HEBREW = """
  language: he
  questions:
    - {kind: choice, name: thing, about: supercategory, text: {he: "מה רואים בחלק הזה של התמונה?"}}
  saying:
    title: {he: "חלקי תמונות"}
    information: {he: ["במחקר זה רואים חלקים קטנים של תמונות."]}
    consent: {he: ["קראתי את המידע.", "אני בן 18 ומעלה ורוצה להשתתף."]}
    instructions: {he: ["בוחרים מה רואים."]}
    debriefing: {he: "תודה."}
    rest: {he: "הפסקה קצרה."}
"""


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    study, folder = crop_study(tmp_path_factory.mktemp("crops"), per_list=100, more="  rest_every: 1\n")
    with served(study, folder) as listening:
        yield listening


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    more = "  showing: {fixation_s: 0.02, image_s: 0.05}\n"
    study, folder = set_study(tmp_path_factory.mktemp("sets"), per_list=100, conditions=("free",), more=more)
    with served(study, folder) as listening:
        yield listening


def looks_right(page: Page, where: str) -> None:
    assert not page.evaluate(SCROLLS_SIDEWAYS), where
    assert page.evaluate(SMALL_TARGETS) == [], where
    assert page.evaluate(CUT_OFF) == [], where
    assert page.evaluate(CONTRASTS) == [], where


@pytest.mark.parametrize("size", list(SIZES))
def test_every_screen_of_a_session(browser: Browser, crops: Listening, size: str) -> None:
    with visiting(browser, **SIZES[size]) as visitor:
        page, person = visitor.page, Person(visitor.page)
        page.goto(crops.pages["link"])
        while not page.locator('[data-screen="consent"].sheet').count():
            page.wait_for_selector(".sheet button.main")
            looks_right(page, "information")
            page.locator("button.main").click()
        page.locator("button.main").click()
        looks_right(page, "consent")
        for box in page.locator(".statement input").all():
            box.check()
        page.locator("button.main").click()
        screen(page, "instructions")
        looks_right(page, "instructions")
        page.locator("button.main").click()
        trial(page)
        looks_right(page, "trial")
        page.locator("#withdraw").click()
        looks_right(page, "stop?")
        page.keyboard.press("Escape")
        seen = set()
        while True:
            page.wait_for_selector(".trial .asked:not([data-hidden]), .feedback, .between, .sheet[data-screen=comment]")
            if page.locator(".sheet[data-screen=comment]").count():
                break
            if page.locator(".between").count():
                looks_right(page, "break")
                page.locator(".between button").click()
            elif page.locator(".feedback").count():
                looks_right(page, "feedback")
                page.wait_for_selector(".feedback", state="detached")
            else:
                seen.add(page.locator(".trial").get_attribute("data-kind"))
                looks_right(page, "trial")
                person.answers()
        assert seen == {"practice", "main", "attention"}
        looks_right(page, "comment")
        person.finishes()
        looks_right(page, "end")
        assert visitor.complaints == []


@pytest.mark.parametrize("size", list(SIZES))
def test_three_kinds_of_questions(browser: Browser, sets: Listening, size: str) -> None:
    with visiting(browser, **SIZES[size]) as visitor:
        page = visitor.page
        page.goto(sets.pages["link"])
        agree(page)
        trial(page)
        looks_right(page, "choice")
        page.keyboard.press("1")
        page.wait_for_selector(".asked.typed:not([data-hidden])")
        looks_right(page, "typed")
        page.keyboard.press("Enter")
        looks_right(page, "typed, nothing there")
        page.keyboard.type("owl")
        page.keyboard.press("Enter")
        page.wait_for_selector(".asked.rating:not([data-hidden])")
        looks_right(page, "rating")


@pytest.mark.parametrize("size", ["small phone", "phone"])
def test_on_a_phone_ten_answers_stand_below_the_image_on_one_screen(
    browser: Browser, crops: Listening, size: str
) -> None:
    with visiting(browser, **SIZES[size]) as visitor:
        page = visitor.page
        page.goto(crops.pages["link"])
        agree(page)
        trial(page)
        image = page.locator(".stage .image").bounding_box()
        last = page.locator(".option").last.bounding_box()
        assert image is not None
        assert last is not None
        assert (image["width"], image["height"]) == (256, 256)
        assert last["y"] + last["height"] <= SIZES[size]["viewport"]["height"]


def test_from_right_to_left(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    def in_hebrew(text: str) -> str:
        feedback = 'practice: {n: 0, right: {he: "נכון."}, wrong: {he: "לא בדיוק."}}'
        return text.replace("practice: {n: 0}", feedback) + IN_HEBREW.lstrip("\n")

    study, folder = crop_study(
        tmp_path_factory.mktemp("hebrew"), per_list=20, practice=0, attention_every=None, text=in_hebrew
    )
    with served(study, folder) as at:
        for size in SIZES.values():
            with visiting(browser, locale="he-IL", **size) as visitor:
                page = visitor.page
                page.goto(at.pages["link"])
                screen(page, "information")
                html = page.locator("html")
                assert (html.get_attribute("dir"), html.get_attribute("lang")) == ("rtl", "he")
                looks_right(page, "information")
                agree(page)
                trial(page)
                looks_right(page, "trial")
                first, second = (page.locator(".option").nth(place).bounding_box() for place in (0, 1))
                assert first is not None
                assert second is not None
                assert first["x"] > second["x"]  # the first answer stands on the right
                tools, title = (page.locator(which).bounding_box() for which in ("#withdraw", "#title"))
                assert tools is not None
                assert title is not None
                assert tools["x"] < title["x"]


@pytest.mark.parametrize("grey", [0, 64, 117, 128, 200, 255])
def test_every_ground_can_be_read_on(browser: Browser, tmp_path_factory: pytest.TempPathFactory, grey: int) -> None:
    more = f"  showing: {{background_grey: {grey}, fixation_s: 0.0}}\n"
    study, folder = crop_study(tmp_path_factory.mktemp("grey"), practice=0, attention_every=1, more=more)
    with served(study, folder) as at, visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(at.pages["link"])
        for _ in range(2):
            person.waits_for_trial()
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == f"rgb({grey}, {grey}, {grey})"
            looks_right(page, f"grey {grey}")
            person.answers()


def test_what_is_read_out(browser: Browser, crops: Listening) -> None:
    with visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page)
        person.joins(crops.pages["link"])
        person.waits_for_trial()
        assert page.get_by_role("group", name="What does this part of a picture show?").count() == 1
        assert page.get_by_role("button", name="bird", exact=True).get_attribute("aria-keyshortcuts") == "1"
        assert page.locator("#notice").get_attribute("aria-live") == "polite"
        bar = page.get_by_role("progressbar")
        assert bar.get_attribute("aria-valuetext") == "Practice"
        person.answers()
        person.waits_for_trial()
        person.answers()
        person.waits_for_trial()
        assert bar.get_attribute("aria-valuetext") == "1 of 6 done"
