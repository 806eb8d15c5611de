"""Behaviour: what people answered, how fast, how consistently, and beside the network, in the scanner and at a desk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from analysis.behaviour import POOLED
from analysis.behaviour_figures import (
    behaviour_figure,
    consistency_figure,
    images_figure,
    runs_figure,
    times_figure,
)
from analysis.behaviour_table import TABLES, behaviour_path
from analysis.pages.blocks import Block, Page, Shown, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.shown_tables import Row, Source, read_source, shown_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "behaviour", "Behaviour"
SUMMARY = "What was answered: accuracy, sensitivity and bias, reaction times, missed trials, consistency, and the network beside it."
SCORING = (
    "Images with a correct answer (RE, AI) are scored against the animacy of their source. AN has no correct answer: shown is how "
    "often it was called an animal when the class it was made for is one, and when it is not; their difference is 0 for people "
    "who see nothing of what the network sees."
)
RATES = {
    "set": "set",
    "subject": "subject",
    "trials": "trials",
    "missed": "missed",
    "accuracy": "accuracy",
    "d_prime": "d′",
    "criterion": "criterion c",
    "p_animal_if_animal": "P(animal | animal)",
    "n_animal": "n",
    "p_animal_if_not": "P(animal | not)",
    "n_not": "n",
    "p_difference": "difference",
    "confidence": "confidence",
    "confidence_right": "when right",
    "confidence_wrong": "when wrong",
}
TIMES = {
    "set": "set",
    "subject": "subject",
    "rt_q05_s": "5 % (s)",
    "rt_q25_s": "25 % (s)",
    "rt_median_s": "median (s)",
    "rt_q75_s": "75 % (s)",
    "rt_q95_s": "95 % (s)",
}


def sources(contents: Contents) -> list[Path]:
    """The tables of behaviour that there are."""
    return contents.behaviour_files


def page(contents: Contents, figures: FigureFolder) -> Page:
    """A section for the scanner and one for the desk."""
    tables = {name: read_source(behaviour_path(contents.folder, name)) for name in TABLES}
    sections = []
    for at, title, anchor, suffix in (
        ("func", "In the scanner", "behaviour-section", ""),
        ("beh", "At a desk", "desk-section", "_desk"),
    ):
        blocks = _blocks(tables, at, suffix, figures, contents.simulated)
        if blocks:
            sections.append(section(title, anchor, blocks))
    return Page(NAME, TITLE, SUMMARY, tuple(sections))


def _blocks(
    tables: dict[str, Source | None], at: str, suffix: str, figures: FigureFolder, simulated: bool
) -> list[Block | None]:
    def of(name: str) -> list[dict[str, str]]:
        found = tables[name]
        return found.where(at=at) if found else []

    rates = of("behaviour")
    if not rates:
        return []
    who = " (simulated observers)" if simulated else ""

    def keep(name: str, figure: Figure, table: str, title: str, caption: str) -> Shown:
        source = tables[table]
        shown = of(table)
        meanings = source.meanings if source else {}
        alt = f"{title}{' at a desk' if suffix else ''}"
        inputs = [source.path] if source else []
        return figures.keep(
            f"{name}{suffix}", figure, alt, list(shown[0]), shown, meanings, simulated=True, wide=True,
            title=f"{title}{who}.", caption=caption, inputs=inputs,
        )  # fmt: skip

    found: list[Block | None] = [Words(SCORING)]
    found.append(
        keep(
            "behaviour",
            behaviour_figure(rates, of("intervals")),
            "intervals",
            "Answers",
            "Large: the trials of all subjects together, with an interval over images (these subjects, images like these; where all "
            "images were answered alike, over trials). Small: single subjects. d′ and c with the log-linear correction (Hautus 1995).",
        )
    )
    found.append(_rates(tables["behaviour"], rates))
    found.append(
        keep(
            "behaviour_times",
            times_figure(of("trials")),
            "trials",
            "Reaction times, the full distribution",
            "Cumulative share of answers; bold: all trials, thin: single subjects, dots: 5, 25, 50, 75 and 95 % quantiles. Missed "
            "trials are not in it.",
        )
    )
    found.append(_table(tables["behaviour"], rates, "Quantiles of reaction times", links="behaviour", columns=TIMES))
    consistency = consistency_figure(of("consistency"))
    if consistency is not None:
        found.append(
            keep(
                "behaviour_consistency",
                consistency,
                "consistency",
                "Consistency of repeated images",
                "Left: share of pairs of answers of one subject to one image that agree (0.5: a coin). Right: Krippendorff’s α, agreement "
                "beyond what the subject’s preference for one answer brings about; 0 is chance. Intervals over images.",
            )
        )
    found.append(_table(tables["consistency"], of("consistency"), "Consistency", links="consistency"))
    found.append(
        keep(
            "behaviour_images",
            images_figure(of("images")),
            "images",
            "Image by image",
            "Share of “animal” answers with Jeffreys’ interval (these subjects, this image). Filled: the image is an animal (AN: the class "
            "it was made for). Triangles above: the network calls the file an animal.",
        )
    )
    found.append(_table(tables["network"], of("network"), "People beside the network", links="network"))
    found.append(_table(tables["images"], of("images"), "All images", links="images", most=400, folded=True))
    found.append(
        keep(
            "behaviour_runs",
            runs_figure(of("runs")),
            "runs",
            "Run by run",
            "Bold: mean over subjects; thin: single subjects, runs in the order they were shown.",
        )
    )
    found.append(
        _table(
            tables["runs"],
            of("runs"),
            "All runs",
            links="runs",
            most=400,
            folded=True,
            columns={"subject": "subject", "session": "session", "run": "run"} | RATES | TIMES,
        )
    )
    found.append(
        _table(tables["intervals"], of("intervals"), "All intervals", links="intervals", most=400, folded=True)
    )
    return found


def _rates(source: Source | None, rows: list[dict[str, str]]) -> Block | None:
    if source is None:
        return None
    rated = any(row["confidence"] != "n/a" for row in rows)
    columns = {name: text for name, text in RATES.items() if rated or not name.startswith("confidence")}
    note = (
        "Accuracy and P(animal): of answered trials; n: answered trials each rests on. d′ and c: log-linear correction (Hautus 1995), "
        "0.5 added to counts, 1 to trials. Pooled: the trials of all subjects together."
    )
    if rated:
        note += " Confidence: mean step of the scale, 1 the least sure."
    return shown_table(
        source,
        "Per image type and subject",
        rows=rows,
        columns=columns,
        total=_pooled,
        note=note,
        links=_links("behaviour"),
    )


def _table(
    source: Source | None,
    rows: list[dict[str, str]],
    caption: str,
    *,
    links: str,
    most: int = 60,
    folded: bool = False,
    columns: dict[str, str] | None = None,
) -> Block | None:
    if source is None:
        return None
    shown = columns or [name for name in source.columns if name != "at"]
    return shown_table(
        source, caption, rows=rows, columns=shown, total=_pooled, links=_links(links), most=most, folded=folded
    )


def _pooled(row: Row) -> bool:
    return row.get("subject") == POOLED


def _links(name: str) -> tuple[tuple[str, str], ...]:
    file = "behaviour.tsv" if name == "behaviour" else f"behaviour_{name}.tsv"
    return (("TSV", f"../behaviour/{file}"),)
