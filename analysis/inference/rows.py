"""The rows of the tables of tests, models, trends, ceilings and correspondence, and what each column means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from analysis.inference.correction import benjamini_hochberg, holm
from analysis.rdm import Rdm
from protocols.tables import write_table


def _column(description: str, **more: Any) -> Any:
    return field(metadata={"Description": description}, **more)


_PLACE = "ROI or network layer; 'all layers': their mean."
_SUBJECT = (
    "Subject label; 'pooled': the voxels of all subjects side by side; 'group': a test over subjects; n/a: a network."
)
_MEASURE = (
    "How the similarity of two RDMs is measured (study file: analysis.similarity, analysis.further_similarities)."
)
_P = "P-value of this row alone."
_P_MAX = "The same, held against the most extreme of all places in every rearrangement: bounds the chance of any false positive."
_P_HOLM = "P-values over the places of this test, corrected after Holm (1979)."
_P_FDR = "The same, corrected after Benjamini and Hochberg (1995): the share of false ones."
_P_CORRECTED = "The one of these that the study file asks for (analysis.tests.correction); n/a where it does not apply."
_ALTERNATIVE = "two_sided, or greater."
_NOTE = "What to know before quoting the number."
SELECTION = "How voxels were chosen; a circular choice says so. n/a: a network."


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A p-value and the same corrected over places."""

    p: float = _column(_P, default=math.nan)
    p_max: float = _column(_P_MAX, default=math.nan)
    p_holm: float = _column(_P_HOLM, default=math.nan)
    p_fdr: float = _column(_P_FDR, default=math.nan)
    p_corrected: float = _column(_P_CORRECTED, default=math.nan)
    alternative: str = _column(_ALTERNATIVE, default="two_sided")
    n_rearranged: int = _column(
        "Rearrangements, signs or permutations that the p-value is counted over; 0: a formula.", default=0
    )
    exact: bool = _column("Whether these are all there are; else they were drawn at random.", default=False)
    selection: str = _column(SELECTION, default="n/a")
    note: str = _column(_NOTE, default="")


@dataclass(frozen=True, kw_only=True)
class TestRow(Tested):
    """A test of a similarity, or of a difference of similarities."""

    __test__ = False  # not one of the software's own tests

    test: str = _column(
        "What was exchanged, or which formula; 'published': as in a paper, and not to be taken for inference."
    )
    contrast: str = _column("The pair of sets, or the pair expected to be more similar minus the first pair.")
    measure: str = _column(_MEASURE)
    place: str = _column(_PLACE)
    subject: str = _column(_SUBJECT)
    value: float = _column("The similarity or difference that is tested; their mean where there are several.")
    statistic: float = _column("t, for t-tests.", default=math.nan)
    n: int = _column(
        "Images (label_permutation), sources (swap_permutation), layers or subjects that the test rests on."
    )


@dataclass(frozen=True, kw_only=True)
class ModelRow(Tested):
    """The similarity of one RDM with one model RDM."""

    model: str = _column("Model RDM (study file: analysis.models).")
    set: str = _column("Stimulus set.")
    measure: str = _column(_MEASURE)
    place: str = _column("ROI or network layer.")
    subject: str = _column(_SUBJECT)
    similarity: float = _column(
        "Similarity of the set's RDM with the model's; n/a where the model says nothing (see note)."
    )
    n_pairs: int = _column("Dissimilarities compared.")


@dataclass(frozen=True, kw_only=True)
class CorrespondenceRow(Tested):
    """The similarity of one layer's RDM with one ROI's, for one set; corrected over all layers and ROIs."""

    set: str = _column("Stimulus set.")
    layer: str = _column("Network layer.")
    roi: str = _column("ROI.")
    subject: str = _column("Subject label; 'pooled': the voxels of all subjects side by side.")
    measure: str = _column(_MEASURE)
    similarity: float = _column("Similarity of the layer's RDM of this set with the ROI's.")


@dataclass(frozen=True, kw_only=True)
class TrendRow:
    """Whether a similarity or difference rises or falls over layers or ROIs."""

    series: str = _column("Pair of sets, or difference of two pairs.")
    along: str = _column("The places, in the order of the study file (ROIs) or of the network (layers).")
    subject: str = _column(_SUBJECT)
    measure: str = _column(_MEASURE)
    n: int = _column("Places with a value.")
    s: int = _column("Mann-Kendall S: rises minus falls over all pairs of places.")
    tau_a: float = _column("S over the number of pairs: 1, rising all along; -1, falling all along.")
    p: float = _column(
        "Two-sided, exact: the share of all orders of these values with a |S| as large. Places are what is exchanged; how "
        "sure each value is does not enter."
    )
    rho: float = _column("Spearman's correlation of value and place.")
    p_rho: float = _column("Its p-value, two-sided, exact, over all orders; n/a for more than 9 places.")
    p_least: float = _column("The smallest p that so many places can give: with five, 2/120.")
    selection: str = _column(SELECTION, default="n/a")


@dataclass(frozen=True, kw_only=True)
class CeilingRow:
    """How similar a perfect model's RDM could be to the measured ones."""

    convention: str = _column(
        "between_subjects: Nili et al. 2014, one subject's RDM with the mean of the others' (lower) or of all (upper); "
        "split_half: one half of a subject's runs with the other (lower), and the correlation of the noiseless RDM with that "
        "of all runs, sqrt(2r / (1 + r)) (upper)."
    )
    set: str = _column("Stimulus set.")
    place: str = _column("ROI.")
    subject: str = _column("Subject label; 'group': over subjects; 'pooled': the voxels of all subjects side by side.")
    measure: str = _column(_MEASURE)
    lower: float = _column("Lower bound; of split_half: the split-half reliability.")
    upper: float = _column("Upper bound; n/a where it is not defined.")
    n_subjects: int = _column("Subjects that it rests on.")
    selection: str = _column(SELECTION, default="n/a")
    note: str = _column(_NOTE, default="")


Row = TestRow | ModelRow | CorrespondenceRow | TrendRow | CeilingRow
TestedType = TypeVar("TestedType", TestRow, ModelRow, CorrespondenceRow)
RowType = TypeVar("RowType", TestRow, ModelRow, CorrespondenceRow, TrendRow, CeilingRow)


def columns_of(kind: type[Row]) -> dict[str, str]:
    """What each column of a table means; what a row is of comes first, how it was tested last."""
    later = [item.name for item in fields(Tested)] if issubclass(kind, Tested) else []
    found = {item.name: str(item.metadata["Description"]) for item in fields(kind)}
    first = [name for name in found if name not in later]
    return {name: found[name] for name in [*first, *later]}


def selection_of(rdms: Sequence[Rdm]) -> str:
    """How the voxels of a file of brain RDMs were chosen, in words."""
    return "; ".join(dict.fromkeys(rdm.descriptors.get("selection", "n/a") for rdm in rdms)) or "n/a"


def with_selection(rows: Sequence[RowType], selection: str) -> list[RowType]:
    """The rows of a brain's table, saying how voxels were chosen."""
    return [replace(row, selection=selection) for row in rows]


def write_rows(path: Path, kind: type[Row], rows: Sequence[Row]) -> Path:
    """Write a table; with no rows, its header alone."""
    return write_table(path, columns_of(kind), [asdict(row) for row in rows])


def corrected_over_places(rows: Sequence[TestedType], correction: str) -> list[TestedType]:
    """One test's rows over all its places, with p-values corrected over them.

    correction : ``"max_statistic"``, ``"holm"``, ``"benjamini_hochberg"`` or ``"none"``.
    """
    p = np.array([row.p for row in rows])
    by_holm, by_share = holm(p), benjamini_hochberg(p)
    found = []
    for row, p_holm, p_fdr in zip(rows, by_holm, by_share, strict=True):
        chosen = {"max_statistic": row.p_max, "holm": p_holm, "benjamini_hochberg": p_fdr, "none": row.p}[correction]
        found.append(replace(row, p_holm=float(p_holm), p_fdr=float(p_fdr), p_corrected=float(chosen)))
    return found
