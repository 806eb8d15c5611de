"""The operator's page in the middle of a study, from the real page in a real browser: docs/pictures/online_operator.png.

Usage: python operator_picture.py FILE
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import uvicorn
from browser import chromium, visiting
from finished_crowd import complete
from online_study import Clock, answer_to, crop_study
from PIL import Image

from experiment.online.crowd import Crowd
from experiment.online.messages import Answers
from experiment.online.operator_api import operator_app
from experiment.online.recruiters.recruiter import Arrival
from experiment.online.tokens import sha256_of_token

TOKEN = "a-token-for-a-picture-of-the-operators-page"
PEOPLE, PER_LIST = 44, 24
STARTED_S = 3270.0  # before now: what the crowd's visits take, one after the other
COMMENTS = {
    5: "Some were really hard, but fun.",
    17: "Was schön, aber ein bisschen lang.",
    31: "The picture with the harp!",
}


def crowd_in_the_middle(crowd: Crowd, clock: Clock) -> None:
    """People come every minute or so; a few are careless, one leaves, the last ones are under way."""
    chance = np.random.default_rng(7)
    for number in range(PEOPLE):
        person = crowd.join("link", Arrival(f"w{number}"), "en").result()
        careless, leaves = number in (9, 26), number == 14
        trials = person.session_state.plan.trials
        until = len(trials) if number < PEOPLE - 3 else int(chance.integers(3, len(trials)))
        pace_ms = float(chance.lognormal(np.log(900), 0.25))
        for trial in trials[: 8 if leaves else until]:
            clock.move((1500 + pace_ms) / 60_000)  # fixation, and a moment between trials
            rt_ms = 120.0 if careless else float(pace_ms * chance.lognormal(0, 0.2))
            sent = answer_to(
                trial, crowd.design.plan.questions, person.session_state.plan.options, right=not careless, rt_ms=rt_ms
            )
            crowd.hold(person.token, Answers(answers=[sent])).result()
        if leaves:
            crowd.withdraw(person.token, False).result()
        elif until == len(trials):
            complete(crowd, person.token, COMMENTS.get(number, ""))
        clock.move(float(chance.exponential(0.4)) if number < PEOPLE - 4 else 0.0)


def photographed(file: Path) -> None:
    """Serve the page of such a crowd, and take its picture."""
    with tempfile.TemporaryDirectory() as work:
        study, folder = crop_study(Path(work), n_pairs=20, attention_every=10, per_list=PER_LIST, pairs_of_each=3)
        clock = Clock()
        with Crowd.open(study, folder, now_ms=clock) as crowd:
            clock.now_ms = round(1000 * (time.time() - STARTED_S))
            crowd_in_the_middle(crowd, clock)
            print(f"the crowd's last answer came {time.time() - clock.now_ms / 1000:.0f} s ago")
            app = operator_app(crowd, study, folder, sha256_of_token(TOKEN))
            server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
            thread = threading.Thread(target=server.run)
            thread.start()
            while not server.started:
                pass
            port = server.servers[0].sockets[0].getsockname()[1]
            with chromium() as browser, visiting(browser, viewport={"width": 1300, "height": 830}) as visitor:
                visitor.page.goto(f"http://127.0.0.1:{port}/#{TOKEN}")
                visitor.page.wait_for_timeout(1500)
                visitor.page.screenshot(path=file)
            server.should_exit = True
            thread.join()
    picture = Image.open(file).convert("RGB")
    picture.quantize(128).save(file, optimize=True)


if __name__ == "__main__":
    photographed(Path(sys.argv[1]))
