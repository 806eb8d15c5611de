"""The wheel holds everything that runs: a study by its name, from an empty folder, without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protocols", "stimuli", "experiment", "analysis", "stimulus_pc")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = [f"{name}.py" for name in PYPROJECT["tool"]["setuptools"]["py-modules"]]


def without_checkout() -> dict[str, str]:
    """This environment, without anything that would lead Python back to the checkout."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def shipped_files() -> set[str]:
    """Every file of the packages in the checkout, as the wheel would name it."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy: a build in the checkout would leave files there and find old ones."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", *MODULES):
        shutil.copy2(ROOT / name, source / name)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new environment that holds the wheel and sees this environment's dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(environment)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    python = programs / ("python.exe" if os.name == "nt" else "python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, encoding="utf-8", env=without_checkout())
    assert done.returncode == 0, done.stderr
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([str(python), "-c", where], text=True).strip())
    # a path in a .pth file does not run the .pth files it leads to, so the checkout stays out of sight
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8", newline="\n")
    return programs


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert shipped_files() <= inside
    assert set(MODULES) <= inside


def test_the_wheel_holds_studies_rigs_and_weights(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
    assert {"protocols/demo.yaml", "protocols/zhang2018.yaml"} <= set(inside)
    assert any(name.startswith("protocols/rigs/") and name.endswith(".yaml") for name in inside)
    assert "protocols/rigs/presets/siemens.yaml" in inside
    assert any(name.startswith("stimuli/networks/weights/") and name.endswith(".safetensors") for name in inside)


def test_the_wheel_holds_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert tops == {*MODULES, f"foolscan-{PYPROJECT['project']['version']}.dist-info", *PACKAGES}


def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path):
    code = "import foolscan, protocols, stimuli, experiment, analysis as a; print(foolscan.__file__, a.__file__)"
    python = installed / ("python.exe" if os.name == "nt" else "python")
    shown = subprocess.check_output([str(python), "-c", code], text=True, cwd=tmp_path, env=without_checkout())
    assert str(ROOT) not in shown


def check(programs: Path, study: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(programs / "foolscan"), "check", study],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env=without_checkout(),
        timeout=300,
    )


def test_the_demo_study_is_found_by_its_name_from_an_empty_folder(installed: Path, tmp_path: Path):
    done = check(installed, "demo", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_published_study_is_found_too_and_wants_nothing_but_photographs_and_weights(
    installed: Path, tmp_path: Path
):
    done = check(installed, "zhang2018", tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    photographs, *weights = done.stderr.splitlines()
    assert "stimuli.pictures" in photographs
    assert all("the ImageNet weights of alexnet" in line for line in weights)  # on disk they need not be asked for
