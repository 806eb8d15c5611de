"""The commands that draw and export print what they wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fragile_maps import study_of_windows

from stimuli.fragile.run import fragile


def foolscan(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``foolscan stimuli ...`` in a folder."""
    command = [sys.executable, "-m", "foolscan", "stimuli", *arguments]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, encoding="utf-8", timeout=300)


def test_the_commands_print_what_they_wrote(tmp_path: Path) -> None:
    study = study_of_windows(tmp_path)
    to = ("windows.yaml", "--to", "to")
    fragile(study, tmp_path / "to", "cpu", sample=9)

    drawn = foolscan(tmp_path, "fragile-pictures", *to, "--picture", "snake-0000")
    assert drawn.returncode == 0, drawn.stderr
    *pages, said = drawn.stdout.splitlines()
    assert [Path(page).name for page in pages] == ["snake-0000_picturenet_pairs.png", "rates.png"]
    assert all((tmp_path / page).is_file() for page in pages)
    assert "were only sampled" in said

    exported = foolscan(tmp_path, "fragile-pairs", *to, "--device", "cpu")
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.splitlines()[-1].startswith("3 pairs: ")

    told = foolscan(tmp_path, "fragile-activations", *to, "--device", "cpu", "--pairs", "1")
    assert told.returncode == 0, told.stderr
    assert all((tmp_path / line).is_file() for line in told.stdout.splitlines())
    assert len(told.stdout.splitlines()) == 4
