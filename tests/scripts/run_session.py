"""One session without the command line: the runs of one visit, in one window, with scanner and observer emulated.

Usage: python run_session.py STUDY RIG FOLDER SUB SES N_RUNS
"""

from __future__ import annotations

import sys

from experiment.rigging import opened_stage
from experiment.run import run
from protocols.folder import RunId
from protocols.rig import load_rig
from protocols.study import load_study


def main(study_name: str, rig_name: str, folder: str, sub: str, ses: str, n_runs: str) -> None:
    """Show the runs one after the other, and print how each went."""
    study, rig = load_study(study_name), load_rig(rig_name)
    with opened_stage("window", rig, study.tasks["animals"]) as stage:
        for number in range(1, int(n_runs) + 1):
            result = run(study, rig, folder, RunId(sub, ses, "animals", number), stage=stage)
            print(result.events, "passed" if result.certificate.passed else result.certificate.remarks)


if __name__ == "__main__":
    main(*sys.argv[1:])
