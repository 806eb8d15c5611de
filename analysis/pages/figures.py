"""Figures of the pages: saved as SVG and PNG with their data as TSV beside them, and embedded."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.figure_style import save
from analysis.pages.blocks import Link, Shown
from protocols.folder import StudyFolder
from protocols.provenance import write_sidecar
from protocols.tables import write_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PX_PER_INCH = 92  # of a wide figure on a phone
MOST_PX_PER_INCH = 122  # on a desk
STAMP_RED = "#a33b2a"
CIRCULAR_STAMP = "circular selection of voxels"
STRIP_IN = 0.16  # above a figure, for its stamp


class FigureFolder:
    """Where the figures of one page go.

    folder    : the study folder.
    page      : the page's file: its figures stand in ``figures/`` beside it.
    inputs    : the files that the page is made from; they are recorded beside every figure.
    simulated : whether these are of a rehearsal: a figure of simulated data says so in itself.
    warnings  : what to know before quoting a number of the brain; a figure of circularly chosen voxels says so in itself.
    """

    def __init__(
        self, folder: StudyFolder, page: Path, inputs: Sequence[Path], *, simulated: bool, warnings: Sequence[str] = ()
    ) -> None:
        self.study_folder, self.page, self.inputs, self.simulated = folder, page, tuple(inputs), simulated
        self.warnings = tuple(warnings)
        self.folder = page.parent / "figures"
        self.written: list[Path] = []

    def keep(
        self,
        name: str,
        figure: Figure,
        alt: str,
        columns: Iterable[str],
        rows: Iterable[Mapping[str, Any]],
        descriptions: Mapping[str, str],
        *,
        simulated: bool = False,
        of_voxels: bool = False,
        wide: bool = False,
        title: str = "",
        caption: str = "",
        inputs: Sequence[Path] = (),
    ) -> Shown:
        """Save a figure and its data.

        name, alt    : of the files; what it shows in words.
        columns, rows, descriptions : its data as a table, every column described.
        simulated    : whether it shows people's or brains' data, which a rehearsal simulates.
        of_voxels    : whether it shows what comes of the chosen voxels: then the brain's warnings hold for it.
        wide         : whether it scrolls on a phone instead of shrinking.
        inputs       : what this figure was made from, if less than the page.
        """
        _stamp(figure, self._stamps(simulated, of_voxels))
        saved = save(figure, self.folder, name)
        names = list(columns)
        table = write_table(self.folder / f"{name}.tsv", names, rows)
        more: dict[str, Any] = {
            column: {"Description": descriptions.get(column) or column.replace("_", " ")} for column in names
        }
        if self.simulated:
            more["Simulated"] = True  # of a rehearsal's folder, whatever it shows
        if of_voxels and self.warnings:
            more["Warnings"] = list(self.warnings)
        write_sidecar(
            self.study_folder,
            table,
            inputs=inputs or self.inputs,
            parameters={"figure": name},
            packages=("matplotlib", "numpy"),
            more=more,
            beside=(saved.svg, saved.png),
        )
        self.written.append(table)
        links: tuple[Link, ...] = tuple((kind, f"figures/{name}.{kind.lower()}") for kind in ("TSV", "SVG", "PNG"))
        width_px = round(PX_PER_INCH * figure.get_figwidth()) if wide else 0
        return Shown(
            name,
            data_address(saved.svg),
            alt,
            links,
            width_px,
            round(MOST_PX_PER_INCH * figure.get_figwidth()),
            title,
            caption,
        )

    def _stamps(self, simulated: bool, of_voxels: bool) -> list[str]:
        circular = any("circular" in warning for warning in self.warnings)
        stamps = (("simulated data", simulated and self.simulated), (CIRCULAR_STAMP, of_voxels and circular))
        return [text for text, holds in stamps if holds]


def _stamp(figure: Figure, stamps: Sequence[str]) -> None:
    """Words in red in a strip of their own above the figure."""
    if not stamps:
        return
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    height = figure.get_figheight() + STRIP_IN
    figure.set_figheight(height)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, 0, 1, 1 - STRIP_IN / height))
    place = 1 - 0.035 / height
    figure.text(0.995, place, " · ".join(stamps), ha="right", va="top", fontsize=7, color=STAMP_RED)


def data_address(path: Path) -> str:
    """An image as a ``data:`` address, so that the page needs no other file."""
    kind = {".svg": "svg+xml", ".png": "png"}[path.suffix]
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
