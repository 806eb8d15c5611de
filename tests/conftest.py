"""What the whole suite stands on: a virtual display when there is no screen, and calm numerical libraries."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Deadlines would make the suite depend on how busy the machine is.
settings.register_profile("foolscan", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("foolscan")

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    """Figures are drawn without a window, and test processes do not fight for the cores."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    load_compilers_in_order()
    # Started in the background of a script, a process inherits "ignore Ctrl-C"; the tests of Ctrl-C need it heard.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


def load_compilers_in_order() -> None:
    """Load triton's LLVM before Mesa's: the other way round, importing torchvision after a window crashes the process.

    foolscan never opens a window in a process that uses torch, but a test process runs tests of both rooms.
    """
    if sys.platform == "linux" and importlib.util.find_spec("triton"):
        importlib.import_module("triton")


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def display() -> Iterator[str | None]:
    """A display for windows: the one that is there, else an Xvfb of this test process; None where there is neither."""
    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY"):
        yield os.environ.get("DISPLAY")
        return
    if shutil.which("Xvfb") is None:
        yield None
        return
    from experiment.virtual_display import ensure_display

    yield ensure_display((1920, 1080))  # it ends with this process, not before: drivers' threads still hold it
