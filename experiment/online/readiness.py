"""What must be right before anybody is let in: languages, entrances, addresses, ports; each mistake with its remedy."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from experiment.online.recruiters import by_name
from experiment.online.recruiters.recruiter import Recruiter
from protocols.online_plan import OnlinePlan
from protocols.problems import FoolscanError

MAY_BE_SILENT = ("saying.rest", "saying.debriefing")
"""Texts without which people can be asked to take part."""
ONLY_HTTPS = ("mturk", "mturk_sandbox")
"""Recruiters that show the page in a frame of theirs, which browsers allow over TLS alone."""


def speaks(plan: OnlinePlan, study: str) -> list[str]:
    """Check that everything is said in the study's own language.

    study : its name, for messages.

    Returns remarks on languages in which only part is said: they are not offered.
    Raises FoolscanError naming every text that is lacking in the study's own.
    """
    needed = {key: texts for key, texts in plan.texts() if key not in MAY_BE_SILENT or texts}
    lacking = [key for key, texts in needed.items() if plan.language not in texts]
    if lacking:
        raise FoolscanError(
            f"{study}: online: found no text in {plan.language} for {', '.join(lacking)}; say it in the study's language "
            "(online.language), or choose another one"
        )
    begun = dict.fromkeys(language for texts in needed.values() for language in texts)
    remarks = []
    for language in begun:
        if language not in plan.languages:
            missing = ", ".join(key for key, texts in needed.items() if language not in texts)
            remarks.append(f"language {language} is not offered: it lacks {missing}")
    return remarks


def entrances(names: Sequence[str], plan: OnlinePlan) -> dict[str, Recruiter]:
    """The recruiters of these names, in order. Raises FoolscanError for none, or one that is not known."""
    if not names:
        raise FoolscanError("--recruiter: found none; people must come from somewhere: link, lab, mturk")
    return {name: by_name(name, plan) for name in dict.fromkeys(names)}


def public_address(url: str) -> str:
    """The address that people see, without a slash at its end.

    Raises FoolscanError for what is no such address.
    """
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise FoolscanError(
            f"--public-url: found {url!r}, expected the address that people see, as in https://lab.example.org"
        )
    return url.rstrip("/")


def remarks_on(host: str, recruiters: Sequence[str], public: str | None, operator: str = "127.0.0.1") -> list[str]:
    """What is to be minded about an address before people are sent there."""
    remarks = []
    if not is_loopback(host):
        remarks.append(
            f"{host} can be reached from other computers, and what is sent is not encrypted: put a proxy with TLS in front "
            "(see docs/online.md), let the server listen on 127.0.0.1, and name the proxy with --trust-proxy"
        )
    if not is_loopback(operator):
        remarks.append(
            f"{operator} can be reached from other computers, and the operator's token is sent to it unencrypted: leave it at 127.0.0.1 "
            "and come by ssh -L, or through a proxy with TLS"
        )
    if "lab" in recruiters and (public or not is_loopback(host)):
        remarks.append(
            "lab: from everywhere anybody can take part under any label, or go on in somebody's place; open only the entrances "
            "that you need, with --recruiter"
        )
    framed = [name for name in recruiters if name in ONLY_HTTPS]
    if framed and not (public or "").startswith("https://"):
        remarks.append(
            f"{framed[0]}: workers can only be shown a page at an https:// address; name yours with --public-url"
        )
    return remarks


def is_loopback(host: str) -> bool:
    """Whether a host is this computer and no other can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bound(host: str, port: int, option: str) -> socket.socket:
    """A socket on which a server may listen; nobody else gets the port from now on.

    port   : 0: any that is free.
    option : of the command line, for messages.

    Raises FoolscanError where that cannot be: the port is taken, or the host is not this computer's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError, OverflowError) as error:
        raise FoolscanError(f"--host: found {host!r}, expected a name or address of this computer ({error})") from error
    opened = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":  # there the other option would let two programs have one port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(2048)
    except OSError as error:
        opened.close()
        raise FoolscanError(_why_not(error, host, port, option)) from error
    return opened


def _why_not(error: OSError, host: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{option}: port {port} of {host} is taken by another program; end it, or choose another port with {option}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{option}: port {port} may not be opened by this user; choose one above 1023 with {option}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host: found {host}, which is no address of this computer; 127.0.0.1 is this computer alone, 0.0.0.0 all of its addresses"
    return f"{option}: port {port} of {host} cannot be opened ({error.strerror or error})"


def allow_open_files(wanted: int) -> int | None:
    """Let this process keep as many connections as it may, where the system counts them.

    wanted : connections and files.

    Returns how many it may have now; None where the system does not say.
    """
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            return soft
        return most
    return soft
