"""Random SIGKILLs during runs: what another process had sent before the kill must be in the journal that is left.

Each kill is a run of its own process (no screen, real time, pulses and presses over two pseudo-terminals), killed at a
random moment from its start to its end. Then the folder is recovered and validated. Kills come in batches, each
with a study folder of its own; a batch that was finished at this commit is not repeated. `--kills N` makes fewer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from _record import commit_now, measure_once
from _sender import file_of, has_flips
from _small_study import fill, small_study

from experiment.attempts import is_done, status_of
from experiment.bids import validate
from experiment.events import events_of
from experiment.journal import Journal, read_journal
from experiment.recover import recover
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import load_rig

HERE = Path(__file__).resolve().parent
KILLS = 1000
PER_BATCH = 50
AT_ONCE = 3
TR_S = 0.1
# What was sent this long before the kill must be there.
AGE_S = 0.05
# From a run's first flip to the end of its process, about: the moment of the kill is drawn from that.
LENGTH_S = 2.8
# A share of the kills comes earlier, as long after the process was started.
EARLY, START_S = 0.1, 0.8
# Kills in a row that are tried again because the run had ended before.
PATIENCE = 20
RIG = """format: 1
name: lines
display: {width_mm: 400.0, distance_mm: 800.0, size_px: [1024, 768], refresh_hz: 60.0, full_screen: false}
trigger: {kind: serial, port: PULSES, byte: t}
buttons: {kind: serial, port: BUTTONS, codes: {left: l, right: r}}
"""
# Phases in which the run had come to its planned end: what is not heard by then is late for the run, not lost by a kill.
ENDED = ("after the end", "events written")
BUTTON_OF = {"l": "left", "r": "right"}


@dataclass(frozen=True)
class Kill:
    """One kill.

    phase    : what the run was at.
    sent     : how many pulses and presses had been sent `AGE_S` before the kill (and before the run's end).
    lost     : how many of those are not in the journal.
    oldest_s : age, at the kill, of the oldest thing sent that is not in the journal, s; 0 when all is there.
    shown    : trials that events could be made of.
    """

    run: str
    phase: str
    sent: int
    lost: int
    oldest_s: float
    shown: int


def play(study: str, rig: str, folder: str, run_id: RunId) -> None:
    """The process that will be killed."""
    from experiment.run import run
    from protocols.study import load_study

    run(load_study(study), load_rig(rig), folder, run_id, stage="null")


def processes() -> Any:
    """How processes are started: forked from one that has loaded everything, where the system can."""
    kinds = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in kinds else "spawn")
    if "forkserver" in kinds:
        context.set_forkserver_preload(["__main__", "experiment.run", "experiment.certificate_page", "serial"])
    return context


def kill_one(folder: StudyFolder, run_id: RunId, seed: int, age_s: float) -> Kill | None:
    """Start a run, kill it at a random moment, compare; None when it had ended before."""
    chance, work = random.Random(seed), folder.root.parent
    log = work / f"{run_id.stem}.sent"
    log.unlink(missing_ok=True)
    sender = subprocess.Popen(
        [sys.executable, "-ES", str(HERE / "_sender.py"), log, folder.journal(run_id), str(seed), str(TR_S)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert sender.stdout is not None
        pulses, buttons = sender.stdout.readline().split()
        rig = work / f"{run_id.stem}.yaml"
        rig.write_text(RIG.replace("PULSES", pulses).replace("BUTTONS", buttons), encoding="utf-8")
        arguments = (str(work / "small.yaml"), str(rig), str(folder.root), run_id)
        victim = processes().Process(target=play, args=arguments, daemon=True)
        earlier = file_of(folder.journal(run_id))
        victim.start()
        if chance.random() < EARLY:
            victim.join(chance.uniform(0.0, START_S))
        else:
            while victim.is_alive() and not has_flips(folder.journal(run_id), earlier):
                time.sleep(0.005)
            victim.join(chance.uniform(0.0, LENGTH_S))
        killed_s = time.perf_counter()
        ended = not victim.is_alive()
        victim.kill()
        victim.join()
        # 255: killed so soon that the process that forks did not yet know of it
        if victim.exitcode not in (0, -signal.SIGKILL, 255):
            raise RuntimeError(f"{run_id.stem}: the run ended by itself with {victim.exitcode}")
    finally:
        sender.kill()
        sender.communicate()
    return None if ended else compared(folder, run_id, log, killed_s, age_s)


def compared(folder: StudyFolder, run_id: RunId, log: Path, killed_s: float, age_s: float) -> Kill:
    """What was sent against what the journal holds."""
    journal = journal_of(folder, run_id)
    lines = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    sent = [(name, float(before_s), float(after_s)) for name, before_s, after_s in lines]
    until_s = min(killed_s, heard_until_s(journal))
    lost, oldest_s = 0, 0.0
    for wanted in (["t"], ["l", "r"]):
        mine = [item for item in sent if item[0] in wanted and item[2] <= until_s]
        there = [] if journal is None else journal.of("pulse" if wanted == ["t"] else "press")
        for number, (name, before_s, t_s) in enumerate(mine):
            found = there[number] if number < len(there) else None
            if found is not None and (found.get("button", "") != BUTTON_OF.get(name, "") or found["t_s"] < before_s):
                raise RuntimeError(f"{run_id.stem}: {found} in the journal, {name} was sent at {before_s}")
            if found is None:
                oldest_s = max(oldest_s, until_s - t_s)
                lost += t_s <= until_s - age_s
    old = sum(t_s <= until_s - age_s for _, _, t_s in sent)
    shown = 0 if journal is None else len(events_of(journal))
    return Kill(run_id.stem, phase_of(folder, run_id, journal), old, lost, oldest_s, shown)


def heard_until_s(journal: Journal | None) -> float:
    """When the run had come to its planned end (nobody listens after its last flip); ``inf`` when it had not."""
    if journal is None:
        return float("inf")
    last = round(journal.header["length_s"] * journal.header["refresh_hz"])
    ends_s = [flip["t_s"] for flip in journal.of("flip") if flip.get("frame", -1) >= last]
    return float(ends_s[0]) if ends_s else float("inf")


def journal_of(folder: StudyFolder, run_id: RunId) -> Journal | None:
    """The journal that was left; None when there is none, or none of its header."""
    try:
        return read_journal(folder.journal(run_id)) if folder.journal(run_id).exists() else None
    except FoolscanError:
        return None


def phase_of(folder: StudyFolder, run_id: RunId, journal: Journal | None) -> str:
    """What the run was at."""
    if journal is None:
        return "before the first flip"
    if heard_until_s(journal) < float("inf"):
        return "events written" if is_done(folder, run_id) else "after the end"
    return "trials" if journal.of("pulse") else "waiting"


def slot(folder: StudyFolder, first: int, count: int, age_s: float) -> list[Kill]:
    """Kill `count` runs, one after the other; half of those that were cut off are started again, and killed again."""
    kills: list[Kill] = []
    sub, tries = first, 0
    while len(kills) < count:
        run_id = RunId(f"{sub:04d}", "01", "animals", 1)
        kill = kill_one(folder, run_id, seed=1_000_000 * tries + sub * 10 + len(kills), age_s=age_s)
        tries += 1
        if tries > PATIENCE + 5 * count:
            raise RuntimeError("runs end before they can be killed")
        if kill is not None:
            kills.append(kill)
        if kill is None or sub % 2 or status_of(folder, run_id) not in ("aborted", "pending") or tries % 3 == 0:
            sub += 1
    return kills


def batch(work: Path, number: int, count: int, age_s: float) -> dict[str, Any]:
    """Kill the runs of one study folder, recover it, validate it."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    study = small_study(work, scan=f"{{tr_s: {TR_S}, volumes: 20}}", times=0.05)
    folder = fill(work / "study", study, load_rig_of_batch(work))
    shares = [count // AT_ONCE + (place < count % AT_ONCE) for place in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        firsts = [number * 2000 % 9000 + 300 * place for place in range(AT_ONCE)]
        kills = [kill for some in pool.map(slot, [folder] * 3, firsts, shares, [age_s] * 3) for kill in some]
    problems = problems_after(folder)
    shutil.rmtree(work, ignore_errors=True)
    return {"kills": [asdict(kill) for kill in kills], "problems": problems}


def load_rig_of_batch(work: Path) -> Any:
    """The rig with ports that are not there: only its screen matters for the images."""
    (work / "lines.yaml").write_text(RIG, encoding="utf-8")
    return load_rig(work / "lines.yaml")


def problems_after(folder: StudyFolder) -> list[str]:
    """Recover the folder, and every attempt in it; what does not come out as it should."""
    found = []
    for recovered in recover(folder.root, validated=False):
        if recovered.events is None and not any(
            word in recovered.note for word in ("kept", "has its events", "no trial was shown", "no header of journal")
        ):
            found.append(f"{recovered.journal.name}: {recovered.note}")
    for path in sorted(folder.journals.glob("*_journal.jsonl")):
        try:
            journal = read_journal(path)
        except FoolscanError:
            continue  # killed before the header was written: nothing was shown
        shown = len(events_of(journal))
        events = folder.events(RunId(**journal.header["run"]))
        if "_aborted-" in path.name:
            events = recover(folder.root, path, validated=False)[0].events or events
        rows = len(events.read_text(encoding="utf-8").splitlines()) - 1 if shown else 0
        if rows != shown:
            found.append(f"{path.name}: {shown} trials shown, {rows} in {events.name}")
    again = [item.note for item in recover(folder.root, validated=False) if item.events is not None]
    found += [f"recovering twice wrote twice: {note}" for note in again]
    left = [path.name for path in folder.root.rglob("*") if ".tmp" in path.name and "_run-" in path.name]
    found += [f"left behind: {name}" for name in left]
    return found + [f"BIDS: {error}" for error in validate(folder.root).errors]


def measure(count: int, work: Path, age_s: float = AGE_S) -> dict[str, float]:
    """All batches; those on disk are not repeated."""
    results = []
    for number, first in enumerate(range(0, count, PER_BATCH)):
        here = min(PER_BATCH, count - first)
        record = work / f"batch-{number:03d}-of-{here}.json"
        if not record.exists():
            done = batch(work / "now", number, here, age_s)
            record.write_text(json.dumps(done), encoding="utf-8", newline="\n")
        results.append(json.loads(record.read_text(encoding="utf-8")))
        kills = results[-1]["kills"]
        phases = Counter(kill["phase"] for kill in kills)
        worst_ms = 1000 * max(kill["oldest_s"] for kill in kills)
        print(
            f"batch {number}: {len(kills)} kills, lost {sum(kill['lost'] for kill in kills)}, oldest {worst_ms:.0f} ms, "
            f"{dict(phases)}, problems {results[-1]['problems']}",
            flush=True,
        )
    kills = [kill for result in results for kill in result["kills"]]
    ages_s = sorted(kill["oldest_s"] for kill in kills if kill["phase"] not in ENDED)
    return {
        "kills": len(kills),
        "kills_during_trials": sum(kill["phase"] == "trials" for kill in kills),
        "sent_50_ms_before": sum(kill["sent"] for kill in kills),
        "of_these_lost": sum(kill["lost"] for kill in kills if kill["phase"] not in ENDED),
        "late_at_the_planned_end": sum(kill["lost"] for kill in kills if kill["phase"] in ENDED),
        "oldest_lost_median_ms": 1000 * ages_s[len(ages_s) // 2],
        "oldest_lost_p99_ms": 1000 * ages_s[int(0.99 * (len(ages_s) - 1))],
        "oldest_lost_max_ms": 1000 * ages_s[-1],
        "folders_or_events_with_problems": sum(len(result["problems"]) for result in results),
    }


def met(figures: Mapping[str, float]) -> bool:
    """Nothing old was lost, everything was recovered."""
    return figures["of_these_lost"] == 0 and figures["folders_or_events_with_problems"] == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kills", type=int, default=KILLS)
    kills = parser.parse_known_args()[0].kills
    place = Path(tempfile.gettempdir()) / f"foolscan-sigkill-{commit_now()[:12]}"
    place.mkdir(exist_ok=True)
    what = (
        "SIGKILL at random moments of runs; pulses and presses sent by another process, against the recovered journal"
    )
    targets = {"kills": f"{KILLS}", "of_these_lost": "0", "folders_or_events_with_problems": "0"}
    raise SystemExit(measure_once(__file__, what, targets, lambda: measure(kills, place), met))
