"""A serial cable for tests: a pseudo terminal, whose far end stands in for a trigger or button box."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass
class Cable:
    """The box's end of the cable, and the name of the computer's."""

    box: int
    port: str

    def send(self, content: bytes) -> None:
        os.write(self.box, content)

    def unplug(self) -> None:
        os.close(self.box)


@contextmanager
def serial_cable() -> Iterator[Cable]:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals to stand in for a serial port")
    import tty

    box, computer = os.openpty()
    tty.setraw(computer)
    yield Cable(box, os.ttyname(computer))
    for end in (box, computer):
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


def until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.002)
