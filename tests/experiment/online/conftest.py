"""What tests of the page share: a browser for each module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window; the test is skipped where there is none."""
    from browser import chromium  # most tests here need no Playwright

    with chromium() as opened:
        yield opened
