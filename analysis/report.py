"""The verb `report`: one self-contained HTML page, with its figures as SVG and PNG and their data beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import behaviour, report_contents
from analysis.behaviour_figures import behaviour_figure
from analysis.behaviour_table import ALL_COLUMNS
from analysis.figure_style import new_figure, save, style
from analysis.methods_paragraph import RunsWithMotion, methods_paragraph
from analysis.rdm_figures import rdms_figure
from analysis.rdms import Progress
from analysis.report_contents import Contents, gather
from analysis.similarity_figures import draw_layers, draw_rois, layers_figure, rois_figure, truth_figure
from analysis.similarity_table import COLUMNS, SimilarityRow
from analysis.stimulus_figures import draw_examples, example_categories, label_of, percent, stimuli_figure
from analysis.tables import write_table
from protocols.folder import StudyFolder, write_text
from protocols.locks import exclusive
from protocols.manifest import COLUMNS as MANIFEST_COLUMNS
from protocols.manifest import class_of_category, in_set
from protocols.provenance import is_current, read_provenance, sidecar_path, source_commit, versions, write_sidecar
from protocols.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PACKAGES = ("numpy", "scipy", "nibabel", "nilearn", "h5py", "matplotlib", "jinja2")
TEMPLATE = Path(__file__).parent / "report_template"
EXAMPLES = 6  # triplets in Figure 1A
PX_PER_INCH = 92  # of a wide figure on a phone


@dataclass(frozen=True)
class Shown:
    """A figure in the page.

    image : the SVG as a data address.
    alt   : what it shows, for those who do not see it.
    links : files beside the page: data, SVG, PNG.
    width_px : least width on the page: on a phone it then scrolls; 0 for a figure that may shrink.
    """

    name: str
    image: str
    alt: str
    links: tuple[tuple[str, str], ...]
    width_px: int


def report_path(folder: StudyFolder) -> Path:
    """``derivatives/foolscan/report/report.html``."""
    return folder.derived("report") / "report.html"


def report(study: Study, folder: StudyFolder, progress: Progress | None = None) -> list[Path]:
    """Write the report of what there is: network, brain, behaviour, timing, stimuli, methods, provenance.

    study    : the study file.
    folder   : a study folder, after `compare` where there is a brain or a network.
    progress : called with what is being drawn, how much is done and how much there is.

    Returns the page. Raises NotReady naming the command that makes what is missing.
    """
    contents = gather(study, folder)
    inputs = [*contents.inputs, *sorted(TEMPLATE.glob("report.*"))]
    parameters = {"study": study.name, "study_sha256": study.sha256, "examples": EXAMPLES}
    page = report_path(folder)
    if is_current(folder, page, inputs, parameters):
        return [page]
    with exclusive(page, "the report of this study folder"), style():
        figures = _Figures(contents, progress)
        shown = figures.all()
        write_text(page, _page(contents, shown))
        write_sidecar(folder, page, inputs=inputs, parameters=parameters, packages=PACKAGES, seed=study.seed)
    return [page]


class _Figures:
    """Draws and saves every figure that the contents allow."""

    def __init__(self, contents: Contents, progress: Progress | None) -> None:
        self.contents, self.progress = contents, progress
        self.folder = report_path(contents.folder).parent / "figures"
        self.shown: dict[str, Shown] = {}

    def all(self) -> dict[str, Shown]:
        """The figures by name."""
        steps = (self._figure_1, self._similarity, self._rdms, self._behaviour, self._stimuli)
        for done, step in enumerate(steps):
            if self.progress:
                self.progress("figures", done, len(steps))
            step()
        if self.progress:
            self.progress("", len(steps), len(steps))
        return self.shown

    def _figure_1(self) -> None:
        contents = self.contents
        panels = [part for part in (contents.network, contents.brain) if part]
        figure = new_figure(7.6, 4.6 + (3.1 if panels else 0.0))
        heights = (1.32, 1) if panels else (1,)
        top, *below = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        draw_examples(top, contents.folder, contents.stimuli, contents.sets, EXAMPLES)
        top.text(0.004, 0.965, "A", fontsize=12, fontweight="bold")
        axes = list(below[0].subplots(1, len(panels), squeeze=False)[0]) if panels else []
        if contents.network:
            draw_layers(axes.pop(0), contents.network.rows, "Network", "B")
        if contents.brain:
            draw_rois(axes.pop(0), contents.brain.rows, contents.brain_name, "C" if contents.network else "B")
        examples = set(example_categories(contents.stimuli, contents.sets, EXAMPLES))
        columns = ("stim_id", "stim_file", "set", "category", "target_class", "network_label", "confidence")
        rows = [asdict(image) for image in contents.stimuli if image.category in examples]
        shown = [
            (contents.network, "similarity per network layer"),
            (contents.brain, "similarity per region of interest"),
        ]
        alt = ", ".join(["Example images", *(what for part, what in shown if part)])
        self._keep("figure_1", figure, alt, columns, rows, MANIFEST_COLUMNS, simulated=contents.brain is not None)

    def _similarity(self) -> None:
        columns = [field.name for field in fields(SimilarityRow)]
        network, brain = self.contents.network, self.contents.brain
        if network:
            rows = [asdict(row) for row in network.rows]
            alt = "Similarity of RDMs along the layers of the network"
            self._keep("similarity_layers", layers_figure(network.rows, "Network", "B"), alt, columns, rows, COLUMNS)
        if brain:
            rows = [asdict(row) for row in brain.rows]
            alt = "Similarity of RDMs in every region of interest"
            figure = rois_figure(brain.rows, self.contents.brain_name, "C" if network else "B")
            self._keep("similarity_rois", figure, alt, columns, rows, COLUMNS, simulated=True)
        if self.contents.has_truth:
            rows = [asdict(row) for row in self.contents.pooled]
            alt = "Measured and corrected similarity beside the simulated truth"
            figure = truth_figure(self.contents.pooled)
            self._keep("estimated_and_true", figure, alt, columns, rows, COLUMNS, simulated=True, wide=True)

    def _rdms(self) -> None:
        for name, part, key in (("brain", self.contents.brain, "roi"), ("network", self.contents.network, "layer")):
            if part is None:
                continue
            figure = rdms_figure(part.rdms, part.places, key, self.contents.stimuli)
            rows = [
                {key: rdm.descriptors[key], "set": rdm.descriptors["set"], "pair": pair, "dissimilarity": float(value)}
                for rdm in part.rdms
                for pair, value in enumerate(rdm.values)
            ]
            descriptions = {
                key: "Where.",
                "set": "Stimulus set.",
                "pair": "Place in the upper triangle, row by row, categories in the order of the manifest.",
                "dissimilarity": "As drawn.",
            }
            alt = f"RDMs of the {name}, one row per stimulus set"
            columns = list(descriptions)
            simulated = name == "brain"
            self._keep(f"rdms_{name}", figure, alt, columns, rows, descriptions, simulated=simulated, wide=True)

    def _behaviour(self) -> None:
        contents, desk = self.contents, self.contents.at_desk
        alt = "Share of animal answers, sensitivity and reaction times by stimulus set"
        if contents.responses:
            rows = [asdict(row) for row in contents.behaviour]
            columns = [field.name for field in fields(behaviour.BehaviourRow)]
            figure = behaviour_figure(contents.behaviour, contents.responses)
            self._keep("behaviour", figure, alt, columns, rows, behaviour.COLUMNS, simulated=True, wide=True)
        if desk.responses:
            figure, names = behaviour_figure(desk.behaviour, desk.responses), list(ALL_COLUMNS)
            self._keep(
                "behaviour_desk", figure, f"{alt}, at a desk", names, desk.rows, ALL_COLUMNS, simulated=True, wide=True
            )

    def _stimuli(self) -> None:
        contents = self.contents
        limits = {}
        for name, recipe in contents.study.stimuli.sets.items():
            if recipe.kind == "adversarial_interference" and name in contents.sets:
                limits[name] = (recipe.linf_preferred, recipe.linf_max)
        columns = ("stim_id", "set", "luminance", "rms_contrast", "spectral_slope", "linf", "l2")
        rows = [asdict(image) for image in contents.stimuli if image.set in contents.sets]
        figure = stimuli_figure(contents.stimuli, contents.sets, limits)
        alt = "Mean luma, contrast, spectral slope and largest change of the images of every set"
        self._keep("stimuli", figure, alt, columns, rows, MANIFEST_COLUMNS, wide=True)

    def _keep(
        self,
        name: str,
        figure: Figure,
        alt: str,
        columns: Iterable[str],
        rows: Iterable[Mapping[str, Any]],
        descriptions: Mapping[str, str],
        *,
        simulated: bool = False,
        wide: bool = False,
    ) -> None:
        """Save a figure and its data; a figure of simulated data says so in itself."""
        contents = self.contents
        if simulated and contents.simulated:
            figure.text(0.997, 0.996, "simulated data", ha="right", va="top", fontsize=6.5, color="#a33b2a")
        saved = save(figure, self.folder, name)
        names = list(columns)
        table = write_table(self.folder / f"{name}.tsv", names, rows)
        more = {column: {"Description": descriptions[column]} for column in names}
        parameters = {"figure": name}
        write_sidecar(contents.folder, table, inputs=contents.inputs, parameters=parameters, more=more)
        links = tuple((kind, f"figures/{name}.{kind.lower()}") for kind in ("TSV", "SVG", "PNG"))
        width_px = round(PX_PER_INCH * figure.get_figwidth()) if wide else 0
        self.shown[name] = Shown(name, data_address(saved.svg), alt, links, width_px)


def data_address(path: Path) -> str:
    """An image as a ``data:`` address, so that the page needs no other file."""
    kind = {".svg": "svg+xml", ".png": "png"}[path.suffix]
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _page(contents: Contents, figures: Mapping[str, Shown]) -> str:
    import jinja2

    loader = jinja2.FileSystemLoader(TEMPLATE, encoding="utf-8")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"signed": report_contents.signed, "percent": percent, "label": label_of}
    study = contents.study
    page: str = environment.get_template("report.html.j2").render(
        contents=contents,
        study=study,
        figures=figures,
        css=(TEMPLATE / "report.css").read_text(encoding="utf-8"),
        brief=report_contents.in_brief(contents),
        triplets=_triplets(contents),
        corrected=report_contents.corrected_methods(contents.pooled),
        facts=report_contents.set_facts(contents),
        methods=methods_paragraph(study, simulated=contents.simulated, motion=_motion(contents.folder)),
        timing=report_contents.timing_brief(contents.certificates),
        windows=[(path.stem.replace("_", " "), data_address(path)) for path in contents.screenshots],
        provenance=_provenance(contents),
        versions=versions(PACKAGES),
        commit=source_commit(),
        pooled_name=behaviour.POOLED,
        interval=f"{100 * study.analysis.bootstrap.interval:g} %",
    )
    return page


def _motion(folder: StudyFolder) -> RunsWithMotion:
    """In which runs head motion was in the GLM, from the sidecars of the betas."""
    paths = folder.derived("betas").rglob("*_betas.nii.gz")
    found = {bool(read_provenance(path)["parameters"].get("confounds")) for path in paths}
    return "some" if len(found) > 1 else ("no" if found == {False} else "all")


def _triplets(contents: Contents) -> list[list[dict[str, Any]]]:
    """Figure 1A: for every example category its image of each set, embedded, and whether its label is the category's."""
    of_set = {name: {image.category: image for image in in_set(contents.stimuli, name)} for name in contents.sets}
    right = class_of_category(contents.stimuli)
    return [
        [
            {
                "set": name,
                "image": data_address(images[category].path(contents.folder)),
                "stimulus": images[category],
                "right": images[category].network_label == right.get(category),
            }
            for name, images in of_set.items()
        ]
        for category in example_categories(contents.stimuli, contents.sets, EXAMPLES)
    ]


def _provenance(contents: Contents) -> list[dict[str, str]]:
    """The files the page was made from, with their hashes; runs are summed up by `trace`."""
    rows = []
    for path in contents.inputs:
        if path.suffix not in (".tsv", ".h5") or path.name.endswith("_events.tsv"):
            continue
        record = read_provenance(path) if sidecar_path(path).exists() else {}
        rows.append(
            {
                "file": contents.folder.relative(path),
                "sha256": str(record.get("sha256", ""))[:16],
                "inputs": str(len(record.get("inputs", {}))) if record else "–",
                "commit": str(record.get("commit") or "–")[:10],
            }
        )
    return rows
