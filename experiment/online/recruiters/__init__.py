"""Recruiters: where people come from and how they are told that they are done; one interface, one module each."""

from __future__ import annotations

from importlib import import_module

from experiment.online.recruiters.recruiter import Recruiter, published
from protocols.online_plan import OnlinePlan

OWN = {"link": "link", "lab": "lab", "mturk": "mturk", "mturk_sandbox": "mturk"}
"""Name -> module of this package with a function `recruiter(name, plan)`."""


def by_name(name: str, plan: OnlinePlan) -> Recruiter:
    """The recruiter of a name: one of ours, or one that another package publishes.

    name : ``link``, ``lab``, ``mturk``, ``mturk_sandbox``, or an entry point of the group ``foolscan.recruiters``.
    plan : the study's `online:` section.

    Raises FoolscanError when there is none of that name, or when the plan lacks what it needs.
    """
    if name not in OWN:
        return published(name)
    found: Recruiter = import_module(f"{__name__}.{OWN[name]}").recruiter(name, plan)
    return found
