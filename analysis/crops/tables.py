"""The verb `crops`: the tables of what was recognised online, with their sidecars."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from analysis.crops.collected import Collected, collect
from analysis.crops.crossed_interval import METHOD
from analysis.crops.item_rows import ITEM_COLUMNS, Rows, item_rows
from analysis.crops.pair_rows import PAIR_COLUMNS, pair_rows
from analysis.crops.pair_summary import pair_summary
from analysis.crops.people_rows import EXCLUSION_COLUMNS, TYPED_COLUMNS, exclusion_rows, typed_rows
from analysis.crops.proportions import NEWCOMBE, WILSON
from analysis.crops.set_summary import set_summary
from analysis.crops.summary_rows import SUMMARY_COLUMNS
from protocols.folder import StudyFolder
from protocols.locks import exclusive
from protocols.problems import NotReady
from protocols.provenance import is_current, write_sidecar
from protocols.study import Study, online_plan
from protocols.tables import write_table

PACKAGES = ("numpy", "scipy")
TABLES: dict[str, dict[str, str]] = {
    "crops": ITEM_COLUMNS,
    "pairs": PAIR_COLUMNS,
    "summary": SUMMARY_COLUMNS,
    "exclusions": EXCLUSION_COLUMNS,
    "typed": TYPED_COLUMNS,
}


def crops_path(folder: StudyFolder, task: str, name: str) -> Path:
    """``derivatives/foolscan/crops/<task>_<name>.tsv``, a name of `TABLES`."""
    return folder.derived("crops") / f"{task}_{name}.tsv"


def write_crops_analysis(study: Study, folder: StudyFolder) -> list[Path]:
    """Write the tables of a study's online task, from its exported answers.

    ``<task>_crops.tsv``: a row per image; ``_pairs``: per pair; ``_summary``: over images and people; ``_exclusions``: everybody;
    ``_typed``: every typed name.

    Returns the tables that were written; none when all are current. Raises as `collect` does; where nobody counts (any more), tables of
    earlier answers are taken away.
    """
    plan = online_plan(study)
    paths = {name: crops_path(folder, plan.task, name) for name in TABLES}
    with exclusive(paths["crops"], f"the analysis of {plan.task}"):
        try:
            collected = collect(study, folder)
        except NotReady:
            _take_away(paths.values())
            raise
        parameters = parameters_of(collected)
        if all(is_current(folder, path, collected.inputs, parameters) for path in paths.values()):
            return []
        rows = tables_of(collected)
        for name, columns in TABLES.items():
            write_table(paths[name], columns, rows[name])
            meaning: dict[str, object] = {column: {"Description": text} for column, text in columns.items()}
            if collected.simulated:
                meaning["Simulated"] = True
            write_sidecar(
                folder,
                paths[name],
                inputs=collected.inputs,
                parameters=parameters,
                packages=PACKAGES,
                seed=study.seed,
                more=meaning,
            )
    return list(paths.values())


def tables_of(collected: Collected) -> dict[str, Rows]:
    """The rows of every table of `TABLES`."""
    items = item_rows(collected)
    pairs = pair_rows(collected, items)
    return {
        "crops": items,
        "pairs": pairs,
        "summary": pair_summary(collected, pairs) if collected.pairs else set_summary(collected),
        "exclusions": exclusion_rows(collected),
        "typed": typed_rows(collected),
    }


def _take_away(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)


def parameters_of(collected: Collected) -> dict[str, object]:
    """What shaped the tables."""
    study, plan = collected.study, collected.plan
    return {
        "task": plan.task,
        "design": plan.design.model_dump(mode="json"),
        "exclusions": plan.exclusions.model_dump(mode="json"),
        "interval": collected.coverage,
        "of_rates": WILSON,
        "of_differences": NEWCOMBE,
        "over_images_and_people": METHOD,
        "deals": study.analysis.tests.permutations,
        "questions": [question.name for question in plan.questions],
    }
