"""Windows of fragile recognition a second with two local Dask workers against one, and what is left of a killed worker's tiles.

Each worker is a process with one thread; the embedded network reads pictures of the picture book. The clusters are up, and
their workers have read a few windows, before the clock starts; everything else counts: what is sent, read, fetched and written.
Then the same maps are read with a worker killed in mid-map, and every file is compared.
`--pictures 1 --rounds 1 --sample 3` is a short try.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from _record import measure_once

from protocols.study import Study, load_study
from stimuli.fragile.cluster import OnCluster, executor_of
from stimuli.fragile.mapping import Told
from stimuli.fragile.run import fragile

PICTURES = 3
ROUNDS = 3
LEAST_RATIO = 1.7
STUDY = """format: 1
extends: srivastava2019
name: fragile-cluster
title: windows a second
fragile:
  pictures: {{kind: picturebook, split: {split}, size_px: 96}}
  per_supercategory: {pictures}
  networks: [{{name: picturenet}}]
  proportions: [0.8]
"""
SAMPLE, WARM_SAMPLE = 10, 2


def study(folder: Path, split: str, pictures: int) -> Study:
    """Pictures of each of the ten supercategories."""
    path = folder / f"{split}-{pictures}.yaml"
    path.write_text(STUDY.format(split=split, pictures=pictures), encoding="utf-8")
    return load_study(path)


def read(asked: Study, to: Path, executor: OnCluster, sample: int, kill: bool = False) -> float:
    """Read all samples; windows a second. With `kill`, a worker dies at half of them."""
    told: list[Told] = []
    pids = [*executor.asking.client.run(os.getpid).values()] if kill else []

    def tell(_network: str, latest: Told) -> None:
        told.append(latest)
        if pids and latest.done >= latest.total / 2:
            psutil.Process(pids.pop()).kill()
            pids.clear()

    begun_s = time.perf_counter()
    fragile(asked, to, "cpu", sample=sample, executor=executor, told=tell)
    elapsed_s = time.perf_counter() - begun_s
    if kill and pids:
        raise RuntimeError("the maps were finished before a worker could be killed")
    return told[-1].total / elapsed_s


def contents(root: Path) -> dict[str, str]:
    """The hash of every file."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def measure(pictures: int, rounds: int, sample: int) -> dict[str, float]:
    """Both clusters in turn, so that a machine that slows down slows both; the medians' ratio; then the kill."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        warm, asked = study(here, "validation", 1), study(here, "test", pictures)
        for number in range(rounds):
            for n_workers in rates:
                with executor_of(f"local:{n_workers}", "cpu", print) as executor:
                    assert isinstance(executor, OnCluster)
                    read(warm, here / f"warm-{n_workers}-{number}", executor, WARM_SAMPLE)
                    rates[n_workers].append(read(asked, here / f"{n_workers}-{number}", executor, sample))
        with executor_of("local:2", "cpu", print) as executor:
            assert isinstance(executor, OnCluster)
            read(asked, here / "killed", executor, sample, kill=True)
        expected, found = contents(here / "1-0"), contents(here / "killed")
        others = [contents(here / f"{n}-{number}") for n in rates for number in range(rounds)]
    one, two = (sorted(rates[n])[rounds // 2] for n in (1, 2))
    return {
        "windows_per_s_one_worker": one,
        "windows_per_s_two_workers": two,
        "ratio": two / one,
        "files": len(expected),
        "files_that_differ": sum(differing(expected, other) for other in others),
        "files_that_differ_after_a_kill": differing(expected, found),
        "tiles_lost_by_a_kill": len(expected.keys() - found.keys()),
    }


def differing(expected: Mapping[str, str], found: Mapping[str, str]) -> int:
    """Files that are not the same, or not in both."""
    return sum(expected.get(name) != found.get(name) for name in expected.keys() | found.keys())


def main() -> int:
    """Measure once for this commit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES, help="of each supercategory")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="windows drawn of each map")
    options, _ = parser.parse_known_args()
    return measure_once(
        __file__,
        "windows of fragile recognition read by two local Dask workers against one, one thread each; a worker killed in mid-map",
        {
            "ratio": f"≥ {LEAST_RATIO}",
            "files_that_differ": "0",
            "files_that_differ_after_a_kill": "0",
            "tiles_lost_by_a_kill": "0",
        },
        lambda: measure(options.pictures, options.rounds, options.sample),
        lambda figures: (
            figures["ratio"] >= LEAST_RATIO
            and figures["files_that_differ"] == 0
            and figures["files_that_differ_after_a_kill"] == 0
            and figures["tiles_lost_by_a_kill"] == 0
        ),
        {
            "pictures": 10 * options.pictures,
            "picture_px": 96,
            "cells_a_map": options.sample,
            "rounds": options.rounds,
            "cores": psutil.cpu_count(),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
