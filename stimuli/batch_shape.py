"""The batch shape: chosen once from what memory is free, written down before the first image, kept ever after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from protocols.folder import StudyFolder, read_json, write_json
from protocols.problems import FoolscanError
from stimuli.memory import free_bytes, peak_bytes, ran_out

RECORD_FORMAT = 1
RECORD_NAME = "batch_shape.json"

PREFERRED = {"cpu": 8, "cuda": 64}
"""Images a step where memory allows. On a processor more make an image hardly quicker and leave slots idle at a set's end."""
PREFERRED_ELSEWHERE = 16
SHARE = 0.75
"""Share of the free memory that a batch may take by the estimate: a quarter is the margin."""

StatedBy = Literal["memory", "study"]


@dataclass(frozen=True)
class BatchShape:
    """The shape of every batch of a study folder; it is part of what decides an image's bits.

    n_images  : images a step.
    image_px  : side of an image.
    device    : kind of device: 'cpu', 'cuda', 'mps'.
    stated_by : 'study': `stimuli.batch_size`; 'memory': chosen from what was free.
    """

    n_images: int
    image_px: int
    device: str
    stated_by: StatedBy

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """(n_images, 3, height, width)."""
        return (self.n_images, 3, self.image_px, self.image_px)

    def __str__(self) -> str:
        return " x ".join(map(str, self.sides))


class Machine(Protocol):
    """What the choice asks of a device."""

    def free(self) -> int:
        """Bytes that are free now."""

    def cost(self) -> int:
        """Bytes that one image of the study's heaviest method takes."""

    def runs(self, n_images: int) -> bool:
        """Whether a step of that many images ends without running out of memory."""


@dataclass(frozen=True)
class Torch:
    """A device of torch, and the study's ways of making images.

    trials : for each way, what runs a step of so many images.
    """

    device: torch.device
    trials: Sequence[Callable[[int], object]]

    def free(self) -> int:
        """Bytes that are free now."""
        return free_bytes(self.device)

    def cost(self) -> int:
        """Bytes of one image in the heaviest way; 0 when nothing is computed."""
        return max(self._costs, default=0)

    def runs(self, n_images: int) -> bool:
        """Whether a step of the heaviest way ends."""
        if not self.trials:
            return True
        try:
            self.trials[self._costs.index(self.cost())](n_images)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            return False
        finally:
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return True

    @cached_property
    def _costs(self) -> list[int]:
        return [peak_bytes(partial(trial, 1), self.device) for trial in self.trials]


def fitting(free: int, cost: int, preferred: int) -> int:
    """Images a step: the preferred number, halved until it takes at most `SHARE` of what is free; 0: not even one fits.

    free      : bytes.
    cost      : bytes an image.
    preferred : a power of two, so that the same shape comes out of nearly the same memory.
    """
    n_images = preferred
    while n_images and n_images * cost > SHARE * free:
        n_images //= 2
    return n_images


def chosen(machine: Machine, device: str) -> int:
    """Images a step on a device: what fits by the estimate, halved while a step in earnest runs out of memory.

    Raises FoolscanError when not even one image fits.
    """
    free, cost = machine.free(), machine.cost()
    n_images = fitting(free, cost, PREFERRED.get(device, PREFERRED_ELSEWHERE))
    while n_images and not machine.runs(n_images):
        n_images //= 2
    if not n_images:
        raise FoolscanError(
            f"memory of {device}: {_size(free)} free, and a batch of one image takes about {_size(cost)}, with a quarter to "
            "spare; end other programs, or use a smaller network, smaller images (stimuli.size_px) or another --device"
        )
    return n_images


def settled(folder: StudyFolder, asked: int | None, image_px: int, device: str, machine: Machine) -> BatchShape:
    """The batch shape of a study folder: as the study file says, as written down there, or chosen now and written down.

    asked   : `stimuli.batch_size`.
    device  : kind of device.
    machine : asked only when a shape must be chosen.

    Raises FoolscanError for a record that cannot be read, and when not even one image fits.
    """
    kept = _read(folder)
    if asked is not None:
        shape = BatchShape(asked, image_px, device, "study")
    elif kept is not None and (kept.image_px, kept.device, kept.stated_by) == (image_px, device, "memory"):
        return kept
    else:
        shape = BatchShape(chosen(machine, device), image_px, device, "memory")
    if shape != kept:
        facts = {"n_images": shape.n_images, "image_px": image_px, "device": device, "stated_by": shape.stated_by}
        write_json(record_path(folder), {"format": RECORD_FORMAT, **facts})
    return shape


def refuse_what_cannot_be_held(shape: BatchShape, folder: StudyFolder, machine: Machine) -> None:
    """Raise when a shape that is kept takes more memory than is free now; the images would get other bits at another."""
    free, needed = machine.free(), shape.n_images * machine.cost()
    if shape.stated_by == "memory" and needed > free:
        raise FoolscanError(
            f"{folder.root}: its images are made in batches of {shape}, which take about {_size(needed)}; "
            f"{_size(free)} are free on {shape.device}. {_remedy(shape, folder)}"
        )


@contextmanager
def within_memory(shape: BatchShape, folder: StudyFolder, device: torch.device) -> Iterator[None]:
    """Turn an error for want of memory into one that says what to do; images that are finished stay."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise FoolscanError(
            f"memory of {device}: ran out in a batch of {shape} ({_size(free_bytes(device))} are free now); the images "
            f"that were finished are kept. {_remedy(shape, folder)}"
        ) from error


def record_path(folder: StudyFolder) -> Path:
    """Where the shape of a folder is written down; no image's record has such a name (theirs hold a hyphen)."""
    return folder.derived("make") / RECORD_NAME


def _remedy(shape: BatchShape, folder: StudyFolder) -> str:
    again = "End other programs and run the same command again: it goes on where it was"
    if shape.stated_by == "study":
        return f"{again}. Or set stimuli.batch_size below {shape.n_images}: every optimised image is then made anew"
    return f"{again}. Or delete {record_path(folder)}: a smaller shape is chosen, and every optimised image made anew"


def _read(folder: StudyFolder) -> BatchShape | None:
    path = record_path(folder)
    if not path.is_file():
        return None
    record: dict[str, Any] = read_json(path)
    if record.pop("format", None) != RECORD_FORMAT:
        raise FoolscanError(f"{path}: another format than {RECORD_FORMAT}; use the foolscan that made these images")
    try:
        shape = BatchShape(**record)
    except TypeError as error:
        raise FoolscanError(f"{path}: not a batch shape ({error}); delete it to have one chosen") from error
    if not isinstance(shape.n_images, int) or shape.n_images < 1:
        raise FoolscanError(
            f"{path}: n_images: found {shape.n_images!r}, expected a whole number from 1 on; delete it to have one chosen"
        )
    return shape


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"
