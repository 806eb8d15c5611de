"""The verb `report`: a page per analysis, each one self-contained, with its figures and their data beside it."""

from __future__ import annotations

from pathlib import Path

from analysis.behaviour_table import write_behaviour
from analysis.crops.collected import has_answers
from analysis.crops.tables import write_crops_analysis
from analysis.figure_style import style
from analysis.pages.contents import gather
from analysis.pages.figures import FigureFolder
from analysis.pages.provenance import PACKAGES
from analysis.pages.site import ENTRIES, TEMPLATE, render, sources_of
from analysis.rdms import Progress
from protocols.folder import StudyFolder, write_text
from protocols.locks import exclusive
from protocols.manifest import read_manifest
from protocols.problems import NotReady
from protocols.provenance import is_current, write_sidecar
from protocols.study import Study


def report_path(folder: StudyFolder, page: str = "report") -> Path:
    """``derivatives/foolscan/report/report.html``, the first page; ``behaviour.html`` and the others beside it."""
    return folder.derived("report") / f"{page}.html"


def report(study: Study, folder: StudyFolder, progress: Progress | None = None) -> list[Path]:
    """Write the report of what there is, a page per analysis; the tables of behaviour and of answers online are made on the way.

    study    : the study file.
    folder   : a study folder, after `compare` where there is a brain or a network.
    progress : called with what is being drawn, how much is done and how much there is.

    Every page is one file that holds its figures; the links between pages, and to the data beside the figures, work while
    they stand in one folder. A page of an analysis that is no longer there is taken away.

    Returns the pages, the first page first. Raises NotReady naming the command that makes what is missing.
    """
    if not _asked_online(study, folder):
        read_manifest(folder)
    if any(folder.runs(study.analysis.task, at) for at in ("func", "beh")):
        write_behaviour(study, folder)
    contents = gather(study, folder)
    sources = sources_of(contents)
    entries = [entry for entry in ENTRIES if entry.name in sources]
    templates = sorted(TEMPLATE.glob("*.*"))
    written = []
    first = report_path(folder)
    with exclusive(first, "the report of this study folder"), style():
        for done, entry in enumerate(entries):
            if progress:
                progress(f"report: {entry.title}", done, len(entries))
            page = report_path(folder, entry.name)
            inputs = [*sources[entry.name], *templates]
            parameters = {
                "study": study.name,
                "study_sha256": study.sha256,
                "page": entry.name,
                "pages": [item.name for item in entries],
                "simulated": contents.simulated,
                "warnings": contents.warnings,
            }
            written.append(page)
            if is_current(folder, page, inputs, parameters):
                continue
            figures = FigureFolder(
                folder, page, sources[entry.name], simulated=contents.simulated, warnings=contents.warnings
            )
            write_text(page, render(contents, entry, figures, list(sources), PACKAGES))
            simulated = {"Simulated": True} if contents.simulated else None
            write_sidecar(
                folder, page, inputs=inputs, parameters=parameters, packages=PACKAGES, seed=study.seed, more=simulated
            )
        _take_away(folder, {entry.name for entry in entries})
    if progress:
        progress("", len(entries), len(entries))
    return written


def _asked_online(study: Study, folder: StudyFolder) -> bool:
    """Make the tables of the answers online; False when there are none of people who count, who are no hindrance to the rest."""
    if not has_answers(study, folder):
        return False
    try:
        write_crops_analysis(study, folder)
    except NotReady:
        return False
    return True


def _take_away(folder: StudyFolder, names: set[str]) -> None:
    """Remove pages of analyses that are no longer there: nothing links to them."""
    for entry in ENTRIES:
        page = report_path(folder, entry.name)
        if entry.name not in names and page.exists():
            page.unlink()
            page.with_suffix(".json").unlink(missing_ok=True)
