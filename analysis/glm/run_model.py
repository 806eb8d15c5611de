"""One run, ready to be modelled: its images opened and checked, its events and confounds read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.confounds import find_confounds
from analysis.events import check_images, check_length, read_events, shown_images
from analysis.fmriprep import find_bold
from analysis.glm.confounds import asked_for, read_confounds
from analysis.glm.design import BLANK, RunInputs
from analysis.glm.series import Series, check_after_dummies, open_series
from protocols.folder import RunId, StudyFolder
from protocols.glm_plan import GlmPlan
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study

ONLY_MOTION = ["motion"]


@dataclass(frozen=True)
class RunModel:
    """One run.

    series  : its images.
    inputs  : what its design is made of.
    files   : everything that was read.
    dropped : confounds asked for that tell nothing in this run.
    moves   : whether there is a confounds table.
    """

    run: RunId
    events: Path
    series: Series
    inputs: RunInputs
    files: tuple[Path, ...]
    dropped: tuple[str, ...]
    moves: bool

    def with_components(self, path: Path, components: NDArray[np.float64]) -> RunModel:
        """The same run with noise components, (n_volumes, n), as further confounds."""
        names = tuple(f"noise_component_{number}" for number in range(1, components.shape[1] + 1))
        known = self.inputs.confounds
        together = components if known is None else np.hstack([known, components])
        inputs = RunInputs(
            images=self.inputs.images,
            scan=self.inputs.scan,
            start_s=self.inputs.start_s,
            blanks=self.inputs.blanks,
            first_s=self.inputs.first_s,
            confounds=together,
            names=(*self.inputs.names, *names),
        )
        return RunModel(self.run, self.events, self.series, inputs, (*self.files, path), self.dropped, self.moves)


def open_run(study: Study, folder: StudyFolder, stim_ids: Sequence[str], run: RunId) -> RunModel:
    """Open a run and check everything of it against everything else.

    stim_ids : the manifest's identifiers.

    Raises NotReady when it has no images yet, FoolscanError with file and numbers for what does not fit together.
    """
    path, events_path, plan = find_bold(folder, run), folder.events(run), study.analysis.glm
    if path is None:
        raise NotReady(
            f"{folder.bold(run)}: no images of this run yet; put the scanner's there, or fMRIPrep's into "
            "derivatives/fmriprep, or for a rehearsal: foolscan analysis simulate-bold"
        )
    series = open_series(study.scan, folder, run, path)
    events = read_events(events_path)
    images = shown_images(events)
    check_images(events_path, images, list(stim_ids))
    check_length(events_path, images, series.n_stored, study.scan.tr_s)
    check_after_dummies(events_path, images, series)
    table = _confounds_table(folder, run, plan)
    confounds = read_confounds(table, plan, series.n_stored, series.skipped) if table else None
    blanks = [event for event in events if event.stim_id is None and event.trial_type == BLANK]
    inputs = RunInputs(
        images=images,
        scan=series.scan,
        start_s=series.start_s,
        blanks=blanks if plan.blanks == "one_regressor" else (),
        first_s=series.first_s,
        confounds=confounds.values if confounds else None,
        names=confounds.names if confounds else (),
    )
    files = (*series.inputs, events_path, *([table] if table else []))
    return RunModel(run, events_path, series, inputs, files, confounds.dropped if confounds else (), table is not None)


def _confounds_table(folder: StudyFolder, run: RunId, plan: GlmPlan) -> Path | None:
    """The table, where the model needs one; a run without motion is warned of, one without what else was asked for is refused."""
    asked = asked_for(plan)
    table = find_confounds(folder, run) if asked else None
    if table is None and asked and asked != ONLY_MOTION:
        raise FoolscanError(
            f"{folder.bold(run)}: found no confounds table of this run; analysis.glm asks for {', '.join(asked)}. Put it into "
            "derivatives/fmriprep as fMRIPrep does, or ask for less"
        )
    return table
