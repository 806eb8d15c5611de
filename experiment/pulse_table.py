"""Pulse reports for people: a table of runs, and sentences on what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from experiment.correct_onsets import RunPulses


def pulse_table(runs: Sequence[RunPulses]) -> Table:
    """One line for each run: pulses seen of those expected, missed, extra, TR, jitter and drift."""
    table = Table(title="Pulses")
    table.add_column("run", no_wrap=True)
    for name in ("seen", "missed", "extra", "lacking", "TR, s", "jitter, ms", "drift, ppm"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in runs:
        report = item.report
        table.add_row(
            item.run.stem,
            f"{report.seen}/{report.expected}",
            str(report.missed),
            str(report.extra),
            f"{report.lacking} ({item.correction.hypothesis})" if item.correction else str(report.lacking),
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
        if report.hypotheses and item.correction is None:
            yield f"{run.stem}: {report.lacking} of {report.expected} pulses lack at the beginning or the end:"
            yield from (f"  {hypothesis.sentence}" for hypothesis in report.hypotheses)
            options = f"--sub {run.sub} --ses {run.ses} --task {run.task} --run {run.run}"
            yield f"  then: foolscan experiment correct-onsets FOLDER {options} --hypothesis {report.hypotheses[0].name}"


def _number(value: float | None, how: str) -> str:
    return "n/a" if value is None else format(value, how)
