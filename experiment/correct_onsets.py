"""Applies the explanation of missing pulses that the image file bears out and the operator confirms."""

from __future__ import annotations

import gzip
import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from experiment.certificate_files import verdict_with, write_certificate
from experiment.corrections import CORRECTION_FORMAT, Correction, read_correction, write_correction
from experiment.events import events_path_of, run_of, write_events
from experiment.journal import Journal
from experiment.pulse_report import Hypothesis, PulseReport, pulse_report
from experiment.run_journal import read_run
from protocols.folder import RunId, StudyFolder, exclusive
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of, sidecar_path

# Of a NIfTI header: its length, and where and how the number of volumes stands in it (NIfTI-1, NIfTI-2).
DIMENSIONS = {348: (40, "8h"), 540: (16, "8q")}


@dataclass(frozen=True)
class RunPulses:
    """The pulses of a run, and what was made of them.

    correction : what an operator has confirmed, if so.
    """

    run: RunId
    report: PulseReport
    correction: Correction | None


@dataclass(frozen=True)
class Corrected:
    """What a correction wrote.

    events : rewritten; `kept` are the files as they were before.
    record : the correction, from which events can be made again.
    page   : the certificate, which states the correction from now on.
    """

    events: Path
    kept: tuple[Path, ...]
    record: Path
    correction: Correction
    page: Path


def pulses_in(root: Path, sub: str = "") -> list[RunPulses]:
    """The pulse reports of all runs in a scanner, from their journals, in order of subject, session and run.

    root : the study folder.
    sub  : only this participant.

    Raises FoolscanError when there are no journals, or one cannot be read.
    """
    folder = StudyFolder(root)
    paths = sorted(folder.journals.glob(f"sub-{sub or '*'}_*_journal.jsonl"))
    if not paths:
        raise FoolscanError(f"{folder.journals}: found no journals; is {root} the study folder?")
    journals = [read_run(path) for path in paths if "_aborted-" not in path.name]
    return [_pulses(folder, journal) for journal in journals if journal.header["scan"]["end_s"] is not None]


def _pulses(folder: StudyFolder, journal: Journal) -> RunPulses:
    run = run_of(journal)
    return RunPulses(run, pulse_report(journal), read_correction(folder, run, journal.path))


def correct_onsets(
    root: Path, run: RunId, hypothesis: str, *, image: Path | None = None, confirmed: bool = False
) -> Corrected:
    """Rewrite a run's events and certificate under a hypothesis on its missing pulses; journal and old events are kept.

    root       : the study folder.
    hypothesis : ``first-missed`` or ``stopped-early``.
    image      : the run's BOLD file; None: the one in the study folder.
    confirmed  : whether the operator says that it is so; the image file must say it too.

    Raises FoolscanError when no pulses are lacking, the image file has another number of volumes, the operator has not
    confirmed, or the run is corrected already.
    """
    folder = StudyFolder(root)
    path = folder.journal(run)
    if not path.exists():
        raise FoolscanError(f"{path}: found no journal of {run.stem}")
    journal = read_run(path)
    pulses = _pulses(folder, journal)
    if pulses.correction is not None:
        raise FoolscanError(f"{run.stem}: corrected already ({pulses.correction.hypothesis}); a run is corrected once")
    chosen = _chosen(run, pulses.report, hypothesis)
    image = image or folder.bold(run)
    volumes = volumes_of(image)
    if volumes != chosen.volumes:
        raise FoolscanError(_disagreement(image, volumes, chosen, pulses.report))
    if not confirmed:
        raise FoolscanError(
            f"{run.stem}: {image.name} has {volumes} volumes, which agrees with {hypothesis}; onsets would be shifted by "
            f"{chosen.onset_shift_s:g} s. Repeat the command with --confirm if it was so"
        )
    with exclusive(journal.path, run.stem):
        events = events_path_of(folder, journal)
        kept = _kept_aside(folder, events)
        correction = Correction(
            format=CORRECTION_FORMAT,
            hypothesis=chosen.name,
            shift_s=chosen.onset_shift_s,
            pulses=chosen.pulses,
            volumes=volumes,
            image=image.name,
            image_sha256=sha256_of(image),
            journal_sha256=sha256_of(journal.path),
        )
        record = write_correction(folder, run, correction)
        write_events(folder, journal)
        certificate, _ = write_certificate(folder, journal, events, verdict_with(folder, [journal]))
    return Corrected(events, kept, record, correction, certificate.with_suffix(".html"))


def volumes_of(image: Path) -> int:
    """The number of volumes of a NIfTI file (``.nii`` or ``.nii.gz``), from its header.

    Raises FoolscanError when the file is not there or is no NIfTI file.
    """
    try:
        with gzip.open(image) if image.suffix == ".gz" else image.open("rb") as file:
            header = file.read(544)
    except FileNotFoundError as error:
        raise FoolscanError(f"{image}: found no image file; give the run's BOLD file as --image") from error
    except (OSError, EOFError, zlib.error) as error:
        raise FoolscanError(f"{image}: cannot be read ({error})") from error
    for order in "<>":
        length = struct.unpack(f"{order}i", header[:4])[0] if len(header) >= 4 else 0
        if length in DIMENSIONS and len(header) >= length:
            start, layout = DIMENSIONS[length]
            dimensions = struct.unpack_from(order + layout, header, start)
            return int(dimensions[4]) if dimensions[0] >= 4 else 1
    raise FoolscanError(f"{image}: found no NIfTI header; give the run's BOLD file (.nii or .nii.gz) as --image")


def _chosen(run: RunId, report: PulseReport, hypothesis: str) -> Hypothesis:
    if not report.hypotheses:
        raise FoolscanError(
            f"{run.stem}: {report.seen} pulses of {report.expected} expected: there is nothing to correct at either end"
        )
    by_name = {item.name: item for item in report.hypotheses}
    if hypothesis not in by_name:
        raise FoolscanError(f"--hypothesis: found {hypothesis!r}; expected {' or '.join(by_name)}")
    return {str(name): item for name, item in by_name.items()}[hypothesis]


def _disagreement(image: Path, volumes: int, chosen: Hypothesis, report: PulseReport) -> str:
    others = [item.name for item in report.hypotheses if item.volumes == volumes]
    agrees = f"it agrees with {others[0]}" if others else "it agrees with no explanation of the missing pulses"
    return (
        f"{image}: found {volumes} volumes; {chosen.name} expects {chosen.volumes}, so nothing was changed ({agrees}). "
        "Do the study's scan.volumes and scan.dummies say what the scanner did?"
    )


def _kept_aside(folder: StudyFolder, events: Path) -> tuple[Path, ...]:
    """Copies of the events and their sidecar under a name that is free."""
    place = folder.root / "sourcedata" / "corrections"
    place.mkdir(parents=True, exist_ok=True)
    number = 1
    while (place / f"{events.stem}_before-{number}.tsv").exists():
        number += 1
    kept = []
    for path in (events, sidecar_path(events)):
        if path.exists():
            kept.append(place / f"{events.stem}_before-{number}{path.suffix}")
            shutil.copy2(path, kept[-1])
    return tuple(kept)
