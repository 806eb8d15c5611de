"""Pulse reports for people: a table of runs, and sentences on what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiment.correct_onsets import RunPulses


def pulse_table(runs: Sequence[RunPulses]) -> Table:
    """One line for each run: pulses seen of those expected, missed, extra, off the grid, TR, jitter and drift."""
    table = Table(title="Pulses", box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("run", overflow="fold")
    for name in ("seen", "missed", "extra", "off\ngrid", "lacking", "TR\ns", "jitter\nms", "drift\nppm"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in runs:
        report = item.report
        table.add_row(
            f"sub-{item.run.sub} ses-{item.run.ses} {item.run.task} {item.run.run}",
            f"{report.seen}/{report.expected}",
            str(report.missed),
            str(report.extra),
            str(report.off_grid),
            str(report.lacking),
            _number(report.tr_s, ".5f"),
            _number(None if report.jitter_s is None else report.jitter_s * 1000, ".3f"),
            f"{_number(report.drift_ppm, '.1f')} ± {_number(report.drift_se_ppm, '.1f')}",
        )
    return table


def sentences(runs: Sequence[RunPulses]) -> Iterator[str]:
    """What is wrong, with both explanations where pulses are lacking, and the command that settles it."""
    for item in runs:
        report, run = item.report, item.run
        for stop_s in report.stops:
            yield f"{run.stem}: no pulses for a while from {stop_s:.1f} s after the first"
        if item.correction is not None:
            yield f"{run.stem}: onsets corrected by {item.correction.shift_s:g} s ({item.correction.hypothesis})"
        elif report.hypotheses:
            lack = "pulse lacks" if report.lacking == 1 else "pulses lack"
            yield f"{run.stem}: {report.lacking} of {report.expected} {lack} at the beginning or the end:"
            yield from (f"  {hypothesis.sentence}" for hypothesis in report.hypotheses)
            options = f"--sub {run.sub} --ses {run.ses} --task {run.task} --run {run.run}"
            yield f"  then: foolscan experiment correct-onsets FOLDER {options} --hypothesis {report.hypotheses[0].name}"


def _number(value: float | None, how: str) -> str:
    return "n/a" if value is None else format(value, how)
