"""A tiny study on the stand-in for Mechanical Turk: its campaign, and workers who come, answer and submit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from online_study import answer_all, crop_study
from turk_stand_in import TurkStandIn
from turk_wire import KEY_ID, serving

from experiment.online.crowd import Crowd
from experiment.online.database import connect, connect_reading
from experiment.online.opening import files_of, key_of
from experiment.online.recruiters.ledger import Ledger
from experiment.online.recruiters.mturk import Turk
from experiment.online.recruiters.mturk import recruiter as turk_recruiter
from experiment.online.recruiters.recruiter import Arrival
from experiment.online.recruiters.turk_campaign import Campaign, order, place
from experiment.online.recruiters.turk_client import LIVE, SANDBOX, TurkApi
from experiment.online.recruiters.turk_client import connect as connect_turk
from protocols.folder import StudyFolder
from protocols.study import Study

ADDRESS = "https://study.lab.example/mturk"


@dataclass
class Turking:
    """All that such a campaign has; `campaign` is the console's, `crowd` the server's."""

    study: Study
    folder: StudyFolder
    crowd: Crowd
    turk: TurkStandIn
    endpoint: str
    campaign: Campaign
    recruiter: Turk

    def open(self, *, more: bool = False, places: int | None = None, most_cents: int | None = None) -> None:
        """Order what is wanted."""
        place(self.campaign, order(self.campaign, more=more, places=places), ADDRESS, most_cents=most_cents)

    def arrival(self, worker: str, hit: str, assignment: str) -> dict[str, str]:
        """The parameters of a page's address."""
        ids = {"assignmentId": assignment, "hitId": hit, "workerId": worker}
        return {**ids, "turkSubmitTo": self.recruiter.submit_host}

    def accept(self, name: str, **traits: object) -> tuple[str, str, str]:
        """Somebody accepts the first HIT that is offered: (worker, HIT, assignment)."""
        worker = self.turk.somebody(name, **traits)
        hit = self.turk.offered(worker)[0]
        return worker, hit, self.turk.accept(worker, hit)

    def join(self, worker: str, hit: str, assignment: str) -> str:
        """Somebody comes to the page and agrees; the token."""
        came = self.recruiter.arrived(self.arrival(worker, hit, assignment))
        assert isinstance(came, Arrival)
        return self.crowd.join(self.recruiter.name, came, "en").result().token

    def finish(self, token: str, worker: str, hit: str, assignment: str, *, right: bool = True) -> dict[str, str]:
        """Somebody answers everything; the form that the page would post."""
        answer_all(self.crowd, token, right=right)
        query = self.arrival(worker, hit, assignment)
        done = self.crowd.finish(token, "", lambda code: self.recruiter.completion(query, code)).result()
        return dict(done.completion.fields)

    def take_part(self, name: str, *, right: bool = True) -> tuple[str, str]:
        """Somebody accepts, answers everything and submits: (worker, assignment)."""
        worker, hit, assignment = self.accept(name)
        self.turk.submit(
            assignment, self.finish(self.join(worker, hit, assignment), worker, hit, assignment, right=right)
        )
        return worker, assignment


def with_keys(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Keys for boto3's own chain, and nothing of the machine's own settings."""
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_MTURK",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "no-config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-nobody")


def turk_study(folder: Path, *, per_list: int = 6, mturk: str = "") -> tuple[Study, StudyFolder]:
    """A study with two lists of `per_list` places, in an existing folder.

    mturk : further keys of ``online.mturk``, after a comma.
    """
    more = f"  mturk: {{title: Tiny pictures, description: Look., reward_usd: 1.00{mturk}}}\n"
    return crop_study(folder, n_pairs=2, per_list=per_list, practice=0, attention_every=None, more=more)


@contextmanager
def turking(
    folder: Path,
    *,
    per_list: int = 6,
    live: bool = True,
    mturk: str = "",
    turk: TurkStandIn | None = None,
    made: tuple[Study, StudyFolder] | None = None,
) -> Iterator[Turking]:
    """A campaign of such a study; nothing is ordered yet.

    made : the study, where it was made before.
    """
    study, where = made or turk_study(folder, per_list=per_list, mturk=mturk)
    stand_in = TurkStandIn() if turk is None else turk
    environment = LIVE if live else SANDBOX
    assert study.online is not None
    assert study.online.mturk is not None
    with serving(stand_in) as endpoint, Crowd.open(study, where, now_ms=lambda: round(stand_in.now_s * 1000)) as crowd:
        path = files_of(study, where).database
        writing, reading = connect(path), connect_reading(path)
        campaign = Campaign(
            study=study.name,
            plan=study.online.mturk,
            environment=environment,
            api=TurkApi(connect_turk(environment, endpoint=endpoint).client, stand_in.now),
            ledger=Ledger(writing, environment.name, lambda: round(stand_in.now_s * 1000)),
            reading=reading,
            key=key_of(study, where),
        )
        try:
            recruiter = turk_recruiter(environment.name, study.online)
            yield Turking(study, where, crowd, stand_in, endpoint, campaign, recruiter)
        finally:
            writing.dispose()
            reading.dispose()
