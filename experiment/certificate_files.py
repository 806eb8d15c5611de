"""The certificate of a run on disk: JSON for programs, a page for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from experiment.bids import NOT_ASKED, BidsVerdict
from experiment.certificate import Certificate, certificate_of
from experiment.certificate_page import page_of
from experiment.events import plans_of
from experiment.journal import Journal
from protocols.folder import StudyFolder, write_json, write_text
from protocols.provenance import sha256_of


def write_certificate(
    folder: StudyFolder, journal: Journal, events: Path, bids: BidsVerdict = NOT_ASKED
) -> tuple[Path, Certificate]:
    """Write ``derivatives/foolscan/certificates/<run>_certificate.json`` and ``.html``, with the hashes of the run's files.

    bids : what is known of the folder's BIDS validity (see `experiment.bids.verdict`).
    """
    certificate = certificate_of(journal, bids)
    path = folder.derived("certificates") / f"{certificate.run}_certificate.json"
    files = [journal.path, *plans_of(folder, journal), events]
    hashes = {folder.relative(file): sha256_of(file) for file in files}
    write_text(path.with_suffix(".html"), page_of(certificate, journal, hashes))
    write_json(path, asdict(certificate) | {"sha256": hashes})
    return path, certificate
