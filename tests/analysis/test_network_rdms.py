"""Network RDMs: of the study's network, and of those that images were made against, as far as they have whole sets."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from scipy import stats

from analysis.network_rdms import activations_path, measure_of
from analysis.rdm import condensed
from analysis.rdm_files import find_rdms, read_rdms
from analysis.rdms import further_network_path, network_path, rdms
from protocols.folder import StudyFolder, write_text
from protocols.formats import ACTIVATIONS
from protocols.problems import FoolscanError
from protocols.study import Study

LAYERS = ("conv1", "fc8")
N_UNITS = 50


def write_activations(path: Path, stim_ids: list[str], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    units = {layer: rng.standard_normal((len(stim_ids), N_UNITS)).astype(np.float32) for layer in LAYERS}
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = ACTIVATIONS
        file.attrs["layers"] = list(LAYERS)
        file.create_dataset("stim_id", data=stim_ids, dtype=h5py.string_dtype())
        for layer, values in units.items():
            file[f"layers/{layer}"] = values
    return units


@pytest.fixture
def made(tmp_path: Path, fake: SimpleNamespace) -> tuple[Study, StudyFolder, list[str]]:
    """A study with images and activations, and no brain."""
    study = fake.study()
    folder = fake.folder(tmp_path, study, n_categories=4)
    shutil.rmtree(folder.root / "sub-01")
    stim_ids = [image.stim_id for image in fake.manifest(4)]
    write_activations(activations_path(study, folder), stim_ids, 0)
    return study, folder, stim_ids


def write_attacks(folder: StudyFolder, *names: str) -> None:
    rows = "".join(f"AI-category00\t{name}\n" for name in names)
    write_text(folder.attacks, "stim_id\tactivations\n" + rows)


def test_networks_that_images_were_made_against_get_rdms_of_their_whole_sets(
    made: tuple[Study, StudyFolder, list[str]],
) -> None:
    study, folder, stim_ids = made
    whole = [name for name in stim_ids if not name.startswith("AN")]
    other = folder.attacks.with_name("picturenet_random.h5")
    units = write_activations(other, whole[::-1], 1)
    write_attacks(folder, activations_path(study, folder).name, other.name, other.name)
    written = rdms(study, folder)
    target = further_network_path(folder, "picturenet_random")
    assert [path.name for path in written] == [
        "network_rdms.h5",
        "network_dissimilarities.tsv",
        "network_picturenet_random_rdms.h5",
        "network_picturenet_random_dissimilarities.tsv",
    ]
    stored = read_rdms(target)
    assert {rdm.descriptors["set"] for rdm in stored} == {"RE", "AI"}
    rows = [whole[::-1].index(f"AI-category{i:02d}") for i in range(4)]
    expected = 1 - stats.spearmanr(units["fc8"][rows], axis=1)[0]
    (found,) = find_rdms(stored, layer="fc8", set="AI")
    np.testing.assert_allclose(found.values, condensed(expected), rtol=0, atol=1e-12)
    assert {rdm.descriptors["set"] for rdm in read_rdms(network_path(folder))} == {"RE", "AN", "AI"}


def test_a_further_network_that_is_not_there_is_named(made: tuple[Study, StudyFolder, list[str]]) -> None:
    study, folder, _ = made
    write_attacks(folder, "gone.h5")
    with pytest.raises(FoolscanError, match=r"attacks.tsv: names gone.h5, which is not there"):
        rdms(study, folder)


def test_a_network_has_no_noise_to_be_normalised_by(
    made: tuple[Study, StudyFolder, list[str]], fake: SimpleNamespace
) -> None:
    study, folder, _ = made
    study = fake.changed(study, analysis__dissimilarity="crossnobis", analysis__pattern_scaling="none")
    assert measure_of(study) == "squared_euclidean"
    rdms(study, folder)
    (found,) = find_rdms(read_rdms(network_path(folder)), layer="conv1", set="RE")
    assert found.measure == "squared_euclidean"
    with h5py.File(activations_path(study, folder)) as file:
        units = file["layers/conv1"][:4].astype(float)
    assert found.values[0] == pytest.approx(((units[0] - units[1]) ** 2).mean(), rel=1e-6)
