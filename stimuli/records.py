"""One small record for each finished image, so that an interrupted `make` goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from protocols.folder import StudyFolder, exclusive, read_json, write_json
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of, sha256_of_bytes
from stimuli.synthesis.stopping import Ended

RECORD_FORMAT = 2


@dataclass(frozen=True)
class Made:
    """What making one image took.

    stim_id  : its name.
    success  : whether the recipe's criterion was met on the file.
    attempts : seeds tried.
    steps    : of the last attempt.
    seed     : of the last attempt.
    sha256   : of the file.
    ended    : how the last attempt ended.
    """

    stim_id: str
    success: bool
    attempts: int
    steps: int
    seed: int
    sha256: str
    ended: Ended


@dataclass(frozen=True)
class Records:
    """The records of a study folder."""

    folder: StudyFolder

    def path(self, stim_id: str) -> Path:
        """Where the record of an image stands."""
        return self.folder.derived("make") / f"{stim_id}.json"

    def keep(self, made: Made, recipe_sha256: str) -> None:
        """Write the record of a finished image."""
        write_json(self.path(made.stim_id), {"format": RECORD_FORMAT, "recipe_sha256": recipe_sha256, **asdict(made)})

    def finished(self, stim_id: str, recipe_sha256: str, image: Path) -> Made | None:
        """The record of an image that stands on disk, unchanged, from this very recipe; None: it must be made."""
        path = self.path(stim_id)
        if not path.is_file() or not image.is_file():
            return None
        try:
            record: dict[str, Any] = read_json(path)
            if record.pop("format", None) != RECORD_FORMAT or record.pop("recipe_sha256", None) != recipe_sha256:
                return None
            made = Made(**record)
        except (FoolscanError, TypeError, AttributeError):
            return None  # not a record of ours: the image is made again
        return made if made.sha256 == sha256_of(image) else None

    def forget_all_but(self, stim_ids: Iterable[str]) -> None:
        """Remove images that an earlier study left here, and their records; files of other origin stay."""
        kept = set(stim_ids)
        for record in self.folder.derived("make").glob("*-*.json"):  # those of images; other files have no hyphen
            if record.stem not in kept:
                (self.folder.stimuli / record.stem.split("-", 1)[0] / f"{record.stem}.png").unlink(missing_ok=True)
                record.unlink()


@contextmanager
def only_maker(folder: StudyFolder) -> Iterator[None]:
    """Let one command at a time make images in a study folder, or something of all of them.

    Raises FoolscanError when another is at it.
    """
    with exclusive(folder.derived("make") / "make", "making stimuli in this folder"):
        yield


def recipe_hash(facts: Mapping[str, Any]) -> str:
    """The hash of everything that decides what an image's bytes are."""
    return sha256_of_bytes(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode())


def engine_hash() -> str:
    """The hash of the source that makes images: of every Python file of this room but those that only look at pictures."""
    room = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(set(room.rglob("*.py")) - set(room.glob("fragile/*.py"))):
        digest.update(path.relative_to(room).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
