"""Designs: nilearn's own columns, what blanks and finite impulse responses add, and runs end to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from analysis.events import Event
from analysis.glm.design import RunInputs, design_of, shared_conditions
from analysis.glm.drift import polynomial_order
from analysis.glm.hrf import DoubleGamma
from protocols.glm_plan import GlmPlan
from protocols.problems import FoolscanError
from protocols.study import ScanProtocol

SCAN = ScanProtocol(tr_s=2.0, volumes=90)
IDS = tuple(f"RE-{i:02d}" for i in range(12))


def images(seed: int = 0, times: int = 1) -> list[Event]:
    rng = np.random.default_rng(seed)
    order = [str(name) for _ in range(times) for name in rng.permutation(IDS)]
    return [Event(i + 2, 10.0 + 12.0 / times * i, 1.0, "RE", name, {}) for i, name in enumerate(order)]


def run(seed: int = 0, times: int = 1, **more: object) -> RunInputs:
    return RunInputs(images=images(seed, times), scan=SCAN, start_s=1.0, **more)  # type: ignore[arg-type]


BLANKS = [Event(3, onset_s, 4.0, "blank", None, {}) for onset_s in (17.0, 65.0, 113.0)]


@pytest.mark.parametrize("hrf", ["spm", "glover"])
@pytest.mark.parametrize("drift", ["cosine", "polynomial"])
def test_the_columns_are_nilearns(hrf: str, drift: str) -> None:
    from nilearn.glm.first_level import make_first_level_design_matrix

    events = images(times=2)
    table = pd.DataFrame(
        {
            "onset": [event.onset_s for event in events],
            "duration": 1.0,
            "trial_type": [str(event.stim_id).replace("-", "_") for event in events],
        }
    )
    theirs = make_first_level_design_matrix(
        1.0 + 2.0 * np.arange(90),
        table,
        hrf_model=hrf,
        drift_model=drift,
        oversampling=20,
        drift_order=polynomial_order(SCAN),
    )
    ours = design_of(run(times=2), IDS, GlmPlan(hrf=hrf, drift=drift))  # type: ignore[arg-type]
    np.testing.assert_allclose(ours.matrix, theirs.to_numpy(), atol=1e-12)
    assert ours.names[12:] == tuple(theirs.columns[12:])


def test_finite_impulse_responses_are_nilearns_where_images_begin_with_a_volume() -> None:
    from nilearn.glm.first_level import compute_regressor

    events = [Event(2, onset_s, 0.0, "RE", IDS[0], {}) for onset_s in (10.0, 60.0, 130.0)]
    plan = GlmPlan(hrf="fir", fir_delays=8)
    ours = design_of(RunInputs(images=events, scan=SCAN, start_s=0.0), IDS, plan)
    triplet = np.array([[10.0, 60.0, 130.0], [1e-6] * 3, [20.0] * 3])
    theirs, _ = compute_regressor(triplet, "fir", 2.0 * np.arange(90), oversampling=20, fir_delays=list(range(8)))
    np.testing.assert_allclose(ours.matrix[:, :8], theirs, atol=1e-9)


def test_presentations_of_an_image_in_a_run_share_one_regressor() -> None:
    design = design_of(run(times=2), IDS, GlmPlan())
    assert design.stim_ids == IDS
    assert [pattern.presentations for pattern in design.patterns] == [2] * 12
    single = [
        design_of(replace(run(), images=[event]), IDS, GlmPlan()).matrix[:, 0]
        for event in images(times=2)
        if event.stim_id == IDS[3]
    ]
    np.testing.assert_allclose(design.matrix[:, 3], single[0] + single[1], atol=1e-9)


def test_single_trials_have_a_regressor_each_in_order_of_time() -> None:
    events = images(times=2)
    design = design_of(run(times=2), IDS, GlmPlan(model="single_trial"))
    assert design.stim_ids == tuple(str(event.stim_id) for event in events)
    assert [pattern.trial for pattern in design.patterns] == list(range(1, 25))
    assert [pattern.onset_s for pattern in design.patterns] == [event.onset_s for event in events]
    together = design_of(run(times=2), IDS, GlmPlan())
    for place, name in enumerate(IDS):
        mine = [row for row, other in enumerate(design.stim_ids) if other == name]
        np.testing.assert_allclose(design.matrix[:, mine].sum(axis=1), together.matrix[:, place], atol=1e-12)


def test_columns_are_in_the_manifests_order_whatever_the_order_shown() -> None:
    first, second = (design_of(run(seed), IDS[::-1], GlmPlan()) for seed in (1, 2))
    assert first.stim_ids == second.stim_ids == IDS[::-1]
    onset = next(event.onset_s for event in images(1) if event.stim_id == IDS[0])
    alone = design_of(replace(run(), images=[Event(2, onset, 1.0, "RE", IDS[0], {})]), IDS, GlmPlan())
    np.testing.assert_allclose(first.matrix[:, 11], alone.matrix[:, 0], atol=1e-9)


def test_time_within_the_tr_moves_the_regressors() -> None:
    early, late = (design_of(replace(run(), start_s=start_s), IDS, GlmPlan()).matrix[:, 0] for start_s in (0.0, 1.9))
    onset_volume = int(min(event.onset_s for event in images() if event.stim_id == IDS[0]) // 2)
    rise = slice(onset_volume, onset_volume + 3)
    assert late[rise].sum() > early[rise].sum()


def test_dummies_that_are_left_out_move_the_events_not_their_times() -> None:
    later = [replace(event, onset_s=event.onset_s + 6.0) for event in images()]
    moved = design_of(replace(run(), images=later, first_s=6.0), IDS, GlmPlan(model="single_trial"))
    np.testing.assert_allclose(moved.matrix, design_of(run(), IDS, GlmPlan(model="single_trial")).matrix, atol=1e-9)
    assert [pattern.onset_s for pattern in moved.patterns] == [event.onset_s for event in later]


def test_all_blanks_are_one_further_condition_without_a_pattern() -> None:
    plan = GlmPlan(blanks="one_regressor", model="single_trial")
    without, design = (design_of(run(blanks=BLANKS), IDS, one) for one in (GlmPlan(model="single_trial"), plan))
    assert design.stim_ids == without.stim_ids
    assert design.names[12] == "blank"
    assert design.matrix.shape[1] == without.matrix.shape[1] + 1
    alone = design_of(
        replace(run(), images=[replace(blank, stim_id=IDS[0]) for blank in BLANKS]), IDS, GlmPlan()
    ).matrix[:, 0]
    np.testing.assert_allclose(design.matrix[:, 12], alone, atol=1e-12)
    with pytest.raises(FoolscanError, match="no row of trial_type blank"):
        design_of(run(), IDS, plan)


def test_runs_end_to_end_share_images_and_nothing_else() -> None:
    """The same matrix, built by hand from the designs of single runs."""
    plan = GlmPlan(model="session_condition", blanks="one_regressor", drift="polynomial")
    rng = np.random.default_rng(4)
    runs = [
        run(seed, blanks=BLANKS, confounds=rng.normal(size=(90, 2)), names=("trans_x", "csf")) for seed in (1, 2, 3)
    ]
    together = design_of(runs, IDS, plan)
    single = [design_of(one, IDS, GlmPlan(blanks="one_regressor", drift="polynomial")) for one in runs]
    n_nuisance = single[0].matrix.shape[1] - 13
    by_hand = np.zeros((270, 13 + 3 * n_nuisance))
    for i, one in enumerate(single):
        by_hand[90 * i : 90 * (i + 1), :13] = one.matrix[:, :13]
        columns = slice(13 + n_nuisance * i, 13 + n_nuisance * (i + 1))
        by_hand[90 * i : 90 * (i + 1), columns] = one.matrix[:, 13:]
    np.testing.assert_array_equal(together.matrix, by_hand)
    assert together.names[13] == "run_1_trans_x"
    assert len(set(together.names)) == len(together.names)
    assert [pattern.presentations for pattern in together.patterns] == [3] * 12
    assert (together.volumes, together.starts) == ((90, 90, 90), (0, 90, 180))


def test_an_image_that_a_run_does_not_show_has_no_response_there() -> None:
    half = replace(run(1), images=[event for event in images(1) if event.stim_id in IDS[:6]])
    rest = replace(run(2), images=[event for event in images(2) if event.stim_id in IDS[6:]])
    matrix = design_of([half, rest], IDS, GlmPlan(model="session_condition")).matrix
    assert not matrix[:90, 6:12].any()
    assert not matrix[90:, :6].any()
    shared = shared_conditions([half, rest], IDS, GlmPlan())
    np.testing.assert_array_equal(np.vstack([conditions for conditions, _ in shared]), matrix[:, :12])


def test_a_response_of_the_library_takes_the_place_of_the_canonical_one() -> None:
    canonical = design_of(run(), IDS, GlmPlan())
    same = design_of(run(), IDS, GlmPlan(hrf="library"), DoubleGamma(5.0, 1.0))
    # nilearn rounds onsets and delays its kernel by a step of 0.1 s; the library is exact
    for column in range(12):
        assert np.corrcoef(canonical.matrix[:, column], same.matrix[:, column])[0, 1] > 0.999
    late = design_of(run(), IDS, GlmPlan(hrf="library"), DoubleGamma(7.0, 1.0))
    assert late.matrix[:, 0].argmax() > same.matrix[:, 0].argmax()


def test_more_regressors_than_volumes_are_refused() -> None:
    crowded = [Event(2, 2.0 * i, 1.0, "RE", name, {}) for i, name in enumerate(IDS)]
    with pytest.raises(FoolscanError, match=r"found \d+ regressors of rank \d+ for 12 volumes; .* more volumes"):
        design_of(RunInputs(images=crowded, scan=ScanProtocol(tr_s=2.0, volumes=12), start_s=1.0), IDS, GlmPlan())


@pytest.mark.parametrize("second_s", [10.0, 179.5])
def test_images_that_cannot_be_told_apart_are_refused(second_s: float) -> None:
    twins = [Event(2, 10.0, 1.0, "RE", IDS[0], {}), Event(3, second_s, 0.5, "RE", IDS[1], {})]
    if second_s == 10.0:
        twins[1] = replace(twins[1], duration_s=1.0)
    with pytest.raises(FoolscanError, match="2 images: found regressors that are not independent"):
        design_of(replace(run(), images=twins), IDS, GlmPlan())


def test_confounds_that_follow_from_others_are_refused() -> None:
    twice = np.repeat(np.random.default_rng(0).normal(size=(90, 1)), 2, axis=1)
    with pytest.raises(FoolscanError, match="does one confound follow from others"):
        design_of(run(confounds=twice, names=("csf", "white_matter")), IDS, GlmPlan())


def test_a_window_without_a_delay_is_refused() -> None:
    with pytest.raises(
        FoolscanError, match=r"fir_window_s: found 4 to 5 s; expected the middle of one of the 10 delays"
    ):
        design_of(replace(run(), images=images()[:5:4]), IDS, GlmPlan(hrf="fir", fir_window_s=(4.0, 5.0)))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model": "lss", "hrf": "fir"}, "one trial has no response of its own"),
        ({"fir_window_s": (8.0, 4.0)}, "the first time is before the second"),
        ({"confounds": ("motion_squares",)}, "without motion"),
        ({"noise_components": 11}, "noise_components"),
        ({"noise_components": "many"}, "noise_components"),
        ({"hrf": "boxcar"}, "hrf"),
    ],
)
def test_models_that_make_no_sense_are_refused_in_the_study_file(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GlmPlan.model_validate(keys)
