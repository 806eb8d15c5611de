"""Headers of every answer: what a page may load, who may show it in a frame, and that nothing is kept or guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

from experiment.online.recruiters.recruiter import Recruiter

Header = tuple[bytes, bytes]
Caching = Literal["never", "revalidated"]
"""Whether a browser may keep an answer: never, or if it asks each time whether it is still the same."""

PERMISSIONS = (
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "encrypted-media",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
"""What the page never asks a browser for; fullscreen and keeping the screen awake stay its own."""

_CACHE_CONTROL: dict[Caching, bytes] = {"never": b"no-store", "revalidated": b"no-cache"}


def content_policy(*, frame_ancestors: Sequence[str] = (), form_action: Sequence[str] = (), loads: bool = False) -> str:
    """A content security policy (CSP level 3).

    frame_ancestors : sources that may show the page in a frame; empty: none may.
    form_action     : addresses to which it may post a form, besides its own; empty: none, or its own where it loads.
    loads           : whether it is a page, which may load scripts, styles and images of its own; else it may load nothing.
    """
    parts = ["default-src 'none'", "base-uri 'none'"]
    if loads:
        parts += [
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "font-src 'self'",
        ]
    posts = ["'self'", *map(_source, form_action)] if loads else ["'none'"]
    parts.append(f"form-action {' '.join(posts)}")
    parts.append(f"frame-ancestors {' '.join(map(_source, frame_ancestors)) or chr(39) + 'none' + chr(39)}")
    return "; ".join(parts)


def headers(recruiter: Recruiter | None = None, *, page: bool = False, caching: Caching = "never") -> list[Header]:
    """The headers of an answer.

    recruiter : whose page it is; None: of none, which nobody may show in a frame.
    page      : whether it is a page for people.
    caching   : whether browsers may keep it.
    """
    ancestors = recruiter.frame_ancestors if recruiter and page else ()
    posts = recruiter.form_action if recruiter and page else ()
    policy = content_policy(frame_ancestors=ancestors, form_action=posts, loads=page)
    made = [
        (b"content-security-policy", policy.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"permissions-policy", ", ".join(f"{name}=()" for name in PERMISSIONS).encode("ascii")),
        (b"cache-control", _CACHE_CONTROL[caching]),
        # A page in a recruiter's frame belongs to a group of windows that is not ours: isolating it would only break the frame.
        (b"cross-origin-opener-policy", b"unsafe-none" if ancestors else b"same-origin"),
        (b"cross-origin-resource-policy", b"cross-origin" if ancestors else b"same-origin"),
    ]
    if not ancestors:
        made.append((b"x-frame-options", b"DENY"))  # for browsers that do not know frame-ancestors
    return made


def _source(address: str) -> str:
    """A source as a policy names it; an address with a query or with what would end the directive is none."""
    parts = urlsplit(address)
    if not address.isascii() or any(letter in address for letter in " ;,'\"\r\n\t") or parts.query or parts.fragment:
        raise ValueError(
            f"found {address!r}, expected a source of a content security policy, such as https://example.org"
        )
    return address
