"""Runs pip as if it ran on another system: its own --platform changes which wheels it takes, not which packages.

A requirement with a condition (``pywin32; sys_platform == "win32"``) is judged by pip for the computer that it runs on. Run
as ``python pip_for_target.py MARKERS ARGUMENTS…``, with the other system's marker values (PEP 508) as JSON.
"""

from __future__ import annotations

import json
import sys

UNKNOWN_PIP = 3


def main() -> int:
    """Put the other system's marker values in, see that pip takes them, and let it do its work."""
    from pip._vendor.packaging import markers

    theirs: dict[str, str] = json.loads(sys.argv[1])
    here = markers.default_environment
    markers.default_environment = lambda: {**here(), **theirs}  # type: ignore[assignment, typeddict-item, return-value]
    if not all(markers.Marker(f"{name} == {json.dumps(value)}").evaluate() for name, value in theirs.items()):
        print("this version of pip does not let conditions be judged for another system", file=sys.stderr)
        return UNKNOWN_PIP
    from pip._internal.cli.main import main as pip

    return pip(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
