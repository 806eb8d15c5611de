"""The RDMs themselves, of every region and layer."""

from __future__ import annotations

from pathlib import Path

from analysis.pages.blocks import Block, Page, Shown, Words, section
from analysis.pages.contents import Contents, Part
from analysis.pages.figures import FigureFolder
from analysis.rdm_figures import rank_shares, rdms_figure

NAME, TITLE = "rdms", "RDMs"
SUMMARY = "Every pair of categories within one stimulus set: the dissimilarity matrices that all similarities rest on."
DESCRIPTIONS = {
    "set": "Stimulus set.",
    "pair": "Place in the upper triangle, row by row, categories in the order of the manifest.",
    "dissimilarity": "Dissimilarity of the two patterns.",
}
RANK = "Its rank within its matrix, from 0 (lowest) to 1 (highest), as drawn."


def sources(contents: Contents) -> list[Path]:
    """The RDMs that are drawn."""
    return [part.rdm_file for part in (contents.brain, contents.network) if part]


def page(contents: Contents, figures: FigureFolder) -> Page:
    """A grid of matrices for the brain and one for the network."""
    blocks: list[Block | None] = []
    if contents.brain:
        caption = (
            "Every pair of categories within one stimulus set, voxels of all subjects pooled. Categories by supercategory, animals "
            "first; one scale for all matrices, from the 2nd to the 98th percentile. Below each: its least and largest dissimilarity."
        )
        blocks.append(_grid(contents, figures, contents.brain, "brain", "roi", f"{contents.brain_name}.", caption))
    if contents.network:
        caption = (
            f"Every pair of categories within one stimulus set, over all units of a layer of {contents.study.stimuli.network.name}; "
            "categories by supercategory, animals first. Layers differ too much for one scale: every matrix is drawn by the ranks of "
            "its own dissimilarities, so that colours say nothing of their size; below each its least and largest."
        )
        blocks.append(_grid(contents, figures, contents.network, "network", "layer", "Network.", caption))
    blocks.append(
        Words(
            "The matrices stand as HDF5 in ../rdms (rsatoolbox reads them) and as one row per pair in brain_dissimilarities.tsv and "
            "network_dissimilarities.tsv beside it.",
            "note",
        )
    )
    return Page(NAME, TITLE, SUMMARY, (section("Representational dissimilarity matrices", "geometry", blocks),))


def _grid(
    contents: Contents, figures: FigureFolder, part: Part, name: str, key: str, title: str, caption: str
) -> Shown:
    ranked = name == "network"
    rows = [
        {key: rdm.descriptors[key], "set": rdm.descriptors["set"], "pair": pair, "dissimilarity": float(value)}
        | ({"rank": float(rank)} if ranked else {})
        for rdm in part.rdms
        for pair, (value, rank) in enumerate(zip(rdm.values, rank_shares(rdm.values), strict=True))
    ]
    return figures.keep(
        f"rdms_{name}",
        rdms_figure(part.rdms, part.places, key, contents.stimuli, ranked=ranked),
        f"RDMs of the {name}, one row per stimulus set",
        list(rows[0]),
        rows,
        {key: "Where.", "rank": RANK} | DESCRIPTIONS,
        simulated=name == "brain",
        of_voxels=name == "brain",
        wide=True,
        title=title,
        caption=caption,
        inputs=[part.rdm_file],
    )
