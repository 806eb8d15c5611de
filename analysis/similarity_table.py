"""The rows of the similarity tables: what is written down of two sets' RDMs at one place."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from protocols.problems import FoolscanError
from protocols.tables import number, read_table

Pair = tuple[str, str]


@dataclass(frozen=True)
class SimilarityRow:
    """The similarity of two sets' RDMs at one place; what a column means stands in `COLUMNS`."""

    pair: str
    place: str
    subject: str
    n_features: int
    similarity: float
    ci_low: float
    ci_high: float
    ci_method: str
    reliability_first: float = math.nan
    reliability_second: float = math.nan
    corrected: float = math.nan
    corrected_low: float = math.nan
    corrected_high: float = math.nan
    corrected_method: str = "none"
    partial: float = math.nan
    partial_low: float = math.nan
    partial_high: float = math.nan
    truth: float = math.nan
    truth_chosen: float = math.nan
    note: str = ""
    estimand: str = ""
    resampled: str = ""
    selection: str = "n/a"


@dataclass(frozen=True)
class DifferenceRow:
    """How much more similar one pair of sets is than another, at one place."""

    contrast: str
    place: str
    subject: str
    difference: float
    ci_low: float
    ci_high: float
    ci_method: str
    estimand: str = ""
    resampled: str = ""
    selection: str = "n/a"


RowType = TypeVar("RowType", SimilarityRow, DifferenceRow)
LATER = ("selection",)
"""Columns that tables of earlier versions lack."""

COLUMNS: dict[str, str] = {
    "pair": "The two stimulus sets whose RDMs are correlated.",
    "place": "ROI or network layer.",
    "subject": "Subject label; 'pooled': the voxels of all subjects side by side; n/a for a network.",
    "n_features": "Voxels (per choice of voxels) or units that the RDMs are computed over.",
    "similarity": "Correlation of the two RDMs, as measured: noise in the patterns lowers it.",
    "ci_low": "Lower bound of the interval of similarity; what it covers stands in estimand and ci_method.",
    "ci_high": "Upper bound of that interval.",
    "ci_method": "How the interval was made, and what was resampled.",
    "reliability_first": "Correlation of the first set's RDMs from two independent halves of the runs.",
    "reliability_second": "The same of the second set.",
    "corrected": "Similarity between independent halves, divided by the geometric mean of the two reliabilities: "
    "an estimate of the similarity of the noiseless RDMs; n/a where a reliability is below 0.1, as it would be noise.",
    "corrected_low": "Lower bound of its interval, made as that of similarity.",
    "corrected_high": "Upper bound of that interval.",
    "corrected_method": "How that interval was made; resamples in which a reliability is not positive have no corrected value: a "
    "bootstrap leaves them out and says how many, a jackknife then has no interval.",
    "partial": "Similarity with the order-model RDMs of both sets taken out of both RDMs (partial correlation): what the order "
    "of trials may have written into them is gone; n/a for a network, and where a run has no design file.",
    "partial_low": "Lower bound of its interval, made as that of similarity.",
    "partial_high": "Upper bound of that interval.",
    "truth": "Similarity of the noiseless RDMs of the simulated brain over all its informative voxels (rehearsals only).",
    "truth_chosen": "The same over the very voxels that were chosen: what `corrected` estimates (rehearsals only).",
    "note": "What to know before quoting the number.",
    "estimand": "What the intervals are intervals of: the similarity at this noise and number of voxels or units, or another.",
    "resampled": "What was drawn again for the intervals: what else the data could have been, and nothing more.",
    "selection": "How voxels were chosen; a circular choice says so. n/a: a network.",
}
DIFFERENCE_COLUMNS: dict[str, str] = {
    "contrast": "The pair whose similarity is expected to be larger, minus the first pair.",
    "place": COLUMNS["place"],
    "subject": COLUMNS["subject"],
    "difference": "Difference of the two similarities, as measured.",
    "ci_low": "Lower bound of the interval of the difference; both pairs in the same resamples.",
    "ci_high": "Upper bound of that interval.",
    "ci_method": COLUMNS["ci_method"],
    "estimand": COLUMNS["estimand"],
    "resampled": COLUMNS["resampled"],
    "selection": COLUMNS["selection"],
}


def pair_name(pair: Pair) -> str:
    """``RE-AN``."""
    return f"{pair[0]}-{pair[1]}"


def read_rows(path: Path, kind: type[RowType]) -> list[RowType]:
    """The rows of a table that `compare` wrote.

    kind : `SimilarityRow` or `DifferenceRow`.

    Raises FoolscanError for other columns.
    """
    names = [field.name for field in fields(kind)]
    types = {field.name: field.type for field in fields(kind)}
    found = []
    for line, row in enumerate(read_table(path), start=2):
        if list(row) != [name for name in names if name in row or name not in LATER]:
            raise FoolscanError(
                f"{path}: found other columns than {', '.join(names)}; run foolscan analysis compare again"
            )
        try:
            values: dict[str, Any] = {
                name: number(cell) if types[name] in ("float", "int") else cell for name, cell in row.items()
            }
        except (TypeError, ValueError) as error:
            raise FoolscanError(
                f"{path}:{line}: cut off or damaged ({error}); run foolscan analysis compare again"
            ) from error
        found.append(kind(**values))
    if not found and kind is SimilarityRow:
        raise FoolscanError(f"{path}: found no rows; run foolscan analysis compare again")
    return found
