"""The names of keys: what PsychoPy calls them, on any system and with any of its ways to read a keyboard."""

from __future__ import annotations

import difflib
from string import ascii_lowercase, digits

MOST_SUGGESTED = 3

_MOVES = "up down left right home end pageup pagedown insert delete backspace tab space return escape menu"
_MODIFIERS = (
    "lshift rshift lctrl rctrl lalt ralt lwindows rwindows lcommand rcommand loption roption lmeta rmeta "
    "capslock numlock scrolllock function"
)
_MORE = "pause print break clear help sysreq linefeed"
_SIGNS = (
    "minus equal comma period slash backslash semicolon apostrophe grave quoteleft bracketleft bracketright less pound "
    "exclamation doublequote hash dollar percent ampersand parenleft parenright asterisk plus colon greater question at "
    "asciicircum underscore braceleft bar braceright asciitilde"
)
_NUMBER_PAD = "divide multiply subtract add enter decimal equal"

KEY_NAMES: frozenset[str] = frozenset(
    [
        *ascii_lowercase,
        *digits,
        *(f"f{number}" for number in range(1, 21)),
        *f"{_MOVES} {_MODIFIERS} {_MORE} {_SIGNS}".split(),
        *(f"num_{name}" for name in (*digits, *_NUMBER_PAD.split())),
    ]
)
ALLOWED = (
    "a letter or digit (f, 5), f1 to f20, num_0 to num_9, space, return, escape, tab, backspace, an arrow (left, right, "
    "up, down), or the name of a sign or control key (comma, minus, lctrl)"
)

# What people write for keys that PsychoPy calls otherwise.
_OTHER_NAMES = {
    **{"enter": "return", "esc": "escape", "spacebar": "space", "ctrl": "lctrl", "shift": "lshift", "alt": "lalt"},
    **{"control": "lctrl", "cmd": "lcommand", "page_up": "pageup", "page_down": "pagedown", "del": "delete"},
    **{"-": "minus", "=": "equal", ",": "comma", ".": "period", "/": "slash", "\\": "backslash", ";": "semicolon"},
    **{"'": "apostrophe", "`": "grave", "[": "bracketleft", "]": "bracketright", "<": "less", "#": "pound"},
    **{"^": "asciicircum", "+": "plus", "*": "asterisk", "!": "exclamation", "?": "question", "@": "at"},
}


def near_names(key: str) -> tuple[str, ...]:
    """The names of keys that may have been meant by something that is none, the likeliest first."""
    wanted = key.strip().casefold()
    if wanted in KEY_NAMES:
        return (wanted,)
    if wanted in _OTHER_NAMES:
        return (_OTHER_NAMES[wanted],)
    for prefix in ("kp_", "keypad_", "numpad_", "numpad", "num"):
        if wanted.startswith(prefix) and (name := f"num_{wanted.removeprefix(prefix)}") in KEY_NAMES:
            return (name,)
    # A name of one or two letters is near to any other: only longer ones are looked for.
    longer = sorted(name for name in KEY_NAMES if len(name) > 2)
    return tuple(difflib.get_close_matches(wanted, longer, MOST_SUGGESTED)) if len(wanted) > 2 else ()
