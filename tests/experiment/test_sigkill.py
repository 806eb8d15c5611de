"""Runs are killed while another process sends pulses and presses (the measurement of tests/benchmarks, with fewer kills)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals to send pulses through")
def test_what_was_sent_before_a_kill_is_recovered(tmp_path: Path, project_root: Path) -> None:
    script = project_root / "tests" / "benchmarks" / "sigkill.py"
    done = subprocess.run(
        [sys.executable, str(script), "--kills", "12", "--to", str(tmp_path)],
        cwd=project_root,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(project_root)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    record = tmp_path / "sigkill.json"
    assert record.exists(), done.stderr
    figures = json.loads(record.read_text(encoding="utf-8"))["figure"]
    assert figures["kills"] == 12
    assert figures["folders_or_events_with_problems"] == 0, done.stdout
    # The measurement asks for 50 ms; this machine may be doing other things meanwhile.
    assert figures["oldest_lost_max_ms"] < 2000, done.stdout
