"""A whole study with an emulated scanner, observer and brain: the commands of the rooms, one after the other."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from protocols.checks import check
from protocols.folder import StudyFolder, exclusive, open_folder
from protocols.problems import FoolscanError, ProtocolError, WorkWanting
from protocols.rig import Rig, load_rig
from protocols.study import Study, load_study, online_plan


@dataclass(frozen=True)
class Step:
    """One command of a rehearsal.

    title     : what it does, for the reader.
    arguments : what follows ``foolscan`` on the command line.
    """

    title: str
    arguments: tuple[str, ...]


def steps(study: str, rig: str, to: Path, *, at_desk: bool = False) -> tuple[Step, ...]:
    """The commands that take a study from its file to its report.

    study, rig : names that come with foolscan, or paths.
    to         : the study folder.
    at_desk    : whether it is done without a scanner: then it ends with the table of behaviour.
    """

    def step(title: str, room: str, verb: str, *options: str) -> Step:
        return Step(title, (room, verb, study, *options, "--to", str(to)))

    shown = (
        step("Images: regular, adversarial noise, adversarial interference", "stimuli", "make"),
        step("Images for people to look at", "stimuli", "contact-sheet"),
        step("What the network makes of them", "stimuli", "activations"),
        step("Images at the exact pixels of the rig", "stimuli", "export", "--rig", rig),
        step("Every run of every subject, in the participant's window", "experiment", "rehearse", "--rig", rig),
    )
    if at_desk:
        return (*shown, step("Accuracy, d', reaction times and confidence", "analysis", "behaviour"))
    return (
        *shown,
        step("A brain whose truth is known", "analysis", "simulate-bold"),
        step("Betas", "analysis", "betas"),
        step("Representational dissimilarity matrices", "analysis", "rdms"),
        step("Similarity, with intervals", "analysis", "compare"),
        step("Report", "analysis", "report"),
    )


def online_steps(study: str, to: Path, *, of_crops: bool, people: int, browsers: int) -> tuple[Step, ...]:
    """The commands that take a study from its file to what a crowd answered in the browser.

    of_crops : whether people are shown crops of pictures; else the study's own images.
    people   : simulated ones.
    browsers : real headless browsers.
    """

    def step(title: str, room: str, verb: str, *options: str) -> Step:
        return Step(title, (room, verb, study, *options, "--to", str(to)))

    made = (
        (
            step("Which windows of pictures a network recognises", "stimuli", "fragile"),
            step("Pairs of crops", "stimuli", "fragile-pairs"),
        )
        if of_crops
        else (step("Images: regular, adversarial noise, adversarial interference", "stimuli", "make"),)
    )
    asked = ("--workers", str(people), "--browsers", str(browsers))
    return (
        *made,
        step("A simulated crowd at the real server", "online", "rehearse", *asked),
        step("Answers as tables and as BIDS behaviour", "online", "export"),
        step("No answer lost, changed or slipped in", "online", "verify"),
        step("Recognition of each image, with intervals", "analysis", "crops"),
        step("Report", "analysis", "report"),
    )


def rehearse_online(study: str, to: Path, *, people: int = 50) -> Path:
    """Take a study's task in the browser from its file to its report, with a simulated crowd and one real headless browser.

    people : simulated ones.

    Where this machine has no browser, or no Playwright, it goes without and says so. Returns the path of the report.
    """
    from experiment.online.simulated_browser import missing

    plan = load_study(study)
    online = online_plan(plan)
    console, lacking = Console(), missing()
    if lacking is not None:
        console.print(f"without a real browser: {lacking}", highlight=False, markup=False, soft_wrap=True)
    of_crops, browsers = online.design.kind == "crop_pairs", 0 if lacking else 1
    _play(plan, to, online_steps(study, to, of_crops=of_crops, people=people, browsers=browsers), console)
    return StudyFolder(to).derived("report") / "report.html"


def rehearse(study: str, to: Path, rig: str = "rehearsal") -> Path:
    """Take a study from its file to its report with everything emulated that is not there.

    Each step runs in a process of its own, as the rooms do on their own machines (GPU server, stimulus PC, laptop).
    A rehearsal that was interrupted goes on where it was: steps leave alone what is already right.

    study : a study that comes with foolscan, or a file.
    to    : the study folder.
    rig   : a rig whose scanner and participant are emulated.

    Returns the path of the report (at a desk: of the table of behaviour). Raises FoolscanError before anything is written
    when study and rig do not fit.
    """
    plan, place = load_study(study), load_rig(rig)
    at_desk = plan.tasks[plan.analysis.task].self_paced
    _refuse_what_does_not_fit(plan, place)
    _play(plan, to, steps(study, rig, to, at_desk=at_desk), Console())
    folder = StudyFolder(to)
    return folder.derived("behaviour") / "behaviour.tsv" if at_desk else folder.derived("report") / "report.html"


def _play(plan: Study, to: Path, walked: tuple[Step, ...], console: Console) -> None:
    """One command after the other, into a folder that is marked as a rehearsal's and that nobody else rehearses into."""
    begin = time.monotonic()
    with exclusive(to, f"the rehearsal into {to}"):
        open_folder(to, plan.title, rehearsal=True)
        for number, step in enumerate(walked, start=1):
            console.print(f"\n[b]{number}. {step.title}[/b]", highlight=False)
            console.print(f"   $ foolscan {' '.join(step.arguments)}", style="dim", highlight=False, markup=False)
            _run(step)
    console.print(f"\n{plan.title}: done in {time.monotonic() - begin:.0f} s", highlight=False)


def _refuse_what_does_not_fit(study: Study, rig: Rig) -> None:
    if not rig.emulated:
        raise FoolscanError(
            f"rig {rig.name}: a rehearsal needs a rig whose trigger and buttons are emulated, such as rehearsal"
        )
    problems = check(study, rig).problems
    if problems:
        raise ProtocolError(problems)


def _run(step: Step) -> None:
    """Run one step; an interruption reaches it too (same terminal), and it ends in its own good order."""
    command = [sys.executable, "-m", "foolscan", *step.arguments]
    with subprocess.Popen(command) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
    if status == 130:
        raise KeyboardInterrupt
    if status == 1:
        raise WorkWanting(
            f"the rehearsal stopped: 'foolscan {' '.join(step.arguments)}' found the work wanting (see above)"
        )
    if status != 0:
        raise FoolscanError(
            f"the rehearsal stopped: 'foolscan {' '.join(step.arguments)}' ended with status {status} (see above)"
        )
