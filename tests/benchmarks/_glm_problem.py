"""The data of the measurements of first-level models, and the peak memory of a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from nilearn.glm.first_level import make_first_level_design_matrix
from pandas import DataFrame

Floats = npt.NDArray[np.float64]

SHAPE, VOLUMES, TR_S = (64, 64, 30), 300, 2.0
TRIALS, TRIAL_S = 120, 4.6
LARGEST_AUTOCORRELATION = 0.6


def design() -> tuple[Floats, Floats]:
    """120 images of 2 s under SPM's HRF, one column each, and 21 nuisance columns: motion, cosine drift, a constant."""
    rng = np.random.default_rng(0)
    onsets_s = 10 + TRIAL_S * np.arange(TRIALS) + rng.uniform(0, 0.4, TRIALS)
    table = DataFrame({"onset": onsets_s, "duration": 2.0, "trial_type": [f"trial_{i:03d}" for i in range(TRIALS)]})
    motion = rng.standard_normal((VOLUMES, 6)).cumsum(axis=0) / 50
    frame = make_first_level_design_matrix(
        (np.arange(VOLUMES) + 0.5) * TR_S, table, hrf_model="spm", drift_model="cosine", high_pass=0.01, add_regs=motion
    )
    matrix = frame.to_numpy(dtype=np.float64)
    return matrix[:, :TRIALS], matrix[:, TRIALS:]


def series(trials: Floats, nuisance: Floats, shape: tuple[int, int, int] = SHAPE) -> npt.NDArray[np.float32]:
    """A run, % signal change: every voxel its own responses, drift and AR(1) noise: (n_volumes, n_voxels)."""
    rng = np.random.default_rng(1)
    n_voxels = int(np.prod(shape))
    data = np.empty((len(trials), n_voxels), dtype=np.float32)
    matrix = np.column_stack([trials, nuisance]).astype(np.float32)
    for first in range(0, n_voxels, 8192):
        n_block = min(8192, n_voxels - first)
        rho = rng.uniform(0, LARGEST_AUTOCORRELATION, n_block).astype(np.float32)
        noise = rng.standard_normal((len(trials), n_block), dtype=np.float32)
        for row in range(1, len(noise)):
            noise[row] += rho * noise[row - 1]
        betas = rng.standard_normal((matrix.shape[1], n_block), dtype=np.float32)
        data[:, first : first + n_block] = matrix @ betas + noise
    return data


def timed_s(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long a piece of work takes, s, and what it gives."""
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage also counts what the process that started this one held
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def alone(script: str, *arguments: str) -> dict[str, Any]:
    """What a script prints as JSON on its last line, in a process of its own."""
    done = subprocess.run([sys.executable, script, *arguments], check=True, stdout=subprocess.PIPE, encoding="utf-8")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
