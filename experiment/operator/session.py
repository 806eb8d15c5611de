"""A visit from the operator's terminal: the board, one run after the other, and each one's certificate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rich.console import Console

from experiment.operator.board import (
    Board,
    BoardRow,
    board_lines,
    board_of,
    board_table,
    certificate_on_disk,
    certificate_panel,
)
from experiment.operator.child import ABORTED, Child, new_log
from experiment.operator.follow import Follower
from experiment.operator.watch import LOOK_S, Screen, counted_interrupts
from experiment.recover import recover
from experiment.screen_images import check_stimuli, screen_pictures
from protocols.checks import check
from protocols.folder import RunId, StudyFolder
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, ProtocolError
from protocols.rig import Rig
from protocols.session import check_version, read_session, record_for
from protocols.study import Study
from protocols.study_versions import named

ASK_S = 5.0
END_QUESTION = "End this run? Ctrl-C again ends it; it goes on otherwise"
ENDING = "Ending the run: its journal is kept"

Outcome = Literal["passed", "wanting", "aborted", "failed"]


@dataclass(frozen=True)
class Visit:
    """One participant's session in front of one rig.

    study_name, rig_name : as the operator typed them: the run's own process reads them again.
    options              : more options for ``foolscan experiment run``.
    """

    study: Study
    study_name: str
    rig: Rig
    rig_name: str
    folder: StudyFolder
    sub: str
    ses: str
    task: str
    options: tuple[str, ...] = ()

    def board(self) -> Board:
        """The board as it stands now."""
        return board_of(self.folder, self.sub, self.ses, self.task, self.study.design.runs)

    def arguments(self, run_id: RunId) -> list[str]:
        """What follows ``foolscan`` to show one run."""
        visit = ["--sub", self.sub, "--ses", self.ses, "--task", self.task, "--run", str(run_id.run)]
        where = ["--rig", self.rig_name, "--to", str(self.folder.root)]
        return ["experiment", "run", self.study_name, *where, *visit, *self.options]

    def facts(self) -> dict[str, str]:
        """What the operator should see before anything is started."""
        path = self.folder.session_record(self.sub, self.ses)
        record = (
            read_session(path)
            if path.exists()
            else record_for(self.study, self.sub, self.ses, self.task, rehearsal=self.rig.rehearsal)
        )
        people = self.folder.root / f"sub-{self.sub}"
        buttons = ", ".join(
            f"{button} = {answer.replace('_', ' ')}" for answer, button in record.button_of_answer.items()
        )
        changed = named(check_version(path, record, self.study).others)
        return {
            "participant": f"sub-{self.sub}, session {self.ses}" + ("" if people.exists() else "   (new participant)"),
            "study": f"{self.study.title}, task {self.task}",
            **({"changed": f"since this visit began: {changed}"} if changed else {}),
            "rig": self.rig.name + ("   REHEARSAL: what is recorded is simulated" if self.rig.rehearsal else ""),
            "buttons": buttons,
            "folder": str(self.folder.root),
        }


def prepare(visit: Visit) -> None:
    """Find out before the participant lies down whether everything is there.

    Raises ProtocolError, NotReady or FoolscanError when it is not.
    """
    problems = [problem for problem in check(visit.study, visit.rig).problems if not problem.needed]
    if problems:
        raise ProtocolError(problems)
    if visit.task not in visit.study.tasks:
        raise FoolscanError(f"--task: found {visit.task!r}; the study has {', '.join(visit.study.tasks)}")
    RunId(visit.sub, visit.ses, visit.task, 1)
    visit.facts()  # refuses a study that is another since the visit began
    stimuli = read_manifest(visit.folder)
    check_stimuli(visit.folder, stimuli)
    if "null" not in visit.options:  # --stage null shows no images
        task = visit.study.tasks[visit.task]
        shown = [stimulus for stimulus in stimuli if stimulus.set in task.sets]
        screen_pictures(visit.folder, visit.study, visit.rig, task, shown)


def session(
    visit: Visit,
    console: Console,
    *,
    yes: bool = False,
    ask: Callable[[str], str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Outcome]:
    """Show the board and the runs that the operator starts, until all is done or the operator leaves.

    yes : start all that is pending, one after the other; the first that does not come to its end ends the session.
    ask : reads one line from the operator after a prompt.

    Returns how each run that was started ended.
    """
    prepare(visit)
    outcomes: list[Outcome] = []
    while True:
        board = visit.board()
        _show_board(visit, board, console)
        row = board.next if yes else _chosen(board, console, ask or _reader(console))
        if row is None:
            if board.next is None:
                console.print("every run of this session is done")
            return outcomes
        outcomes.append(run_one(visit, row, console, sleep=sleep))
        if yes and outcomes[-1] in ("aborted", "failed"):
            return outcomes


def run_one(visit: Visit, row: BoardRow, console: Console, *, sleep: Callable[[float], None] = time.sleep) -> Outcome:
    """Show one run in a process of its own, follow it, and say how it went."""
    if row.status == "recorded":
        for recovered in recover(visit.folder.root, visit.folder.journal(row.run)):
            console.print(f"{recovered.events or recovered.journal}: {recovered.note}", highlight=False, soft_wrap=True)
        return _certified(visit, row.run, console)
    child = Child(visit.arguments(row.run), new_log(visit.folder.derived("logs"), row.run.stem))
    follower = Follower(visit.folder.journal(row.run))
    with counted_interrupts() as interrupts, Screen(console) as screen:
        _accompany(child, follower, screen, interrupts, asks=console.is_terminal, sleep=sleep)
    if child.status in (0, 1):
        return _certified(visit, row.run, console)
    aborted = child.status == ABORTED
    said = [line for line in child.last_lines if line.strip()]
    if aborted:
        why = [line.removeprefix("foolscan: ") for line in said if line.startswith("foolscan: ")]
        told = why[-1] if why else f"{row.run.stem}: aborted"
        console.print(told, style="bold", markup=False, highlight=False, soft_wrap=True)
        return "aborted"
    console.print(f"{row.run.stem}: the run failed (exit status {child.status})", style="bold red", highlight=False)
    for line in said:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"all it said: {child.log}", highlight=False, soft_wrap=True)
    return "failed"


def _accompany(
    child: Child,
    follower: Follower,
    screen: Screen,
    interrupts: Callable[[], int],
    *,
    asks: bool,
    sleep: Callable[[float], None],
) -> None:
    """Show the run until its process ends; Ctrl-C asks once, then ends it."""
    heard, sent, asked_s = 0, False, 0.0
    while child.status is None:
        now_s = time.monotonic()
        if interrupts() > heard:
            heard = interrupts()
            if sent or not asks or now_s - asked_s < ASK_S:
                child.end()
                sent = True
            else:
                asked_s = now_s
        asking = ENDING if sent else END_QUESTION if asked_s and now_s - asked_s < ASK_S else ""
        state = follower.look()
        screen.show(state, follower.silent_s, asking)
        sleep(LOOK_S)
    screen.show(follower.look(), 0.0)


def _certified(visit: Visit, run_id: RunId, console: Console) -> Outcome:
    certificate = certificate_on_disk(visit.folder, run_id)
    if certificate is None:
        console.print(f"{run_id.stem}: no certificate was written", style="bold red", highlight=False)
        return "failed"
    page = visit.folder.derived("certificates") / f"{run_id.stem}_certificate.html"
    if console.is_terminal:
        console.print(certificate_panel(certificate, str(page)))
    else:
        verdict = "passed" if certificate["passed"] else "wanting"
        console.print(f"{run_id.stem}: {verdict}; {page}", highlight=False, soft_wrap=True)
        for remark in certificate["remarks"]:
            console.print(f"  {remark}", markup=False, highlight=False, soft_wrap=True)
    return "passed" if certificate["passed"] else "wanting"


def _show_board(visit: Visit, board: Board, console: Console) -> None:
    title, facts = f"sub-{visit.sub}  ses-{visit.ses}", visit.facts()
    if console.is_terminal:
        console.print(board_table(board, title, facts))
        return
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", markup=False, highlight=False, soft_wrap=True)
    for line in board_lines(board):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _reader(console: Console) -> Callable[[str], str]:
    def read(prompt: str) -> str:
        console.print(prompt, highlight=False, end="")
        return input()

    return read


def _chosen(board: Board, console: Console, ask: Callable[[str], str]) -> BoardRow | None:
    """The run that the operator starts; None to leave."""
    offer = f"Enter starts run {board.next.run.run}, a number another, " if board.next else "every run is done; "
    while True:
        try:
            answer = ask(f"[b]{offer}q quits:[/b] ").strip().lower()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return None
        if answer in ("q", "quit"):
            return None
        row = board.next if not answer else board.row(int(answer)) if answer.isdecimal() else None
        if row is None:
            console.print(f"runs are 1 to {len(board.rows)}" if answer else "give a number, or q", highlight=False)
        elif not row.open:
            console.print(f"run {row.run.run} is {row.status}; nothing is ever overwritten", highlight=False)
        else:
            return row
