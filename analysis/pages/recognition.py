"""Recognition online: what people in the browser recognised, beside chance and beside the network, and who counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from analysis.crops.people_rows import ALL
from analysis.pages.blocks import Block, Cell, Column, Page, Section, Table, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.recognition_pairs import pair_sections
from analysis.pages.recognition_sets import set_sections
from analysis.pages.recognition_shown import (
    MEASURED,
    Recognition,
    minus,
    value_text,
)
from analysis.pages.shown_tables import interval_text
from protocols.online_plan import SetRecognition
from protocols.tables import number

NAME, TITLE = "recognition", "Recognition online"
SUMMARY = "What people in the browser recognised: rates with intervals, gaps beside chance and beside the network, and who counts."
MOST_LISTS = 6
MOST_COMPARED = 12


def sources(contents: Contents) -> list[Path]:
    """The tables of recognition that there are."""
    return contents.recognition_files


def page(contents: Contents, figures: FigureFolder) -> Page:
    """Of pairs of crops: gaps, chance, the network; of sets: recognition, confidence; of both: images, people, typed names."""
    shown = Recognition(contents, figures)
    plan = contents.study.online
    assert plan is not None
    parts = set_sections(shown) if isinstance(plan.design, SetRecognition) else pair_sections(shown)
    return Page(NAME, TITLE, SUMMARY, (*parts, _people(shown), *_typed(shown)))


def _people(shown: Recognition) -> Section:
    """Who began, counts and does not, and whether it matters."""
    rows = shown.rows("exclusions")
    rules = (
        "The rules were declared in the study file before anybody answered. Rates are of people who count; nobody else’s answers are in "
        "them, and nobody is left out for any other reason."
    )
    return section("People", "people", [Words(rules), _exclusions(shown, rows), _robustness(shown)])


def _exclusions(shown: Recognition, rows: list[dict[str, str]]) -> Table:
    lists = [name for name in dict.fromkeys(row["list_id"] for row in rows) if name != ALL]
    names = [ALL, *(lists if len(lists) <= MOST_LISTS else [])]
    counts = {(row["list_id"], row["kind"], row["what"]): row["n"] for row in rows}
    kinds = {(row["kind"], row["what"]): row["meaning"] for row in rows if row["list_id"] == ALL}
    cells = tuple(
        (
            Cell(f"{kind}: {what.replace('_', ' ')}" if kind != "people" else what.replace("_", " ")),
            *(Cell(counts.get((name, kind, what), "0")) for name in names),
            Cell(meaning),
        )
        for (kind, what), meaning in kinds.items()
    )
    columns = (
        Column("people", text=True),
        *(Column(name, key=name == ALL) for name in names),
        Column("in words", text=True),
    )
    marks = tuple(kind == "people" and what == "counted" for kind, what in kinds)
    note = f"{len(lists)} lists; each by itself stands in the file." if len(lists) > MOST_LISTS else ""
    links = (("TSV", f"../crops/{shown.plan.task}_exclusions.tsv"),)
    return Table("Everybody who began", columns, cells, marks, note=note, links=links)


def _robustness(shown: Recognition) -> Block | None:
    """The main results with people who count, and with all who finished; a sentence where these are the same people."""
    excluded = sum(int(row["n"]) for row in shown.rows("exclusions", list_id=ALL, kind="people", what="excluded"))
    if not excluded:
        return Words("Nobody who finished was excluded: the results with and without exclusions are the same.")
    wanted = ("rate", "nothing", "gap", "abs_gap", "d_prime")
    rows = [row for row in shown.rows("summary", whom="counted") if row["measure"] in wanted and row["value"] != "n/a"]
    key: Callable[[dict[str, str]], tuple[str, ...]] = lambda row: tuple(  # noqa: E731
        row[name] for name in ("question", "condition", "of", "measure", "p_method")
    )
    others = {_kind(key(row)): row for row in shown.rows("summary", whom="finished")}
    names = ("question", "condition", "of", "measure")
    cells = []
    seen = set()
    for row in rows:
        other = others.get(_kind(key(row)))
        if other is None or tuple(row[name] for name in names) in seen:
            continue
        seen.add(tuple(row[name] for name in names))
        texts = [minus(row[name]) for name in names[:3]] + [MEASURED[row["measure"]]]
        for found in (row, other):
            texts += [value_text(found), interval_text(found["ci_low"], found["ci_high"]), found["n_workers"]]
        cells.append(tuple(Cell(text) for text in texts))
    headings = ("value", "interval", "people")
    columns = (
        *(Column(name, text=True) for name in names),
        *(Column(name, key=name == "value") for name in headings),
        *(Column(f"{name}, all") for name in headings),
    )
    note = (
        "Left: people who count; right (all): all who finished, excluded people included. A result that depends on who is excluded "
        "shows here."
    )
    folded = len(cells) > MOST_COMPARED
    return Table("With and without exclusions", columns, tuple(cells), note=note, folded=folded) if cells else None


def _kind(key: tuple[str, ...]) -> tuple[str, ...]:
    """Of two chances the binomial one and the other are kept apart by their first words."""
    return (*key[:4], key[4].split(" ")[0])


def _typed(shown: Recognition) -> list[Section]:
    rows = sorted(shown.rows("typed"), key=lambda row: -number(row["n"]))
    if not rows:
        return []
    words = Words(
        "Every name that was typed, and whether it counted as right: the category’s name, or one that the study file accepts, whatever its "
        "case, accents and articles. Judge for yourself."
    )
    wrong = [row for row in rows if row["right"] == "false" and row["typed"] != "nothing"]
    return [
        section(
            "What was typed",
            "typed",
            [
                words,
                shown.table("typed", "Most frequent names that did not count as right", wrong, most=20),
                shown.table("typed", "All typed names", rows, most=400, folded=True),
            ],
        )
    ]
