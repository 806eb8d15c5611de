"""The certificate of a run on disk: JSON for programs, a page for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from experiment.bids import NOT_ASKED, BidsVerdict, verdict
from experiment.certificate import Certificate, certificate_of
from experiment.certificate_page import page_of
from experiment.corrections import correction_path, read_correction
from experiment.events import plans_of, run_of
from experiment.journal import Journal
from protocols.folder import StudyFolder, write_json, write_text
from protocols.provenance import sha256_of


def verdict_with(folder: StudyFolder, journals: Iterable[Journal]) -> BidsVerdict:
    """The validator's judgement for certificates of these runs; it takes seconds, and a simulated clock has none to give."""
    real = any(journal.header["clock"]["kind"] != "virtual" for journal in journals)
    return verdict(folder.root) if real else NOT_ASKED


def write_certificate(
    folder: StudyFolder, journal: Journal, events: Path, bids: BidsVerdict = NOT_ASKED
) -> tuple[Path, Certificate]:
    """Write ``derivatives/foolscan/certificates/<run>_certificate.json`` and ``.html``, with the hashes of the run's files.

    bids : what is known of the folder's BIDS validity (see `verdict_with`).

    A correction of the run's onsets is in it, and the correction's hash.
    """
    correction = read_correction(folder, run_of(journal), journal.path)
    certificate = certificate_of(journal, bids, correction)
    path = folder.derived("certificates") / f"{certificate.run}_certificate.json"
    files = [journal.path, *plans_of(folder, journal), events]
    if correction is not None:
        files.append(correction_path(folder, run_of(journal)))
    hashes = {folder.relative(file): sha256_of(file) for file in files}
    write_text(path.with_suffix(".html"), page_of(certificate, journal, hashes))
    write_json(path, asdict(certificate) | {"sha256": hashes})
    return path, certificate
