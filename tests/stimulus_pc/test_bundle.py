"""A bundle is installed where there is no network, runs a study there, and what it recorded comes back."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from experiment_study import fill, small_study
from packaging.requirements import Requirement

from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import load_rig
from protocols.study import load_study
from stimulus_pc.bundle import Bundle, bundle
from stimulus_pc.merge import merge
from stimulus_pc.own_wheel import packed
from stimulus_pc.target import PlatformName, Target
from stimulus_pc.wheels import Wheels, without_wheel

HERE: dict[str, PlatformName] = {"linux": "linux", "win32": "windows", "darwin": "macos"}
TARGET = Target(HERE[sys.platform], f"{sys.version_info.major}.{sys.version_info.minor}")  # type: ignore[arg-type]
# What a run without a window needs beside foolscan's own dependencies.
BESIDE = ("jinja2",)

same_machine = pytest.mark.skipif(
    platform.machine() != TARGET.machine, reason=f"bundles are for {TARGET.machine}, and this is {platform.machine()}"
)


def needed(names: Sequence[str]) -> set[str]:
    """These distributions and all that they need here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def from_here(target: Target, requirements: Sequence[str], to: Path) -> Wheels:
    """The wheels of what is installed here, packed again: no network is needed."""
    for name in sorted(needed(["foolscan", *BESIDE]) - {"foolscan"}):
        packed(name, to)
    return Wheels(tuple(sorted(path.name for path in to.glob("*.whl"))), ())


def none(target: Target, requirements: Sequence[str], to: Path) -> Wheels:
    return Wheels((), ())


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    study, rig = small_study(folder), load_rig("rehearsal")
    fill(folder / "study", study, rig)
    return folder / "small.yaml"


@pytest.fixture(scope="module")
def made(study_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("made") / "bundle"
    return bundle(
        str(study_file),
        "rehearsal",
        study_file.parent / "study",
        out,
        TARGET,
        gather=from_here,
        extra="",
        beside=BESIDE,
    )


@pytest.fixture
def built_already(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel of this foolscan that another test has built."""
    wheel = next(made.root.glob("wheels/foolscan-*.whl"))
    monkeypatch.setattr("stimulus_pc.bundle.own_wheel", lambda to: Path(shutil.copy(wheel, to)))


def hashes(root: Path) -> dict[str, str]:
    paths = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def offline(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without a network, where the system lets us take it away; without a package index anywhere."""
    alone = ["unshare", "--net"] if can_cut_the_network() else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment |= {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    return subprocess.run(
        [*alone, *command], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=500
    )


def can_cut_the_network() -> bool:
    return shutil.which("unshare") is not None and subprocess.run(["unshare", "--net", "true"]).returncode == 0


@same_machine
def test_a_bundle_is_installed_and_runs_without_a_network_and_its_runs_come_back(
    made: Bundle, study_file: Path, tmp_path: Path
):
    there = tmp_path / "stimulus PC"  # the space is meant
    shutil.copytree(made.root, there)
    installed = offline([sys.executable, "install.py"], there)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    facts = json.loads((there / "bundle.json").read_text(encoding="utf-8"))
    assert facts["next"] in installed.stdout
    program = str(there / "environment" / ("Scripts" if os.name == "nt" else "bin") / "foolscan")
    rig = next(there.glob("rig-*.yaml")).name
    shown = offline(
        [program, "experiment", "rehearse", "small.yaml", "--rig", rig, "--stage", "null", "--to", "study"], there
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr

    lab = tmp_path / "lab"
    shutil.copytree(study_file.parent / "study", lab)
    before = hashes(lab)
    asked = merge(there / "study", lab, dry_run=True)
    assert hashes(lab) == before
    done = merge(there / "study", lab)
    assert [line.split(":")[0] for line in asked.lines] == [line.split(":")[0] for line in done.lines]
    after, theirs = hashes(lab), hashes(there / "study")
    recorded = {name for name in theirs if name.startswith(("sub-", "sourcedata/"))}
    assert len([name for name in recorded if name.endswith("_events.tsv")]) == 4
    assert {name: theirs[name] for name in recorded} == {name: after[name] for name in recorded}
    assert before.items() <= after.items(), "nothing that was there has changed"
    assert merge(there / "study", lab).files_copied == 0
    assert hashes(lab) == after
    assert offline([sys.executable, "install.py", "--check-only"], there).returncode == 0, (
        "runs change none of the files"
    )


def test_study_and_rig_load_alone_and_mean_the_same(made: Bundle, study_file: Path, tmp_path: Path):
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in made.root.glob("*.yaml"):
        shutil.copy(path, alone)
    assert "extends:" not in (alone / "small.yaml").read_text(encoding="utf-8")
    assert load_study(alone / "small.yaml").sha256 == load_study(study_file).sha256
    assert load_rig(alone / "rig-rehearsal.yaml").model_dump() == load_rig("rehearsal").model_dump()


@pytest.mark.parametrize("name", ["demo", "zhang2018", "desk"])
def test_shipped_studies_mean_the_same_as_one_file(name: str, tmp_path: Path):
    from stimulus_pc.bundle import _protocols

    study, _ = _protocols(tmp_path, name, load_study(name), "rehearsal", load_rig("rehearsal"))
    assert load_study(tmp_path / study).sha256 == load_study(name).sha256


def test_a_bundle_names_no_place_of_this_computer_and_no_index(made: Bundle, study_file: Path):
    places = [str(study_file.parent), str(made.root.parent), str(Path.home()) + os.sep, "://pypi", "pythonhosted"]
    for path in made.root.rglob("*"):
        if path.is_file() and path.suffix not in (".whl", ".png"):
            text = path.read_text(encoding="utf-8")
            assert not [place for place in places if place in text], path


def test_a_bundles_images_are_those_of_the_study_and_nothing_recorded_goes_along(made: Bundle, study_file: Path):
    source, there = study_file.parent / "study", made.root / "study"
    sent = hashes(there)
    assert hashes(source / "stimuli").items() <= hashes(there / "stimuli").items()
    assert "Simulated" not in json.loads((there / "dataset_description.json").read_text(encoding="utf-8"))
    assert not [name for name in sent if name.startswith(("sub-", "sourcedata", "participants"))]


def test_a_file_that_changed_on_the_way_is_named(made: Bundle, tmp_path: Path):
    there = tmp_path / "there"
    shutil.copytree(made.root, there)
    picture = next(there.joinpath("study", "stimuli").rglob("*.png"))
    picture.write_bytes(picture.read_bytes()[:-1])
    there.joinpath("README.txt").unlink()
    rig = next(there.glob("rig-*.yaml"))
    rig.write_text(rig.read_text(encoding="utf-8") + "# measured here\n", encoding="utf-8")
    done = offline([sys.executable, "install.py"], there)
    assert done.returncode == 2
    assert "2 files are not" in done.stderr, "the rig file is the room's to change"
    assert f"{picture.relative_to(there).as_posix()}: has changed" in done.stderr
    assert "README.txt: is missing" in done.stderr
    assert not there.joinpath("environment").exists()


def test_another_computer_than_the_bundles_is_refused(made: Bundle, tmp_path: Path):
    there = tmp_path / "there"
    shutil.copytree(made.root, there)
    facts = json.loads((there / "bundle.json").read_text(encoding="utf-8"))
    (there / "bundle.json").write_text(json.dumps({**facts, "python": "3.9"}), encoding="utf-8")
    lines = (there / "checksums.sha256").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.endswith("bundle.json")]
    (there / "checksums.sha256").write_text("\n".join(kept), encoding="utf-8")
    done = offline([sys.executable, "install.py"], there)
    assert done.returncode == 2
    assert "this bundle needs Python 3.9" in done.stderr


@pytest.mark.usefixtures("built_already")
def test_a_rig_that_listens_to_lab_streams_takes_their_package_along(study_file: Path, tmp_path: Path):
    asked: list[str] = []

    def ask(target: Target, requirements: Sequence[str], to: Path) -> Wheels:
        asked.extend(requirements)
        return Wheels((), ())

    text = "format: 1\nextends: rehearsal\nname: rehearsal\nphotodiode: {kind: lsl, stream: light}\n"
    (tmp_path / "rig.yaml").write_text(text, encoding="utf-8")
    bundle(str(study_file), str(tmp_path / "rig.yaml"), study_file.parent / "study", tmp_path / "b", TARGET, gather=ask)
    assert asked[0].endswith(".whl[experiment,lsl]")
    facts = json.loads((tmp_path / "b" / "bundle.json").read_text(encoding="utf-8"))
    assert facts["install"][0].startswith("foolscan[experiment,lsl]==")


def test_a_folder_with_something_in_it_is_refused(study_file: Path, tmp_path: Path):
    (tmp_path / "other").write_text("mine", encoding="utf-8")
    with pytest.raises(FoolscanError, match="exists already"):
        bundle(str(study_file), "rehearsal", study_file.parent / "study", tmp_path, TARGET, gather=none)


@pytest.mark.usefixtures("built_already")
def test_what_fails_leaves_nothing_behind(study_file: Path, tmp_path: Path):
    def broken(target: Target, requirements: Sequence[str], to: Path) -> Wheels:
        raise FoolscanError("no network")

    with pytest.raises(FoolscanError, match="no network"):
        bundle(str(study_file), "rehearsal", study_file.parent / "study", tmp_path / "bundle", TARGET, gather=broken)
    assert [*tmp_path.iterdir()] == []


def test_a_study_that_names_a_place_of_this_computer_is_refused(study_file: Path, tmp_path: Path):
    lab = tmp_path / "lab"
    lab.mkdir()
    pictures = f"  pictures: {{kind: folder, folder: {lab / 'pictures'}, labels: {lab / 'labels.tsv'}}}\n"
    text = study_file.read_text(encoding="utf-8").replace(
        "stimuli: {n_categories: 4}\n", "stimuli:\n  n_categories: 4\n" + pictures
    )
    (lab / "mine.yaml").write_text(text.replace("name: small", "name: mine"), encoding="utf-8")
    shutil.copytree(study_file.parent / "study", lab / "study")
    with pytest.raises(FoolscanError, match=r"mine\.yaml: found the path .*; write it relative to the study file"):
        bundle(str(lab / "mine.yaml"), "rehearsal", lab / "study", tmp_path / "bundle", TARGET, gather=none)
    assert not (tmp_path / "bundle").exists()


def test_images_that_are_not_made_are_asked_for(study_file: Path, tmp_path: Path):
    with pytest.raises(FoolscanError, match="foolscan stimuli make"):
        bundle(str(study_file), "rehearsal", tmp_path / "nothing", tmp_path / "bundle", TARGET, gather=none)


# --- wheels for another system ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["windows", "linux", "macos"])
def test_conditions_of_requirements_are_judged_for_the_target(name: PlatformName, tmp_path: Path):
    """pip alone would judge them for this computer; the real pip is asked about a package made for the purpose."""
    import zipfile

    from stimulus_pc.wheels import look_up

    for package, needs in (
        ("onlywindows", ()),
        ("onlylinux", ()),
        ("onlymac", ()),
        (
            "asks",
            (
                'onlywindows; sys_platform == "win32"',
                'onlylinux; platform_system == "Linux"',
                'onlymac; sys_platform == "darwin" and platform_machine == "arm64"',
            ),
        ),
    ):
        info = f"{package}-1.0.dist-info"
        with zipfile.ZipFile(tmp_path / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
            required = "".join(f"Requires-Dist: {need}\n" for need in needs)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n{required}")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    found = look_up(Target(name, "3.11"), ["--no-index", str(tmp_path / "asks-1.0-py3-none-any.whl")], tmp_path)
    mine = {"windows": "onlywindows", "linux": "onlylinux", "macos": "onlymac"}[name]
    assert found.files == ("asks-1.0-py3-none-any.whl", f"{mine}-1.0-py3-none-any.whl")


def test_packages_without_a_wheel_are_read_from_what_pip_says():
    one = "ERROR: No matching distribution found for esprima>=4.0 (from psychopy)"
    many = (
        "The conflict is caused by:\n    a depends on b\n\nAdditionally, some packages in these conflicts have no matching "
        "distributions available for your environment:\n    esprima\n    other\n\nTo fix this\n"
    )
    assert without_wheel(one) == ["esprima"]
    assert without_wheel(many) == ["esprima", "other"]
    assert without_wheel("ERROR: something else") == []


def test_foolscans_own_wheel_is_packed_from_the_checkout(made: Bundle):
    assert [*made.root.joinpath("wheels").glob("foolscan-*.whl")]
    assert StudyFolder(made.root / "study").manifest.exists()
