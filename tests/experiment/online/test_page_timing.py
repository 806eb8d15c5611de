"""When an image comes and goes is decided on frames, and every frame is stored."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from browser import agree, served, visiting
from online_study import crop_study, set_study
from page_person import Person, last_session, stored
from playwright.sync_api import Browser

from experiment.online.messages import TrialAnswer

TWENTY = "  showing: {fixation_s: 0.1, image_s: 0.1}\n"
BUSY = "() => setInterval(() => { const end = performance.now() + 35; while (performance.now() < end) {} }, 90)"


@pytest.mark.parametrize("busy", [False, True])
def test_twenty_images_of_a_tenth_of_a_second(browser: Browser, tmp_path: Path, busy: bool) -> None:
    study, folder = crop_study(
        tmp_path, n_pairs=20, practice=0, attention_every=None, pairs_of_each=2, more=TWENTY + "  rest_every: null\n"
    )
    with served(study, folder) as at, visiting(browser) as visitor:
        person = Person(visitor.page, "keys")
        person.joins(at.pages["link"])
        if busy:
            visitor.page.evaluate(BUSY)
        person.answers_all()
        answers = [TrialAnswer.model_validate(answer) for answer in stored(at.database, at_least=20).values()]
    assert len(answers) == 20
    for answer in answers:
        shown = answer.shown
        assert shown is not None
        assert shown.asked_ms == 100
        assert shown.offset_ms is not None
        times = shown.frames_ms
        assert times == sorted(times)
        assert (times[0], times[-1]) == (shown.onset_ms, shown.offset_ms)
        assert shown.n_frames == len(times) - 1
        intervals = [after - before for before, after in pairwise(times)]
        assert shown.late_frames == sum(interval > 1.5 * shown.frame_ms for interval in intervals)
        # on the frame nearest to the time: the one before would have been farther from it
        assert shown.offset_ms - shown.onset_ms >= 100 - shown.frame_ms / 2 - 0.02
        assert times[-2] - shown.onset_ms < 100 - shown.frame_ms / 2 + 0.02
        if shown.late_frames == 0:
            assert abs(shown.offset_ms - shown.onset_ms - 100) <= shown.frame_ms / 2 + 1
        assert answer.given[0].rt_ms >= 0


def test_an_image_without_a_time_stays_until_the_answer(browser: Browser, tmp_path: Path) -> None:
    study, folder = crop_study(
        tmp_path, n_pairs=2, practice=0, attention_every=None, more="  showing: {fixation_s: 0.0}\n"
    )
    with served(study, folder) as at, visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page, "keys")
        person.joins(at.pages["link"])
        person.waits_for_trial()
        page.wait_for_timeout(700)
        assert page.locator(".stage .image:not([data-hidden])").count() == 1
        person.answers()
        person.waits_for_trial()
        answer = TrialAnswer.model_validate(stored(at.database, at_least=1)[1])
    shown, rt_ms = answer.shown, answer.given[0].rt_ms
    assert shown is not None
    assert shown.asked_ms is None
    assert shown.offset_ms is not None
    assert rt_ms > 600
    assert 0 <= shown.offset_ms - shown.onset_ms - rt_ms <= 3 * shown.frame_ms + 5  # the frame after the answer
    assert shown.n_frames == len(shown.frames_ms) - 1


def test_an_image_that_stands_for_long_has_its_first_thousand_frames_stored(browser: Browser, tmp_path: Path) -> None:
    study, folder = crop_study(
        tmp_path, n_pairs=2, practice=0, attention_every=None, more="  showing: {fixation_s: 0.0}\n"
    )
    with served(study, folder) as at, visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page, "keys")
        # five hundred frames a second, as a very fast screen has them
        page.add_init_script(
            "let k = 0; window.requestAnimationFrame = f => setTimeout(() => f(performance.now()), 0);"
        )
        person.joins(at.pages["link"])
        person.waits_for_trial()
        page.wait_for_timeout(9000)
        person.answers()
        person.waits_for_trial()
        answer = TrialAnswer.model_validate(stored(at.database, at_least=1)[1])
    assert answer.shown is not None
    assert len(answer.shown.frames_ms) <= 1000
    assert answer.shown.n_frames >= len(answer.shown.frames_ms) - 1


def test_the_mask_follows_the_image_and_can_be_made_again(browser: Browser, tmp_path: Path) -> None:
    more = "  showing: {fixation_s: 0.0, image_s: 0.05, mask_s: 1.0, mask_delay_s: 0.0}\n"
    study, folder = set_study(tmp_path, practice=0, attention_every=None, conditions=("free",), more=more)
    with served(study, folder) as at, visiting(browser) as visitor:
        page = visitor.page
        page.goto(at.pages["link"])
        agree(page)
        page.wait_for_selector(".stage .mask:not([data-hidden])")
        assert page.locator(".stage .image:not([data-hidden])").count() == 0
        assert page.locator(".asked:not([data-hidden])").count() == 0
        drawn = page.evaluate("() => document.querySelector('.mask').toDataURL()")
        again = page.evaluate(
            """async () => {
                const { noise, seedOf } = await import("/static/mask.js");
                const key = Object.keys(localStorage).find(key => key.endsWith("|session"));
                return noise(seedOf(JSON.parse(localStorage.getItem(key)))).toDataURL();
            }"""
        )
        assert drawn == again  # from the name of the trial's image alone
        page.wait_for_selector(".asked:not([data-hidden])")
        assert page.locator(".stage .mask:not([data-hidden])").count() == 0
        page.keyboard.press("1")
        page.wait_for_selector(".asked.typed")


def test_a_hidden_page_is_told_with_the_trial(browser: Browser, tmp_path: Path) -> None:
    study, folder = crop_study(
        tmp_path, n_pairs=4, practice=0, attention_every=None, more="  showing: {fixation_s: 0.0}\n"
    )
    with served(study, folder) as at, visiting(browser) as visitor:
        page, person = visitor.page, Person(visitor.page, "keys")
        person.joins(at.pages["link"])
        session = last_session(at.database)
        person.waits_for_trial()
        page.evaluate(
            "() => { Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange')); delete document.hidden;"
            "document.dispatchEvent(new Event('visibilitychange')); }"
        )
        person.answers()
        person.answers()
        person.waits_for_trial()
        assert [answer["hidden"] for answer in stored(at.database, session, 2).values()] == [True, False]


def test_frames_and_waits_are_computed_as_said(browser: Browser, tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with served(study, folder) as at, visiting(browser) as visitor:
        visitor.page.goto(at.pages["link"])
        found = visitor.page.evaluate(
            """async () => {
                const { isNearest, median } = await import("/static/frames.js");
                const { waitMs } = await import("/static/patience.js");
                const { retryAfter } = await import("/static/server.js");
                const { greys, contrast } = await import("/static/colours.js");
                const { keyOf, placeOf } = await import("/static/questions.js");
                const frame = 1000 / 60;
                const event = (key, code, more = {}) => placeOf({ key, code, ...more });
                return {
                    offsets: [100, 50, 16, 1].map(asked => {
                        let n = 0;
                        while (!isNearest(n * frame, asked, frame)) n += 1;
                        return n;
                    }),
                    medians: [median([3, 1, 2]), median([4, 1, 2, 3])],
                    waits: [1, 2, 3, 20].map(failures => [waitMs(failures, null, 0), waitMs(failures, null, 1)]),
                    asked: waitMs(1, 7000, 0),
                    retry: [retryAfter("3", 0), retryAfter("Thu, 01 Jan 1970 00:00:10 GMT", 4000),
                            retryAfter(null, 0), retryAfter("soon", 0)],
                    contrasts: [...Array(256).keys()].map(ground => {
                        const { ink, face } = greys(ground);
                        return Math.min(contrast(ink, ground), contrast(ink, face));
                    }),
                    keys: [keyOf(0), keyOf(9), keyOf(10), keyOf(99)],
                    places: [event("1", "Digit1"), event("0", "Numpad0"), event("&", "Digit1"), event("a", "KeyA"), event("ф", "KeyA"),
                             event("1", "Digit1", {ctrlKey: true}), event("Enter", "Enter"), event("F1", "F1")],
                };
            }"""
        )
    assert found["offsets"] == [6, 3, 1, 0]
    assert found["medians"] == [2, 2.5]
    assert found["waits"] == [[250, 500], [500, 1000], [1000, 2000], [15000, 30000]]
    assert found["asked"] == 7000
    assert found["retry"] == [3000, 6000, None, None]
    assert min(found["contrasts"]) >= 4.5
    assert found["keys"] == ["1", "0", "a", None]
    assert found["places"] == [0, 9, 0, 10, 10, -1, -1, -1]
