"""Behaviour: RE and AI have a correct answer, AN has none; perfect observers have a finite d′."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis.behaviour import POOLED, Response, behaviour, d_prime, load_responses
from protocols.folder import RunId
from protocols.problems import FoolscanError


def responses(fake: SimpleNamespace, answers: dict[str, tuple[bool | None, ...]]) -> list[Response]:
    """Two subjects who answer the images of each set in the order of the manifest."""
    found = []
    for sub in ("01", "02"):
        for name, of_set in answers.items():
            images = [image for image in fake.manifest(8) if image.set == name]
            for image, said in zip(images, of_set, strict=True):
                found.append(Response(RunId(sub, "01", "animals", 1), image, said, None if said is None else 0.5))
    return found


def test_a_perfect_observer(fake: SimpleNamespace) -> None:
    # of eight categories the first four are animals
    perfect = (True,) * 4 + (False,) * 4
    rows = behaviour(fake.study(), responses(fake, {"RE": perfect, "AN": perfect}))
    pooled = {row.set: row for row in rows if row.subject == POOLED}
    assert pooled["RE"].accuracy == 1
    assert pooled["RE"].d_prime == pytest.approx(2 * 1.5932, abs=1e-3)  # z(8.5/9) twice
    assert pooled["RE"].criterion == pytest.approx(0)
    assert math.isnan(pooled["AN"].accuracy)
    assert math.isnan(pooled["AN"].d_prime)
    assert (pooled["AN"].p_animal_if_animal, pooled["AN"].p_animal_if_not) == (1, 0)


def test_misses_are_counted_and_left_out(fake: SimpleNamespace) -> None:
    answers = (True, None, None, True) + (False, True, None, False)
    rows = behaviour(fake.study(), responses(fake, {"AI": answers}))
    assert [row.subject for row in rows] == [POOLED, "01", "02"]
    assert (rows[0].trials, rows[0].missed) == (16, 6)
    assert rows[0].accuracy == pytest.approx(4 / 5)
    assert rows[0].p_animal_if_not == pytest.approx(1 / 3)
    assert rows[0].rt_median_s == 0.5


def test_d_prime_is_hautus_log_linear_correction() -> None:
    from scipy.stats import norm

    sensitivity, criterion = d_prime(hits=18, n_signal=20, false_alarms=5, n_noise=20)
    hit, alarm = norm.ppf(18.5 / 21), norm.ppf(5.5 / 21)
    assert sensitivity == pytest.approx(hit - alarm)
    assert criterion == pytest.approx(-(hit + alarm) / 2)
    assert all(math.isnan(value) for value in d_prime(0, 0, 1, 2))


def test_events_become_responses(fake: SimpleNamespace, tmp_path: Path) -> None:
    study = fake.study()
    folder = fake.folder(tmp_path, study, n_categories=4, sessions=1, runs=1)
    found = load_responses(study, folder, fake.manifest(4))
    assert len(found) == 12
    assert all(item.said_animal is True and item.rt_s == 0.6 for item in found)

    path = folder.events(RunId("01", "01", "animals", 1))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\tanimal\t", "\tperhaps\t", 1), encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"events\.tsv:\d+: response: found 'perhaps'"):
        load_responses(study, folder, fake.manifest(4))
    path.write_text(text.replace("\t0.6\t", "\tsoon\t", 1), encoding="utf-8")
    with pytest.raises(FoolscanError, match="response_time: found 'soon'"):
        load_responses(study, folder, fake.manifest(4))
    with pytest.raises(FoolscanError, match=r"not in stimuli\.tsv"):
        load_responses(study, folder, fake.manifest(2))
