"""How much memory of this machine a process may still take: within its own limits and those of containers and batch systems."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def host_free_bytes() -> int:
    """Memory that this process may take now: the machine's, within the limits of the process and of its control groups."""
    limits = [int(psutil.virtual_memory().available), *_left_to_this_process()]
    if sys.platform == "linux":
        limits += left_in_cgroups(CGROUPS, OWN_CGROUPS)
    return max(0, min(limits))


def _left_to_this_process() -> list[int]:
    """What a limit on this process's addresses (`ulimit -v`) leaves, where there is one."""
    process = psutil.Process()
    if sys.platform != "linux":
        return []
    soft, _hard = process.rlimit(psutil.RLIMIT_AS)
    return [] if soft == psutil.RLIM_INFINITY else [int(soft) - process.memory_info().vms]


def left_in_cgroups(root: Path, own: Path) -> list[int]:
    """What the control groups of this process leave of their limits, files in the page cache not counted.

    root : where control groups are mounted.
    own  : the table of this process's groups.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _number, kinds, path = line.split(":", 2)
        if kinds == "":
            top, limit, used, cached = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in kinds.split(","):
            top, limit, used, cached = (
                root / "memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        else:
            continue
        group = PurePosixPath(path)
        for place in (group, *group.parents):  # inside a container only the root of the table can be read
            folder = top / str(place).lstrip("/")
            try:
                most = (folder / limit).read_text(encoding="utf-8").strip()
                if most == "max":
                    continue
                now = int((folder / used).read_text(encoding="utf-8"))
                facts = dict(
                    fact.split(maxsplit=1) for fact in (folder / "memory.stat").read_text("utf-8").splitlines()
                )
                left.append(int(most) - now + int(facts.get(cached, 0)))
            except (OSError, ValueError):
                continue
    return left
