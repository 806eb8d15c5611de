"""The board of a visit: which runs are done, aborted, pending, and which is next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from experiment.attempts import Attempt, RunStatus, attempts_of, status_of
from experiment.operator.view import AMBER, BLUE, GREEN, GREY, RED, RIGHT, WHITE, WRONG
from protocols.folder import RunId, StudyFolder, read_json
from protocols.problems import FoolscanError

COLOURS: dict[RunStatus, str] = {
    "done": RIGHT,
    "recovered": AMBER,
    "recorded": AMBER,
    "aborted": WRONG,
    "pending": GREY,
}

# What is shown of a certificate; one that lacks any of it, or has it in another form, cannot be read.
SHOWN: dict[str, type | tuple[type, ...]] = {
    "run": str,
    "passed": bool,
    **dict.fromkeys(("remarks", "notes"), list),
    **dict.fromkeys(("pulses", "bids"), dict),
    **dict.fromkeys(("pulses_seen", "pulses_expected", "frames_dropped", "late_flips"), int),
    **dict.fromkeys(("responses", "stimulus_trials", "missed"), int),
    **dict.fromkeys(("length_s", "planned_length_s"), (int, float)),
    **dict.fromkeys((f"onset_error_{name}_s" for name in ("median", "p99", "max")), (int, float, type(None))),
}


@dataclass(frozen=True)
class BoardRow:
    """One run of a visit.

    certificate : as it stands on disk; None when there is none (or it cannot be read).
    """

    run: RunId
    status: RunStatus
    attempts: tuple[Attempt, ...]
    certificate: Mapping[str, Any] | None

    @property
    def verdict(self) -> str:
        """``passed``, ``wanting``, or nothing yet."""
        if self.certificate is None:
            return ""
        return "passed" if self.certificate.get("passed") else "wanting"

    @property
    def open(self) -> bool:
        """Whether something is still to be done: shown, or its events made."""
        return self.status in ("pending", "aborted", "recorded")


@dataclass(frozen=True)
class Board:
    """All runs of a visit, in order."""

    rows: tuple[BoardRow, ...]

    @property
    def next(self) -> BoardRow | None:
        """The first run that is still to be done."""
        return next((row for row in self.rows if row.open), None)

    def row(self, number: int) -> BoardRow | None:
        """The row of a run's number."""
        return next((row for row in self.rows if row.run.run == number), None)


def board_of(folder: StudyFolder, sub: str, ses: str, task: str, runs: int) -> Board:
    """The board of a visit as the study folder has it now.

    runs : how many runs the study's design gives a session.
    """
    run_ids = [RunId(sub, ses, task, number) for number in range(1, runs + 1)]
    return Board(tuple(_row(folder, run_id) for run_id in run_ids))


def certificate_on_disk(folder: StudyFolder, run_id: RunId) -> Mapping[str, Any] | None:
    """The certificate of a run as it was written; None when there is none, or it cannot be read."""
    path = folder.derived("certificates") / f"{run_id.stem}_certificate.json"
    try:
        certificate = read_json(path) if path.exists() else {}
    except FoolscanError:
        return None
    certificate = {"notes": [], "pulses": {}, "bids": {}, **certificate}  # older ones have none
    return certificate if all(isinstance(certificate.get(key), kind) for key, kind in SHOWN.items()) else None


def _row(folder: StudyFolder, run_id: RunId) -> BoardRow:
    attempts = attempts_of(folder, run_id)
    status = status_of(folder, run_id, attempts)
    certificate = certificate_on_disk(folder, run_id) if status in ("done", "recovered") else None
    return BoardRow(run_id, status, attempts, certificate)


def board_table(board: Board, title: str, facts: Mapping[str, str]) -> RenderableType:
    """The board as a table for the terminal, the next run marked.

    facts : what else the operator should see before starting: participant, rig, buttons.
    """
    table = Table(box=SIMPLE_HEAD, border_style="#3a3f47", expand=True, show_edge=False, header_style=GREY)
    for name in ("", "run", "status", "certificate", ""):
        table.add_column(name)
    verdicts = {"passed": RIGHT, "wanting": WRONG}
    for row in board.rows:
        here = board.next is not None and row.run == board.next.run
        cells = (
            (">" if here else "", WHITE),
            (str(row.run.run), WHITE),
            (row.status, COLOURS[row.status]),
            (row.verdict, verdicts.get(row.verdict, GREY)),
            (remark_on(row), GREY),
        )
        table.add_row(
            *(Text(text, f"bold {WHITE}" if here else colour) for text, colour in cells),
            style=f"on {BLUE}" if here else "",
        )
    said = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        said.add_row(Text(name, GREY), Text(fact))
    return Panel(
        Group(said, Text(""), table), title=Text(f" {title} ", f"bold {WHITE}"), border_style="#3a3f47", padding=(1, 2)
    )


def board_lines(board: Board) -> list[str]:
    """The board in plain lines."""
    lines = []
    for row in board.rows:
        mark = ">" if board.next is not None and row.run == board.next.run else " "
        told = [row.status, *([row.verdict] if row.verdict else []), *([remark_on(row)] if remark_on(row) else [])]
        lines.append(f"{mark} run {row.run.run}: {', '.join(told)}")
    return lines


def remark_on(row: BoardRow) -> str:
    """What the operator should know of a run before choosing."""
    if row.status == "recorded":
        return "shown to its end; its events are still to be made"
    if row.status == "aborted":
        last = row.attempts[-1]
        order = "a new order" if any(attempt.seen for attempt in row.attempts) else "the same order"
        times = f"attempt {len(row.attempts)} ended early" if len(row.attempts) > 1 else "ended early"
        return f"{times} ({last.reason}); repeated with {order}"
    if row.certificate is not None and row.certificate.get("remarks"):
        first, *more = row.certificate["remarks"]
        return str(first).split(":")[0] + (f" (and {len(more)} more)" if more else "")
    if row.certificate is None and row.status == "done":
        return "no certificate; remedy: foolscan experiment recover FOLDER"
    earlier = sum(not attempt.complete for attempt in row.attempts)
    return f"after {earlier} attempt{'s' * (earlier != 1)} that ended early" if earlier and row.status == "done" else ""


def certificate_panel(certificate: Mapping[str, Any], page: str) -> RenderableType:
    """What a certificate says, in a few lines for the operator's screen.

    certificate : as read from disk.
    page        : where the page to print stands.
    """
    passed = bool(certificate["passed"])
    pulses, bids = certificate["pulses"], certificate["bids"]
    drift = pulses.get("drift_ppm")
    scanner = f"{certificate['pulses_seen']} of {certificate['pulses_expected']}"
    if drift is not None:
        scanner += f", scanner clock {drift:+.1f} ppm"
    onsets = "none shown"
    if certificate["onset_error_median_s"] is not None:
        median, p99, worst = (1000 * certificate[f"onset_error_{name}_s"] for name in ("median", "p99", "max"))
        onsets = f"median {median:.2f} ms, p99 {p99:.2f} ms, max {worst:.2f} ms off the plan"
    length = "at the participant's pace" if certificate.get("self_paced") else "planned {planned_length_s:.3f} s"
    facts = {
        "onsets": onsets,
        "dropped frames": f"{certificate['frames_dropped']} in {certificate['late_flips']} flips",
        "run length": f"{certificate['length_s']:.3f} s ({length.format(**certificate)})",
        "pulses": scanner,
        "responses": f"{certificate['responses']} of {certificate['stimulus_trials']}, {certificate['missed']} missed",
        "BIDS": str(bids.get("note", "not validated")),
        "page": page,
    }
    table = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        table.add_row(Text(name, GREY), Text(fact, overflow="fold"))
    colour = GREEN if passed else RED
    verdict = "PASSED" if passed else "WANTING"
    lines = [f"{verdict}   {certificate['run'].replace('_', ' ')}", *certificate["remarks"]]
    band = Panel(
        Group(*(Text(line, f"bold {WHITE}") for line in lines)),
        style=f"on {colour}",
        border_style=colour,
        box=ROUNDED,
    )
    notes = [Text(f"  {note}", AMBER) for note in certificate["notes"]]
    return Group(band, *notes, Panel(table, border_style="#3a3f47", box=ROUNDED))
