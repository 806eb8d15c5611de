"""Fragile recognition of a study: every network's windows are read into its store, then counted into tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from protocols.folder import StudyFolder, exclusive, open_folder
from protocols.fragile_plan import FragilePlan
from protocols.image_sets import NetworkPlan
from protocols.problems import FoolscanError
from protocols.provenance import versions, write_sidecar
from protocols.study import Study
from stimuli.fragile.mapping import Executor, Here, Mapper, Told
from stimuli.fragile.rates import COLUMNS, MEAN_COLUMNS, MeanRate, mean_rates, rate_rows, write_rates
from stimuli.fragile.reading import preferred_batch
from stimuli.fragile.remote import gpu_name
from stimuli.fragile.sources import PictureToMap, pictures_to_map
from stimuli.fragile.store import MADE_WITH, open_store
from stimuli.fragile.tiles import Looking, NetworkAt
from stimuli.make import network_of
from stimuli.networks.network import Network
from stimuli.views import file_names

PACKAGES = ("numpy", "pillow", "torch", "torchvision", "zarr")


@dataclass(frozen=True)
class FragileResult:
    """What was found.

    written    : tables, their sidecars, and the stores.
    means      : for each network, side and type.
    read_again : windows that were read in single precision after half precision left a doubt; by network.
    """

    written: tuple[Path, ...]
    means: tuple[MeanRate, ...]
    read_again: Mapping[str, int]


def fragile(
    study: Study,
    folder: StudyFolder | Path,
    device: str = "auto",
    *,
    sample: int | None = None,
    full: bool | None = None,
    executor: Executor | None = None,
    chunks_a_tile: int = 1,
    told: Callable[[str, Told], None] = lambda *_: None,
) -> FragileResult:
    """Map how fragile a study's pictures are under its networks.

    An interrupted call is continued by the next one, which ends with the same bytes, whoever computes. The tables are written
    after each network.

    study         : with `fragile`.
    folder        : the study folder, or where it shall be.
    device        : where the networks compute.
    sample        : windows drawn of each map; None: as the study says.
    full          : whether all windows are looked at; None: on a GPU yes, on a processor no.
    executor      : who reads; None: this process.
    chunks_a_tile : how much is read before it is written.
    told          : how far each network is.

    Raises FoolscanError for a study without `fragile`, a picture that is smaller than a window, a class that a network does
    not have, or a store of other parameters; WorkWanting for pictures that are not there yet.
    """
    plan = plan_of(study)
    pictures = pictures_to_map(study, plan)
    refuse_twice(pictures)
    opened = folder if isinstance(folder, StudyFolder) else open_folder(folder, study.title)
    reading: Executor = executor or Here()
    rows: list[dict[str, Any]] = []
    means: list[MeanRate] = []
    stores: list[Path] = []
    written: tuple[Path, ...] = ()
    looked: dict[str, dict[str, Any]] = {}
    again: dict[str, int] = {}
    with exclusive(opened.derived("fragile"), f"fragile recognition in {opened.root}"):
        for name, network_plan in networks_of(study, plan).items():
            mapper = mapper_of(study, opened, name, network_plan, device, sample, full, chunks_a_tile, reading)
            read_again = mapper.read(pictures, reading, partial(told, name))
            found = [*mapper.findings(pictures)]
            rows += rate_rows(name, found)
            means += mean_rates(name, found)
            stores.append(mapper.store.path)
            looked[name] = {key: value for key, value in mapper.store.group.attrs.items() if key != "classes"}
            if mapper.looking.precision != "fp32":
                again[name] = read_again
            written = _tables(study, opened, plan, pictures, rows, means, looked)
    return FragileResult((*written, *stores), tuple(means), again)


def _tables(
    study: Study,
    folder: StudyFolder,
    plan: FragilePlan,
    pictures: Sequence[PictureToMap],
    rows: Sequence[Mapping[str, Any]],
    means: Sequence[MeanRate],
    looked: Mapping[str, Any],
) -> tuple[Path, ...]:
    """Write the tables of the networks that have been read by now; returns them and their sidecars.

    looked : the parameters of each network's store.
    """
    tables = write_rates(folder.derived("fragile"), rows, means)
    facts = {
        "fragile": plan.model_dump(mode="json"),
        "networks": dict(looked),
        "pictures": {picture.picture_id: picture.identity for picture in pictures},
    }
    sidecars = [
        write_sidecar(
            folder, table, inputs=(), parameters=facts, packages=PACKAGES, seed=study.seed, more=_described(columns)
        )
        for table, columns in zip(tables, (COLUMNS, MEAN_COLUMNS), strict=True)
    ]
    return (*tables, *sidecars)


def plan_of(study: Study) -> FragilePlan:
    """The study's `fragile`; FoolscanError when it has none."""
    if study.fragile is None:
        raise FoolscanError(
            f"study {study.name}: found no `fragile`, which says whose windows are looked at; see srivastava2019, or docs/fragile.md"
        )
    return study.fragile


def networks_of(study: Study, plan: FragilePlan) -> dict[str, NetworkPlan]:
    """The networks that map, by the names of their stores."""
    plans = plan.networks or (study.stimuli.network,)
    return dict(zip(file_names(plans, study.stimuli.network), plans, strict=True))


def mapper_of(
    study: Study,
    folder: StudyFolder,
    name: str,
    network_plan: NetworkPlan,
    device: str = "auto",
    sample: int | None = None,
    full: bool | None = None,
    chunks_a_tile: int = 1,
    executor: Executor | None = None,
) -> Mapper:
    """What maps under one network, its store open; parameters as for `fragile`.

    executor : who reads; None: this process.
    """
    plan = plan_of(study)
    elsewhere = None if executor is None else executor.device_type
    network = network_of(network_plan, study.folder, device if elsewhere is None else "cpu")
    where = network.device if elsewhere is None else torch.device(elsewhere)
    weights = network_plan.weights
    if weights not in (None, "random", "random_orthonormal"):
        weights = str(study.folder / str(weights))
    at = NetworkAt(network_plan.name, weights, network_plan.seed, network.weights_sha256, elsewhere or device)
    looking = Looking(plan.crops, plan.filter, plan.precision, plan.batch_size or preferred_batch(where), plan.top_k)
    everything = full if full is not None else where.type == "cuda" and sample is None
    n_cells = None if everything else sample if sample is not None else plan.sample
    gpu = gpu_name(where) if executor is None or elsewhere is None else executor.gpu
    store = open_store(folder.fragile(name), parameters_of(network, looking, where, gpu))
    return Mapper(plan, network, at, looking, store, n_cells, study.seed, chunks_a_tile)


def parameters_of(network: Network, looking: Looking, where: torch.device, gpu: str | None) -> dict[str, Any]:
    """Everything that decides what is read of a window, but for the picture.

    where : it is computed.
    gpu   : what that is called; None on other devices.
    """
    return {
        "network": network.name,
        "network_sha256": network.weights_sha256,
        "classes": list(network.labels),
        "input_px": network.input_px,
        "device": where.type,
        "crops": looking.how,
        "filter": looking.resize if looking.how == "resized" else "none",
        "precision": looking.precision,
        "batch_size": looking.batch_size,
        **({"top_k": looking.top_k} if looking.precision != "fp32" else {}),
        **{name: version for name, version in versions(MADE_WITH).items() if name in MADE_WITH},
        **({"gpu": gpu} if gpu is not None else {}),
    }


def refuse_twice(pictures: Sequence[PictureToMap]) -> None:
    """Raise FoolscanError when two pictures would have one name in the store."""
    first: dict[str, str] = {}
    for picture in pictures:
        other = first.setdefault(picture.picture_id, picture.identity)
        if other != picture.identity:
            raise FoolscanError(
                f"fragile.pictures: found two pictures called {picture.picture_id!r}; rename one of the files"
            )


def _described(columns: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"Description": meaning} for name, meaning in columns.items()}
