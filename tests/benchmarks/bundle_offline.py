"""The stimulus PC: which wheels there are for each system, and a whole bundle (with PsychoPy) used without a network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from _record import measure_once
from _small_study import fill, small_study

from protocols.folder import open_folder
from protocols.problems import FoolscanError
from protocols.rig import load_rig
from stimulus_pc.bundle import bundle, packages_for
from stimulus_pc.merge import merge
from stimulus_pc.target import Target

ELSEWHERE = (Target("windows", "3.11"), Target("macos", "3.11"), Target("macos", "3.12"), Target("linux", "3.12"))
WITHOUT = Target("windows", "3.12")
HERE = Target("linux", "3.12" if sys.version_info[:2] == (3, 12) else "3.11")

TARGETS = {
    "systems_for_which_a_package_has_no_wheel": f"0 of {len(ELSEWHERE)}",
    "Python_3.12_on_Windows_possible": "stated (pywinhook)",
    "network_was_cut": "1",
    "runs_shown_in_a_window_without_a_network": "4",
    "run_files_that_differ_after_merging": "0",
    "files_changed_by_merging_again": "0",
}


def hashes(root: Path) -> dict[str, str]:
    """Every file of a folder by its content."""
    paths = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def alone(command: Sequence[str], folder: Path, *, cut: bool) -> None:
    """Run a command without a network and without anything that was set for pip or Python here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment = {**kept, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    subprocess.run([*(["unshare", "--net"] if cut else []), *command], cwd=folder, env=environment, check=True)


def has_wheels(target: Target) -> bool:
    """Whether every package can be had for a system; which not is printed."""
    try:
        wheels = packages_for(target)
    except FoolscanError as error:
        print(error)
        return False
    print(f"{target.platform} {target.python}: {len(wheels.files)} wheels, built from source: {wheels.built}")
    return True


def measure() -> dict[str, float]:
    """Look wheels up for the other systems; make a bundle for this one, install it, run it, bring the runs back."""
    figures = {
        "systems_for_which_a_package_has_no_wheel": float(sum(not has_wheels(target) for target in ELSEWHERE)),
        "Python_3.12_on_Windows_possible": float(has_wheels(WITHOUT)),
    }
    cut = shutil.which("unshare") is not None and subprocess.run(["unshare", "--net", "true"]).returncode == 0
    with tempfile.TemporaryDirectory() as new:
        lab, there = Path(new) / "lab", Path(new) / "there"
        lab.mkdir()
        study = small_study(lab)
        fill(lab / "images", study, load_rig("rehearsal"))
        begin = time.monotonic()
        made = bundle(str(lab / "small.yaml"), "rehearsal", lab / "images", there, HERE)
        minutes_made, begin = (time.monotonic() - begin) / 60, time.monotonic()
        alone([sys.executable, "install.py"], there, cut=cut)
        minutes_installed = (time.monotonic() - begin) / 60
        facts = json.loads((there / "bundle.json").read_text(encoding="utf-8"))
        program = facts["next"].split()[0]
        rig = next(there.glob("rig-*.yaml")).name
        alone([program, "experiment", "rehearse", "small.yaml", "--rig", rig, "--to", "study"], there, cut=cut)
        open_folder(lab / "study", study.title)
        shutil.copytree(lab / "images" / "stimuli", lab / "study" / "stimuli")
        merge(there / "study", lab / "study")
        once, theirs = hashes(lab / "study"), hashes(there / "study")
        merge(there / "study", lab / "study")
        of_runs = {name for name in theirs if name.startswith(("sub-", "sourcedata/", "participants"))}
        twice = hashes(lab / "study")
    return figures | {
        "network_was_cut": float(cut),
        "runs_shown_in_a_window_without_a_network": float(sum(name.endswith("_events.tsv") for name in of_runs)),
        "run_files_that_differ_after_merging": float(sum(theirs[name] != once.get(name) for name in of_runs)),
        "files_changed_by_merging_again": float(sum(twice.get(name) != once.get(name) for name in {*once, *twice})),
        "wheels": float(len(made.wheels.files)),
        "bundle_mib": round(made.mib, 1),
        "minutes_to_make_it": round(minutes_made, 2),
        "minutes_to_install_it": round(minutes_installed, 2),
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether every figure meets its target."""
    return (
        figures["systems_for_which_a_package_has_no_wheel"] == 0
        and figures["network_was_cut"] == 1
        and figures["runs_shown_in_a_window_without_a_network"] == 4
        and figures["run_files_that_differ_after_merging"] == 0
        and figures["files_changed_by_merging_again"] == 0
    )


if __name__ == "__main__":
    raise SystemExit(
        measure_once(__file__, "a study carried to a computer without a network, and back", TARGETS, measure, met)
    )
