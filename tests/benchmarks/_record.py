"""The record of a measurement: written once per commit, as JSON, with what was measured, where, and against what target."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil


def measure_once(
    script: str,
    what: str,
    targets: Mapping[str, str],
    measure: Callable[[], Mapping[str, float]],
    met: Callable[[Mapping[str, float]], bool],
    facts: Mapping[str, Any] | None = None,
) -> int:
    """Measure unless this commit is measured already, write ``<script>.json``, and say whether the targets are met.

    script  : the measuring script's ``__file__``.
    targets : name of a figure -> target, for the reader.
    measure : does the work; name -> figure.
    met     : whether the figures meet the targets.
    facts   : what else belongs into the record.

    Returns the exit status: 0 met, 1 not.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--to", type=Path, default=Path("evidence"), help="folder of the JSON record")
    record = parser.parse_known_args()[0].to / f"{Path(script).stem}.json"
    commit = commit_now()
    if record.exists() and json.loads(record.read_text(encoding="utf-8")).get("commit") == commit:
        print(f"{record} is of this commit already")
        return 0
    figures = measure()
    measured = {"commit": commit, "machine": machine(), "what": what, **(facts or {}), "target": dict(targets)}
    measured |= {"figure": dict(figures), "met": met(figures)}
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8", newline="\n")
    partial.replace(record)
    print(json.dumps(measured, indent=2))
    return 0 if measured["met"] else 1


def commit_now() -> str:
    """The commit that is measured."""
    return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """This machine in words."""
    memory = round(psutil.virtual_memory().total / 2**30)
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory} GiB"
