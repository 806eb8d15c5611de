"""The server's log: a rotating file beside the database, without addresses and tokens."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from protocols.problems import FoolscanError

MOST_BYTES = 2**20
KEPT = 5
"""Older files."""
LOGGERS = {"experiment.online": logging.INFO, "uvicorn": logging.ERROR, "asyncio": logging.ERROR}
TOKEN = re.compile(r"(?<![\w/.-])[A-Za-z0-9_-]{40,}(?![\w/.-])")
IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_GROUPS = r"[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*"
IPV6 = re.compile(
    rf"(?<![\w:])(?:(?:[0-9A-Fa-f]{{1,4}}:){{7}}[0-9A-Fa-f]{{1,4}}|(?:{_GROUPS})?::(?:{_GROUPS})?)(?![\w:])"
)
"""With all eight groups, or shortened by two colons; a time of day has neither."""


class Discreet(logging.Formatter):
    """One line of a log, times in UTC; what looks like an address or a token is left out, whoever wrote it."""

    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback where there is one."""
        stamp, text = super().format(record).split(" ", 1) if self.usesTime() else ("", super().format(record))
        return f"{stamp} {discreet(text)}".lstrip()


def discreet(text: str) -> str:
    """A text without network addresses and without what looks like a token."""
    return TOKEN.sub("[token]", IPV6.sub("[address]", IPV4.sub("[address]", text)))


@contextmanager
def logging_to(path: Path) -> Iterator[Path]:
    """Log what the server and its libraries say, while the block runs.

    path : of the newest file; its folder is made.

    Raises FoolscanError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8")
    except OSError as error:
        raise FoolscanError(
            f"{path}: could not be written ({error.strerror or error}); permission, or free space?"
        ) from error
    form = Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handler.setFormatter(form)
    before = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in LOGGERS}
    for name, level in LOGGERS.items():
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    try:
        yield path
    finally:
        for name, (level, propagate) in before.items():
            logger = logging.getLogger(name)
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()
