"""RDMs on disk: HDF5 that rsatoolbox loads, and a tidy table of the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis.rdm import Rdm
from protocols.dissimilarity_names import in_words
from protocols.folder import atomic_path
from protocols.problems import FoolscanError, NotReady
from protocols.tables import write_table

RDMS_FORMAT = 1
_STIM_ID = "stim_id_"


def write_rdms(path: Path, rdms: Sequence[Rdm], pattern_descriptors: Mapping[str, Sequence[str]], note: str) -> Path:
    """Write RDMs over the same categories as one file; the same RDMs give the same bytes.

    path                : ``….h5``; `rsatoolbox.rdm.load_rdm` reads it.
    rdms                : with the same descriptors and measure; each has a descriptor ``set``.
    pattern_descriptors : name -> value per row, e.g. ``category`` and ``supercategory``.
    note                : what the patterns were, for the reader of the file.
    """
    import h5py

    sets = {rdm.descriptors["set"]: rdm.stim_ids for rdm in rdms}
    patterns = dict(pattern_descriptors) | {f"{_STIM_ID}{name}": stim_ids for name, stim_ids in sets.items()}
    with atomic_path(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        file.attrs["format"] = RDMS_FORMAT
        file.attrs["dissimilarity_measure"] = rdms[0].measure
        file.create_dataset("dissimilarities", data=np.stack([rdm.values for rdm in rdms]), track_times=False)
        file.create_group("descriptors").attrs["patterns"] = note
        for group, columns in (
            ("rdm_descriptors", {key: [rdm.descriptors[key] for rdm in rdms] for key in rdms[0].descriptors}),
            ("pattern_descriptors", patterns),
        ):
            for name, values in columns.items():
                encoded = np.array([value.encode() for value in values], dtype=np.bytes_)
                file.create_dataset(f"{group}/{name}", data=encoded, track_times=False)
    return path


def read_rdms(path: Path) -> list[Rdm]:
    """The RDMs of a file that `write_rdms` wrote.

    Raises NotReady when there is none, FoolscanError for another format.
    """
    import h5py

    if not path.exists():
        raise NotReady(f"{path}: no RDMs yet; make them with: foolscan analysis rdms STUDY --to FOLDER")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != RDMS_FORMAT:
                raise FoolscanError(
                    f"{path}: found format {file.attrs.get('format')}; this foolscan reads format {RDMS_FORMAT}"
                )
            measure = str(file.attrs["dissimilarity_measure"])
            values = file["dissimilarities"][:]
            columns = {key: [cell.decode() for cell in data[:]] for key, data in file["rdm_descriptors"].items()}
            stim_ids = {
                key.removeprefix(_STIM_ID): tuple(cell.decode() for cell in data[:])
                for key, data in file["pattern_descriptors"].items()
                if key.startswith(_STIM_ID)
            }
    except (OSError, KeyError) as error:
        raise FoolscanError(f"{path}: not readable as HDF5 ({error}); run foolscan analysis rdms again") from error
    found = []
    for row, of_rdm in enumerate(values):
        descriptors = {key: column[row] for key, column in columns.items()}
        found.append(Rdm(of_rdm, stim_ids[descriptors["set"]], measure, descriptors))
    return found


def find_rdms(rdms: Sequence[Rdm], **wanted: str) -> list[Rdm]:
    """The RDMs whose descriptors have these values, e.g. ``roi="V1", set="RE"``."""
    return [rdm for rdm in rdms if all(rdm.descriptors.get(key) == value for key, value in wanted.items())]


COLUMNS = {
    "roi": "Region of interest.",
    "layer": "Layer of the network.",
    "network": "The network, by the name of its file of activations.",
    "subject": "Label of the subject; pooled: the chosen voxels of all subjects side by side.",
    "set": "Stimulus set; both images are of it.",
    "part": "Runs: all, or one of two independent halves of them.",
    "selection": "How voxels were chosen; a circular choice says so.",
    "stim_id_a": "First image of the pair.",
    "stim_id_b": "Second image of the pair.",
}


def write_dissimilarities(path: Path, rdms: Sequence[Rdm]) -> Path:
    """The same numbers as a tidy table, one row per RDM and pair of images."""
    keys = list(rdms[0].descriptors)

    def rows() -> Iterator[dict[str, str | float]]:
        for rdm in rdms:
            for first, second, value in zip(*np.triu_indices(len(rdm.stim_ids), 1), rdm.values, strict=True):
                pair = {"stim_id_a": rdm.stim_ids[first], "stim_id_b": rdm.stim_ids[second]}
                yield {**rdm.descriptors, **pair, "dissimilarity": float(value)}

    return write_table(path, [*keys, "stim_id_a", "stim_id_b", "dissimilarity"], rows())


def described_columns(rdms: Sequence[Rdm]) -> dict[str, dict[str, str]]:
    """What the columns of `write_dissimilarities` mean, for its sidecar."""
    names = [*rdms[0].descriptors, "stim_id_a", "stim_id_b"]
    words = {name: {"Description": COLUMNS.get(name, f"The RDM's {name}.")} for name in names}
    return words | {"dissimilarity": {"Description": f"Of the two images' patterns: {in_words(rdms[0].measure)}."}}
