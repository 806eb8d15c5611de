"""A run's time series before anything is fitted: do images, sidecar, study, logged pulses and events belong together?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.events import Event
from analysis.nifti import open_nifti
from protocols.folder import RunId, StudyFolder, read_json
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of, sidecar_path
from protocols.study import ScanProtocol

COMPARED_FIRST = 1 << 16  # bytes at the end of images: most of one size differ there
FRACTIONS = ("SliceTimingRef", "slice_time_ref", "SliceTimeRef")


@dataclass(frozen=True)
class Series:
    """A run's images, checked, not yet read.

    scan     : TR, and how many volumes are analysed.
    skipped  : volumes at the start that are not: dummies that are stored.
    start_s  : time within the TR that a volume's signal stands for, s.
    start_by : the key of the sidecar that says so.
    pulses   : how many were logged, ``90 of 90``; empty where nobody says. The certificate that says so is no input: it
               tells of the computer, too, and the same run shown again has another.
    inputs   : the files that were looked at.
    """

    path: Path
    image: Any
    scan: ScanProtocol
    skipped: int
    start_s: float
    start_by: str
    pulses: str
    inputs: tuple[Path, ...]

    @property
    def n_stored(self) -> int:
        """Volumes in the file."""
        return self.skipped + self.scan.volumes

    @property
    def first_s(self) -> float:
        """When the first volume that is analysed begins, s on the axis of the events."""
        return self.skipped * self.scan.tr_s


def open_series(scan: ScanProtocol, folder: StudyFolder, run: RunId, path: Path) -> Series:
    """Open a run's images and check them against their sidecar, the scan protocol and the pulses that were logged.

    path : the images.

    Raises FoolscanError with file and both numbers for what does not fit together.
    """
    image = open_nifti(path)
    if len(image.shape) != 4:
        raise FoolscanError(
            f"{path}: found {len(image.shape)} dimensions {image.shape}; a time series has 4: x, y, z, time"
        )
    certificate = pulses_path(folder, run)
    logged = read_json(certificate) if certificate.exists() else {}
    volumes = volumes_of(scan, path, image.shape[3], certificate, logged)
    scan = scan.model_copy(update={"volumes": volumes - scan.stored_dummies})
    sidecar = sidecar_path(path)
    if not sidecar.exists():
        raise FoolscanError(f"{path}: no sidecar {sidecar.name} beside it; expected RepetitionTime and StartTime there")
    facts = read_json(sidecar)
    _check_tr(scan, path, image, sidecar, facts.get("RepetitionTime"))
    _check_discarded(scan, sidecar, facts)
    start_s, start_by = start_of(sidecar, facts, scan.tr_s)
    pulses = f"{logged['pulses_seen']} of {logged['pulses_expected']}" if _counts(logged) else ""
    return Series(path, image, scan, scan.stored_dummies, start_s, start_by, pulses, (path, sidecar))


def refuse_same_images(paths: Iterable[Path]) -> None:
    """Refuse images of which two runs, of one subject or of two, have the same.

    paths : of the images, one for each run. A file is hashed only where another has its size and its end.

    Raises FoolscanError naming both.
    """
    alike: dict[tuple[int, bytes], list[Path]] = {}
    for path in paths:
        size = path.stat().st_size
        with path.open("rb") as content:
            content.seek(max(0, size - COMPARED_FIRST))
            alike.setdefault((size, content.read()), []).append(path)
    for (size, _), candidates in alike.items():
        first: dict[str, Path] = {}
        for path in candidates if size and len(candidates) > 1 else ():
            digest = sha256_of(path)
            other = first.setdefault(digest, path)
            if other is not path:
                raise FoolscanError(
                    f"{path}: found the same images as in {other} (SHA-256 {digest[:12]}); each run has its own. Copy this run's own "
                    "images there, or move its events elsewhere if it has none"
                )


def pulses_path(folder: StudyFolder, run: RunId) -> Path:
    """The run's certificate, which says how many pulses were logged."""
    return folder.derived("certificates") / f"{run.stem}_certificate.json"


def volumes_of(scan: ScanProtocol, path: Path, found: int, certificate: Path, logged: dict[str, Any]) -> int:
    """How many volumes a run's images have: what the study plans, or what the operator confirmed when the scanner stopped early.

    path        : the images, for the message.
    found       : volumes in them.
    certificate : the run's, for the message.
    logged      : its content; empty without one.

    Raises FoolscanError when images, study and logged pulses disagree.
    """
    told = logged.get("pulses") or {}
    expected, seen = logged.get("pulses_expected", 0), logged.get("pulses_seen", 0)
    planned = scan.stored_dummies + scan.volumes
    corrected = logged.get("onsets_corrected")
    if corrected:
        planned = corrected["volumes"]
    elif _counts(logged) and _lacking(expected, seen, told):
        both = "; ".join(_in_words(hypothesis) for hypothesis in told.get("hypotheses", ()))
        raise FoolscanError(
            f"{path}: found {found} volumes; {certificate.name} logged {seen} of {expected} pulses, {planned} volumes are planned. "
            f"Were the first pulses missed, then all onsets are too early{f' ({both})' if both else ''}: find out, and say "
            "which with: foolscan experiment correct-onsets"
        )
    if found != planned:
        skipped = scan.stored_dummies
        before = f" after {skipped} stored dummies" if skipped else ""
        said = f"scan.volumes is {scan.volumes}{before}"
        if corrected:
            said = f"{corrected['image']} had {planned} when its onsets were corrected"
        elif _counts(logged):
            said += f", and {seen} of {expected} pulses were logged"
        raise FoolscanError(f"{path}: found {found} volumes; {said}. {_remedy(found, planned, bool(corrected))}")
    return found


def _remedy(found: int, planned: int, corrected: bool) -> str:
    if corrected:
        return "Copy that image here, or correct the onsets again: foolscan experiment correct-onsets"
    if found < planned:
        return (
            "Copy the whole image again; leave out a run that was cut short by moving its events elsewhere; if all runs are so long, "
            "correct scan.volumes or scan.dummies"
        )
    return "Correct scan.volumes, or scan.dummies if dummy volumes are stored with the images; or copy this run's own image here"


def _counts(logged: dict[str, Any]) -> bool:
    """Whether pulses say how many volumes there were: not where one starts the whole run."""
    expected, seen = logged.get("pulses_expected"), logged.get("pulses_seen")
    return isinstance(expected, int) and isinstance(seen, int) and expected > 1


def _lacking(expected: int, seen: int, told: dict[str, Any]) -> int:
    """Pulses lacking at the beginning or the end: those in between say nothing of onsets or volumes."""
    lacking = told.get("lacking", expected - seen - told.get("missed", 0))
    return int(lacking)


def _in_words(hypothesis: dict[str, Any]) -> str:
    return f"{hypothesis['name']}: {hypothesis['volumes']} volumes, onsets {hypothesis['onset_shift_s']:+g} s"


def _check_tr(scan: ScanProtocol, path: Path, image: Any, sidecar: Path, tr_s: object) -> None:
    if not isinstance(tr_s, int | float) or abs(tr_s - scan.tr_s) > 1e-3:
        raise FoolscanError(f"{sidecar}: RepetitionTime: found {tr_s}; scan.tr_s is {scan.tr_s:g}")
    header_s = float(image.header.get_zooms()[3])
    if header_s > 0 and abs(header_s - scan.tr_s) > 1e-3:
        raise FoolscanError(f"{path}: the header says {header_s:g} s between volumes; scan.tr_s is {scan.tr_s:g}")


def _check_discarded(scan: ScanProtocol, sidecar: Path, facts: dict[str, Any]) -> None:
    """The images' own word on volumes that are not stored, where they have one (BIDS: NumberOfVolumesDiscarded…)."""
    for key in ("NumberOfVolumesDiscardedByScanner", "NumberOfVolumesDiscardedByUser"):
        discarded = facts.get(key)
        planned = scan.dummies.volumes if scan.dummies.images == "discarded" else 0
        if key.endswith("User"):
            planned = 0
        if isinstance(discarded, int) and discarded != planned:
            raise FoolscanError(
                f"{sidecar}: {key}: found {discarded}; by scan.dummies {planned} are. Onset 0 is the first stored volume: correct "
                "scan.dummies, or the onsets, so that both speak of the same volume"
            )


def start_of(sidecar: Path, facts: dict[str, Any], tr_s: float) -> tuple[float, str]:
    """The time within the TR that a volume's signal stands for, s, and the key of the sidecar that says so.

    sidecar : for the message.
    facts   : its content. ``StartTime`` in s, as fMRIPrep writes after slice-time correction; ``SliceTimingRef`` or
              ``slice_time_ref`` as a share of the TR; without any, ``SliceTimingCorrected: false`` means the middle of the TR.

    Raises FoolscanError when it is not to be known.
    """
    start_s = facts.get("StartTime")
    if isinstance(start_s, int | float) and not isinstance(start_s, bool) and 0 <= start_s < tr_s:
        return float(start_s), "StartTime"
    if start_s is None:
        for key in FRACTIONS:
            share = facts.get(key)
            if isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1:
                return float(share) * tr_s, key
            if share is not None:
                raise FoolscanError(f"{sidecar}: {key}: found {share!r}; expected a share of the TR, 0 to 1")
        if facts.get("SliceTimingCorrected") is False:
            return tr_s / 2, "SliceTimingCorrected: false"
    raise FoolscanError(
        f"{sidecar}: StartTime: found {start_s}; expected the time within the TR that slices were corrected to, 0 to "
        f"{tr_s:g} s (fMRIPrep writes it; SliceTimingRef, a share of the TR, is read too; without slice-time correction write "
        f"{tr_s / 2:g}, the middle, or SliceTimingCorrected: false)"
    )


def check_after_dummies(path: Path, images: list[Event], series: Series) -> None:
    """Raise FoolscanError when an image begins before the first volume that is analysed.

    path : the events file, for the message.
    """
    for event in images:
        if event.onset_s < series.first_s - 1e-6:
            raise FoolscanError(
                f"{path}:{event.line}: an image at {event.onset_s:g} s; the first {series.skipped} stored volumes are dummies, "
                f"and the first that is analysed begins at {series.first_s:g} s. Do the onsets count the stored dummies?"
            )
