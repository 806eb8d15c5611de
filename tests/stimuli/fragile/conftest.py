"""Studies of fragile recognition that are mapped in a second: of the embedded network, and of one that is made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_fragile import CountingNetwork, fragile_study, tiny_network, write_pictures

from protocols.study import Study
from stimuli.fragile import run, store, tiles


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> CountingNetwork:
    """A tiny network in place of every one that a study names."""
    tiny = tiny_network()
    monkeypatch.setattr(run, "network_of", lambda *_: tiny)
    monkeypatch.setattr(tiles, "loaded", lambda _: tiny)
    tiles._off_by.cache_clear()
    return tiny


@pytest.fixture
def two_pictures(network: CountingNetwork, tmp_path: Path) -> Study:
    """Two small pictures of the tiny network's classes, sides of two proportions."""
    write_pictures(tmp_path / "pictures", [(20, 26), (24, 18)])
    return fragile_study(tmp_path)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Chunks of few cells, so that small maps have several; their side."""
    monkeypatch.setattr(store, "CHUNK", 4)
    monkeypatch.setattr(store, "CHUNK_CELLS", 16)
    return 4


@pytest.fixture
def tiny_study_file(tmp_path: Path) -> Path:
    """A study of three pictures under the embedded network: 300 windows."""
    write_pictures(tmp_path / "pictures", [(14, 14)] * 3, ("rabbit", "cat", "owl"))
    fragile_study(tmp_path, "proportions: [0.6]")
    return tmp_path / "tiny.yaml"


@pytest.fixture
def tiny_study(tiny_study_file: Path) -> Study:
    """The same, loaded."""
    from protocols.study import load_study

    return load_study(tiny_study_file)
