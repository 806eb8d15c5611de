"""How figures look, and how they are saved: as SVG and PNG whose bytes depend on nothing but the figure."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocols.folder import write_bytes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK, SOFT, FAINT, PAPER = "#22252b", "#6b7078", "#d9dbdf", "#ffffff"
# Blue and vermilion stay apart for every common colour deficiency, and in grey (dark and mid).
PAIR_COLOURS = ("#d1495b", "#1d5c8f", "#8a6d1f", "#3f7f5f", "#6d4d8c")
SET_COLOURS = {"RE": "#3d4148", "AN": "#d1495b", "AI": "#1d5c8f"}
MARKERS = ("o", "s", "D", "^", "v")

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that every machine draws the same
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": INK,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",
    "svg.hashsalt": "foolscan",
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class SavedFigure:
    """A figure on disk: ``<name>.svg`` and ``<name>.png``."""

    name: str
    svg: Path
    png: Path


@contextmanager
def style() -> Iterator[None]:
    """Draw in the suite's style, whatever the user's matplotlib is set to."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type]  # its stubs list every key by name
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure of a size in inches, outside matplotlib's global state."""
    from matplotlib.figure import Figure as NewFigure

    return NewFigure(figsize=(width_in, height_in), layout="constrained")


def save(figure: Figure, folder: Path, name: str) -> SavedFigure:
    """Save as SVG and PNG (200 dpi) without dates or versions."""
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    write_bytes(svg, _numbered_clips(_rendered(figure, "svg", {"Date": None, "Creator": "foolscan"})))
    write_bytes(png, _rendered(figure, "png", {"Software": None}))
    return SavedFigure(name, svg, png)


def _numbered_clips(svg: bytes) -> bytes:
    """Name clip paths by their order: matplotlib names them by a hash of places whose last bits vary with the layout."""
    names: dict[bytes, bytes] = {}

    def numbered(found: re.Match[bytes]) -> bytes:
        return names.setdefault(found[0], b"clip%d" % len(names))

    return re.sub(rb'(?<=["#])p[0-9a-f]{10}(?=["\)])', numbered, svg)


def _rendered(figure: Figure, kind: str, metadata: Mapping[str, str | None]) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=200, metadata=dict(metadata))
    return content.getvalue()


def pair_colour(place: int) -> str:
    """The colour of the study's first, second … pair of sets."""
    return PAIR_COLOURS[place % len(PAIR_COLOURS)]


def set_colour(name: str, place: int) -> str:
    """The colour of a stimulus set."""
    return SET_COLOURS.get(name, PAIR_COLOURS[place % len(PAIR_COLOURS)])


def quiet_grid(axes: Axes) -> None:
    """Faint horizontal lines, and one at zero that is a little stronger."""
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.axhline(0, color=SOFT, linewidth=0.7)


def handle(colour: str, **more: Any) -> Line2D:
    """A line, a marker or both for a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, **more)


def legend_below(figure: Figure, handles: Mapping[str, Artist]) -> None:
    """A legend in one row below all panels.

    handles : text -> what it is of.
    """
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=len(handles))


def panel_letter(axes: Axes, letter: str) -> None:
    """A bold letter in the upper left corner, as journals set them."""
    if letter:
        axes.annotate(
            letter,
            (0, 1),
            xycoords="axes fraction",
            xytext=(-34, 12),
            textcoords="offset points",
            fontsize=12,
            fontweight="bold",
            va="bottom",
        )
