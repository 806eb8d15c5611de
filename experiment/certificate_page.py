"""The certificate as one page that can be printed, or shown on the operator's screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiment.certificate_plots import (
    interval_plot,
    onset_plot,
    pulse_cells,
    pulse_plot,
    response_plot,
    rows_of_cells,
)
from experiment.events import events_of
from experiment.journal import Journal
from protocols.folder import REHEARSAL_NOTE

if TYPE_CHECKING:
    from experiment.certificate import Certificate

TEMPLATE = Path(__file__).parent / "certificate_template"
# What is told on the page: so many remarks, letters of each, and squares; the JSON beside it has all.
MOST_REMARKS, LONGEST_REMARK, MANY_CELLS = 5, 300, 1200
# The page's height inside its border, px, and what stands on every page; heights of what comes on top, px.
PAGE_PX, ALWAYS_PX, REMARKS_PX, LINE_PX, NOTE_PX = 1052, 830, 40, 18, 15
LETTERS_OF_A_LINE, LETTERS_OF_A_NOTE = 80, 58


@dataclass(frozen=True)
class Figure:
    """One figure of the certificate: a name, a value, and what it is to be held against."""

    name: str
    value: str
    beside: str
    fine: bool = True


def page_of(certificate: Certificate, journal: Journal, hashes: Mapping[str, str]) -> str:
    """The certificate as a self-contained HTML page, the same for the same journal.

    certificate : of this journal.
    hashes      : file, relative to the study folder -> SHA-256.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    header, events = journal.header, events_of(journal)
    frame_s = 1.0 / header["refresh_hz"]
    cells = pulse_cells(journal)
    length_s = max(certificate.length_s, certificate.planned_length_s)
    return environment.get_template("certificate.html.j2").render(
        certificate=certificate,
        remarks=[_shortened(remark) for remark in certificate.remarks[:MOST_REMARKS]],
        scale=scale_of(certificate, len(cells)),
        run=header["run"],
        figures=figures_of(certificate, frame_s),
        onsets=onset_plot(events, frame_s, length_s),
        intervals=interval_plot(journal, frame_s),
        pulses=pulse_plot(cells) if 1 < len(cells) <= MANY_CELLS else None,
        responses=response_plot(events, float(header["response_window_s"]), length_s),
        question=header["question"],
        hashes=hashes,
        versions=header["versions"],
        system=header["system"],
        rehearsal_note=REHEARSAL_NOTE,
        percent=lambda share, of: f"{100 * share / of:.0f} %" if of else "–",
    )


def figures_of(certificate: Certificate, frame_s: float) -> list[Figure]:
    """The figures at the head of the page.

    frame_s : duration of a frame, s.
    """
    pulses = certificate.pulses
    worst_s = certificate.onset_error_max_s
    drift = "–" if pulses.drift_ppm is None else f"{pulses.drift_ppm:+.1f} ppm".replace("-", "−")
    if pulses.drift_se_ppm is not None:
        drift += f" ± {pulses.drift_se_ppm:.1f}"
    tr = "–" if pulses.tr_s is None else f"{pulses.tr_s:.5f} s"
    jitter = "" if pulses.jitter_s is None else f"jitter {1000 * pulses.jitter_s:.2f} ms SD"
    off_s = certificate.length_s - certificate.planned_length_s
    return [
        Figure(
            "onset error",
            f"{_ms(certificate.onset_error_median_s)} ms",
            f"p99 {_ms(certificate.onset_error_p99_s)} · max {_ms(worst_s)} · frame {1000 * frame_s:.1f}",
            worst_s is not None and worst_s <= frame_s,
        ),
        Figure(
            "dropped frames",
            str(certificate.frames_dropped),
            f"in {certificate.late_flips} of {certificate.flips} flips",
        ),
        Figure(
            "run length",
            f"{certificate.length_s:.3f} s",
            "at the participant's pace" if certificate.self_paced else f"planned {certificate.planned_length_s:.3f} s",
            certificate.self_paced or abs(off_s) <= 1.5 * frame_s,
        ),
        Figure(
            "pulses" if certificate.pulses_expected > 1 else "start signal",
            f"{pulses.seen} of {pulses.expected}",
            " · ".join(_beside_pulses(certificate)),
            pulses.seen == pulses.expected,
        ),
        Figure("scanner clock", drift, " · ".join(part for part in (f"TR {tr}", jitter) if part)),
        Figure(
            "responses",
            f"{certificate.responses} of {certificate.stimulus_trials}",
            f"{certificate.missed} without · {certificate.late_presses} late · {certificate.extra_presses} double",
            not any("no response" in remark for remark in certificate.remarks),
        ),
    ]


def _beside_pulses(certificate: Certificate) -> Iterator[str]:
    pulses = certificate.pulses
    if pulses.expected != certificate.pulses_expected:
        yield f"{certificate.pulses_expected} planned"
    yield f"{pulses.missed + pulses.lacking} missing"
    yield f"{pulses.extra} extra"
    yield f"{pulses.early + pulses.late} off time"
    if pulses.off_grid:
        yield f"{pulses.off_grid} off the grid"


def _shortened(remark: str) -> str:
    return remark if len(remark) <= LONGEST_REMARK else f"{remark[:LONGEST_REMARK].rsplit(' ', 1)[0]} …"


def scale_of(certificate: Certificate, n_cells: int) -> float:
    """By how much everything is made smaller so that it stays on one page, 1 or less.

    n_cells : squares of the pulses' grid.
    """
    remarks = [_shortened(remark) for remark in certificate.remarks[:MOST_REMARKS]]
    lines = sum(-(-len(remark) // LETTERS_OF_A_LINE) for remark in remarks)
    notes = sum(-(-len(note) // LETTERS_OF_A_NOTE) for note in certificate.notes)
    height_px = ALWAYS_PX + lines * LINE_PX + (REMARKS_PX + 5 * len(remarks) if remarks else 0)
    height_px += max(0, notes - 5) * NOTE_PX + (rows_of_cells(n_cells) + 3) * 12 + (42 if certificate.rehearsal else 0)
    return min(1.0, int(100 * PAGE_PX / height_px) / 100)


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:.2f}"
