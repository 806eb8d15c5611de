"""What the order of trials alone writes into RDMs, from the designs of the runs as they were planned."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocols.folder import RunId, StudyFolder, read_json
from protocols.formats import DESIGN
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path

REMEDY = "write it anew with: foolscan experiment timeline"


@dataclass(frozen=True)
class OrderModel:
    """How the errors of the estimated responses go together, by the order alone.

    stim_ids   : rows and columns.
    covariance : (n_images, n_images) of mean patterns over the runs, in units of the noise variance of one volume.
    """

    stim_ids: tuple[str, ...]
    covariance: NDArray[np.float64]

    def rdm(self, stim_ids: Sequence[str]) -> NDArray[np.float64]:
        """The order-model RDM over some images, (n_pairs,) in the order of `Rdm.values`: 1 - correlation of their errors.

        In patterns of noise alone two images are as far apart as this, in every voxel set (Cai et al. 2019).
        """
        place = {name: row for row, name in enumerate(self.stim_ids)}
        rows = [place[name] for name in stim_ids]
        covariance = self.covariance[np.ix_(rows, rows)]
        sd = np.sqrt(np.diag(covariance))
        return (1 - covariance / np.outer(sd, sd))[np.triu_indices(len(rows), 1)]


def design_paths(folder: StudyFolder, runs: Sequence[RunId]) -> list[Path]:
    """The designs of runs; none when one is lacking, as of runs that foolscan did not show."""
    paths = [folder.design(run) for run in runs]
    return paths if all(path.exists() for path in paths) else []


def order_model(paths: Sequence[Path], scaling: str, set_of: Mapping[str, str]) -> OrderModel | None:
    """The order model of mean patterns over runs, scaled as the patterns are.

    paths   : the runs' designs (see `design_paths`), of one subject or of several.
    scaling : the study's `pattern_scaling`: taking the mean over images out of each run correlates what is left.
    set_of  : image -> stimulus set, for scaling within type.

    Returns None when there are no designs. Raises FoolscanError for one that is damaged or of another format.
    """
    if not paths:
        return None
    designs = [_centred(read_design(path), scaling, set_of) for path in paths]
    names = tuple(dict.fromkeys(name for design in designs for name in design.stim_ids))
    place = {name: row for row, name in enumerate(names)}
    total, runs = np.zeros((len(names), len(names))), np.zeros(len(names))
    for design in designs:
        rows = [place[name] for name in design.stim_ids]
        total[np.ix_(rows, rows)] += design.covariance
        runs[rows] += 1
    return OrderModel(names, total / np.outer(runs, runs))


def _centred(design: OrderModel, scaling: str, set_of: Mapping[str, str]) -> OrderModel:
    if scaling == "none":
        return design
    groups = [set_of.get(name, "") if scaling == "mean_removed_within_type" else "" for name in design.stim_ids]
    same = np.array([[a == b for b in groups] for a in groups], dtype=np.float64)
    centre = np.eye(len(groups)) - same / same.sum(axis=1, keepdims=True)
    return OrderModel(design.stim_ids, centre @ design.covariance @ centre.T)


def read_design(path: Path) -> OrderModel:
    """A run's design as the experiment wrote it.

    Raises FoolscanError when it is damaged or of another format.
    """
    found = read_json(sidecar_path(path)).get("format")
    if found != DESIGN:
        raise FoolscanError(f"{path}: found format {found}; this foolscan reads format {DESIGN}; {REMEDY}")
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            header, *rows = csv.reader(lines, delimiter="\t")
        covariance = np.array([row[1:] for row in rows], dtype=np.float64)
    except (ValueError, UnicodeDecodeError, csv.Error) as error:
        raise FoolscanError(f"{path}: cut off or damaged ({error}); {REMEDY}") from error
    names = tuple(header[1:])
    if covariance.shape != (len(names), len(names)) or tuple(row[0] for row in rows) != names:
        raise FoolscanError(f"{path}: found {covariance.shape} values for {len(names)} images; {REMEDY}")
    return OrderModel(names, covariance)
