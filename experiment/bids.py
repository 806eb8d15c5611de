"""The BIDS validator's judgement of a study folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.problems import FoolscanError

TIMEOUT_S = 300.0
# At the end of a run nobody waits longer for the validator.
VERDICT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class BidsIssues:
    """What the validator found: one line per issue (code and file)."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class BidsVerdict:
    """What is known of a folder's BIDS validity.

    checked : whether a validator has looked at it; if not, `note` says why, and nothing is claimed.
    note    : in a few words.
    """

    checked: bool
    note: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


NOT_ASKED = BidsVerdict(False, "not validated with this run")


def verdict(root: Path, timeout_s: float = VERDICT_TIMEOUT_S) -> BidsVerdict:
    """The validator's judgement for a certificate: a validator that is missing or silent is stated, not failed.

    root      : a BIDS dataset.
    timeout_s : after this long the participant is not kept waiting, s.
    """
    try:
        issues = validate(root, timeout_s)
    except FoolscanError as error:
        return BidsVerdict(False, f"not validated: {error}")
    errors, warnings = len(issues.errors), len(issues.warnings)
    note = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    return BidsVerdict(True, note, issues.errors, issues.warnings)


def kinds_of(issues: Sequence[str]) -> list[str]:
    """The kinds of issues, each once, and in how many files it was found; keys that are only recommended in one item.

    issues : as in `BidsVerdict`: a code, what it is about, and the file (from its first ``/`` on).
    """
    counts = Counter(issue.split(" /")[0] for issue in issues)
    recommended = [kind.split(" ", 1)[1] for kind in counts if "_KEY_RECOMMENDED " in kind]
    kinds = [kind if count == 1 else f"{kind} (in {count} files)" for kind, count in counts.items()]
    found = [kind for kind in kinds if "_KEY_RECOMMENDED " not in kind]
    return found + ([f"recommended: {', '.join(recommended)}"] if recommended else [])


def validate(root: Path, timeout_s: float = TIMEOUT_S) -> BidsIssues:
    """Run bids-validator-deno over a folder; it works offline and takes a few seconds.

    root      : a BIDS dataset.
    timeout_s : how long it may take, s.

    Raises FoolscanError when the validator is not installed or gives no answer.
    """
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent)) or shutil.which(
        "bids-validator-deno"
    )
    if program is None:
        raise FoolscanError("the BIDS validator is not installed; remedy: pip install bids-validator-deno")
    try:
        done = subprocess.run(
            [program, str(root), "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise FoolscanError(f"{root}: the BIDS validator gave no answer within {timeout_s:.0f} s") from error
    except OSError as error:
        raise FoolscanError(f"the BIDS validator does not start ({error}); install it again") from error
    try:
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (ValueError, KeyError) as error:
        raise FoolscanError(f"{root}: the BIDS validator gave no answer ({done.stderr.strip()[-300:]})") from error
    return BidsIssues(_of(issues, "error"), _of(issues, "warning"))


def _of(issues: list[dict], severity: str) -> tuple[str, ...]:
    """One line per issue; the validator's explanations run over many, of which the first says it."""
    found = [issue for issue in issues if issue.get("severity") == severity]
    lines = []
    for issue in found:
        parts = [str(issue[key]) for key in ("code", "subCode", "location") if issue.get(key)]
        message = str(issue.get("issueMessage") or "").strip().splitlines()[:1]
        lines.append(" ".join([*parts, *message]))
    return tuple(lines)
