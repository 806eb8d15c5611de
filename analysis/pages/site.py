"""The report as a site: which pages there are, in which order, and how each is put into HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from analysis.crops.methods import methods_online
from analysis.crops.people_rows import ALL
from analysis.methods_paragraph import Part, RunsWithMotion, methods_paragraph
from analysis.pages import (
    behaviour,
    betas,
    correspondence,
    intervals,
    network,
    overview,
    provenance,
    rdms,
    recognition,
    runs,
    scaling,
    similarity,
    stimuli,
    trends,
    voxels,
)
from analysis.pages.blocks import Page, Section, Words, section
from analysis.pages.brief import in_brief
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.stimulus_figures import label_of, percent
from analysis.stored_betas import imported_from, imports_in_words
from protocols.folder import StudyFolder
from protocols.provenance import read_provenance, sidecar_path, versions

TEMPLATE = Path(__file__).parent.parent / "report_template"


class PageMaker(Protocol):
    """A page: what it is made from, and what it shows."""

    def sources(self, contents: Contents) -> list[Path]:
        """The files it is made from; none: there is no such page."""
        ...

    def page(self, contents: Contents, figures: FigureFolder) -> Page:
        """The page."""
        ...


@dataclass(frozen=True)
class Entry:
    """A page in the list of pages.

    short : its name in the line at the top of every page.
    maker : None for the first page.
    """

    name: str
    short: str
    title: str
    summary: str
    maker: PageMaker | None


@dataclass(frozen=True)
class _Module:
    """A module of a page as a `PageMaker`."""

    module: Any

    def sources(self, contents: Contents) -> list[Path]:
        found: list[Path] = self.module.sources(contents)
        return found

    def page(self, contents: Contents, figures: FigureFolder) -> Page:
        made: Page = self.module.page(contents, figures)
        return made


class MethodsPage:
    """The methods paragraph; its own template writes the sentences."""

    name, title = "methods", "Methods"
    summary = (
        "Written from the study file. Underlined sentences rest on values that the paper states or that follow from it; all others are "
        "this study’s own choices."
    )

    def sources(self, contents: Contents) -> list[Path]:
        """The manifest, the betas, whose records say whether motion was in the model, and who answered online."""
        return [*contents.manifest_files, *_betas(contents.folder), *contents.recognition_files]

    def page(self, contents: Contents, figures: FigureFolder) -> Page:
        """Its heading."""
        return Page(self.name, self.title, self.summary, (section(self.title, "methods", [Words("")]),))


METHODS = MethodsPage()
OF_VOXELS = (voxels.NAME, rdms.NAME, similarity.NAME, trends.NAME, correspondence.NAME, scaling.NAME)
"""Pages of what comes of the chosen voxels: they begin with the brain's warnings, as the first page does."""


def _module(module: Any, short: str) -> Entry:
    return Entry(module.NAME, short, module.TITLE, module.SUMMARY, _Module(module))


ENTRIES: tuple[Entry, ...] = (
    Entry(overview.NAME, "Overview", overview.TITLE, "", None),
    _module(stimuli, "Stimuli"),
    _module(runs, "Runs"),
    _module(behaviour, "Behaviour"),
    _module(recognition, "Online"),
    _module(betas, "Betas"),
    _module(voxels, "Voxels"),
    _module(rdms, "RDMs"),
    _module(similarity, "Similarity"),
    _module(trends, "Trends"),
    _module(network, "Network"),
    _module(correspondence, "Layers"),
    _module(scaling, "Scaling"),
    _module(intervals, "Intervals"),
    Entry(METHODS.name, "Methods", METHODS.title, METHODS.summary, METHODS),
    _module(provenance, "Provenance"),
)


def sources_of(contents: Contents) -> dict[str, list[Path]]:
    """What every page is made from, for the pages that have something to show; the first page is always there."""
    found = {overview.NAME: overview.sources(contents)}
    for entry in ENTRIES:
        if entry.maker is not None:
            files = entry.maker.sources(contents)
            if files:
                found[entry.name] = files
    return found


def render(
    contents: Contents, entry: Entry, figures: FigureFolder, names: Sequence[str], packages: Sequence[str]
) -> str:
    """One page as HTML; it needs no other file.

    names    : the pages there are.
    packages : whose versions are named.
    """
    values: dict[str, Any] = {
        "contents": contents,
        "study": contents.study,
        "here": entry.name,
        "title": entry.title,
        "pages": [item for item in ENTRIES if item.name in names],
        "css": (TEMPLATE / "report.css").read_text(encoding="utf-8"),
        "versions": versions(packages),
    }
    if entry.maker is None:
        shown = overview.figures_of(contents, figures)
        more = {
            "figures": shown,
            "letters": overview.letters_of(contents),
            "triplets": overview.triplets(contents),
            "brief": in_brief(contents),
        }
        return _html("report.html.j2", values | more)
    page = entry.maker.page(contents, figures)
    warnings = [Words(f"{text.removesuffix('.')}.", "warning") for text in contents.warnings]
    values["page"] = Page(page.name, page.title, page.summary, tuple(_shown(page)))
    values["warnings"] = warnings if entry.name in OF_VOXELS else []
    if entry.name == METHODS.name:
        imported, estimated = imports_in_words(contents.folder)
        values["methods"] = methods_paragraph(
            contents.study,
            simulated=contents.simulated,
            motion=motion_of(contents.folder),
            imported=imported,
            estimated=estimated,
            scanner=bool(contents.stimuli),
            more=_online(contents),
        )
        return _html("methods.html.j2", values)
    return _html("page.html.j2", values)


def _online(contents: Contents) -> list[Part]:
    """The methods of the task in the browser, where anybody was asked."""
    online = contents.study.online
    if online is None or not contents.recognition_files:
        return []
    source = contents.table("crops", f"{online.task}_exclusions.tsv")
    rows = source.where(list_id=ALL, kind="people") if source else []
    people = {row["what"]: int(row["n"]) for row in rows}
    return methods_online(contents.study, people, simulated=contents.simulated)


def _shown(page: Page) -> list[Section]:
    return [part for part in page.sections if part.blocks]


def _html(name: str, values: Mapping[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE, encoding="utf-8"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": percent, "label": label_of}
    page: str = environment.get_template(name).render(values)
    return page


def _betas(folder: StudyFolder) -> list[Path]:
    found = sorted(folder.derived("betas").rglob("*_betas.*"))
    return [path for path in found if path.suffix not in (".json", ".tsv") and sidecar_path(path).is_file()]


def motion_of(folder: StudyFolder) -> RunsWithMotion:
    """In which runs head motion was in the GLM, from the sidecars of the betas."""
    own = [path for path in _betas(folder) if imported_from(path) is None]
    found = {bool(read_provenance(path)["parameters"].get("confounds")) for path in own}
    return "some" if len(found) > 1 else ("no" if found == {False} else "all")
