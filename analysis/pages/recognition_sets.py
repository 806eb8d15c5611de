"""Recognition of the study's sets: rates by condition, differences, confidence, image by image."""

from __future__ import annotations

from analysis.crops.set_figures import conditions_of, confidence_figure, items_figure, sets_figure
from analysis.crops.set_summary import FORCED, NO_RIGHT
from analysis.pages.blocks import Block, Section, Words, section
from analysis.pages.recognition_shown import (
    Recognition,
    across,
    all_rows,
)

SETS_WORDS = (
    "Each person saw every source once, in one of the sets. Intervals take sources and people as samples at once; differences of sets are "
    "taken within source. Free and forced answers are other people’s, and are never pooled: "
)


def set_sections(shown: Recognition) -> list[Section]:
    """Sections of the study's sets."""
    sets = shown.plan.design.sets  # type: ignore[union-attr]
    summary = shown.rows("summary", whom="counted")
    conditions = conditions_of(summary)
    recipes = shown.contents.study.stimuli.sets
    noise = [name for name in sets if name in recipes and not recipes[name].has_correct_answer]
    words = SETS_WORDS + FORCED + "."
    if noise:
        words += f" For {', '.join(noise)} {NO_RIGHT}."
    recognised: list[Block | None] = [Words(words)]
    plain = [row for row in summary if row["condition"] in conditions]
    recognised.append(
        shown.keep(
            "recognition_sets",
            sets_figure(plain, sets),
            "summary",
            plain,
            "What people recognise in each set",
            "Means over sources with intervals for other sources and other people. “Nothing” counts as not right, and for d′ as not "
            "“animal”.",
            "Recognition by set and condition",
        )
    )
    wanted = ("rate", "nothing", "said_animal_if_animal", "said_animal_if_not", "d_prime", "criterion")
    single = [row for row in plain if row["measure"] in wanted and row["of"] in sets]
    apart = ("rate", "nothing", "d_prime", "mean_step")
    between = [row for row in plain if row["measure"] in apart and row["of"] not in sets]
    forced = [row for row in summary if row["condition"] not in conditions]
    recognised.append(across(shown, "By set", single))
    differences = [
        across(shown, "Differences of sets, within source", between),
        across(shown, "What forcing an answer adds: forced minus free, other people", forced),
    ]
    found = [section("Recognition", "recognised", recognised), section("Differences", "differences", differences)]
    confidence = confidence_figure(plain, sets)
    if confidence is not None:
        steps = [row for row in plain if row["measure"].startswith("step_")]
        means = [row for row in plain if row["measure"] == "mean_step" and row["of"] in sets]
        figure = shown.keep(
            "recognition_confidence",
            confidence,
            "summary",
            steps,
            "How sure people are",
            "Share of every step of the scale, with intervals for other sources and other people.",
            "How sure people are, by set and condition",
        )
        table = across(shown, "Mean step of the scale", means)
        found.append(section("Confidence", "confidence", [figure, table]))
    images: list[Block | None] = []
    for name in [question.name for question in shown.plan.questions if question.kind != "rating"]:
        items = shown.rows("crops", question=name)
        if items:
            images.append(
                shown.keep(
                    f"recognition_images_{name}",
                    items_figure(items, sets),
                    "crops",
                    items,
                    f"Image by image: “{name}”",
                    "Share right of every image with Wilson’s interval, in the order of the free answers.",
                    f"Share right of every image, question {name}",
                )
            )
    images += [all_rows(shown, "crops", "All images"), all_rows(shown, "pairs", "All sources, set against set")]
    found[0] = section(
        "Recognition", "recognised", [*recognised, all_rows(shown, "summary", "All rows of the summary")]
    )
    return [*found, section("Image by image", "image-by-image", images)]
