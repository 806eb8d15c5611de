"""A process that answers as fast as it can, and tells what was acknowledged: to be killed in the middle of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from threading import Thread

from online_study import answers_to

from experiment.online.crowd import Crowd
from experiment.online.messages import Answers
from experiment.online.recruiters.recruiter import Arrival
from protocols.folder import StudyFolder
from protocols.study import load_study


def answer(crowd: Crowd, name: str) -> None:
    """One person, who goes on where the server says; each acknowledged trial is a line ``session trial``."""
    came = crowd.join("simulated", Arrival(name), "en").result()
    for sent in answers_to(crowd, came.session_state):
        held = crowd.hold(came.token, Answers(answers=[sent])).result().held
        assert held == sent.trial
        sys.stdout.write(f"{came.session_state.session} {sent.trial}\n")
        sys.stdout.flush()


def main(study: str, folder: str, first: int) -> None:
    """Eight people at once, until all have answered or the process is killed.

    first : number of the first of them.
    """
    with Crowd.open(load_study(study), StudyFolder(Path(folder)), now_ms=lambda: time.time_ns() // 1_000_000) as crowd:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        threads = [Thread(target=answer, args=(crowd, f"w{first + k}")) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sys.stdout.write("ended\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
