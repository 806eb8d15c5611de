"""Every published recipe in the documentation is a line that a study file may have, and a planner takes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from small_image_study import small_study

from stimuli.checks import check
from stimuli.networks import Network, load_network
from stimuli.planners.registry import planner_for

DOCUMENT = Path(__file__).parents[2] / "docs" / "stimuli.md"
TABLE = DOCUMENT.read_text(encoding="utf-8").split("## Published recipes")[1].split("\n## ")[0]
LINES = re.findall(r"`(\{kind: .*?\})`", TABLE)


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network("picturenet", device="cpu")


def test_every_row_has_its_line() -> None:
    rows = [row for row in TABLE.splitlines() if row.startswith("| ")][1:]
    assert len(rows) >= 18
    assert all("`{kind: " in row for row in rows)


@pytest.mark.parametrize("line", LINES)
def test_a_published_recipe_is_a_line_of_a_study_file(line: str, tmp_path: Path, network: Network) -> None:
    study = small_study(tmp_path, f"sets: {{X: {line}}}")
    assert check(study) == ()
    recipe = study.stimuli.sets["X"]
    assert (
        recipe.model_dump(mode="json").items() >= {k: v for k, v in yaml.safe_load(line).items() if k == "kind"}.items()
    )
    planner = planner_for(recipe, network, 1, lambda plan: load_network(plan.name, plan.weights, "cpu"))
    assert planner.attempts >= 1
