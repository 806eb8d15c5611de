"""Pictures of every screen of the online task, from the real page in a real browser: on a desk, a phone, at 200 %, and in Arabic.

Those of docs/pictures are among them, as online_*.png.

Usage: python online_pictures.py FOLDER
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import online_study
from browser import Visitor, agree, chromium, screen, served, trial, visiting
from PIL import Image

from stimuli.picturebook.book import render

OF_SUPERCATEGORY = {
    "birds": "owl", "boats": "sailing_boat", "fish": "goldfish", "food": "pizza_slice", "furniture": "chair", "insects": "butterfly",
    "instruments": "guitar", "landvehicles": "bicycle", "mammals": "rabbit", "reptiles": "turtle",
}  # fmt: skip
FOR_DOCS = {
    "trial": "trial_main_desk",
    "phone": "trial_main_phone",
    "consent": "consent_desk",
    "arabic": "trial_main_arabic_phone",
}
SIZES: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 800}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
    "small_phone": {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True},
    "zoom": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},  # 1280 x 800 at 200 %
}

ARABIC = """
    title: {ar: ماذا ترى في أجزاء الصور؟}
    information: {ar: ["ترى في هذه الدراسة أجزاء صغيرة من صور، واحدًا بعد الآخر، وتقول ما يظهر في كل منها.\\n\\nتستغرق نحو خمس دقائق."]}
    consent: {ar: ["قرأت المعلومات الواردة أعلاه.", "عمري 18 عامًا أو أكثر وأريد المشاركة."]}
    instructions: {ar: ["سترى صورة صغيرة واحدة في كل مرة. اختر ما يظهر فيها."]}
    rest: {ar: استراحة قصيرة. تابع عندما تكون مستعدًا.}
    debriefing: {ar: شكرًا لك.}
"""
ARABIC_LABELS = (
    "{birds: طائر, boats: قارب, fish: سمكة, food: طعام, furniture: أثاث, insects: حشرة, instruments: آلة موسيقية, "
    "land_vehicles: مركبة, mammals: حيوان ثديي, reptiles: زاحف}"
)


def in_arabic(text: str) -> str:
    """A study file whose texts are there in Arabic, too."""
    questions = (
        "  questions:\n    - kind: choice\n      name: thing\n      about: supercategory\n"
        f'      text: {{en: "What is it?", ar: "ماذا يظهر في هذا الجزء من الصورة؟"}}\n      labels: {{ar: {ARABIC_LABELS}}}\n'
    )
    practice = "  practice: {n: 1, right: {ar: صحيح.}, wrong: {ar: ليس تمامًا.}}\n"
    attention = '  attention: {every: 2, text: {ar: "لتُظهر أنك منتبه، اختر من فضلك: {option}"}}\n'
    lines = [line for line in text.splitlines() if not line.startswith(("  practice:", "  attention:"))]
    return "\n".join(lines) + "\n" + questions + practice + attention + "  saying:" + ARABIC


def picture(path: Path, name: str, side_px: int = 192) -> str:
    """A part of a picture of the picture book, for a member of a pair."""
    path.parent.mkdir(parents=True, exist_ok=True)
    category = OF_SUPERCATEGORY.get(name.split("-")[1], "owl") if name.startswith("p") else "owl"
    whole = Image.fromarray(render(category, "test", 1, 320))
    whole.crop((64, 64, 64 + side_px, 64 + side_px)).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Taker:
    """Takes pictures into a folder, each named for its screen and size."""

    def __init__(self, folder: Path, size: str, visitor: Visitor) -> None:
        self.folder, self.size, self.page = folder, size, visitor.page

    def take(self, name: str) -> None:
        """One picture of what the window shows."""
        self.page.wait_for_timeout(300)
        self.page.screenshot(path=self.folder / f"{name}_{self.size}.png")


def through(taker: Taker, address: str, language: str | None = None) -> None:
    """A whole session with the crops: every screen once."""
    page = taker.page
    page.goto(address + (f"?language={language}" if language else ""))
    screen(page, "information")
    taker.take("information")
    while not page.locator('[data-screen="consent"].sheet').count():
        page.locator("button.main").click()
    page.locator(".statement input").first.check()
    page.locator("button.main").click()
    taker.take("consent")
    for box in page.locator(".statement input").all():
        box.check()
    page.locator("button.main").click()
    screen(page, "instructions")
    taker.take("instructions")
    page.locator("button.main").click()
    trial(page)
    taker.take("trial")
    page.locator("#withdraw").click()
    taker.take("withdraw")
    page.locator("dialog button.main").click()
    page.locator(".option").first.click()
    page.wait_for_selector(".feedback")
    taker.take("feedback")
    seen = set()
    while True:
        page.wait_for_selector(
            ".trial:not([data-kind=practice]) .asked:not([data-hidden]), .between, [data-screen=comment].sheet"
        )
        if page.locator(".between").count():
            taker.take("between" if "between" in seen else "begins")
            seen.add("between")
            page.locator(".between button").click()
        elif page.locator(".trial").count():
            section = page.locator(".trial")
            kind, number = section.get_attribute("data-kind"), section.get_attribute("data-trial")
            if kind not in seen:
                taker.take(f"trial_{kind}")
            seen.add(kind)
            page.locator(".option").nth(3).click()
            page.wait_for_selector(f'.trial[data-trial="{number}"]', state="detached")
        else:
            break
    taker.take("comment")
    page.locator("button.main").click()
    screen(page, "end")
    taker.take("end")


def three_questions(taker: Taker, address: str) -> None:
    """The first trial of the sets: fixation, image, and its three questions."""
    page = taker.page
    page.goto(address)
    agree(page)
    page.wait_for_selector(".trial .fixation:not([data-hidden])")
    taker.take("sets_fixation")
    page.wait_for_selector(".trial .asked.choice:not([data-hidden])")
    taker.take("sets_choice")
    page.locator(".option").first.click()
    page.wait_for_selector(".asked.typed:not([data-hidden])")
    page.locator(".typing button").click()
    taker.take("sets_typed")
    page.locator(".typing input").fill("owl")
    page.keyboard.press("Enter")
    page.wait_for_selector(".asked.rating:not([data-hidden])")
    taker.take("sets_rating")


def main(folder: str) -> None:
    """Take them all."""
    into = Path(folder)
    into.mkdir(parents=True, exist_ok=True)
    online_study._picture = picture  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        for name, made, takes in _studies(Path(place)):
            study, where = made
            with served(study, where) as at:
                for size, settings in SIZES.items():
                    with visiting(browser, **settings) as visitor:
                        takes(Taker(into, f"{name}{size}", visitor), at.pages["link"])
                        print(*visitor.complaints, sep="\n")
                if name == "":
                    with visiting(browser, **SIZES["desk"]) as visitor:
                        visitor.page.goto(at.pages["lab"])
                        screen(visitor.page, "label")
                        Taker(into, "desk", visitor).take("label")
    for name, taken in FOR_DOCS.items():
        Image.open(into / f"{taken}.png").convert("RGB").quantize(64, dither=Image.Dither.NONE).save(
            into / f"online_{name}.png", optimize=True
        )


def _studies(place: Path) -> Iterator[tuple[str, Any, Callable[[Taker, str], None]]]:
    for name in ("crops", "sets", "arabic"):
        (place / name).mkdir()
    yield "", online_study.crop_study(place / "crops", n_pairs=4, per_list=20, more="  rest_every: 2\n"), through
    yield "", online_study.set_study(place / "sets", per_list=20), three_questions
    arabic = online_study.crop_study(place / "arabic", per_list=20, text=in_arabic)
    yield "arabic_", arabic, lambda taker, address: through(taker, address, "ar")


if __name__ == "__main__":
    main(*sys.argv[1:])
