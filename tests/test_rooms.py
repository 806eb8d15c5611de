"""The house: arrows between the rooms point one way, and a room asks for nothing that another needs."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("stimuli", "experiment", "analysis")
MAY_IMPORT = {
    "protocols": {"protocols"},
    **{room: {room, "protocols"} for room in ROOMS},
    "stimulus_pc": {"stimulus_pc", "protocols"},  # no room: it takes what they make from one computer to another
}
# What importing a room must not load: the functions that need it load it.
FORBIDDEN = {
    "protocols": ("torch", "psychopy", "nilearn", "pandas", "scipy", "matplotlib"),
    "stimuli": ("torch", "psychopy", "nilearn"),
    "experiment": ("torch", "torchvision", "nilearn", "nibabel"),
    "analysis": ("psychopy", "torch"),
    "stimulus_pc": ("torch", "psychopy", "nilearn", "pandas", "scipy", "matplotlib"),
    "foolscan": ("torch", "psychopy", "nilearn", "pandas", "scipy", "matplotlib"),
}
MODULES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(source: str) -> set[str]:
    """The top-level packages that a module names, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            names.update(str(item.value).split(".")[0] for item in node.args if isinstance(item, ast.Constant))
    return names


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_the_reader_of_imports_sees_every_kind():
    source = (
        "import a.b\nfrom c.d import e\nfrom . import f\ndef g():\n    import h\n    importlib.import_module('i.j')\n"
    )
    assert imported_names(source) == {"a", "c", "h", "i"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_itself_and_protocols(path: Path):
    room = path.relative_to(ROOT).parts[0]
    neighbours = imported_names(path.read_text(encoding="utf-8")) & {*MAY_IMPORT, "foolscan"}
    assert neighbours <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_importing_a_room_loads_nothing_heavy(name: str):
    assert not loaded_by(f"import {name}") & set(FORBIDDEN[name])


@pytest.mark.parametrize("room", [*ROOMS, "protocols"])
def test_a_rooms_command_line_and_doctor_load_nothing_heavy(room: str):
    modules = [f"{room}.{name}" for name in ("command_line", "doctor") if (ROOT / room / f"{name}.py").exists()]
    assert not loaded_by(f"import {', '.join(modules)}") & set(FORBIDDEN[room])


@pytest.mark.parametrize("room", ["experiment", "analysis"])
def test_no_module_of_a_room_loads_what_only_another_installs(room: str):
    names = [name_of(path) for path in MODULES if path.relative_to(ROOT).parts[0] == room]
    reachable = [name for name in names if not needs(name, "psychopy")] if room == "experiment" else names
    assert reachable
    assert not loaded_by(f"import {', '.join(reachable)}") & set(FORBIDDEN[room])


def needs(name: str, package: str) -> bool:
    """Whether a module imports a package as soon as it is imported."""
    path = ROOT.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    top = ast.parse(path.read_text(encoding="utf-8")).body
    statements = [node for node in top if isinstance(node, ast.Import | ast.ImportFrom)]
    return any(package in imported_names(ast.unparse(node)) for node in statements)


def tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    return [ROOT / name for name in done.stdout.split("\0") if name]


@pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(),
    reason="tracked files can be listed in a git clone only",
)
def test_tracked_files_name_no_machine_and_no_download_address():
    # written so that this file does not match itself
    home = re.compile(r"(?<![\w.~$}])/(?:" + "|".join(["home", "Users", "root", "work"]) + r")/\w")
    registry = re.compile(
        r"https?://(?:[\w.-]*\.)?(?:pypi|pythonhosted|npmjs|pytorch)\.(?:org|com)/(?:simple|packages|whl)"
    )
    found = []
    for path in tracked_files():
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in home.finditer(text)]
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in registry.finditer(text)]
    assert not found
