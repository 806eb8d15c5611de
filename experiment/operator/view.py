"""The live view of a run for the operator's terminal: large progress, green while all is well, alarms in red."""

from __future__ import annotations

from rich.align import Align
from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from experiment.operator.alerts import alerts
from experiment.operator.big_digits import big
from experiment.operator.state import Alert, RunState, ShownTrial

GREEN, AMBER, RED, BLUE, GREY, WHITE = "#0a7d3c", "#e0a100", "#c2182b", "#274b78", "#8a8f98", "#ffffff"
RIGHT, WRONG, ANSWERED, NONE = "#2fbf71", "#ff5a5a", "#7fb2ff", "#8a8f98"
WIDE = 104  # columns from which the tall digits fit
ALERTS = 5
STYLE_OF_LEVEL = {"note": f"bold {AMBER}", "alarm": f"bold {WHITE} on {RED}"}


class LiveView:
    """A run's state as something rich can draw; it makes itself as wide as the terminal.

    state    : as folded from the journal.
    silent_s : for how long nothing has been logged, s.
    asking   : a question to the operator that stands over everything else, if any.
    """

    def __init__(self, state: RunState, silent_s: float = 0.0, asking: str = "") -> None:
        self._state, self._asking = state, asking
        self._alerts = alerts(state, silent_s)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Band, progress, figures, responses, alerts: from the top, in the order in which they matter."""
        blocks, width, height = _has_blocks(console), options.max_width, options.height or console.height
        state, found = self._state, self._alerts[:ALERTS]
        tall = width >= WIDE and height >= 24
        yield band(state, self._alerts, self._asking)
        if state.plan is not None:
            # What a low terminal cannot hold goes from the least important on: air, responses, figures; never the alerts.
            spare = height - 1 - 3 - (6 if tall else 4) - 1 - len(found)
            figures, responses, air = spare >= 8, spare >= 13, 1 if spare >= 16 else 0
            yield from [""] * air
            yield _progress(state, tall, blocks)
            yield from [""] * air
            yield _bar(state, width, blocks)
            yield from [""] * air
            if figures:
                yield _figures(state)
            if responses:
                yield _responses(state, width, blocks)
        for alert in found:
            yield Text(f"  {alert.text}".ljust(width), STYLE_OF_LEVEL[alert.level], no_wrap=True, overflow="ellipsis")


def band(state: RunState, found: tuple[Alert, ...], asking: str = "") -> RenderableType:
    """The one line that says how it is, in the colour of how it is."""
    alarms = sum(alert.level == "alarm" for alert in found)
    colour, ink = (RED if alarms or state.phase == "aborted" else GREEN), WHITE
    if state.phase in ("preparing", "waiting", "self-paced") and not alarms:
        colour = BLUE
    elif found and not alarms and state.phase != "aborted":
        colour, ink = AMBER, "black"
    if asking:
        colour, ink = RED, WHITE
    line = Table.grid(expand=True, padding=(0, 2))
    line.add_column(ratio=1)
    line.add_column(justify="right")
    plan = state.plan
    run = f"{'REHEARSAL  ' if plan.rehearsal else ''}{plan.run.replace('_', ' ')}" if plan else ""
    line.add_row(Text(asking or headline(state, found), f"bold {ink}"), Text(run, f"bold {ink}"))
    return Panel(line, style=f"{ink} on {colour}", box=ROUNDED, border_style=colour, padding=(0, 1))


def headline(state: RunState, found: tuple[Alert, ...]) -> str:
    """How it is, in a few words."""
    alarms, notes = (sum(alert.level == level for alert in found) for level in ("alarm", "note"))
    at_a_desk = state.plan is not None and not state.plan.scanner
    so_far = {
        "preparing": "GETTING READY",
        "waiting": "WAITING FOR THE START KEY" if at_a_desk else "WAITING FOR THE SCANNER",
        "self-paced": f"PARTICIPANT: {state.segment}",
        "running": "RUNNING",
        "complete": "COMPLETE",
        "aborted": f"ABORTED: {state.reason}",
    }[state.phase]
    if alarms:
        return f"{so_far}    {alarms} ALARM{'S' * (alarms != 1)}, see below"
    if notes:
        return f"{so_far}    {notes} note{'s' * (notes != 1)}"
    if state.phase == "complete":
        return f"{so_far}    the certificate follows"
    return f"{so_far}    all is well" if state.phase == "running" else so_far


def minutes(seconds: float) -> str:
    """``5:07``: minutes and seconds, to the nearest second."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def _progress(state: RunState, tall: bool, blocks: bool) -> RenderableType:
    plan = state.plan
    table = Table.grid(expand=True)
    table.add_column(ratio=3)
    table.add_column(ratio=2)
    table.add_row(*(Align.center(Text(name, f"bold {GREY}")) for name in ("TRIAL", "TIME LEFT")))
    left = minutes(state.left_s) if plan and plan.length_s > 0 else "-:--"
    trial = big(f"{state.trial}/{plan.n_trials if plan else 0}", blocks=blocks, tall=tall)
    time_left = big(left, blocks=blocks, tall=tall)
    table.add_row(*(Align.center(Text("\n".join(lines), WHITE)) for lines in (trial, time_left)))
    return table


def _bar(state: RunState, width: int, blocks: bool) -> RenderableType:
    """How much of the run is over; by time where that is planned, otherwise by trials."""
    plan = state.plan
    share = 0.0
    if plan is not None and plan.length_s > 0:
        share = min(1.0, state.elapsed_s / plan.length_s)
    elif plan is not None and plan.n_trials:
        share = state.trial / plan.n_trials
    length = max(10, width - 4)
    done = round(share * length)
    full, rest = ("█", "░") if blocks else ("#", ".")
    return Align.center(Text.assemble((full * done, RIGHT), (rest * (length - done), "#3a3f47")))


def _figures(state: RunState) -> RenderableType:
    table = Table.grid(expand=True)
    for _ in range(4):
        table.add_column(ratio=1)
    plan, pulses = state.plan, state.pulses
    tr_s, drift = state.tr_s, state.drift_ppm
    short = plan is not None and plan.scanner and pulses.missed
    table.add_row(
        _tile(*_volumes(state), WRONG if short else ""),
        _tile("TR", f"{tr_s:.4f} s" if tr_s else "-"),
        _tile("drift", f"{drift:+.0f} ppm" if drift is not None and pulses.seen > 9 else "-"),
        _tile("dropped frames", str(state.frames_dropped), AMBER if state.frames_dropped else ""),
    )
    names = (
        dict.fromkeys(row.trial_type for row in plan.rows if row.trial is not None and row.expected_answer)
        if plan
        else {}
    )
    right = {name: state.accuracy.get(name, (0, 0)) for name in sorted(names, reverse=True)}  # RE before AI
    shown = [
        _tile(f"{name} right", f"{hits}/{of}  {100 * hits / of:.0f} %" if of else "-")
        for name, (hits, of) in right.items()
    ][:2]
    shown += [_tile("right", "-")] * (2 - len(shown))
    shown += [
        _tile("no response", f"{state.missed} of {len(state.images)}", AMBER if state.missed else ""),
        _tile("on the screen", state.showing or "fixation"),
    ]
    table.add_row(*shown)
    return table


def _volumes(state: RunState) -> tuple[str, str]:
    """Volumes seen of those expected; where one signal starts the run, whether it came."""
    plan, seen = state.plan, state.pulses.volumes
    if plan is None or plan.pulses == 1:
        return "start signal", "came" if seen else "not yet"
    slices = max(1, round(plan.tr_s / plan.pulse_interval_s))
    return "volumes", f"{seen // slices} / {plan.pulses // slices}"


def _tile(label: str, value: str, colour: str = "") -> RenderableType:
    text = Text.assemble((f"{label}\n", GREY), (value, f"bold {colour or WHITE}"))
    return Panel(text, box=ROUNDED, border_style="#3a3f47", padding=(0, 1))


def _responses(state: RunState, width: int, blocks: bool) -> RenderableType:
    """The last trials with an image, the latest on the right."""
    n = max(3, (width - 4) // 11)
    places = range(max(0, len(state.images) - n), len(state.images))
    table = Table.grid(expand=True)
    for _ in places:
        table.add_column(justify="center", ratio=1)
    cells = [_response(state.images[place], state.over(place), blocks) for place in places]
    if cells:
        table.add_row(*cells)
    body: RenderableType = table if cells else Text("none yet", GREY)
    return Panel(
        body, title=Text("last responses", GREY), title_align="left", box=ROUNDED, border_style="#3a3f47", height=5
    )


def _response(trial: ShownTrial, over: bool, blocks: bool) -> Text:
    right, wrong, none = ("✓", "✗", "–") if blocks else ("ok", "x", "-")
    name = Text(f"{trial.trial_type}\n", GREY)
    time_s = trial.response_time_s
    if time_s is None:
        return name.append(f"{none}\nmissed" if over else "\n…" if blocks else "\n..", AMBER if over else GREY)
    if trial.correct is None:  # no right answer: what was answered
        return name.append(f"{(trial.response or trial.button or '?').replace('_', ' ')[:10]}\n", ANSWERED).append(
            f"{time_s:.2f} s", GREY
        )
    mark, colour = (right, RIGHT) if trial.correct else (wrong, WRONG)
    return name.append(f"{mark}\n", f"bold {colour}").append(f"{time_s:.2f} s", GREY)


def _has_blocks(console: Console) -> bool:
    return console.encoding.lower().startswith("utf") and not console.legacy_windows


def plain_line(state: RunState, silent_s: float = 0.0) -> str:
    """The state in one line of plain ASCII, for a log or a terminal that cannot draw."""
    plan = state.plan
    if plan is None:
        return "getting ready"
    right = ", ".join(f"{name} {hits}/{of} right" for name, (hits, of) in state.accuracy.items())
    parts = [
        f"{plan.run}: {state.phase}",
        f"trial {state.trial}/{plan.n_trials}",
        *([f"{minutes(state.left_s)} left"] if plan.length_s else []),
        f"pulses {state.pulses.volumes}/{plan.pulses}",
        f"dropped {state.frames_dropped}",
        f"no response {state.missed}",
        *([right] if right else []),
        *(f"{alert.level.upper()} {alert.text}" for alert in alerts(state, silent_s)),
    ]
    return "; ".join(parts)
