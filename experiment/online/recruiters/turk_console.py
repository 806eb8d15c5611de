"""What the console stands on: the study's database beside a running server, Amazon's environment, and a look at the page."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from experiment.online.database import connect, connect_reading, readable
from experiment.online.opening import (
    files_of,
    key_of,
    key_with,
    nobody_asked_yet,
    read_facts,
    refuse_other_name,
)
from experiment.online.recruiters.ledger import Ledger
from experiment.online.recruiters.mturk import PREVIEW
from experiment.online.recruiters.turk_campaign import Campaign
from experiment.online.recruiters.turk_client import LIVE, SANDBOX
from experiment.online.recruiters.turk_client import connect as connect_turk
from protocols.folder import StudyFolder, exclusive, read_json
from protocols.problems import FoolscanError
from protocols.study import Study

LOOK_S = 15.0


def now_ms() -> int:
    """The time, ms since 1970."""
    return time.time_ns() // 1_000_000


def database_of(study: Study, folder: StudyFolder) -> Path:
    """The task's database, once it is made sure to be this study's; a server may be at work on it.

    Raises NotReady when nobody has served the task yet, FoolscanError when it is another study's.
    """
    files = files_of(study, folder)
    if not files.database.exists():
        raise nobody_asked_yet(files)
    engine = connect_reading(files.database)
    try:
        with readable(files.database), engine.begin() as connection:
            facts = read_facts(connection, files.database)
    finally:
        engine.dispose()
    refuse_other_name(facts, study, files.database)
    key_with(facts, files)
    return files.database


@contextmanager
def campaign(study: Study, folder: StudyFolder, *, live: bool) -> Iterator[Campaign]:
    """The campaign of a study in one of Amazon's environments; nothing is sent yet.

    live : with people and money; False: in the sandbox.

    Raises NotReady without a database, FoolscanError where the study does not say what is paid, or when the folder is a rehearsal's.
    """
    path = database_of(study, folder)
    if study.online is None or study.online.mturk is None:
        problem = study.problem(
            "online.mturk", "nothing", "title, description and reward_usd", "see srivastava2019 for an example"
        )
        raise FoolscanError(str(problem))
    description = folder.root / "dataset_description.json"
    if live and description.exists() and read_json(description).get("Simulated"):
        raise FoolscanError(
            f"{folder.root}: found a rehearsal (simulated) folder; recruit people with --to another folder"
        )
    environment = LIVE if live else SANDBOX
    writing, reading = connect(path), connect_reading(path)
    try:
        with readable(path):
            yield Campaign(
                study=study.name,
                plan=study.online.mturk,
                environment=environment,
                api=connect_turk(environment),
                ledger=Ledger(writing, environment.name, now_ms),
                reading=reading,
                key=key_of(study, folder),
            )
    finally:
        writing.dispose()
        reading.dispose()


def alone(study: Study, folder: StudyFolder) -> AbstractContextManager[None]:
    """Keep other consoles from the campaign while the block runs."""
    files = files_of(study, folder)
    return exclusive(files.folder / f"{files.task}_mturk", "the campaign on Mechanical Turk")


def look_at_page(address: str, workers_site: str) -> None:
    """See what a worker's browser would see of a HIT's preview.

    address      : of the page.
    workers_site : of the environment, which must be allowed to frame the page.

    Raises FoolscanError when the page does not come, or could not be framed.
    """
    remedy = "start `foolscan online serve` with this recruiter (--recruiter), or pass --unseen when only this machine cannot see it"
    request = urllib.request.Request(f"{address}?assignmentId={PREVIEW}", headers={"Accept": "text/html"})
    try:
        with urllib.request.urlopen(request, timeout=LOOK_S) as answer:
            policy = ";".join(answer.headers.get_all("Content-Security-Policy") or [])
    except (urllib.error.URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise FoolscanError(f"{address}: the page that workers would see does not come ({why}); {remedy}") from None
    ancestors = next((part.split()[1:] for part in policy.split(";") if part.split()[:1] == ["frame-ancestors"]), [])
    if workers_site not in ancestors:
        raise FoolscanError(
            f"{address}: {workers_site} may not frame this page (frame-ancestors: {' '.join(ancestors)}); {remedy}"
        )
