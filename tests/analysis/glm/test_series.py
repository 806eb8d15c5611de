"""A run's images against their sidecar, the study and the logged pulses: nothing is analysed that does not belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.events import Event
from analysis.glm.series import check_after_dummies, open_series, pulses_path, start_of
from analysis.nifti import write_nifti
from protocols.folder import RunId, StudyFolder, write_json
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path
from protocols.study import Dummies, ScanProtocol

RUN = RunId("01", "01", "animals", 1)
SCAN = ScanProtocol(tr_s=2.0, volumes=10)


def images(folder: StudyFolder, volumes: int, **facts: object) -> Path:
    path = folder.bold(RUN)
    write_nifti(path, np.ones((2, 2, 2, volumes)), np.eye(4), dtype=np.int16, tr_s=2.0)
    write_json(sidecar_path(path), {"RepetitionTime": 2.0, "StartTime": 1.0, **facts})
    return path


def logged(folder: StudyFolder, **facts: object) -> None:
    write_json(pulses_path(folder, RUN), facts)


@pytest.mark.parametrize(
    ("facts", "start_s", "by"),
    [
        ({"StartTime": 0.975, "SliceTimingCorrected": True}, 0.975, "StartTime"),
        ({"StartTime": 0}, 0.0, "StartTime"),
        ({"SliceTimingRef": 0.25}, 0.5, "SliceTimingRef"),
        ({"slice_time_ref": 1}, 2.0, "slice_time_ref"),
        ({"SliceTimingCorrected": False}, 1.0, "SliceTimingCorrected: false"),
        ({"StartTime": 0.5, "slice_time_ref": 0.9}, 0.5, "StartTime"),
    ],
)
def test_the_time_that_slices_stand_for_is_read(facts: dict[str, Any], start_s: float, by: str) -> None:
    assert start_of(Path("bold.json"), facts, 2.0) == (pytest.approx(start_s), by)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"SliceTimingCorrected": True},
        {"StartTime": 2.5},
        {"StartTime": "0.5"},
        {"StartTime": True},
        {"slice_time_ref": 1.5},
    ],
)
def test_a_time_that_is_not_known_is_asked_for(facts: dict[str, Any]) -> None:
    with pytest.raises(FoolscanError, match=r"bold\.json: (StartTime|slice_time_ref): found .*; expected"):
        start_of(Path("bold.json"), facts, 2.0)


def test_a_run_without_logged_pulses_has_the_studys_volumes(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    series = open_series(SCAN, folder, RUN, images(folder, 10))
    assert (series.n_stored, series.skipped, series.scan.volumes) == (10, 0, 10)
    assert series.pulses == ""
    with pytest.raises(FoolscanError, match=r"found 12 volumes; scan\.volumes is 10\. Correct scan\.volumes, or"):
        open_series(SCAN, folder, RUN, images(folder, 12))


def test_images_study_and_logged_pulses_are_told_together(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    logged(folder, pulses_expected=10, pulses_seen=10, pulses={"lacking": 0, "missed": 0})
    series = open_series(SCAN, folder, RUN, images(folder, 10))
    assert series.pulses == "10 of 10"
    with pytest.raises(
        FoolscanError,
        match=r"found 9 volumes; scan\.volumes is 10, and 10 of 10 pulses were logged\. Copy the whole image",
    ):
        open_series(SCAN, folder, RUN, images(folder, 9))


@pytest.mark.parametrize("volumes", [9, 10])
def test_pulses_lacking_at_an_end_are_to_be_explained_first(tmp_path: Path, volumes: int) -> None:
    folder = StudyFolder(tmp_path)
    both = [
        {"name": "first-missed", "volumes": 10, "onset_shift_s": 2.0},
        {"name": "stopped-early", "volumes": 9, "onset_shift_s": 0.0},
    ]
    logged(folder, pulses_expected=10, pulses_seen=9, pulses={"lacking": 1, "missed": 0, "hypotheses": both})
    with pytest.raises(
        FoolscanError,
        match=rf"found {volumes} volumes; .*logged 9 of 10 pulses, 10 volumes .*first-missed: 10 .*correct-onsets",
    ):
        open_series(SCAN, folder, RUN, images(folder, volumes))


def test_older_certificates_tell_of_lacking_pulses_too(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    logged(folder, pulses_expected=10, pulses_seen=9)
    with pytest.raises(FoolscanError, match="logged 9 of 10 pulses"):
        open_series(SCAN, folder, RUN, images(folder, 10))


@pytest.mark.parametrize(
    "facts",
    [
        {
            "pulses_expected": 10,
            "pulses_seen": 8,
            "pulses": {"lacking": 0, "missed": 2},
        },  # in between: nothing is shifted
        {"pulses_expected": 1, "pulses_seen": 1},  # one for the whole run
    ],
)
def test_pulses_that_say_nothing_of_volumes_are_no_matter(tmp_path: Path, facts: dict[str, Any]) -> None:
    folder = StudyFolder(tmp_path)
    logged(folder, **facts)
    assert open_series(SCAN, folder, RUN, images(folder, 10)).scan.volumes == 10


def test_a_run_that_the_operator_explained_is_analysed_as_it_is(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    corrected = {"volumes": 9, "image": "bold.nii.gz", "hypothesis": "stopped-early"}
    logged(folder, pulses_expected=10, pulses_seen=9, pulses={"lacking": 1}, onsets_corrected=corrected)
    assert open_series(SCAN, folder, RUN, images(folder, 9)).scan.volumes == 9
    with pytest.raises(
        FoolscanError, match=r"found 10 volumes; bold\.nii\.gz had 9 when its onsets were corrected\. Copy that"
    ):
        open_series(SCAN, folder, RUN, images(folder, 10))


def test_volumes_that_were_discarded_are_the_studys(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    discarding = SCAN.model_copy(update={"dummies": Dummies(volumes=3, images="discarded")})
    assert open_series(discarding, folder, RUN, images(folder, 10, NumberOfVolumesDiscardedByScanner=3))
    with pytest.raises(FoolscanError, match=r"NumberOfVolumesDiscardedByScanner: found 3; by scan\.dummies 0 are"):
        open_series(SCAN, folder, RUN, images(folder, 10, NumberOfVolumesDiscardedByScanner=3))
    with pytest.raises(FoolscanError, match=r"NumberOfVolumesDiscardedByUser: found 2; by scan\.dummies 0 are"):
        open_series(discarding, folder, RUN, images(folder, 10, NumberOfVolumesDiscardedByUser=2))


def test_an_image_among_the_dummies_is_refused(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    storing = SCAN.model_copy(update={"dummies": Dummies(volumes=3, images="stored")})
    series = open_series(storing, folder, RUN, images(folder, 13))
    assert (series.first_s, series.n_stored) == (6.0, 13)
    check_after_dummies(Path("events.tsv"), [Event(2, 6.0, 1.0, "RE", "RE-1", {})], series)
    with pytest.raises(FoolscanError, match=r"events\.tsv:2: an image at 4 s; the first 3 stored volumes are dummies"):
        check_after_dummies(Path("events.tsv"), [Event(2, 4.0, 1.0, "RE", "RE-1", {})], series)
