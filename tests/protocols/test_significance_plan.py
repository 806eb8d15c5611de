"""The study file's tests and models: ranges and names."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from protocols.analysis_plan import AnalysisPlan
from protocols.significance_plan import SignificancePlan


@pytest.mark.parametrize(
    "name", ["supercategory", "animacy", "target_animacy", "pixel", "layer:fc7", "layer:fc7:RE", "set:RE"]
)
def test_models_by_name(name: str) -> None:
    assert AnalysisPlan(task="animals", rois=("V1",), models=(name,)).models == (name,)


@pytest.mark.parametrize("name", ["animals", "layer:", "layer", "set:", "roi:V1", "layer:fc7:"])
def test_an_unknown_model_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(ValidationError, match="allowed: supercategory, animacy, target_animacy, pixel, layer:NAME"):
        AnalysisPlan(task="animals", rois=("V1",), models=(name,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"permutations": 98},
        {"permutations": 1_000_001},
        {"alternative": "less"},
        {"correction": "bonferroni"},
        {"subjects_for_group": 4},
        {"bootstrap_t": 1},
        {"permutation": 100},
    ],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SignificancePlan.model_validate(wrong)


def test_similarities_are_named_once() -> None:
    with pytest.raises(ValidationError, match="twice"):
        AnalysisPlan(task="animals", rois=("V1",), further_similarities=("rho_a", "rho_a"))
    with pytest.raises(ValidationError, match="pearson"):
        AnalysisPlan.model_validate({"task": "animals", "rois": ["V1"], "similarity": "kendall"})
