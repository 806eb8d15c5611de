"""Who may show the page in a frame, judged by a real browser: the recruiter's own site, and nobody else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser import Visitor, chromium, served, visiting
from online_study import crop_study
from playwright.sync_api import Route

WORKERS = "https://workersandbox.mturk.com"
TURK = {"assignmentId": "3ABC", "hitId": "3HIT", "workerId": "A1WORKER", "turkSubmitTo": WORKERS}


STUDY = "https://study.example"
"""The study's address behind its proxy: browsers show workers pages over TLS alone."""


def framed(visitor: Visitor, site: str, address: str, entrance: str) -> bool:
    """Whether the study's page, as the real server sends it, is shown in a frame of another site.

    address : of the server; what is asked of the study's public address is asked there, as a proxy does.
    """

    def proxied(route: Route) -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace(STUDY, address)))

    def framing(route: Route) -> None:
        frame = f'<iframe src="{STUDY}/{entrance}"></iframe>'
        route.fulfill(content_type="text/html", body=f"<!doctype html><title>site</title>{frame}")

    page = visitor.page
    page.route(f"{STUDY}/**", proxied)
    page.route(f"{site}/**", framing)
    page.goto(f"{site}/work")
    inside = page.frame_locator("iframe").locator("[data-screen]")
    while not (shown := inside.count() > 0) and not visitor.complaints:
        page.wait_for_timeout(50)
    return shown


@pytest.mark.parametrize(
    ("site", "entrance", "seen"),
    [
        (WORKERS, f"mturk_sandbox?{urlencode(TURK)}", True),
        ("https://evil.example", f"mturk_sandbox?{urlencode(TURK)}", False),
        (WORKERS, "link?id=anna", False),
    ],
)
def test_a_page_is_shown_in_its_recruiter_s_frame_alone(tmp_path: Path, site: str, entrance: str, seen: bool) -> None:
    study, folder = crop_study(tmp_path)
    with served(study, folder, recruiters=("link", "mturk_sandbox")) as listening, chromium() as browser:
        address = listening.pages["link"].removesuffix("/link")
        with visiting(browser) as visitor:
            assert framed(visitor, site, address, entrance) == seen, visitor.complaints
            assert any("frame-ancestors" in said.lower() for said in visitor.complaints) != seen, visitor.complaints
