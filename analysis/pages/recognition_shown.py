"""What the pages of recognition online are drawn from, and tables with a column for every set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.crops.tables import TABLES, crops_path
from analysis.pages.blocks import Block, Cell, Column, Shown, Table
from analysis.pages.brief import signed
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.shown_tables import Row, number_text, read_source, shown_table
from protocols.online_plan import CONDITIONS
from protocols.tables import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MEASURED = {
    "rate": "right",
    "nothing": "nothing",
    "said_animal_if_animal": "P(animal | animal)",
    "said_animal_if_not": "P(animal | not)",
    "d_prime": "d′",
    "criterion": "criterion c",
    "gap": "gap",
    "abs_gap": "absolute gap",
    "mean_step": "mean step",
}
RATES = {
    "condition": "condition",
    "of": "of",
    "measure": "measure",
    "value": "value",
    "ci_low": "interval",
    "n_units": "pairs",
    "n_workers": "people",
    "n_answers": "answers",
    "spread": "SD of true values",
    "se_workers": "s.e. over people",
}


class Recognition:
    """What the page is drawn from: the tables of the task, and where figures go."""

    def __init__(self, contents: Contents, figures: FigureFolder) -> None:
        assert contents.study.online is not None
        self.contents, self.figures, self.plan = contents, figures, contents.study.online
        task = self.plan.task
        self.tables = {name: read_source(crops_path(contents.folder, task, name)) for name in TABLES}
        self.who = " (simulated people)" if contents.simulated else ""

    def rows(self, table: str, **wanted: str) -> list[dict[str, str]]:
        """Rows of a table with these values."""
        source = self.tables[table]
        return source.where(**wanted) if source else []

    def keep(
        self,
        name: str,
        figure: Figure,
        table: str,
        rows: Sequence[Row],
        title: str,
        caption: str,
        alt: str = "",
        wide: bool = True,
    ) -> Shown:
        """A figure with rows of a table as its data."""
        source = self.tables[table]
        return self.figures.keep(
            name, figure, alt or title, list(rows[0]), rows, source.meanings if source else {}, simulated=True, wide=wide,
            title=f"{title}{self.who}.", caption=caption, inputs=[source.path] if source else [],
        )  # fmt: skip

    def table(self, name: str, caption: str, rows: list[dict[str, str]], **more: object) -> Block | None:
        """Rows of a table, with a link to all of it."""
        source = self.tables[name]
        links = (("TSV", f"../crops/{self.plan.task}_{name}.tsv"),)
        return shown_table(source, caption, rows=rows, links=links, **more) if source else None  # type: ignore[arg-type]


def questions_of(shown: Recognition) -> list[tuple[str, str]]:
    """Questions that have right answers, by condition, in the study's order."""
    asked = [question.name for question in shown.plan.questions if question.kind != "rating"]
    there = {(row["question"], row["condition"]) for row in shown.rows("pairs")}
    return [(name, condition) for name in asked for condition in CONDITIONS if (name, condition) in there]


def across(shown: Recognition, caption: str, rows: list[dict[str, str]]) -> Table | None:
    """Rows of the summary with a column for every set, or difference of sets: value and interval, and what they rest on."""
    if not rows:
        return None
    of = list(dict.fromkeys(row["of"] for row in rows))
    found: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        found.setdefault((row["question"], row["measure"], row["condition"]), {})[row["of"]] = row
    cells = []
    for (question, measure, condition), by_set in found.items():
        texts = [question, MEASURED.get(measure, measure.replace("_", " ")), condition.replace(" minus ", " − ")]
        for name in of:
            told = by_set.get(name)
            texts.append("–" if told is None else _with_interval(told))
        for name in ("n_units", "n_workers", "n_answers"):
            texts.append(_range([int(row[name]) for row in by_set.values() if row[name] != "n/a"]))
        cells.append(tuple(Cell(text) for text in texts))
    heads = (
        *(Column(name, text=True) for name in ("question", "measure", "condition")),
        *(Column(minus(name)) for name in of),
    )
    columns = (*heads, *(Column(name) for name in ("sources", "people", "answers each")))
    note = (
        "Intervals for other sources and other people; how each was made, and its standard errors, stand in the file."
    )
    links = (("TSV", f"../crops/{shown.plan.task}_summary.tsv"),)
    return Table(caption, columns, tuple(cells), note=note, links=links)


def _with_interval(row: dict[str, str]) -> str:
    low, high = (signed(number(row[name])) for name in ("ci_low", "ci_high"))
    bounds = f" [{low}, {high}]" if row["ci_low"] != "n/a" else ""
    return f"{signed(number(row['value']))}{bounds}"


def _range(numbers: Sequence[int]) -> str:
    if not numbers:
        return "–"
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low}–{high}"


def minus(name: str) -> str:
    """A difference with a real minus sign."""
    return name.replace(" minus ", " − ")


def all_rows(shown: Recognition, table: str, caption: str) -> Block | None:
    """All rows of a table, shown on demand."""
    return shown.table(table, caption, shown.rows(table), most=400, folded=True)


def value_text(row: dict[str, str]) -> str:
    """The value of a row of the summary."""
    return "–" if row["value"] == "n/a" else number_text(number(row["value"]))
