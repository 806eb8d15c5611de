"""What the operator should know now, and act on."""

from __future__ import annotations

from experiment.operator.state import Alert, RunState

# From so many trials in a row without a response, the operator should speak to the participant.
MISSED_STREAK = 3
# The scanner is silent when a pulse is later than this many TRs, and this many pulses.
SILENT_TRS, SILENT_PULSES = 1.6, 2.6
# The journal of a run in real time grows with every frame; after this long without a word, its program has ended.
SILENT_JOURNAL_S = 2.0


def alerts(state: RunState, silent_s: float = 0.0) -> tuple[Alert, ...]:
    """What the operator should know now, alarms first.

    silent_s : for how long nothing has been written to the journal, s by the wall's clock.
    """
    found = [alert for _, alert in state.told]
    plan = state.plan
    if plan is not None and state.phase == "running":
        since_s = state.now_s - state.pulses.last_s
        due = state.pulses.seen and state.pulses.number + 1 < plan.pulses
        if (
            plan.scanner
            and due
            and not state.stopped
            and since_s > max(SILENT_TRS * plan.tr_s, SILENT_PULSES * plan.pulse_interval_s)
        ):
            found.append(Alert("alarm", f"no pulse for {since_s:.0f} s (TR {plan.tr_s:g} s): has the scanner stopped?"))
        if not state.presses and state.missed >= MISSED_STREAK:
            found.append(Alert("alarm", f"no press in {state.missed} trials: are the buttons connected and in hand?"))
        elif state.missed_streak >= MISSED_STREAK:
            found.append(
                Alert("alarm", f"no response in the last {state.missed_streak} trials: is the participant awake?")
            )
    if plan is not None and not state.ended and not plan.virtual and silent_s > SILENT_JOURNAL_S:
        found.append(Alert("alarm", f"nothing was logged for {silent_s:.0f} s: has the run's program ended?"))
    return tuple(sorted(found, key=lambda alert: alert.level != "alarm"))
