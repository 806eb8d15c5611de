"""One folder that takes a study to a computer without a network: programs, study, rig, images, and how to begin."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from protocols.folder import SCREEN_INDEX, StudyFolder, open_folder, read_json, write_json, write_text
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of, source_hash, versions
from protocols.rig import Rig, load_rig
from protocols.study import Study, load_study
from protocols.yamlfile import dumped, find_file, read_document
from stimulus_pc.own_wheel import own_wheel
from stimulus_pc.readme import readme
from stimulus_pc.target import Target
from stimulus_pc.wheels import Gather, Wheels, gather, look_up

BUNDLE_FORMAT = 1
STUDY_FOLDER = "study"
# What the first run changes, and what the room may: ports, and what a photodiode finds there.
NOT_CHECKED = re.compile(rf"{STUDY_FOLDER}/(dataset_description\.json|README)|rig-[^/]*\.yaml")
TEXT = {".yaml", ".json", ".tsv", ".txt", ".py", ""}


@dataclass(frozen=True)
class Bundle:
    """A bundle that was made.

    root   : its folder.
    wheels : the packages in it.
    mib    : its size, MiB.
    """

    root: Path
    wheels: Wheels
    mib: float


def bundle(
    study: str,
    rig: str,
    folder: Path,
    out: Path,
    target: Target,
    *,
    gather: Gather = gather,
    extra: str | None = None,
    beside: Sequence[str] = (),
    told: Callable[[str], None] = lambda what: None,
) -> Bundle:
    """Make a bundle.

    study, rig : names that come with foolscan, or files.
    folder     : the study folder, with its images made; those at the rig's pixels are exported if they are not there.
    out        : the new folder.
    target     : the computer that it is for.
    gather     : where the wheels come from.
    extra      : of foolscan's extras, those that are installed there (None: what this rig needs; empty: none).
    beside     : further packages.
    told       : progress, in words.

    Raises FoolscanError or NotReady, with nothing at `out`, when something is missing or would not fit there.
    """
    plan, place = load_study(study), load_rig(rig)
    source = StudyFolder(folder)
    extra = _extras_for(place) if extra is None else extra
    read_manifest(source)
    _refuse_occupied(out)
    told("images at the rig's pixels")
    _export(study, rig, folder)
    with _whole_or_not(out) as root:
        names = _protocols(root, study, plan, rig, place)
        _images(source, StudyFolder(root / STUDY_FOLDER), plan, place)
        _refuse_this_machine(root, (folder, out))
        told("foolscan's own wheel")
        wheels_folder = root / "wheels"
        wheels_folder.mkdir()
        own = own_wheel(wheels_folder)
        told(f"packages for {target.platform}, Python {target.python}")
        wheels = gather(target, [f"{own}[{extra}]" if extra else str(own), *beside], wheels_folder)
        _facts(root, target, names, plan, [_requirement(extra), *beside], wheels)
        write_text(root / "checksums.sha256", _checksums(root))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Bundle(out, wheels, size / 1024**2)


def packages_for(target: Target, *, extra: str = "experiment") -> Wheels:
    """What a bundle's environment would consist of; nothing is kept.

    Raises FoolscanError naming the packages that cannot be had as a wheel for that system.
    """
    with tempfile.TemporaryDirectory(prefix="foolscan-") as temporary:
        return look_up(target, [f"{own_wheel(Path(temporary))}[{extra}]"], Path(temporary))


@contextmanager
def _whole_or_not(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name when the block ends well, and vanishes when it does not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent, ignore_cleanup_errors=True) as temporary:
        made = Path(temporary) / "bundle"
        made.mkdir()
        yield made
        if out.exists():
            out.rmdir()
        made.rename(out)


def _refuse_occupied(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FoolscanError(f"{out}: exists already; --out needs a new folder")


def _export(study: str, rig: str, folder: Path) -> None:
    command = [sys.executable, "-m", "foolscan", "stimuli", "export", study, "--rig", rig, "--to", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode != 0:
        raise FoolscanError(f"the images could not be exported for this rig: {done.stderr.strip()}")


def _extras_for(place: Rig) -> str:
    """A run in a window, and the Lab Streaming Layer where the rig's devices speak it."""
    devices = (place.trigger, place.photodiode, place.eye_tracker)
    streams = any(device is not None and device.kind in ("lsl", "pupil") for device in devices)
    return "experiment,lsl" if streams else "experiment"


def _requirement(extra: str) -> str:
    version = versions(())["foolscan"]
    return f"foolscan[{extra}]=={version}" if extra else f"foolscan=={version}"


def _protocols(root: Path, study: str, plan: Study, rig: str, place: Rig) -> tuple[str, str]:
    """Study and rig, each as one file that needs no other, and means the same; their names."""
    study_file, rig_file = root / f"{plan.name}.yaml", root / f"rig-{place.name}.yaml"
    source = find_file(study, "study")
    document = read_document(source)
    if ("extends",) in document.places:
        basis = {key: value.model_dump(mode="json") for key, value in plan.basis.items()}
        write_text(study_file, _headed(source, dumped({**document.data, "basis": basis})))
    else:
        shutil.copyfile(source, study_file)
    source = find_file(rig, "rig")
    document = read_document(source, "rig")
    if ("extends",) in document.places:
        write_text(rig_file, _headed(source, dumped(document.data)))
    else:
        shutil.copyfile(source, rig_file)
    if load_study(study_file).sha256 != plan.sha256 or load_rig(rig_file).model_dump() != place.model_dump():
        raise FoolscanError(
            f"{study}, {rig}: written into one file each, they do not mean the same; please report this"
        )
    return study_file.name, rig_file.name


def _headed(source: Path, text: str) -> str:
    return f"# {source.name} with what it extends, for a computer of its own.\n{text}"


def _images(source: StudyFolder, to: StudyFolder, plan: Study, place: Rig) -> None:
    """What a run reads of the study folder, in a new one in which nothing has been recorded."""
    open_folder(to.root, plan.title)
    sidecar = source.manifest.with_suffix(".json")
    paths = [source.manifest, *([sidecar] if sidecar.exists() else [])]
    paths += [stimulus.path(source) for stimulus in read_manifest(source)]
    for index in _indices(source, plan, place):
        paths += [index, *(index.with_name(entry["file"]) for entry in read_json(index)["images"].values())]
    for path in paths:
        if not path.is_file():
            raise FoolscanError(
                f"{path}: is missing; see what happened with: foolscan stimuli verify STUDY --to {source.root}"
            )
        copy = to.root / source.relative(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _indices(source: StudyFolder, plan: Study, place: Rig) -> list[Path]:
    """The exports of the analysed task and, where they are made, of tasks whose images have another size."""
    found = []
    for name, task in sorted(plan.tasks.items(), key=lambda item: item[0] != plan.analysis.task):
        index = source.screen_images(place.name, place.display.px(task.image_deg)) / SCREEN_INDEX
        if index not in found and (index.exists() or name == plan.analysis.task):
            found.append(index)
    return found


def _facts(
    root: Path, target: Target, names: tuple[str, str], plan: Study, install: Sequence[str], wheels: Wheels
) -> None:
    shutil.copyfile(Path(__file__).with_name("install.py"), root / "install.py")
    study_file, rig_file = names
    session = f"{target.programs}foolscan experiment session {study_file} --rig {rig_file} --sub 01 --ses 01 --to {STUDY_FOLDER}"
    facts = {
        "format": BUNDLE_FORMAT,
        "study": plan.name,
        "study_sha256": plan.sha256,
        "platform": target.platform,
        "machine": target.machine,
        "python": target.python,
        "launcher": target.launcher,
        "install": list(install),
        "next": session,
        "foolscan": versions(())["foolscan"],
        "source_sha256": source_hash(),
        "built_from_source": list(wheels.built),
    }
    write_json(root / "bundle.json", facts)
    write_text(root / "README.txt", readme(plan, target, study_file, rig_file, session))


def _refuse_this_machine(root: Path, folders: Sequence[Path]) -> None:
    """Nothing in the bundle may lead to places of this computer: they are nowhere on the other one."""
    places = {str(path.resolve()) for path in (Path.home(), *folders, *(path.parent for path in folders))}
    places = {place for place in places if len(PurePath(place).parts) > 2}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix in TEXT:
            text = path.read_text(encoding="utf-8", errors="replace")
            found = next((place for place in sorted(places) if place in text or place.replace("\\", "/") in text), None)
            if found is not None:
                where = path.relative_to(root).as_posix()
                raise FoolscanError(
                    f"{where}: found the path {found}, which is nowhere on another computer; write it relative to the study file"
                )


def _checksums(root: Path) -> str:
    """The files of the bundle as `sha256sum` lists them."""
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return "".join(f"{sha256_of(root / name)}  {name}\n" for name in names if not NOT_CHECKED.fullmatch(name))
