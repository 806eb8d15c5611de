"""The one page that stands in a bundle."""

from __future__ import annotations

from protocols.study import Study
from stimulus_pc.target import Target

PAGE = """{title}
{line}

This folder holds all that runs this study on a computer without a network ({platform}, Python {python}):
programs (wheels/), study ({study_file}), room ({rig_file}) and images (study/).

INSTALL    Copy the folder to the stimulus PC{short}, open a terminal in it, and type

    {launcher} install.py

It compares every file with checksums.sha256, makes the folder environment/, fills it from wheels/ alone, and ends with
what this computer can and cannot do. Python {python} itself must be there{get_python}.

RUN        In the same folder, with the participant's labels in place of 01:

    {session}

The board shows which runs are done, aborted and pending. A run writes into study/; nothing is ever overwritten.

BEFORE THE FIRST PARTICIPANT  Edit {rig_file} if ports or screen differ here, measure the light of this
display with a photodiode, and rehearse with nobody there in rehearsal/, a copy of study/:

    {foolscan} experiment photodiode --rig {rig_file}
    {foolscan} stimuli export {study_file} --rig rehearsal --to rehearsal
    {foolscan} experiment rehearse {study_file} --to rehearsal

AFTERWARDS  Bring the folder study/ back (a stick will do) to the computer that has the study folder:

    foolscan merge study --to THE-STUDY-FOLDER --dry-run
    foolscan merge study --to THE-STUDY-FOLDER

It copies what is new, leaves what is there, and refuses, with a list and before anything is written, what differs.
Change neither {study_file} nor the images here: runs that showed other images do not go back.
{linux}"""

LINUX = """
On Linux, PsychoPy also needs libraries of the system (OpenGL, X11, fontconfig); the last step of the installation says
what is missing, with a remedy for each.
"""


def readme(plan: Study, target: Target, study_file: str, rig_file: str, session: str) -> str:
    """The page: install, run, bring back."""
    title = f"{plan.title}: the stimulus PC"
    windows = target.platform == "windows"
    return PAGE.format(
        title=title,
        line="=" * len(title),
        platform={"linux": "Linux", "windows": "Windows", "macos": "macOS"}[target.platform],
        python=target.python,
        study_file=study_file,
        rig_file=rig_file,
        short=", to a short path such as C:\\foolscan" if windows else "",
        launcher=target.launcher,
        get_python=" (python.org's installer brings it, without a network too)" if windows else "",
        session=session,
        foolscan=f"{target.programs}foolscan",
        linux=LINUX if target.platform == "linux" else "",
    )
