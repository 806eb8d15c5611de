"""Runs every measurement of tests/benchmarks and writes the README's table from their records. `make evidence` calls it.

A measurement is a script that takes `--to FOLDER`, writes `FOLDER/<its name>.json` with commit, machine, what, target,
figure and met, skips what it has measured at this commit already, and exits 0 when every figure meets its target; 2 where
this machine cannot measure it (no GPU), which is said and leaves no record.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "evidence"
README = ROOT / "README.md"
BEGIN, END = "<!-- evidence: written by `make evidence` -->", "<!-- end of evidence -->"

IMPOSSIBLE = 2

Record = Mapping[str, Any]


def records_in(folder: Path) -> dict[str, Record]:
    """The records of a folder, by the name of the measurement."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def rows_of(name: str, record: Record) -> Iterable[str]:
    """The table's rows for one measurement: what was measured and where, then each figure with its target if it has one."""
    figures, targets = record["figure"], record["target"]
    if not isinstance(figures, Mapping):
        figures, targets = {"": figures}, {"": targets}
    where = f"`{str(record['commit'])[:7]}`, {record['machine']}"
    yield f"| **{name.replace('_', ' ')}**: {shown(record['what'])} ({where}) | | |"
    for key, figure in figures.items():
        target = targets.get(key, "") if isinstance(targets, Mapping) else targets
        yield f"| {key.replace('_', ' ')} | {shown(figure)} | {shown(target)} |"


def shown(value: object) -> str:
    """A figure with four significant digits; anything else as it is, safe inside a table."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")


def table(records: Mapping[str, Record]) -> str:
    """The records as a Markdown table."""
    rows = [row for name, record in records.items() for row in rows_of(name, record)]
    return "\n".join(["| measured | figure | target |", "|---|---|---|", *rows])


def with_table(readme: str, records: Mapping[str, Record]) -> str:
    """The README with its table replaced; as it was when it has no place for one."""
    if BEGIN not in readme or END not in readme:
        return readme
    before, rest = readme.split(BEGIN, 1)
    return f"{before}{BEGIN}\n\n{table(records)}\n\n{END}{rest.split(END, 1)[1]}"


def main() -> int:
    """Run the measurements one after the other; 0 when all met their targets, else 1."""
    wanting = []
    for script in sorted((ROOT / "tests" / "benchmarks").glob("[!_]*.py")):
        print(f"evidence: {script.stem}", flush=True)
        begin = time.monotonic()
        status = subprocess.run([sys.executable, str(script), "--to", str(RECORDS)], cwd=ROOT, check=False).returncode
        print(f"evidence: {script.stem} ended with {status} after {time.monotonic() - begin:.0f} s", flush=True)
        if status == IMPOSSIBLE:
            print(f"evidence: {script.stem} cannot be measured on this machine", file=sys.stderr)
        elif status:
            wanting.append(script.stem)
    readme = README.read_text(encoding="utf-8")
    README.write_text(with_table(readme, records_in(RECORDS)), encoding="utf-8", newline="\n")
    if wanting:
        print(f"evidence: below target or failed: {', '.join(wanting)}", file=sys.stderr)
    return 1 if wanting else 0


if __name__ == "__main__":
    raise SystemExit(main())
