"""One seed for each thing, from the study's seed and the thing's id."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_for(study_seed: int, thing_id: str) -> int:
    """The seed of one thing (a stimulus, a run, a bootstrap), whatever else is drawn before it.

    study_seed : the seed in the study file, any non-negative integer.
    thing_id   : a name that is unique in the study, such as ``"stimulus/AN-otter/attempt-0"``.

    Returns an integer in [0, 2**63): the first 63 bits of SHA-256 over ``"{study_seed}/{thing_id}"``.
    """
    digest = hashlib.sha256(f"{study_seed}/{thing_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(study_seed: int, thing_id: str) -> np.random.Generator:
    """A fresh generator for one thing (see `seed_for`)."""
    return np.random.default_rng(seed_for(study_seed, thing_id))
