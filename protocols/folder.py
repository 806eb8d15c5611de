"""The study folder: where each file lives, how it is written whole or not at all, and who may write it."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from protocols.locks import exclusive as exclusive
from protocols.problems import FoolscanError

SCREEN_INDEX = "export.json"
Modality = Literal["func", "beh"]

BIDS_VERSION = "1.10.0"
REHEARSAL_NOTE = "SIMULATED: rehearsal data made by foolscan, not recorded from a person."

# What a BIDS validator should not read: ours, and described in docs/.
BIDSIGNORE = "derivatives/\n*.lock\n"


# The same for the derived files, a dataset of their own: folders by what they hold, files named after what they are.
DERIVATIVES_BIDSIGNORE = "*\n!dataset_description.json\n!README\n"
README = (
    "A study folder of foolscan, laid out as a BIDS dataset: images in stimuli/, what was recorded in sub-*/ and sourcedata/, what\n"
    "was derived from it in derivatives/foolscan/. Beside every derived file a JSON sidecar says how it was made.\n"
)
DERIVATIVES_README = (
    "Derived by foolscan from the study folder around it: see docs/analysis.md of foolscan. Every file has a JSON sidecar with\n"
    "its inputs, parameters, versions and hashes; `foolscan analysis trace FILE` prints the chain behind it. All of it is\n"
    "simulated where dataset_description.json says so.\n"
)

MOST_RUNS = 99
"""In a session: a run's number has two digits in file names."""
LONGEST_LABEL = 64
"""Three labels and their suffixes must fit into a file name, and names are 255 bytes at most."""


@dataclass(frozen=True)
class RunId:
    """One run of one person's visit; all labels are alphanumeric, as BIDS asks."""

    sub: str
    ses: str
    task: str
    run: int

    def __post_init__(self) -> None:
        for entity, label in (("sub", self.sub), ("ses", self.ses), ("task", self.task)):
            if not (label.isascii() and label.isalnum() and len(label) <= LONGEST_LABEL):
                raise FoolscanError(
                    f"--{entity}: found {label!r}; up to {LONGEST_LABEL} letters and digits, as in 01 or pilot3 (BIDS labels)"
                )
        if not 1 <= self.run <= MOST_RUNS:
            raise FoolscanError(f"--run: found {self.run}; runs are counted from 1, up to {MOST_RUNS}")

    @property
    def stem(self) -> str:
        """``sub-01_ses-01_task-animals_run-01``."""
        return f"sub-{self.sub}_ses-{self.ses}_task-{self.task}_run-{self.run:02d}"


@dataclass(frozen=True)
class StudyFolder:
    """Paths in a study folder (a BIDS dataset); nothing is created by asking for one."""

    root: Path

    @property
    def stimuli(self) -> Path:
        """The images, their manifest and its sidecar."""
        return self.root / "stimuli"

    @property
    def manifest(self) -> Path:
        """``stimuli/stimuli.tsv``."""
        return self.stimuli / "stimuli.tsv"

    @property
    def journals(self) -> Path:
        """The append-only truth of every run."""
        return self.root / "sourcedata" / "journals"

    @property
    def derivatives(self) -> Path:
        """Everything that foolscan derives."""
        return self.root / "derivatives" / "foolscan"

    def derived(self, kind: str) -> Path:
        """A folder of derived files: ``timeline``, ``activations``, ``betas``, ``rois``, ``rdms``, ``report``, ``screen`` …"""
        return self.derivatives / kind

    def session_record(self, sub: str, ses: str) -> Path:
        """The session record: what belongs to one person's visit."""
        return self.root / "sourcedata" / "sessions" / f"sub-{sub}_ses-{ses}_session.json"

    def func(self, run: RunId) -> Path:
        """``sub-*/ses-*/func``."""
        return self.root / f"sub-{run.sub}" / f"ses-{run.ses}" / "func"

    def events(self, run: RunId, at: Modality = "func") -> Path:
        """What happened in a run, in BIDS terms: ``func`` of one in a scanner, ``beh`` of one at a desk."""
        return self.func(run).with_name(at) / f"{run.stem}_events.tsv"

    def bold(self, run: RunId) -> Path:
        """The scanner's (or the simulated) images of a run."""
        return self.func(run) / f"{run.stem}_bold.nii.gz"

    def journal(self, run: RunId) -> Path:
        """The journal of a run."""
        return self.journals / f"{run.stem}_journal.jsonl"

    def timeline(self, run: RunId) -> Path:
        """The compiled plan of a run."""
        return self.derived("timeline") / f"{run.stem}_timeline.tsv"

    def design(self, run: RunId) -> Path:
        """What the planned order of a run lets its responses tell: the covariance of their estimates."""
        return self.derived("timeline") / f"{run.stem}_design.tsv"

    def screen_images(self, rig_name: str, side_px: int | None = None) -> Path:
        """The images resampled for one rig's exact pixels.

        side_px : of the images: those of another side than the rig's folder has stand in a folder of their own, so that
                  tasks of different image sizes share a rig. None: the rig's folder, whatever it has.
        """
        plain = self.derived("screen") / rig_name
        if side_px is None:
            return plain
        of_side = plain.with_name(f"{rig_name}.{side_px}px")  # no rig has a dot in its name
        index = plain / SCREEN_INDEX
        if (of_side / SCREEN_INDEX).exists():
            return of_side
        made = read_json(index) if index.exists() else {"side_px": side_px}
        return plain if not isinstance(made, dict) or made.get("side_px") == side_px else of_side

    def activations(self, network: str) -> Path:
        """The activations of a network, by its name in the study file."""
        return self.derived("activations") / f"{network}.h5"

    def references(self, network: str) -> Path:
        """The activations of a network for the reference images, which nobody is shown."""
        return self.derived("activations") / f"{network}_references.h5"

    def fragile(self, network: str) -> Path:
        """What a network makes of the windows of pictures: a Zarr store, by the network's name in the study file."""
        return self.derived("fragile") / f"{network}.zarr"

    @property
    def attacks(self) -> Path:
        """Which image comes from which source and guide, at which layer of which network."""
        return self.derived("activations") / "attacks.tsv"

    def runs(self, task: str, at: Modality = "func") -> list[RunId]:
        """The runs of a task that have an events file, in order of subject, session and run.

        at : those in a scanner, or those at a desk.
        """
        found = []
        for path in sorted(self.root.glob(f"sub-*/ses-*/{at}/*_task-{task}_run-*_events.tsv")):
            run = _run_in_name(path.name)
            if run is None or self.events(run, at) != path:
                raise FoolscanError(
                    f"{path}: not the name of a run's events, as sub-01_ses-01_task-{task}_run-01_events.tsv in its own "
                    f"folder; rename it, or move it out of {at}/"
                )
            found.append(run)
        return found

    def relative(self, path: Path) -> str:
        """A path as it is written into files: relative to the folder, with forward slashes."""
        return path.resolve().relative_to(self.root.resolve()).as_posix()


def _run_in_name(name: str) -> RunId | None:
    form = re.fullmatch(r"sub-([^_]+)_ses-([^_]+)_task-([^_]+)_run-([0-9]{1,9})_events\.tsv", name)
    try:
        return RunId(form[1], form[2], form[3], int(form[4])) if form else None
    except FoolscanError:
        return None


def open_folder(root: Path | str, title: str, *, rehearsal: bool | None = None) -> StudyFolder:
    """The study folder at `root`, with its BIDS bookkeeping written if it is new.

    root      : the folder; created if missing.
    title     : the dataset's name, from the study file.
    rehearsal : whether what is about to be recorded is simulated; None: nothing is recorded. The first recording
                decides for the whole folder, and a simulated dataset is marked as one.

    Raises FoolscanError when `root` is a file, cannot be written, holds other things, or holds the other kind of data.
    """
    folder = StudyFolder(Path(root))
    description = folder.root / "dataset_description.json"
    if not description.exists():
        _refuse_strangers(folder.root)
        write_text(folder.root / ".bidsignore", BIDSIGNORE)
        _describe(folder.root, title, rehearsal)
        return folder
    recorded = read_json(description).get("Simulated")
    if rehearsal is None or rehearsal == recorded:
        return folder
    if recorded is None:
        _describe(folder.root, title, rehearsal)
    elif recorded:
        raise FoolscanError(
            f"{folder.root}: found a rehearsal (simulated) folder; record people into another folder with --to"
        )
    else:
        raise FoolscanError(
            f"{folder.root}: found a study folder for real data; rehearse into another folder with --to"
        )
    return folder


def _refuse_strangers(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise FoolscanError(f"{root}: found a file; --to needs a folder")
    if root.is_dir() and any(not item.name.endswith(".lock") for item in root.iterdir()):
        raise FoolscanError(f"{root}: found other files; --to needs an empty or new folder, or a study folder")


def _describe(root: Path, title: str, rehearsal: bool | None) -> None:
    name = f"{title} ({REHEARSAL_NOTE})" if rehearsal else title
    facts: dict[str, Any] = {"Name": name, "BIDSVersion": BIDS_VERSION, "DatasetType": "raw"}
    facts["GeneratedBy"] = [{"Name": "foolscan"}]
    if rehearsal is not None:
        facts["Simulated"] = rehearsal
    watermark = f"\n{REHEARSAL_NOTE}\n" if rehearsal else ""
    write_text(root / "README", f"{title}\n{watermark}\n{README}")
    write_json(root / "dataset_description.json", facts)


def describe_derivatives(folder: StudyFolder, version: str) -> None:
    """Write ``derivatives/foolscan/dataset_description.json`` where derived files stand: they are a BIDS dataset of their own.

    version : of foolscan.

    What of it BIDS has no name for stands in its ``.bidsignore``. Written once, and again when the study folder was found
    to be a rehearsal's (or people's).
    """
    above = folder.root / "dataset_description.json"
    if not folder.derivatives.is_dir() or not above.exists():
        return
    source = read_json(above)
    facts: dict[str, Any] = {
        "Name": f"{source.get('Name', '')}: derived by foolscan",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "foolscan", "Version": version}],
        "SourceDatasets": [{"URL": "../.."}],
    }
    if "Simulated" in source:
        facts["Simulated"] = source["Simulated"]
    description, ignored = folder.derivatives / "dataset_description.json", folder.derivatives / ".bidsignore"
    if not ignored.exists() or ignored.read_text(encoding="utf-8") != DERIVATIVES_BIDSIGNORE:
        write_text(ignored, DERIVATIVES_BIDSIGNORE)
        write_text(folder.derivatives / "README", DERIVATIVES_README)
    if not description.exists() or read_json(description) != facts:
        write_json(description, facts)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well, and vanishes when it does not.

    path : where the finished file shall stand; its folder is created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:])
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp{suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error  # libraries put whole paragraphs into `strerror`
        raise FoolscanError(
            f"{path}: could not be written ({why}); nothing was left behind. Free space or permission?"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_private(path: Path, content: Any) -> None:
    """Write JSON on one line, whole or not at all, readable by its owner alone where the system knows such."""
    with atomic_path(path) as temporary:
        temporary.touch(mode=0o600)
        if sys.platform != "win32":
            temporary.chmod(0o600)
        temporary.write_bytes((json.dumps(content) + "\n").encode())


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text with unix line ends, whole or not at all."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; FoolscanError names the file and the line when it is none."""
    remedy = "restore it, or delete it to have it made again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FoolscanError(f"{path}: not readable as JSON ({error}); {remedy}") from error
    if not isinstance(content, dict):
        raise FoolscanError(f"{path}: found a {type(content).__name__}, expected a JSON object {{...}}; {remedy}")
    return content
