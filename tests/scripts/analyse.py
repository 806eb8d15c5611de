"""The analysis without the command line: simulated images, betas, RDMs, similarity, report.

Usage: python analyse.py STUDY FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from analysis.betas import estimate_betas
from analysis.compare import compare
from analysis.rdms import rdms
from analysis.report import report
from analysis.simulate_bold import simulate_bold
from protocols.folder import StudyFolder
from protocols.study import load_study


def main(study_name: str, root: str) -> None:
    """Do what five commands do, one after the other, and print what stands at the end."""
    study, folder = load_study(study_name), StudyFolder(Path(root))
    for step in (simulate_bold, estimate_betas, rdms, compare, report):
        for path in step(study, folder):
            print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
