"""The certificate: what makes a run wanting, what is only noted, and a page that needs nothing but itself."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from experiment import bids
from experiment.bids import BidsVerdict, kinds_of
from experiment.certificate import Certificate, certificate_of
from experiment.certificate_files import write_certificate
from experiment.certificate_page import page_of
from experiment.certificate_plots import onset_plot, pulse_cells, pulse_plot, response_plot
from experiment.events import events_of
from experiment.journal import Journal, read_journal
from experiment.recover import recover
from experiment.run import run
from protocols.folder import RunId, StudyFolder
from protocols.provenance import sha256_of
from protocols.rig import Rig
from protocols.study import Study

FROZEN = read_journal(Path(__file__).parent.parent / "formats" / "v1" / "journal.jsonl")
RUN = RunId("01", "01", "animals", 1)
HASHES = {"sourcedata/journals/x_journal.jsonl": "a" * 64}


def changed(records: list[dict[str, Any]], **header: Any) -> Journal:
    return Journal(FROZEN.path, {**copy.deepcopy(FROZEN.header), **header}, tuple(records), cut=False)


def without(kind: str, *numbers: int) -> Journal:
    """The frozen journal without some records of a kind, counted from 0."""
    count, kept = -1, []
    for record in FROZEN.records:
        count += record["kind"] == kind
        if record["kind"] != kind or count not in numbers:
            kept.append(record)
    return changed(kept)


def remarks(journal: Journal, verdict: BidsVerdict = bids.NOT_ASKED) -> str:
    return "; ".join(certificate_of(journal, verdict).remarks)


def test_a_good_run_passes_and_what_was_dropped_is_noted():
    certificate = certificate_of(FROZEN)
    assert certificate.passed
    assert certificate.notes == ("2 frames dropped in 1 flip",)
    assert [(row.trial_type, row.trials, row.answered, row.right) for row in certificate.sets] == [
        ("RE", 4, 4, 4),
        ("AN", 4, 4, None),
        ("AI", 4, 4, certificate.sets[2].right),
    ]


@pytest.mark.parametrize("missing", [[59], [0], [58, 59]])
def test_too_few_pulses_are_told_with_both_explanations(missing: list[int]):
    text = remarks(without("pulse", *missing))
    assert f"{60 - len(missing)} pulses for 60 expected" in text
    if 0 in missing:  # the plan began with the second pulse, so the onsets moved with it
        assert "were missed" in text or "onsets" in text
    else:
        first = "pulse was" if len(missing) == 1 else f"{len(missing)} were"
        assert f"if the first {first} missed, every onset is {len(missing)} s too early" in text
        assert f"if the scanner stopped early, the onsets are right and the image file has {60 - len(missing)}" in text


def test_a_hole_in_the_pulses_is_a_hole_in_the_grid():
    journal = without("pulse", 20, 21)
    assert "58 pulses for 60 expected: 2 lacking in between" in remarks(journal)
    cells = pulse_cells(journal)
    assert [place for place, cell in enumerate(cells) if cell == "missing"] == [20, 21]
    assert pulse_plot(cells).count("<rect") == 60


def test_pulses_planned_after_a_cut_are_not_awaited_rather_than_missing():
    cut = changed(list(FROZEN.records[:80]))
    certificate = certificate_of(cut)
    cells = pulse_cells(cut)
    seen = certificate.pulses.seen
    assert 1 < seen < 60
    assert cells == ["on time"] * seen + ["not awaited"] * (60 - seen)
    assert (certificate.pulses.missed, certificate.pulses.lacking) == (0, 0)
    page = page_of(certificate, cut, HASHES)
    assert f"{seen} of {seen}" in page
    assert "60 planned · 0 missing" in page
    assert "not awaited" in page
    assert "not awaited" not in page_of(certificate_of(FROZEN), FROZEN, HASHES)
    before = changed(list(FROZEN.records[:1]))
    assert set(pulse_cells(before)) == {"not awaited"}


def test_pulses_far_off_their_time_have_a_name_of_their_own():
    records, count = [], 0
    for record in FROZEN.records:
        count += record["kind"] == "pulse"
        records.append({**record, "t_s": record["t_s"] + 0.4} if record["kind"] == "pulse" and count == 21 else record)
    journal = changed(records)
    certificate = certificate_of(journal)
    assert (certificate.pulses_seen, certificate.pulses.off_grid, certificate.pulses.extra) == (60, 1, 0)
    assert certificate.remarks[0].startswith("1 pulse a quarter of an interval or more off the grid")
    assert [place for place, cell in enumerate(pulse_cells(journal)) if cell == "off grid"] == [20]


def test_a_participant_who_slept_makes_the_run_wanting():
    assert "no response in 12 of 12 stimulus trials" in remarks(without("press", *range(12)))


def test_faults_and_bids_errors_make_a_run_wanting_and_a_missing_validator_does_not():
    fault = {"kind": "fault", "t_s": 9.0, "what": "trigger: the port was lost"}
    assert "the port was lost" in remarks(changed([*FROZEN.records[:-1], fault, FROZEN.records[-1]]))
    assert "not valid BIDS: X" in remarks(FROZEN, BidsVerdict(True, "1 error, 0 warnings", ("X",)))
    assert certificate_of(FROZEN, BidsVerdict(False, "not validated: it is not installed")).passed


def test_gaze_is_summed_over_images():
    gaze = {"kind": "gaze", "what": "row", "row": 1, "t_s": 5.5, "samples": 100, "share_lost": 0.0, "breaks": 2}
    on, off = {**gaze, "share_on_fixation": 0.9}, {**gaze, "row": 0, "share_on_fixation": 0.1}
    certificate = certificate_of(changed([*FROZEN.records, on, off]))
    assert (certificate.fixation_breaks, certificate.share_on_fixation) == (2, 0.9)
    assert "2 fixation breaks" in certificate.notes
    assert certificate_of(FROZEN).fixation_breaks is None


def test_without_the_validator_the_verdict_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bids.shutil, "which", lambda *arguments, **more: None)
    verdict = bids.verdict(tmp_path)
    assert (verdict.checked, verdict.errors) == (False, ())
    assert "not installed" in verdict.note


def test_warnings_are_told_by_kind():
    assert kinds_of(("A b /x", "A b /y", "C /z")) == ["A b (in 2 files)", "C"]
    assert kinds_of(("X_KEY_RECOMMENDED a /x", "C /z", "X_KEY_RECOMMENDED b /x")) == ["C", "recommended: a, b"]


def pages() -> list[Journal]:
    wall = changed(list(FROZEN.records), clock={"kind": "wall"}, rehearsal=False)
    cut = changed(list(FROZEN.records[:30]))
    nothing = changed([])
    fault = {"kind": "fault", "t_s": 9.0, "what": "trigger: the port was lost, and this is why and what to do: " * 20}
    many = changed([*without("pulse", *range(20, 40), 59).records, *[{**fault, "n": n} for n in range(9)]])
    return [FROZEN, without("pulse", 0, 20, 59), wall, cut, nothing, many]


@pytest.mark.parametrize("journal", pages()[:5], ids=["good", "pulses", "wall", "cut", "nothing"])
def test_the_page_needs_nothing_but_itself_and_names_every_remark(journal: Journal):
    certificate = certificate_of(journal)
    page = page_of(certificate, journal, HASHES)
    assert page == page_of(certificate, journal, HASHES)
    assert re.findall(r"(?:src|href)=|https?://(?!www\.w3\.org/2000/svg)|url\(|@import", page) == []
    assert ("PASSED" in page) == certificate.passed
    for remark in certificate.remarks:
        assert remark.split("(")[0].split("'")[0].strip() in page.replace("&#39;", "'")
    assert ("REHEARSAL" in page) == journal.header["rehearsal"]
    assert "a" * 64 in page


def test_a_page_of_words_with_markup_in_them_is_harmless():
    header = {"question": "<script>alert(1)</script>", "study": "<b>x</b>"}
    journal = changed(list(FROZEN.records), **header)
    page = page_of(certificate_of(journal), journal, HASHES)
    assert "<script>" not in page
    assert "<b>x</b>" not in page


def test_plots_hold_a_mark_for_every_trial():
    events = events_of(FROZEN)
    assert onset_plot(events, 1 / 60, 60.0).count("<circle") == 14
    plot = response_plot(events, 2.0, 60.0)
    assert plot.count("<circle") + plot.count("<path") == 12


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium to print with")
@pytest.mark.parametrize("journal", [pages()[1], pages()[5]], ids=["pulses", "faults"])
def test_it_prints_on_one_page(tmp_path: Path, journal: Journal):
    page, printed = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(page_of(certificate_of(journal), journal, HASHES), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--print-to-pdf={printed}"]
    subprocess.run(["chromium", *options, page.as_uri()], check=True, capture_output=True, timeout=120)
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) == 1


def test_a_run_leaves_page_and_json_with_the_hashes_of_its_files(study: Study, rig: Rig, folder: StudyFolder):
    result = run(study, rig, folder.root, RUN, stage="null")
    page = result.certificate_file.with_suffix(".html").read_text(encoding="utf-8")
    record = json.loads(result.certificate_file.read_text(encoding="utf-8"))
    assert set(record["sha256"]) == {folder.relative(p) for p in (result.events, result.journal, result.timeline)}
    for name, sha256 in record["sha256"].items():
        assert sha256_of(folder.root / name) == sha256
        assert sha256 in page
    assert record["pulses"]["drift_ppm"] == pytest.approx(0.0, abs=1e-6)
    assert record["bids"] == {"checked": False, "note": "not validated with this run", "errors": [], "warnings": []}


def test_a_recovered_run_has_its_page_too(study: Study, rig: Rig, folder: StudyFolder):
    result = run(study, rig, folder.root, RUN, stage="null")
    lines = result.journal.read_text(encoding="utf-8").splitlines(keepends=True)
    result.journal.write_text("".join(lines[:40]) + '{"kind": "fl', encoding="utf-8")
    for path in (result.events, result.certificate_file, result.certificate_file.with_suffix(".html")):
        path.unlink()
    assert recover(folder.root)[0].events is not None
    page = result.certificate_file.with_suffix(".html").read_text(encoding="utf-8")
    assert "the run did not come to its planned end (cut off)" in page
    assert "last line was cut off" in page


def test_the_certificate_of_a_recovered_run_says_whether_the_folder_is_valid(
    study: Study, rig: Rig, folder: StudyFolder
):
    result = run(study, rig, folder.root, RUN, stage="null")
    header, *lines = result.journal.read_text(encoding="utf-8").splitlines(keepends=True)
    wall = json.dumps({**json.loads(header), "clock": {"kind": "wall"}}) + "\n"
    result.journal.write_text(wall + "".join(lines[:60]), encoding="utf-8")
    for path in (result.events, result.events.with_suffix(".json"), result.certificate_file):
        path.unlink()
    recover(folder.root)
    record = json.loads(result.certificate_file.read_text(encoding="utf-8"))
    assert record["bids"]["checked"]
    assert record["bids"]["errors"] == []


def test_a_certificate_says_what_the_validator_said(study: Study, rig: Rig, folder: StudyFolder):
    result = run(study, rig, folder.root, RUN, stage="null")
    _, certificate = write_certificate(folder, read_journal(result.journal), result.events, bids.verdict(folder.root))
    assert isinstance(certificate, Certificate)
    assert certificate.bids.checked
    assert certificate.bids.note.startswith("0 errors, ")
    assert certificate.passed
