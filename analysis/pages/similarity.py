"""Similarity of RDMs in the brain: as measured, corrected, with the order taken out, differences, and tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from analysis.behaviour import POOLED
from analysis.inference.further_tables import ceilings_path
from analysis.pages.blocks import Block, Page, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import models_blocks, relative_link, table_blocks, tables_for
from analysis.pages.shown_tables import read_source, shown_table
from analysis.similarity_figures import truth_figure
from analysis.similarity_table import COLUMNS, SimilarityRow

NAME, TITLE = "similarity", "Similarity and tests"
SUMMARY = "How alike the geometry of two stimulus sets is in every region: estimates, what noise and order do to them, and tests."
TRUTH = (
    "The rehearsal’s brain has a stated geometry, so the truth is known: the similarity of its noiseless RDMs. The measured similarity "
    "is lowered by noise. The corrected one divides the similarity between independent halves of the runs by the geometric mean of the "
    "two RDMs’ reliabilities; it estimates the noiseless similarity over the chosen voxels, with an uncertainty that grows as "
    "reliability falls. Reliable voxels are not a random sample of a region, so their truth (dashed) differs a little from that of all "
    "its informative voxels (solid)."
)
MEASURED = {
    "place": "ROI",
    "pair": "pair",
    "subject": "subject",
    "n_features": "voxels",
    "similarity": "measured",
    "ci_low": "interval",
    "partial": "order taken out",
    "partial_low": "interval",
    "reliability_first": "reliability, first set",
    "reliability_second": "second set",
    "corrected": "corrected",
    "corrected_low": "interval",
    "truth_chosen": "truth, chosen voxels",
    "truth": "truth, all voxels",
}


def sources(contents: Contents) -> list[Path]:
    """The tables of the brain's similarities, and of tests; noise ceilings are drawn beside models."""
    ceilings = ceilings_path(contents.folder)
    found = tables_for(contents.folder, NAME) if contents.brain else []
    return [*found, *([ceilings] if found and ceilings.is_file() else [])]


def page(contents: Contents, figures: FigureFolder) -> Page:
    """Estimates, truth where it is known, differences, and every further table."""
    if contents.brain is None:
        return Page(NAME, TITLE, SUMMARY)
    similarity, difference, _ = contents.brain.files
    sections = [section("Per region of interest", "regions", _measured(contents, similarity))]
    if contents.has_truth:
        sections.append(section("Estimated and true similarity", "truth", _truth(contents, figures)))
    sections.append(section("Differences of similarity", "differences", _differences(contents, difference)))
    models = similarity.with_name("models_brain.tsv")
    drawn = models_blocks(contents, figures, models, contents.brain.places)
    if drawn:
        sections.append(section("Models", "models", drawn))
    shown = (similarity.name, difference.name, *((models.name,) if drawn else ()))
    more = table_blocks(contents, NAME, shown)
    if more:
        sections.append(section("Tests and further measures", "tests", more))
    return Page(NAME, TITLE, SUMMARY, tuple(sections))


def _measured(contents: Contents, path: Path) -> list[Block | None]:
    source = read_source(path)
    if source is None:
        return []
    links = (("TSV", relative_link(contents, path)),)
    pooled, single = source.where(subject=POOLED), [row for row in source.rows if row["subject"] != POOLED]
    columns = {name: text for name, text in MEASURED.items() if any(row.get(name, "n/a") != "n/a" for row in pooled)}
    simulated = " (simulated)" if contents.simulated else ""
    note = (
        "Voxels: per choice of voxels. Order taken out: the same correlation after what the order of trials alone would write into "
        "both RDMs has been regressed out. Reliability: correlation of the RDMs from two independent halves of the runs."
    )
    methods = corrected_methods(contents.pooled)
    if methods:
        note += f" Intervals of the corrected similarity: {'; '.join(methods)}."
    blocks: list[Block | None] = [
        shown_table(
            source,
            f"Voxels of all subjects pooled{simulated}",
            rows=pooled,
            columns={name: text for name, text in columns.items() if name != "subject"},
            key="similarity",
            links=links,
            note=note,
        ),
        shown_table(
            source,
            "Single subjects",
            rows=single,
            columns=MEASURED,
            key="similarity",
            links=links,
            folded=True,
            most=200,
        ),
    ]
    told = [text for row in source.rows for text in row.get("note", "").split("; ")]
    notes = dict.fromkeys(text for text in told if text not in ("", "n/a") and "circular" not in text)
    return [*(Words(f"{text[0].upper()}{text[1:]}.", "warning") for text in notes), *blocks]


def _truth(contents: Contents, figures: FigureFolder) -> list[Block | None]:
    interval = f"{100 * contents.study.analysis.bootstrap.interval:g} %"
    methods = "; ".join(dict.fromkeys(row.ci_method for row in contents.pooled if math.isfinite(row.ci_low)))
    return [
        Words(TRUTH),
        figures.keep(
            "estimated_and_true",
            truth_figure(contents.pooled),
            "Measured and corrected similarity beside the simulated truth",
            [field.name for field in fields(SimilarityRow)],
            [asdict(row) for row in contents.pooled],
            COLUMNS,
            simulated=True,
            of_voxels=True,
            wide=True,
            title="Recovery of the simulated truth.",
            caption=f"Rings: as measured. Discs: corrected for reliability. Lines: {interval} ({methods}; corrected: see table). n/a: a "
            "reliability is below 0.1, and dividing by it would give any number at all.",
        ),
    ]


def _differences(contents: Contents, path: Path) -> list[Block | None]:
    source = read_source(path)
    if source is None:
        return []
    columns = {
        "place": "ROI",
        "subject": "subject",
        "contrast": "contrast",
        "difference": "difference",
        "ci_low": "interval",
    }
    known = set(columns) | {"ci_high", "selection"}
    columns |= {name: name.replace("_", " ") for name in source.columns if name not in known}
    note = (
        "The two similarities of a difference rest on the same voxels, resampled together: the interval is that of the difference "
        "itself, and may leave out zero where the bars of Figure 1 overlap."
    )
    return [
        shown_table(
            source,
            "RE-AI and the other pairs minus the first pair, as measured",
            columns=columns,
            key="difference",
            total=lambda row: row.get("subject") == POOLED,
            links=(("TSV", relative_link(contents, path)),),
            note=note,
            most=200,
        )
    ]


def corrected_methods(rows: Sequence[SimilarityRow]) -> list[str]:
    """How the intervals of corrected similarities were made; where in several ways, each with the rows that it was for."""
    places: dict[str, list[str]] = {}
    for row in rows:
        if math.isfinite(row.corrected):
            places.setdefault(row.corrected_method, []).append(f"{row.place} {row.pair}")
    if len(places) == 1:
        return list(places)
    return [f"{method} ({', '.join(where)})" for method, where in places.items()]
