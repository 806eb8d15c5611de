"""Makes the rows of a timeline: times rounded to the rig's frames."""

from __future__ import annotations

from dataclasses import dataclass

from experiment.drawings import Drawing, Nothing, Picture
from experiment.scan import ScanTimes
from experiment.timeline import Row
from protocols.manifest import Stimulus
from protocols.rig import Rig


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one segment.

    segment : its name.
    rig     : gives the refresh to which times are rounded.
    scan    : of a pulse-locked segment, whose times count from the first stored volume; None: of a self-paced one, whose
              times count from its own first flip.
    """

    segment: str
    rig: Rig
    scan: ScanTimes | None = None

    def row(
        self,
        onset_s: float,
        duration_s: float,
        trial_type: str,
        *,
        drawing: Drawing | None = None,
        trial: int | None = None,
        stimulus: Stimulus | None = None,
        answer: str | None = None,
        frame: int | None = None,
    ) -> Row:
        """One row.

        drawing : left out: the stimulus, or nothing.
        answer  : the correct one.
        frame   : of the onset, where it has to fit a row before it; left out: the one nearest to the onset.
        """
        onset_s, hz = round(onset_s, 9), self.rig.display.refresh_hz
        n_frames = self.rig.display.frames(duration_s)
        first_pulse_s = self.scan.first_pulse_s if self.scan is not None else 0.0
        return Row(
            onset_s=onset_s,
            frame=self.rig.display.frames(onset_s - first_pulse_s) if frame is None else frame,
            n_frames=n_frames,
            duration_s=round(n_frames / hz, 9),
            trial=trial,
            trial_type=trial_type,
            stim_id=stimulus.stim_id if stimulus else None,
            stim_file=stimulus.stim_file if stimulus else None,
            stim_sha256=stimulus.sha256 if stimulus else None,
            category=stimulus.category if stimulus else None,
            animal_source=stimulus.animal_source if stimulus else None,
            expected_answer=answer,
            expected_volume=self.scan.volume_at(onset_s) if self.scan is not None else None,
            drawing=drawing or (Picture(stimulus.stim_id) if stimulus else Nothing()),
            segment=self.segment,
        )
