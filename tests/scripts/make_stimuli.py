"""The stimuli of a study without the command line: images, activations, contact sheets.

Usage: python make_stimuli.py STUDY FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from protocols.folder import StudyFolder
from protocols.study import load_study
from stimuli.activations import activations
from stimuli.contact_sheet import contact_sheet
from stimuli.make import make


def main(study_name: str, root: str) -> None:
    """Make them, and print what was written."""
    study, folder = load_study(study_name), StudyFolder(Path(root))
    print(make(study, folder).manifest)
    print(*activations(study, folder), sep="\n")
    print(*contact_sheet(study, folder), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
