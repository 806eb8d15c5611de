"""Secrets: unguessable, different for everybody, and only their hashes are kept."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.online import tokens
from protocols.problems import FoolscanError

KEY = bytes(range(32))
OTHER = bytes(32)


def test_tokens_have_256_bits() -> None:
    made = {tokens.new_token() for _ in range(100)}
    assert len(made) == 100
    assert {len(token) for token in made} == {43}


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_pseudonym_is_twelve_small_letters_and_digits(recruiter: str, raw_id: str) -> None:
    recruiter, raw_id = (text.encode("utf-8", "replace").decode() for text in (recruiter, raw_id))
    name = tokens.pseudonym(KEY, recruiter, raw_id)
    assert len(name) == 12
    assert name.isascii()
    assert name.isalnum()
    assert name == name.lower()
    assert name == tokens.pseudonym(KEY, recruiter, raw_id)
    assert name != tokens.pseudonym(OTHER, recruiter, raw_id)


def test_the_same_id_of_two_recruiters_is_two_people() -> None:
    assert tokens.pseudonym(KEY, "link", "anna") != tokens.pseudonym(KEY, "lab", "anna")
    assert tokens.pseudonym(KEY, "ab", "c") != tokens.pseudonym(KEY, "a", "bc")


def test_a_completion_code_is_the_same_again_and_another_for_everybody_else() -> None:
    codes = {tokens.completion_code(KEY, f"{number:032x}") for number in range(1000)}
    assert len(codes) == 1000
    code = tokens.completion_code(KEY, "a")
    assert code == tokens.completion_code(KEY, "a")
    assert code != tokens.completion_code(OTHER, "a")
    assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]
    assert set(code) <= {*tokens.CROCKFORD, "-"}


@given(st.binary(min_size=32, max_size=32))
def test_a_code_is_known_however_it_is_typed(key: bytes) -> None:
    code = tokens.completion_code(key, "session")
    assert tokens.typed_code(code) == code
    assert tokens.typed_code(f" {code.lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')} ") == code


def test_a_key_is_made_once_and_read_again_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "online" / "crops_key.json"
    key = tokens.make_key(path)
    assert tokens.read_key(path) == key
    assert len(key) == 32
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "format: found None"),
        ('{"format": 2, "key": ""}', "format: found 2, this foolscan reads 1"),
        ('{"format": 1, "key": "00ff"}', "expected 64 hexadecimal digits"),
        ('{"format": 1}', "expected 64 hexadecimal digits"),
        ("no", "not readable as JSON"),
    ],
)
def test_what_is_no_key_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FoolscanError, match=said):
        tokens.read_key(path)


def test_a_missing_key_says_what_is_lost(tmp_path: Path) -> None:
    with pytest.raises(FoolscanError, match="restore it from a copy"):
        tokens.read_key(tmp_path / "key.json")
