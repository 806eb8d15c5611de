"""What becomes of an image does not depend on its batch mates, nor on a kill: for every way of making images that has a memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from small_image_study import contents, small_study

from protocols.folder import StudyFolder
from protocols.study import Study
from stimuli.make import make, network_of
from stimuli.networks import Network, load_network
from stimuli.pictures import PictureCategory, pictures_of
from stimuli.planners.asking import asked_for
from stimuli.planners.planner import EnginePlanner, Wanted
from stimuli.planners.registry import planner_for
from stimuli.synthesis.engine import synthesise

SETS = """batch_size: 3, sets: {
    AI: {max_steps: 60},
    FA: {kind: feature_adversary, layer: fc7, max_steps: 25},
    SZ: {kind: label_adversary, attack: szegedy, weights_tried: 2, max_steps: 25, failures_expected: true},
    EN: {kind: label_adversary, attack: pgd, networks: [{name: picturenet}, {name: picturenet-b}], confidence: 0.9,
         max_steps: 25, failures_expected: true},
}"""
WAYS = ("AI", "FA", "SZ", "EN")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return small_study(tmp_path_factory.mktemp("company"), SETS)


@pytest.fixture(scope="module")
def finished(study: Study, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    folder = StudyFolder(tmp_path_factory.mktemp("company-finished"))
    make(study, folder, "cpu")
    return folder


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network("picturenet", None, "cpu")


def images(planner: EnginePlanner, wanted: list[Wanted], network: Network) -> dict[str, bytes]:
    """The image of the first attempt at each, made together in batches of three."""
    queue, found = deque(planner.first(item, 0) for item in wanted), {}
    for outcome in synthesise(planner.method, queue, 3, network.device):
        further = planner.next(outcome, 0)
        if further is None:
            found[outcome.job.job_id] = planner.image(outcome).tobytes()
        else:
            queue.appendleft(further)
    return found


@pytest.mark.parametrize("name", WAYS)
def test_an_image_is_the_same_alone_in_company_and_in_another_order(
    study: Study, finished: StudyFolder, network: Network, name: str
):
    planner = planner_for(
        study.stimuli.sets[name], network, study.seed, lambda plan: network_of(plan, study.folder, "cpu")
    )
    assert hasattr(planner, "method")  # it is optimised

    def place(set_name: str, category: PictureCategory) -> Path:
        return finished.stimuli / set_name / f"{set_name}-{category.name}.png"

    wanted = asked_for(name, study, network, pictures_of(study).categories, place)
    together = images(planner, wanted, network)
    assert images(planner, wanted[::-1], network) == together
    for item in wanted[:2]:
        assert images(planner, [item], network) == {item.stim_id: together[item.stim_id]}
    sources = {item.stim_id: item.source.tobytes() for item in wanted}
    assert all(image != sources[stim_id] for stim_id, image in together.items())
    assert len({np.frombuffer(image, np.uint8).sum() for image in together.values()}) == 4


@pytest.mark.parametrize("name", WAYS)
def test_killed_in_the_middle_of_a_set_it_goes_on_to_the_same_bytes(
    study: Study, finished: StudyFolder, tmp_path: Path, name: str
):
    small_study(tmp_path, SETS)
    folder = StudyFolder(tmp_path / "to")
    command = [sys.executable, "-m", "foolscan", "stimuli", "make", "small.yaml", "--to", "to", "--device", "cpu"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            if any(folder.derived("make").glob(f"{name}-*.json")):
                break
            time.sleep(0.002)
        process.kill()
        process.communicate(timeout=60)
    if folder.manifest.exists():
        pytest.skip("it had finished before the kill came")
    assert any(folder.derived("make").glob(f"{name}-*.json"))
    make(study, folder, "cpu")
    assert contents(folder.root) == contents(finished.root)
