"""What this machine can and cannot do: the findings of `foolscan doctor`, and what concerns every room."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table

Status = Literal["ok", "limited", "missing"]

MARKS: dict[Status, str] = {"ok": "[green]ok[/]", "limited": "[yellow]limited[/]", "missing": "[red]missing[/]"}
GIB = 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for on this machine.

    topic  : what was looked for.
    status : "ok", "limited" (works, but not for everything; `what` says for what not) or "missing".
    what   : what was found.
    remedy : what to do about it; empty when there is nothing to do.
    """

    topic: str
    status: Status
    what: str
    remedy: str = ""


def probes(folder: Path = Path()) -> list[Finding]:
    """What every room stands on: Python, disk and memory.

    folder : where study folders will be written (its disk is the one looked at).
    """
    return [
        python_version(sys.version_info[:2]),
        free_disk(shutil.disk_usage(folder).free),
        memory(total_memory_bytes()),
    ]


def is_installed(module: str) -> bool:
    """Whether a top-level module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def not_installed(topic: str, module: str, extra: str) -> Finding:
    """The finding that a module is absent, with the install extra that brings it."""
    return Finding(topic, "missing", f"{module} is not installed", f"pip install 'foolscan[{extra}]'")


def python_version(version: tuple[int, int]) -> Finding:
    """PsychoPy runs on Python 3.11 and 3.12 and on no newer one."""
    found = f"{version[0]}.{version[1]} on {platform.system()} {platform.machine()}"
    if (3, 11) <= version < (3, 13):
        return Finding("Python", "ok", found)
    return Finding("Python", "missing", found, "make the environment with Python 3.11 or 3.12: PsychoPy runs on these")


def free_disk(free_bytes: int) -> Finding:
    """A study with activations and BOLD takes some gigabytes."""
    found = f"{free_bytes / GIB:.0f} GiB free"
    if free_bytes >= 10 * GIB:
        return Finding("disk", "ok", found)
    return Finding("disk", "limited", found, "make room: activations and BOLD of a full study take about 10 GiB")


def memory(total_bytes: int | None) -> Finding:
    """How much memory the machine has.

    total_bytes : None when the system does not say.
    """
    if total_bytes is None:
        return Finding("memory", "limited", "this system does not say how much there is")
    found = f"{total_bytes / GIB:.0f} GiB, {os.cpu_count()} cores"
    if total_bytes >= 4 * GIB:
        return Finding("memory", "ok", found)
    return Finding("memory", "limited", found, "large networks and whole-brain GLMs want 4 GiB or more")


def total_memory_bytes() -> int | None:
    """The machine's memory in bytes, or None where the system does not say."""
    if sys.platform == "win32":
        import ctypes

        kibibytes = ctypes.c_ulonglong()
        if ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kibibytes)):
            return kibibytes.value * 1024
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def table(findings: Iterable[Finding]) -> Table:
    """The findings as a table for the terminal, each missing or limited thing with its remedy."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table(title="What this machine can do", title_justify="left", show_lines=False)
    shown.add_column("", no_wrap=True)
    shown.add_column("", no_wrap=True)
    shown.add_column("found", overflow="fold")
    shown.add_column("what to do", overflow="fold")
    for finding in findings:
        shown.add_row(escape(finding.topic), MARKS[finding.status], escape(finding.what), escape(finding.remedy))
    return shown
