"""The tables of recognition online from hand-made and simulated answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from crop_answers import crop_study, crowd_of_crops, crowd_of_sets, export, person, set_study, to_crop
from typer.testing import CliRunner

from analysis.command_line import app
from analysis.crops.tables import TABLES, crops_path, write_crops_analysis
from protocols.answers import answers_table, sessions_table
from protocols.crops import crops_table, read_crops, write_crops
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study
from protocols.tables import number, read_table

Rows = list[dict[str, str]]


def tables(study: Study, folder: StudyFolder) -> dict[str, Rows]:
    """All tables, made anew."""
    write_crops_analysis(study, folder)
    assert study.online is not None
    return {name: read_table(crops_path(folder, study.online.task, name)) for name in TABLES}


def only(rows: Rows, **wanted: str) -> dict[str, str]:
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, (wanted, len(found))
    return found[0]


def hand_made(folder: StudyFolder, per_group: int = 4, pairs: int = 2) -> tuple[list, list]:  # type: ignore[type-arg]
    """Pair 0: 4 of 4 and 1 of 4; pair 1: 2 of 4 and 2 of 4."""
    crops = {(crop.pair_id, crop.member): crop for crop in read_crops(folder)}
    right = {
        ("pair-000", "fragile"): 4,
        ("pair-000", "altered"): 1,
        ("pair-001", "fragile"): 2,
        ("pair-001", "altered"): 2,
    }
    answers, sessions = [], []
    for place, member in enumerate(("fragile", "altered")):
        for who in range(per_group):
            somebody = person(10 * place + who, member)
            sessions.append(somebody)
            for trial, pair in enumerate(("pair-000", "pair-001")[:pairs], start=1):
                crop = crops[pair, member]
                answers.append(to_crop(somebody, crop, right=who < right[pair, member], trial=trial))
    return answers, sessions


@pytest.fixture
def small(tmp_path: Path) -> tuple[Study, StudyFolder]:
    return crop_study(tmp_path, pairs=2, per_list=4)


def test_hand_made_answers_give_exact_rates_and_gaps(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    export(folder, "crops", *hand_made(folder))
    found = tables(study, folder)
    fragile = only(found["crops"], item_id="pair-000_a")
    assert (fragile["n"], fragile["right"], fragile["rate"], fragile["answers"]) == ("4", "4", "1", "birds 4")
    assert (number(fragile["rate_low"]), fragile["rate_high"]) == (pytest.approx(0.5101, abs=1e-4), "1")
    pair = only(found["pairs"], unit="pair-000")
    assert (pair["gap"], pair["abs_gap"], pair["first_kind"]) == ("0.75", "0.75", "fragile")
    assert number(pair["network_gap"]) == pytest.approx(0.55 - 0.05)
    summary = found["summary"]
    assert only(summary, measure="gap", whom="counted")["value"] == "0.375"
    rate = only(summary, measure="rate", whom="counted", of="recognised")
    assert (rate["value"], rate["n_units"], rate["n_workers"], rate["n_answers"]) == ("0.75", "2", "4", "8")
    absolute = [row for row in summary if row["measure"] == "abs_gap" and row["whom"] == "counted"]
    assert [row["value"] for row in absolute] == ["0.375", "0.375"]
    assert number(absolute[0]["chance"]) == pytest.approx(
        sum(number(row["abs_gap_chance"]) for row in found["pairs"]) / 2
    )


def test_a_gap_points_to_the_member_that_the_network_recognises(small: tuple[Study, StudyFolder]) -> None:
    """A pair whose altered twin alone is recognised counts the other way round, for people and network alike."""
    study, folder = small
    crops = read_crops(folder)
    turned = [
        replace(crop, correct=not crop.correct, confidence=1 - crop.confidence) if crop.pair_id == "pair-000" else crop
        for crop in crops
    ]
    write_crops(folder, turned)
    export(folder, "crops", *hand_made(folder))
    pair = only(tables(study, folder)["pairs"], unit="pair-000")
    assert (pair["gap"], pair["first_id"], pair["first_kind"]) == ("-0.75", "pair-000_b", "altered")
    assert number(pair["network_gap"]) == pytest.approx((1 - 0.05) - (1 - 0.55))


def test_excluded_people_are_in_no_rate_and_are_told(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    answers, sessions = hand_made(folder)
    bad = sessions[0].participant_id
    out = {"counted": False, "excluded_for": "attention_failures"}
    sessions = [replace(item, **out, flags="attention") if item.participant_id == bad else item for item in sessions]
    answers = [replace(item, **out) if item.participant_id == bad else item for item in answers]
    sessions.append(person(90, "fragile", state="active", counted=False, excluded_for="unfinished"))
    sessions.append(person(91, "fragile", state="withdrawn", counted=False, excluded_for="withdrawn"))
    crop = read_crops(folder)[0]
    answers.append(to_crop(sessions[-2], crop, right=True))
    answers.append(to_crop(sessions[-1], crop, right=True))
    export(folder, "crops", answers, sessions)
    found = tables(study, folder)
    fragile = only(found["crops"], item_id="pair-000_a")
    assert (fragile["n"], fragile["n_finished"], fragile["rate_finished"]) == ("3", "4", "1")
    told = {(row["kind"], row["what"]): row["n"] for row in found["exclusions"] if row["list_id"] == "all"}
    assert told["people", "began"] == "10"
    assert told["people", "finished"] == "8"
    assert told["people", "counted"] == "7"
    assert told["people", "lacking"] == "1"
    assert told["people", "surplus"] == "0"
    assert (told["people", "active"], told["people", "withdrawn"]) == ("1", "1")
    assert told["excluded", "attention_failures"] == "1"
    assert told["excluded", "impossible_share"] == "0"
    assert told["flag", "attention"] == "1"
    assert [told["answers", what] for what in ("counted", "excluded", "unfinished")] == ["14", "2", "2"]
    assert only(found["summary"], measure="gap", whom="finished")["value"] == "0.375"
    assert only(found["summary"], measure="gap", whom="counted")["n_workers"] == "7"


def test_practice_and_attention_checks_are_in_no_rate(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    answers, sessions = hand_made(folder)
    crop = read_crops(folder)[2]
    practice = [to_crop(sessions[0], crop, right=False, trial=7, kind="practice")]
    check = replace(practice[0], trial=8, kind="attention", item_id=None, source_id=None, stim_file=None, pair_id=None)
    export(folder, "crops", [*answers, *practice, check], sessions)
    assert only(tables(study, folder)["crops"], item_id="pair-001_a")["n"] == "4"


def test_a_member_without_answers_leaves_its_pair_out_and_says_so(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    answers, sessions = hand_made(folder)
    kept = [item for item in answers if item.item_id != "pair-001_b"]
    export(folder, "crops", kept, sessions)
    found = tables(study, folder)
    assert only(found["pairs"], unit="pair-001")["gap"] == "n/a"
    gap = only(found["summary"], measure="gap", whom="counted")
    assert (gap["value"], gap["n_units"]) == ("0.75", "1")
    assert gap["note"] == "1 of 2 pairs left out: no answers to all that is compared"
    assert gap["ci_method"] == "none: a single unit"


def test_one_group_alone_has_rates_and_no_gap(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    answers, sessions = hand_made(folder)
    export(
        folder,
        "crops",
        [item for item in answers if item.member == "fragile"],
        [item for item in sessions if item.list_id == "fragile"],
    )
    found = tables(study, folder)
    assert only(found["summary"], measure="rate", whom="counted", of="recognised")["value"] == "0.75"
    gap = only(found["summary"], measure="gap", whom="counted")
    assert (gap["value"], gap["ci_method"]) == ("n/a", "none: no answers to one of the members")
    assert [row["gap"] for row in found["pairs"]] == ["n/a", "n/a"]


@pytest.mark.parametrize("members", ["separate", "counterbalanced"])
def test_a_crowd_of_a_known_gap_is_recovered(tmp_path: Path, members: str) -> None:
    study, folder = crop_study(tmp_path, pairs=40, per_list=20, members=members)

    def chance_of(crop, ability: float) -> float:  # type: ignore[no-untyped-def]
        return (0.75 if crop.member == "fragile" else 0.5) + 0.08 * max(-2, min(2, ability))

    export(folder, "crops", *crowd_of_crops(folder, read_crops(folder), chance_of, members=members, seed=3))
    gap = only(tables(study, folder)["summary"], measure="gap", whom="counted")
    assert number(gap["ci_low"]) < 0.25 < number(gap["ci_high"])
    assert number(gap["ci_high"]) - number(gap["ci_low"]) < 0.25


def test_the_same_answers_give_the_same_bytes_and_are_left_alone(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    export(folder, "crops", *hand_made(folder))
    first = {path.name: path.read_bytes() for path in write_crops_analysis(study, folder)}
    assert write_crops_analysis(study, folder) == []
    for name in TABLES:
        crops_path(folder, "crops", name).unlink()
    assert {path.name: path.read_bytes() for path in write_crops_analysis(study, folder)} == first


def test_every_column_is_described_and_simulated_people_are_marked(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    export(folder, "crops", *hand_made(folder))
    for path in write_crops_analysis(study, folder):
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        header = path.read_text(encoding="utf-8").splitlines()[0].split("\t")
        assert all(record[column]["Description"] for column in header)
        assert record["Simulated"] is True
        assert "derivatives/foolscan/answers/crops.tsv" in record["foolscan"]["inputs"]


def test_people_are_not_marked_as_simulated(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    answers, sessions = hand_made(folder)
    export(
        folder,
        "crops",
        [replace(item, recruiter="link") for item in answers],
        [replace(item, recruiter="link") for item in sessions],
        simulated=False,
    )
    record = json.loads(write_crops_analysis(study, folder)[0].with_suffix(".json").read_text(encoding="utf-8"))
    assert "Simulated" not in record


def test_sets_are_told_by_condition_and_what_forcing_adds(tmp_path: Path) -> None:
    study, folder = set_study(tmp_path, sources=12)
    export(folder, "recognition", *crowd_of_sets(folder, {"RE": 0.95, "AN": 0.05, "AI": 0.85}))
    found = tables(study, folder)
    summary = found["summary"]

    def value(**wanted: str) -> float:
        return number(only(summary, whom="counted", **wanted)["value"])

    assert value(question="name", condition="free", of="RE", measure="rate") > 0.85
    assert value(question="name", condition="free", of="AN", measure="rate") < 0.2
    assert value(question="animal", condition="forced", of="AN", measure="rate") == pytest.approx(0.5, abs=0.15)
    assert value(question="animal", condition="forced minus free", of="AN", measure="rate") > 0.2
    assert value(question="animal", condition="free", of="AN", measure="nothing") > 0.5
    assert not [row for row in summary if row["measure"] == "nothing" and row["condition"] == "forced"]
    forced = only(summary, whom="counted", question="name", condition="forced", of="AN", measure="rate")
    assert "forced naming manufactures recognition" in forced["note"]
    assert "made for" in forced["note"]
    difference = only(summary, whom="counted", question="name", condition="free", of="RE minus AN", measure="rate")
    assert number(difference["ci_low"]) > 0.6
    assert value(question="confidence", condition="free", of="RE", measure="mean_step") > 2.5
    steps = [value(question="confidence", condition="free", of="AI", measure=f"step_{step}") for step in range(1, 5)]
    assert sum(steps) == pytest.approx(1)
    assert value(question="animal", condition="free", of="RE", measure="d_prime") > 2


def test_sensitivity_is_hautus_of_the_counts(tmp_path: Path) -> None:
    from scipy.stats import norm

    study, folder = set_study(tmp_path, sources=12)
    answers, sessions = crowd_of_sets(folder, {"RE": 0.9, "AN": 0.3, "AI": 0.6})
    export(folder, "recognition", answers, sessions)
    mine = [a for a in answers if (a.question, a.condition, a.set) == ("animal", "forced", "AI")]
    hits = sum(a.answer == "animal" for a in mine if a.animal)
    alarms = sum(a.answer == "animal" for a in mine if not a.animal)
    n_animal, n_not = sum(bool(a.animal) for a in mine), sum(not a.animal for a in mine)
    expected = norm.ppf((hits + 0.5) / (n_animal + 1)) - norm.ppf((alarms + 0.5) / (n_not + 1))
    row = only(
        tables(study, folder)["summary"],
        whom="counted", question="animal", condition="forced", of="AI", measure="d_prime",
    )  # fmt: skip
    assert number(row["value"]) == pytest.approx(expected, abs=1e-6)
    assert number(row["ci_low"]) < expected < number(row["ci_high"])


def test_all_alike_has_an_interval_that_is_no_point(tmp_path: Path) -> None:
    study, folder = set_study(tmp_path, sources=12)
    answers, sessions = crowd_of_sets(folder, {"RE": 0.9, "AN": -1.0, "AI": 0.6}, conditions=["free"])
    export(folder, "recognition", answers, sessions)
    row = only(
        tables(study, folder)["summary"], whom="counted", question="name", condition="free", of="AN", measure="rate"
    )
    assert (row["value"], row["ci_low"]) == ("0", "0")
    assert number(row["ci_high"]) == pytest.approx(0.2425, abs=1e-4)  # Wilson's of 0 in 12
    assert "Wilson" in row["ci_method"]


def test_typed_names_are_counted_and_judged(tmp_path: Path) -> None:
    study, folder = set_study(tmp_path, sources=12)
    answers, sessions = crowd_of_sets(folder, {"RE": 0.8, "AN": 0.1, "AI": 0.8})
    export(folder, "recognition", answers, sessions)
    typed = tables(study, folder)["typed"]
    assert sum(int(row["n"]) for row in typed) == sum(answer.question == "name" for answer in answers)
    assert {row["typed"] for row in typed if row["right"] == "true"} <= {row["category"] for row in typed}
    assert {"fog", "a stone", "cloud", "nothing"} <= {row["typed"] for row in typed if row["right"] == "false"}


def test_no_answers_yet_name_the_command(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    with pytest.raises(NotReady, match="foolscan online export"):
        write_crops_analysis(study, folder)


def test_a_study_without_a_task_in_the_browser_says_so(small: tuple[Study, StudyFolder], tmp_path: Path) -> None:
    from protocols.study import load_study

    with pytest.raises(FoolscanError, match="online: found nothing; a task in the browser"):
        write_crops_analysis(load_study("demo"), small[1])


def test_nobody_who_counts_is_not_ready_and_leaves_no_old_table(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    answers, sessions = hand_made(folder)
    export(folder, "crops", answers, sessions)
    old = write_crops_analysis(study, folder)
    out = {"counted": False, "excluded_for": "impossible_share"}
    export(folder, "crops", [replace(item, **out) for item in answers], [replace(item, **out) for item in sessions])
    with pytest.raises(
        NotReady, match=r"nobody who counts among 8 people \(8 finished, 8 excluded for impossible_share\)"
    ):
        write_crops_analysis(study, folder)
    assert not any(path.exists() or path.with_suffix(".json").exists() for path in old)


def test_answers_to_crops_that_are_gone_are_refused_by_name(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    export(folder, "crops", *hand_made(folder))
    write_crops(folder, [crop for crop in read_crops(folder) if crop.pair_id != "pair-001"])
    with pytest.raises(FoolscanError, match=r"pair-001_a, pair-001_b, which .*crops\.tsv does not have"):
        write_crops_analysis(study, folder)


def test_crops_that_were_made_again_are_refused(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    export(folder, "crops", *hand_made(folder))
    write_crops(folder, [replace(crop, category=f"{crop.category}x") for crop in read_crops(folder)])
    with pytest.raises(FoolscanError, match="category of pair-000_a: found 'birds-0', and 'birds-0x'"):
        write_crops_analysis(study, folder)


def test_answers_of_another_study_are_refused(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    answers, sessions = hand_made(folder)
    export(folder, "crops", [replace(item, question="what") for item in answers], sessions)
    with pytest.raises(FoolscanError, match=r"found what \(choice\).*asks: thing \(choice\)"):
        write_crops_analysis(study, folder)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda answers, sessions: (answers, sessions[1:]), "who is not in crops_sessions.tsv"),
        (lambda answers, sessions: (answers, [*sessions, sessions[0]]), "found sub-p000 twice"),
        (lambda answers, sessions: ([*answers, answers[0]], sessions), "nobody sees a source twice"),
        (
            lambda answers, sessions: ([replace(answers[0], counted=False), *answers[1:]], sessions),
            "counted: found False, and True",
        ),
    ],
)
def test_tables_that_contradict_each_other_are_refused(small: tuple[Study, StudyFolder], spoil, told: str) -> None:  # type: ignore[no-untyped-def]
    study, folder = small
    export(folder, "crops", *spoil(*hand_made(folder)))
    with pytest.raises(FoolscanError, match=told):
        write_crops_analysis(study, folder)


@pytest.mark.parametrize(
    ("table", "old", "new", "told"),
    [
        ("answers", "\t0.9\t", "\tsoon\t", r"crops\.tsv:2: rt_s: found 'soon'"),
        ("answers", "\ttrue\t", "\tyes\t", r"crops\.tsv:2: counted: found 'yes'"),
        ("sessions", "participant_id", "who", r"other columns than it should have"),
    ],
)
def test_damaged_tables_are_named_by_line_and_column(
    small: tuple[Study, StudyFolder], table: str, old: str, new: str, told: str
) -> None:
    study, folder = small
    export(folder, "crops", *hand_made(folder))
    path = answers_table(folder, "crops") if table == "answers" else sessions_table(folder, "crops")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8", newline="\n")
    with pytest.raises(FoolscanError, match=told):
        write_crops_analysis(study, folder)


def test_no_crops_name_the_command(small: tuple[Study, StudyFolder]) -> None:
    study, folder = small
    export(folder, "crops", *hand_made(folder))
    crops_table(folder).unlink()
    with pytest.raises(NotReady, match="foolscan stimuli fragile-pairs"):
        write_crops_analysis(study, folder)


def test_the_command_says_what_it_wrote(small: tuple[Study, StudyFolder], tmp_path: Path) -> None:
    _, folder = small
    export(folder, "crops", *hand_made(folder))
    run = CliRunner().invoke(app, ["crops", str(tmp_path / "study.yaml"), "--to", str(folder.root)])
    assert run.exit_code == 0, run.output
    assert run.output.count("wrote ") == len(TABLES)
    again = CliRunner().invoke(app, ["crops", str(tmp_path / "study.yaml"), "--to", str(folder.root)])
    assert "all tables are current" in again.output
