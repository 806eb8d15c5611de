"""The BIDS validator's judgement of a study folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from protocols.problems import FoolscanError

TIMEOUT_S = 300.0


@dataclass(frozen=True)
class BidsIssues:
    """What the validator found: one line per issue (code and file)."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def validate(root: Path) -> BidsIssues:
    """Run bids-validator-deno over a folder; it works offline and takes a few seconds.

    root : a BIDS dataset.

    Raises FoolscanError when the validator is not installed or gives no answer.
    """
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent)) or shutil.which(
        "bids-validator-deno"
    )
    if program is None:
        raise FoolscanError("the BIDS validator is not installed; remedy: pip install bids-validator-deno")
    done = subprocess.run(
        [program, str(root), "--json"], capture_output=True, text=True, encoding="utf-8", timeout=TIMEOUT_S
    )
    try:
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (ValueError, KeyError) as error:
        raise FoolscanError(f"{root}: the BIDS validator gave no answer ({done.stderr.strip()[-300:]})") from error
    return BidsIssues(_of(issues, "error"), _of(issues, "warning"))


def _of(issues: list[dict], severity: str) -> tuple[str, ...]:
    found = [issue for issue in issues if issue.get("severity") == severity]
    return tuple(
        " ".join(str(issue[key]) for key in ("code", "subCode", "location", "issueMessage") if issue.get(key))
        for issue in found
    )
