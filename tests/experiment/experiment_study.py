"""A study small enough to be run in a second: a folder of random images, exported at the rig's pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from stimulus_rows import stimulus_row

from protocols.folder import StudyFolder, open_folder
from protocols.manifest import Stimulus, write_manifest
from protocols.provenance import sha256_of
from protocols.rig import Rig
from protocols.study import Study, load_study

CATEGORIES = ("otter", "heron", "truck", "piano", "carp", "chair")
ANIMALS = {"otter", "heron", "carp"}


NO_SCREENS = "    screens: null\n    practice: null\n"


def small_study(
    folder: Path,
    n_categories: int = 4,
    *,
    scan: str = "{tr_s: 1.0, volumes: 60}",
    more: str = "",
    times: float = 1.0,
    introduced: bool = False,
) -> Study:
    """A study of a few categories: trials of 2 s (all times multiplied by `times`), 2 blank trials, in a YAML file.

    introduced : with the demo's screens and practice before the first run; else a run begins with the wait for the pulse.
    """
    path = folder / "small.yaml"
    path.write_text(
        f"""format: 1
extends: demo
name: small
design: {{subjects: 2, sessions: 1, runs: 2}}
scan: {scan}
stimuli: {{n_categories: {n_categories}}}
tasks:
  animals:
    image_deg: 3.0
    blank_s: {1.0 * times:.2f}
    image_s: {1.0 * times:.2f}
    blank_trial_s: {2.0 * times:.2f}
    lead_in_s: {3.0 * times:.2f}
    lead_out_s: {3.0 * times:.2f}
    response_window_s: {2.0 * times:.2f}
    stimulus_trials: {3 * n_categories}
    blank_trials: 2
{"" if introduced else NO_SCREENS}{more}""",
        encoding="utf-8",
    )
    return load_study(path)


def stimulus(kind: str, category: str, sha256: str = "0" * 64, supercategory: str = "things") -> Stimulus:
    """A row with the class unknown to the network, as of a laboratory's own."""
    known = {"supercategory": supercategory, "animal_network_label": None, "sha256": sha256}
    return stimulus_row(kind, category, animal=category in ANIMALS, **known)


def stimuli_of(n_categories: int) -> list[Stimulus]:
    """A manifest without files."""
    names = [*CATEGORIES, *(f"thing{number}" for number in range(n_categories))][:n_categories]
    return [stimulus(kind, name) for kind in ("RE", "AN", "AI") for name in names]


def fill(root: Path, study: Study, rig: Rig) -> StudyFolder:
    """Random images, their manifest, and their export for a rig, as the stimuli room writes them."""
    folder = open_folder(root, study.title, rehearsal=rig.rehearsal)
    rng = np.random.default_rng(1)
    side_px = rig.display.px(study.tasks["animals"].image_deg)
    made, index = [], {}
    for planned in stimuli_of(study.stimuli.n_categories):
        path, screen = planned.path(folder), folder.screen_images(rig.name) / f"{planned.stim_id}.png"
        for file, side in ((path, 16), (screen, side_px)):
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(file)
        made.append(stimulus(planned.set, planned.category, sha256_of(path)))
        index[planned.stim_id] = {
            "file": screen.name,
            "sha256": sha256_of(screen),
            "source_sha256": made[-1].sha256,
        }
    write_manifest(folder, made)
    export = {"format": 1, "side_px": side_px, "filter": "none", "images": index}
    (folder.screen_images(rig.name) / "export.json").write_text(json.dumps(export), encoding="utf-8")
    return folder
