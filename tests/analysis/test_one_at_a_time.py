"""Two commands never write the same files at once: the second one says who is at it, and leaves everything alone."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from analysis.betas import estimate_betas
from analysis.simulate_bold import simulate_bold
from protocols.folder import StudyFolder
from protocols.locks import exclusive
from protocols.problems import FoolscanError
from protocols.study import Study

Verb = Callable[[Study, StudyFolder], object]


@pytest.mark.parametrize(("verb", "kind"), [(estimate_betas, "betas"), (simulate_bold, "simulation")])
def test_a_second_command_is_refused_while_the_first_is_at_it(
    simulated: tuple[Study, StudyFolder], verb: Verb, kind: str
) -> None:
    study, folder = simulated
    before = sorted(folder.root.rglob("*"))
    with (
        exclusive(folder.derived(kind), "another command"),
        pytest.raises(FoolscanError, match=rf"of this study folder: process {os.getpid()} is at it now"),
    ):
        verb(study, folder)
    assert sorted(folder.root.rglob("*")) == before
    verb(study, folder)
    assert sorted(folder.root.rglob("*.lock")) == []
