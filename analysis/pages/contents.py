"""What the report shows: gathered from the study folder as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from analysis.behaviour import POOLED
from analysis.behaviour_table import TABLES, behaviour_path
from analysis.compare import difference_path, similarity_path
from analysis.crops.collected import has_answers
from analysis.crops.tables import TABLES as RECOGNITION
from analysis.crops.tables import crops_path
from analysis.pages.shown_tables import Source, read_source
from analysis.rdm import Rdm
from analysis.rdm_files import find_rdms, read_rdms
from analysis.rdms import brain_path, made_so_far, network_path
from analysis.similarity_table import DifferenceRow, SimilarityRow, read_rows
from protocols.folder import Modality, StudyFolder, read_json
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import NotReady
from protocols.provenance import is_simulated, sidecar_path
from protocols.study import Study

MODALITIES: tuple[Modality, ...] = get_args(Modality)


@dataclass(frozen=True)
class Part:
    """The similarities and RDMs of a brain or a network.

    rows        : similarities.
    differences : differences of similarities.
    rdms        : the RDMs that are shown (pooled subjects).
    files       : what they were read from: similarities, differences, RDMs.
    """

    rows: list[SimilarityRow]
    differences: list[DifferenceRow]
    rdms: list[Rdm]
    files: tuple[Path, ...]

    @property
    def rdm_file(self) -> Path:
        """Where the RDMs stand."""
        return self.files[2]

    @property
    def places(self) -> list[str]:
        """ROIs or layers, in order."""
        return list(dict.fromkeys(row.place for row in self.rows))


@dataclass(frozen=True)
class Contents:
    """Everything the report shows.

    simulated    : a rehearsal's folder.
    sets         : stimulus sets of the analysed task.
    network      : None without activations.
    brain        : None without betas.
    certificates : one mapping per run, as the experiment room wrote them.
    screenshots  : pictures of the participant's window.
    """

    study: Study
    folder: StudyFolder
    simulated: bool
    sets: tuple[str, ...]
    stimuli: list[Stimulus]
    network: Part | None
    brain: Part | None
    certificates: list[dict[str, Any]]
    certificate_files: tuple[Path, ...]
    screenshots: tuple[Path, ...]

    def table(self, kind: str, name: str) -> Source | None:
        """A table of derived files, such as ``behaviour``, ``behaviour_images.tsv``; None when it is not there."""
        return read_source(self.folder.derived(kind) / name)

    @property
    def behaviour_files(self) -> list[Path]:
        """The tables of behaviour; none when there is no run, for then tables are left over."""
        shown = any(self.folder.runs(self.study.analysis.task, at) for at in MODALITIES)
        return [path for name in TABLES if shown and (path := behaviour_path(self.folder, name)).is_file()]

    @property
    def behaviour(self) -> Source | None:
        """The table of behaviour; None when no run was shown."""
        return read_source(behaviour_path(self.folder)) if self.behaviour_files else None

    @property
    def manifest_files(self) -> list[Path]:
        """The manifest of images, where there are any: a study of crops needs none."""
        return [self.folder.manifest] if self.stimuli else []

    @property
    def recognition_files(self) -> list[Path]:
        """The tables of what was recognised online; none when there are no answers, for then tables are left over."""
        return recognition_files(self.study, self.folder)

    @property
    def recognition(self) -> Source | None:
        """The summary of what was recognised online; None when nobody was asked."""
        online = self.study.online
        return (
            read_source(crops_path(self.folder, online.task, "summary")) if online and self.recognition_files else None
        )

    @property
    def subjects(self) -> int:
        """How many people (or emulated observers) answered."""
        found = self.behaviour
        return len({row["subject"] for row in found.rows} - {POOLED}) if found else 0

    @property
    def pooled(self) -> list[SimilarityRow]:
        """The brain's similarities of pooled voxels."""
        return [row for row in self.brain.rows if row.subject == POOLED] if self.brain else []

    @property
    def differences(self) -> list[tuple[str, list[DifferenceRow]]]:
        """The differences of similarity that have an interval, of the brain's pooled voxels and of the network, by heading."""
        of_brain = [row for row in self.brain.differences if row.subject == POOLED] if self.brain else []
        of_network = self.network.differences if self.network else []
        return [(name, rows) for name, rows in ((self.brain_name, of_brain), ("Network", of_network)) if rows]

    @property
    def warnings(self) -> list[str]:
        """What to know before quoting a number of the brain, as told when its tables were made."""
        records = [sidecar_path(path) for path in (self.brain.files if self.brain else ())]
        told = [text for record in records if record.is_file() for text in read_json(record).get("Warnings", ())]
        return list(dict.fromkeys(told))

    @property
    def brain_name(self) -> str:
        """What to call the brain: a rehearsal's is simulated, and every label says so."""
        return "Simulated brain" if self.simulated else "Brain"

    @property
    def has_truth(self) -> bool:
        """Whether a simulated brain's true similarities are known."""
        return any(math.isfinite(row.truth) for row in self.pooled)


def gather(study: Study, folder: StudyFolder) -> Contents:
    """Read what the report shows: of brain and network whatever there is; images there must be, or answers to crops.

    Raises NotReady naming the command that makes what is missing.
    """
    recognised = recognition_files(study, folder)
    stimuli = read_manifest(folder) if folder.manifest.exists() or not recognised else []
    has_brain, has_network = made_so_far(study, folder)
    certificates = tuple(sorted(folder.derived("certificates").glob(f"*_task-{study.analysis.task}_*.json")))
    description = folder.root / "dataset_description.json"
    return Contents(
        study,
        folder,
        (description.exists() and read_json(description).get("Simulated") is True)
        or any(map(is_simulated, recognised)),
        study.tasks[study.analysis.task].sets,
        stimuli,
        _part(folder, "network", network_path(folder)) if has_network else None,
        _part(folder, "brain", brain_path(folder)) if has_brain else None,
        [read_json(path) for path in certificates],
        certificates,
        tuple(sorted(folder.derived("screenshots").glob("*.png"))),
    )


def recognition_files(study: Study, folder: StudyFolder) -> list[Path]:
    """The tables of a study's online task that there are, where there are answers."""
    if study.online is None or not has_answers(study, folder):
        return []
    return [path for name in RECOGNITION if (path := crops_path(folder, study.online.task, name)).is_file()]


def _part(folder: StudyFolder, what: str, rdms: Path) -> Part:
    files = (similarity_path(folder, what), difference_path(folder, what), rdms)
    for path in files:
        if not path.exists():
            verb = "rdms" if path == rdms else "compare"
            raise NotReady(
                f"{path}: not there yet; make it with: foolscan analysis {verb} STUDY --to {folder.root}"
                + ("" if verb == "compare" else ", then compare")
            )
    stored = read_rdms(rdms)
    shown = stored if what == "network" else find_rdms(stored, subject=POOLED, part="all")
    return Part(read_rows(files[0], SimilarityRow), read_rows(files[1], DifferenceRow), shown, files)
