"""The small studies of the experiment room's tests, for measurements."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "experiment")]
_study = importlib.import_module("experiment_study")

fill = _study.fill
small_study = _study.small_study
stimuli_of = _study.stimuli_of
