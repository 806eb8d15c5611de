"""Secrets: participants' tokens, asset ids, pseudonyms and completion codes; of what opens a door, the server keeps a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path

from protocols.folder import read_json, write_private
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of_bytes

KEY_FORMAT = 1
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PSEUDONYM_LETTERS = 12
CODE_LETTERS = 16
"""80 bits: a code cannot be guessed."""


def new_token() -> str:
    """A participant's token: 256 random bits, 43 characters."""
    return secrets.token_urlsafe(32)


def new_session() -> str:
    """A session's id: 128 random bits, 32 hexadecimal digits."""
    return secrets.token_hex(16)


def sha256_of_token(token: str) -> str:
    """What is kept of a token or a code: its SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def pseudonym(key: bytes, recruiter: str, raw_id: str) -> str:
    """What a person is called: 12 small letters and digits, the same for the same recruiter and raw id, and nothing without the key."""
    return _letters(_keyed(key, "pseudonym", recruiter, raw_id), PSEUDONYM_LETTERS).lower()


def completion_code(key: bytes, session: str) -> str:
    """A session's completion code, four groups of four: always the same, so that it can be shown again and only its hash kept."""
    letters = _letters(_keyed(key, "completion code", session), CODE_LETTERS)
    return "-".join(letters[begin : begin + 4] for begin in range(0, CODE_LETTERS, 4))


def typed_code(typed: str) -> str:
    """A completion code as somebody typed it, in the form in which it was given: case, spaces, and O, I and L do not count."""
    letters = "".join(letter for letter in typed.upper() if letter.isalnum())
    letters = letters.translate(str.maketrans("OIL", "011"))
    return "-".join(letters[begin : begin + 4] for begin in range(0, len(letters), 4))


def key_check(key: bytes) -> str:
    """What a database keeps of its key, to know it again: nothing can be worked out from it."""
    return _keyed(key, "check").hex()[:16]


def read_key(path: Path) -> bytes:
    """The key of a crowd task, without which nobody's pseudonym can be worked out.

    Raises FoolscanError where there is none, or the file is no key.
    """
    if not path.exists():
        raise FoolscanError(
            f"{path}: no such file: without it nobody who comes again is known; restore it from a copy of this folder"
        )
    found = read_json(path)
    if found.get("format") != KEY_FORMAT:
        raise FoolscanError(f"{path}: format: found {found.get('format')!r}, this foolscan reads {KEY_FORMAT}")
    try:
        key = bytes.fromhex(str(found["key"]))
    except (KeyError, ValueError):
        key = b""
    if len(key) != 32:
        raise FoolscanError(f"{path}: key: expected 64 hexadecimal digits; restore it from a copy of this folder")
    return key


def make_key(path: Path, new: Callable[[], str] = lambda: secrets.token_hex(32)) -> bytes:
    """Make a key, readable by its owner alone where the system knows such."""
    write_private(path, {"format": KEY_FORMAT, "key": new()})
    return read_key(path)


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(sha256_of_bytes(one.encode()), sha256_of_bytes(other.encode()))


def _keyed(key: bytes, *parts: str) -> bytes:
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.digest(key, message, "sha256")


def _letters(digest: bytes, n: int) -> str:
    number = int.from_bytes(digest, "big")
    return "".join(CROCKFORD[(number >> (5 * place)) & 31] for place in range(n))
