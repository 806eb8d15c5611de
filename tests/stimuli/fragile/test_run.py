"""From the study to the tables: estimates, whole maps, both together; and the command as people run it."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from rich.console import Console
from small_image_study import contents
from tiny_fragile import CountingNetwork, fragile_study, write_pictures

from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.study import Study, load_study
from protocols.tables import read_table
from stimuli.fragile.definitions import FRAGILE_TYPES, fragile_maps
from stimuli.fragile.found import found_in, pictures_of
from stimuli.fragile.mapping import Told
from stimuli.fragile.pictures import pictures
from stimuli.fragile.progress import line, shown
from stimuli.fragile.run import fragile, networks_of, plan_of
from stimuli.fragile.summary import lines
from stimuli.fragile.windows import Grid

TABLES = ("rates", "rates_mean")


def tables(folder: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    rates, means = (read_table(folder / "derivatives" / "foolscan" / "fragile" / f"{name}.tsv") for name in TABLES)
    return rates, means


def test_whole_maps_are_counted_to_the_window(two_pictures: Study, tmp_path: Path):
    result = fragile(two_pictures, tmp_path / "to", "cpu", full=True)
    rates, means = tables(tmp_path / "to")
    group = zarr.open_group(StudyFolder(tmp_path / "to").fragile("picturenet"), mode="r")
    assert len(rates) == 2 * 2 * 4
    for row in rates:
        side = int(row["side_px"])
        correct = np.asarray(group[f"{row['picture_id']}/side-{side:04d}"])[..., 0] < 1
        shrunk = np.asarray(group[f"{row['picture_id']}/side-{side - 2:04d}"])[..., 0] < 1
        signs = fragile_maps(correct, shrunk)[row["type"]]  # type: ignore[index]
        assert row["estimate"] == "exhaustive"
        assert int(row["n_windows"]) == int(row["n_looked_at"]) == signs.size
        assert float(row["rate"]) == pytest.approx((signs != 0).mean(), rel=1e-8)
        assert float(row["to_incorrect"]) == pytest.approx((signs > 0).mean(), rel=1e-8)
        assert float(row["to_correct"]) == pytest.approx((signs < 0).mean(), rel=1e-8)
        assert float(row["correct"]) == pytest.approx(correct.mean(), rel=1e-8)
        assert row["ci_low"] == row["ci_high"] == row["rate"]
        assert row["rate_in_box"] == row["rate_outside_box"] == "n/a"
    for mean in means:
        members = [
            float(row["rate"])
            for row in rates
            if row["type"] == mean["type"]
            and row["proportion"] == mean["proportion"]
            and mean["supercategory"] in ("all", row["supercategory"])
        ]
        assert float(mean["rate"]) == pytest.approx(np.mean(members), rel=1e-8)
        assert int(mean["n_pictures"]) == len(members)
    assert {mean["supercategory"] for mean in means} == {"all", "things", "beasts"}
    assert any(0 < float(row["rate"]) < 1 for row in rates)
    assert [path.name for path in result.written] == [
        "rates.tsv", "rates_mean.tsv", "rates.json", "rates_mean.json", "picturenet.zarr"
    ]  # fmt: skip


def test_means_tell_the_rates_inside_and_outside_the_objects_boxes(two_pictures: Study, tmp_path: Path):
    labels = two_pictures.folder / "pictures" / "labels.tsv"
    head, first, second = labels.read_text(encoding="utf-8").splitlines()
    boxed = [f"{head}\tbox_left\tbox_top\tbox_right\tbox_bottom", f"{first}\t0\t0\t6\t7", f"{second}\t\t\t\t"]
    labels.write_text("\n".join(boxed) + "\n", encoding="utf-8")
    fragile(two_pictures, tmp_path / "to", "cpu", full=True)
    rates, means = tables(tmp_path / "to")
    boxed_rates = [row for row in rates if row["picture_id"] == "p0"]
    compared = 0
    for mean in (row for row in means if row["supercategory"] == "all"):
        key = mean["type"], mean["proportion"]
        (row,) = [row for row in boxed_rates if (row["type"], row["proportion"]) == key]
        for where in ("in_box", "outside_box"):
            rate = row[f"rate_{where}"]  # n/a: no window's middle is there
            assert mean[f"n_{where}"] == ("0" if rate == "n/a" else "1")
            assert mean[f"rate_{where}"] == mean[f"ci_low_{where}"] == mean[f"ci_high_{where}"] == rate
            compared += rate != "n/a"
    assert compared > len(boxed_rates)
    assert {row["rate_in_box"] for row in means if row["supercategory"] == "beasts"} == {"n/a"}


def test_an_estimate_says_so_and_holds_what_the_whole_map_has(two_pictures: Study, tmp_path: Path):
    fragile(two_pictures, tmp_path / "whole", "cpu", full=True)
    fragile(two_pictures, tmp_path / "some", "cpu", full=False, sample=60)
    held = []
    for whole, some in zip(tables(tmp_path / "whole")[0], tables(tmp_path / "some")[0], strict=True):
        expected = "sample" if int(some["n_windows"]) > 60 else "exhaustive"
        assert some["estimate"] == expected
        assert int(some["n_looked_at"]) == min(60, int(some["n_windows"]))
        held.append(float(some["ci_low"]) <= float(whole["rate"]) <= float(some["ci_high"]))
        if expected == "exhaustive":
            assert {**some, "estimate": ""} == {**whole, "estimate": ""}
    assert sum(held) >= len(held) - 2


def test_whole_maps_after_an_estimate_and_an_estimate_after_whole_maps(
    network: CountingNetwork, two_pictures: Study, tmp_path: Path
):
    fragile(two_pictures, tmp_path / "to", "cpu", full=False, sample=30)
    estimated = tables(tmp_path / "to")
    assert {row["estimate"] for row in estimated[0]} == {"sample"}
    fragile(two_pictures, tmp_path / "to", "cpu", full=True)
    whole = tables(tmp_path / "to")
    assert {row["estimate"] for row in (*whole[0], *whole[1])} == {"exhaustive"}
    passes = network.passes
    fragile(two_pictures, tmp_path / "to", "cpu", full=False, sample=30)
    assert network.passes == passes  # what is known of all windows is not estimated
    assert tables(tmp_path / "to") == whole
    fragile(two_pictures, tmp_path / "fresh", "cpu", full=True)
    assert tables(tmp_path / "fresh") == whole


def test_a_map_that_is_half_read_does_not_pass_for_a_whole_one(
    network: CountingNetwork, two_pictures: Study, small_chunks: int, tmp_path: Path
):
    network.stops_at = network.passes + 60
    with pytest.raises(KeyboardInterrupt):
        fragile(two_pictures, tmp_path / "to", "cpu", full=True)
    network.stops_at = None
    fragile(two_pictures, tmp_path / "to", "cpu", full=False, sample=30)
    assert {row["estimate"] for table in tables(tmp_path / "to") for row in table} == {"sample"}


def test_the_tables_are_written_after_each_network(network: CountingNetwork, tmp_path: Path):
    def stop(name: str, _latest: Told) -> None:
        if name != "picturenet":
            raise KeyboardInterrupt

    write_pictures(tmp_path / "pictures", [(9, 10)])
    study = fragile_study(tmp_path, "networks: [{name: picturenet}, {name: picturenet-b}], proportions: [0.6]")
    first, second = networks_of(study, plan_of(study))
    with pytest.raises(KeyboardInterrupt):
        fragile(study, tmp_path / "to", "cpu", full=True, told=stop)
    assert {row["network"] for table in tables(tmp_path / "to") for row in table} == {first}
    fragile(study, tmp_path / "to", "cpu", full=True)
    assert {row["network"] for table in tables(tmp_path / "to") for row in table} == {first, second}


def test_every_column_is_described_beside_its_table(two_pictures: Study, tmp_path: Path):
    fragile(two_pictures, tmp_path / "to", "cpu", full=False, sample=20)
    folder = tmp_path / "to" / "derivatives" / "foolscan" / "fragile"
    for name in TABLES:
        described = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for column in read_table(folder / f"{name}.tsv")[0]:
            assert described[column]["Description"].endswith(".")
        assert "pictures" in json.dumps(described)


def test_boxes_part_windows_by_their_middle(network: CountingNetwork, tmp_path: Path):
    write_pictures(tmp_path / "pictures", [(20, 26)])
    table = tmp_path / "pictures" / "labels.tsv"
    header, row = table.read_text(encoding="utf-8").splitlines()
    table.write_text(
        f"{header}\tbox_left\tbox_top\tbox_right\tbox_bottom\n{row}\t0\t0\t13\t20\n", encoding="utf-8", newline="\n"
    )
    fragile(fragile_study(tmp_path, "proportions: [0.3]"), tmp_path / "to", "cpu", full=True)
    group = zarr.open_group(StudyFolder(tmp_path / "to").fragile("picturenet"), mode="r")
    correct = np.asarray(group["p0/side-0007"])[..., 0] < 1
    loose = fragile_maps(correct, None)["loose_shift"] != 0
    left = np.arange(loose.shape[1]) + 3.5 < 13
    (found,) = (row for row in tables(tmp_path / "to")[0] if row["type"] == "loose_shift")
    assert float(found["rate_in_box"]) == pytest.approx(loose[:, left].mean(), rel=1e-8)
    assert float(found["rate_outside_box"]) == pytest.approx(loose[:, ~left].mean(), rel=1e-8)


def test_windows_too_small_to_shrink_have_no_rows_of_shrinking(network: CountingNetwork, tmp_path: Path):
    write_pictures(tmp_path / "pictures", [(9, 10)])
    result = fragile(fragile_study(tmp_path, "proportions: [], sides_px: [2, 3]"), tmp_path / "to", "cpu", full=True)
    rows = tables(tmp_path / "to")[0]
    assert [row["type"] for row in rows if row["side_px"] == "2"] == ["loose_shift", "strict_shift"]
    assert [row["type"] for row in rows if row["side_px"] == "3"] == list(FRAGILE_TYPES)
    assert all(row["proportion"] == "n/a" for row in rows)
    (two,) = (text for text in lines(result) if "2 px" in text)
    assert two.count("n/a") == 2


@pytest.mark.parametrize("sample", [None, 20])
def test_a_side_that_two_proportions_share_is_read_once_and_told_of_both(
    network: CountingNetwork, tmp_path: Path, sample: int | None
):
    write_pictures(tmp_path / "pictures", [(20, 26), (24, 28)])
    one, both = "proportions: [0.3], sides_px: [9, 7, 5]", "proportions: [0.3, 0.31], sides_px: [9, 7, 5]"
    passes = []
    for name, sides in (("one", one), ("both", both)):
        before = network.passes
        fragile(fragile_study(tmp_path, sides), tmp_path / name, "cpu", full=sample is None, sample=sample)
        passes.append(network.passes - before)
    assert passes[0] == passes[1]
    rates, means = tables(tmp_path / "both")
    first = {(row["side_px"], row["proportion"]) for row in rates if row["picture_id"] == "p0"}
    assert first == {("7", "0.3"), ("7", "0.31"), ("9", "n/a"), ("7", "n/a"), ("5", "n/a")}
    assert {mean["n_pictures"] for mean in means if mean["supercategory"] == "all"} == {"2"}


def test_a_side_of_one_pixel_and_a_proportion_of_one_have_means_apart(network: CountingNetwork, tmp_path: Path):
    write_pictures(tmp_path / "pictures", [(9, 9)])
    fragile(fragile_study(tmp_path, "proportions: [1.0], sides_px: [1]"), tmp_path / "to", "cpu", full=True)
    means = [mean for mean in tables(tmp_path / "to")[1] if mean["supercategory"] == "all"]
    assert {(mean["proportion"], mean["side_px"], mean["n_pictures"]) for mean in means} == {
        ("1", "9", "1"),
        ("n/a", "1", "1"),
    }


def test_interrupted_after_a_picture_that_one_counts_as_mapped(
    network: CountingNetwork, two_pictures: Study, small_chunks: int, tmp_path: Path
):
    def stop(_network: str, latest: Told) -> None:
        if latest.done > n_first:
            raise KeyboardInterrupt

    grids = [Grid(20, 26, side) for side in (7, 5, 13, 11)]
    n_first = sum(grid.shape[0] * grid.shape[1] for grid in grids)
    with pytest.raises(KeyboardInterrupt):
        fragile(two_pictures, tmp_path / "to", "cpu", full=True, told=stop)
    (found,) = found_in(two_pictures, StudyFolder(tmp_path / "to")).values()
    assert all(found.store.is_mapped("p0", grid) for grid in grids)
    first, second = pictures_of(two_pictures)
    assert all(found.seen(first, side) is not None for side in found.sides(first))
    assert all(found.seen(second, side) is None for side in found.sides(second))
    drawn = pictures(two_pictures, StudyFolder(tmp_path / "to"))
    assert "p0_picturenet_maps.png" in {path.name for path in drawn.written}


def test_a_study_that_maps_nothing_is_told_what_to_write(tmp_path: Path):
    with pytest.raises(FoolscanError, match=r"study demo: found no `fragile`.*see srivastava2019, or docs/fragile.md"):
        fragile(load_study("demo"), tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_the_studys_own_network_maps_where_none_is_named(tmp_path: Path):
    study = fragile_study(tmp_path, "proportions: [0.5], networks: []")
    assert networks_of(study, plan_of(study)) == {study.stimuli.network.name: study.stimuli.network}


def test_the_summary_tells_means_and_half_intervals(two_pictures: Study, tmp_path: Path):
    whole = [*lines(fragile(two_pictures, tmp_path / "to", "cpu", full=True))]
    assert whole[0] == "picturenet: fragile windows, % (of all windows; mean of 2 pictures)"
    assert whole[1].split("   ")[-1] == "strict shrink"
    assert whole[2].split()[:3] == ["P", "=", "0.3"]
    some = [*lines(fragile(two_pictures, tmp_path / "some", "cpu", full=False, sample=30))]
    assert "estimate, ± half the 95 % interval" in some[0]
    assert some[2].count(" ± ") == 4


def test_progress_counts_what_was_there_apart(network: CountingNetwork, two_pictures: Study, tmp_path: Path):
    told: list[Told] = []
    fragile(two_pictures, tmp_path / "to", "cpu", full=True, told=lambda _, now: told.append(now))
    assert told[0] == Told(0, told[0].total, 0, None)
    assert [now.done for now in told] == sorted(now.done for now in told)
    assert told[-1].done == told[-1].total
    rows = tables(tmp_path / "to")[0]
    assert 0 <= (told[-1].fragile or 0) <= 1
    again: list[Told] = []
    fragile(two_pictures, tmp_path / "to", "cpu", full=True, told=lambda _, now: again.append(now))
    assert again[-1] == Told(told[-1].total, told[-1].total, told[-1].total, None)
    assert rows == tables(tmp_path / "to")[0]


def test_progress_in_a_pipe_is_a_line_now_and_then():
    console, now = Console(file=io.StringIO(), width=80), [0.0]
    with shown(console, lambda: now[0]) as tell:
        for done, at_s in ((0, 0.0), (100, 1.0), (1600, 16.0), (1700, 17.0), (2000, 20.0)):
            now[0] = at_s
            tell("picturenet", Told(done, 2000, 0, 0.115 if done else None))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "picturenet: 1600/2000 windows, 100/s, 0:04 left, 11.5 % loose shift so far",
        "picturenet: 2000/2000 windows, 100/s, 0:20, 11.5 % loose shift so far",
    ]
    assert line(Told(7, 7, 7, None), 0.0) == "7/7 windows"


def foolscan(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foolscan", *arguments]
    return subprocess.run(
        command, cwd=where, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False
    )


def test_the_command_maps_prints_what_it_wrote_and_counts_in_lines(tiny_study_file: Path):
    where = tiny_study_file.parent
    done = foolscan(where, "stimuli", "fragile", "tiny.yaml", "--to", "to", "--device", "cpu", "--full")
    assert done.returncode == 0, done.stderr
    written = [text for text in done.stdout.splitlines() if text.startswith("to")]
    assert [Path(text).name for text in written][:2] == ["rates.tsv", "rates_mean.tsv"]
    assert all((where / text).exists() for text in written)
    assert "P = 0.6" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("picturenet: 300/300 windows, ")
    before = contents(where / "to")
    again = foolscan(where, "stimuli", "fragile", "tiny.yaml", "--to", "to", "--device", "cpu", "--estimate")
    assert again.returncode == 0
    assert contents(where / "to") == before
    assert "of all windows" in again.stdout


def argued(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str]:
    """How the command ends in this process, and what it says."""
    import foolscan as command

    monkeypatch.setattr(sys, "argv", ["foolscan", *arguments])
    with pytest.raises(SystemExit) as end:
        command.main()
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        ("proportions: [0.5, 1.5]", 2, ["fragile.proportions.1", "1.5", "tiny.yaml:5"]),
        ("proportions: [0.0]", 2, ["fragile.proportions.0"]),
        ("proportions: [1.0]", 2, ["window of 15 x 15 pixels in a picture of 14 x 14", "use larger pictures"]),
        ("proportions: [], sides_px: [15]", 2, ["window of 15 x 15 pixels in a picture of 14 x 14"]),
        ("proportions: [0.5], crops: in_place", 2, ["crops: in_place: found a picture of 14 x 14", "128 x 128"]),
        ("proportions: [0.5], networks: [{name: picturnet}]", 2, ["picturnet", "did you mean picturenet"]),
    ],
)
def test_what_cannot_be_mapped_is_one_message(
    tiny_study_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: str,
    status: int,
    told: list[str],
):
    text = tiny_study_file.read_text(encoding="utf-8")
    networks = "" if "networks:" in more else "networks: [{name: picturenet}], "
    changed = text[: text.index("batch_size")] + f"batch_size: 8, {networks}{more}}}\n"
    tiny_study_file.write_text(changed, encoding="utf-8")
    to = str(tiny_study_file.parent / "to")
    code, said = argued(monkeypatch, capsys, "stimuli", "fragile", str(tiny_study_file), "--to", to, "--device", "cpu")
    assert code == status
    for part in told:
        assert part in said.replace("\n", " ")


def test_pictures_that_are_not_there_are_work_to_be_done(
    tiny_study_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tiny_study_file.parent / "pictures" / "labels.tsv").unlink()
    for arguments in (["check", str(tiny_study_file)], ["stimuli", "fragile", str(tiny_study_file), "--to", "to"]):
        code, said = argued(monkeypatch, capsys, *arguments)
        assert code == 1
        assert "labels.tsv: no such file" in said.replace("\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_with_130_and_the_next_call_goes_on(tiny_study_file: Path, tmp_path: Path):
    write_pictures(tmp_path / "pictures", [(20, 20)] * 3, ("rabbit", "cat", "owl"))
    where = tiny_study_file.parent
    command = [
        sys.executable,
        "-m",
        "foolscan",
        "stimuli",
        "fragile",
        "tiny.yaml",
        "--to",
        "to",
        "--device",
        "cpu",
        "--full",
    ]
    with subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        chunk = StudyFolder(where / "to").fragile("picturenet") / "p0" / "side-0013" / "c"
        while process.poll() is None and not chunk.exists():
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Interrupted. Run the same command again to go on." in said
    assert "Traceback" not in said
    told: list[Told] = []
    fragile(load_study(tiny_study_file), where / "to", "cpu", full=True, told=lambda _, now: told.append(now))
    assert told[-1].found >= 64
    fragile(load_study(tiny_study_file), where / "at-once", "cpu", full=True)
    assert contents(where / "to") == contents(where / "at-once")
