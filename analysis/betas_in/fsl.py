"""FSL's estimates: ``cope*.nii.gz`` or ``pe*.nii.gz`` of a ``.feat`` folder, named by its contrasts or its EVs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from analysis.betas_in.given import Given, GivenMap, volumes_of_files
from analysis.betas_in.given_tables import Named
from analysis.betas_in.names import named
from protocols.problems import FoolscanError

SETTING = re.compile(r"^\s*set\s+fmri\(([^)]+)\)\s+(.*?)\s*$")
BASIS_SETS = ("4", "5", "6", "7")  # convolve: Gamma, sine and FIR basis functions, own basis sets


@dataclass(frozen=True)
class _Ev:
    """One original EV: its title, the number of its first real EV, and its onsets, s."""

    title: str
    real: int
    onsets_s: tuple[float, ...]


@dataclass(frozen=True)
class _Contrast:
    title: str
    weights: tuple[float, ...]


def read_fsl(
    path: Path, stim_ids: Sequence[str], table: Mapping[str, Named], which: Literal["cope", "pe"] | None
) -> Given:
    """The estimates of the images in one ``.feat`` folder (one run).

    path  : the ``.feat`` folder.
    table : what titles of EVs or contrasts stand for.
    which : contrasts or parameter estimates; None: contrasts where the folder has ``design.con``, else estimates.

    A contrast is of an image when it has weight 1 for one EV and 0 elsewhere; others are left out and listed. Onsets are those of
    ``custom_timing_files``. Raises FoolscanError with the file for what is not readable or does not fit together.
    """
    if not (path / "stats").is_dir():
        raise FoolscanError(f"{path}: found no folder stats; expected a .feat folder of FSL")
    evs = _evs(path)
    which = which or ("cope" if (path / "design.con").is_file() else "pe")
    if which == "cope":
        items, files, left_out = _contrasts(path, evs)
    else:
        items, files, left_out = _estimates(path, evs)
    maps, images = [], []
    for (number, title, onsets_s), file in zip(items, files, strict=True):
        known = named(title, stim_ids, table)
        if known is not None and known.stim_id is None:
            left_out.append(title)
            continue
        if not file.is_file():
            raise FoolscanError(f"{file}: no such file, which the design names {title!r}; copy the whole .feat folder")
        where = f"{path.name}/stats/{which}{number} ({title})"
        told = (None, None) if known is None else (known.stim_id, known.trial)
        maps.append(GivenMap(where, title, stim_id=told[0], trial=told[1], onsets_s=onsets_s))
        images.append(file)
    if not images:
        raise FoolscanError(f"{path}: found no {which} of a condition; left out: {', '.join(left_out) or 'none'}")
    read, affine = volumes_of_files(images)
    designs = [path / name for name in ("design.fsf", "design.con") if (path / name).is_file()]
    return Given(tuple(maps), read, affine, (), tuple(images), tuple(designs), tuple(left_out), (f"{which}s of FSL",))


def _image(path: Path, name: str) -> Path:
    plain = path / "stats" / f"{name}.nii"
    return plain if plain.is_file() else plain.with_name(f"{name}.nii.gz")


def _estimates(
    path: Path, evs: Sequence[_Ev]
) -> tuple[list[tuple[int, str, tuple[float, ...]]], list[Path], list[str]]:
    if not evs:
        raise FoolscanError(
            f"{path / 'design.fsf'}: found no EV titles; expected fmri(evtitle1) … for the names of pe1 …"
        )
    items = [(ev.real, ev.title, ev.onsets_s) for ev in evs]
    return items, [_image(path, f"pe{ev.real}") for ev in evs], []


def _contrasts(
    path: Path, evs: Sequence[_Ev]
) -> tuple[list[tuple[int, str, tuple[float, ...]]], list[Path], list[str]]:
    items: list[tuple[int, str, tuple[float, ...]]] = []
    files, left_out = [], []
    of_real = {ev.real: ev for ev in evs}
    for number, contrast in enumerate(_design_con(path / "design.con"), start=1):
        waves = [place for place, weight in enumerate(contrast.weights, start=1) if weight != 0]
        if len(waves) != 1 or contrast.weights[waves[0] - 1] != 1:
            left_out.append(contrast.title)
            continue
        ev = of_real.get(waves[0])
        if evs and ev is None:
            left_out.append(contrast.title)
            continue
        if ev is not None and ev.title != contrast.title:
            raise FoolscanError(
                f"{path / 'design.con'}: contrast {number}: found {contrast.title!r} with weight 1 for EV {ev.title!r}; give both one "
                "name, or import the estimates themselves (--maps pe)"
            )
        items.append((number, contrast.title, ev.onsets_s if ev else ()))
        files.append(_image(path, f"cope{number}"))
    return items, files, left_out


def _evs(path: Path) -> list[_Ev]:
    file = path / "design.fsf"
    if not file.is_file():
        return []
    settings: dict[str, str] = {}
    for text in _lines(file):
        form = SETTING.match(text)
        if form:
            settings[form[1]] = form[2].strip('"')
    count = settings.get("evs_orig", "0")
    if not count.isdecimal():
        raise FoolscanError(f"{file}: fmri(evs_orig): found {count!r}, expected a number")
    evs, real = [], 1
    for number in range(1, int(count) + 1):
        title = settings.get(f"evtitle{number}")
        if not title:
            raise FoolscanError(f"{file}: found no fmri(evtitle{number}) among {count} EVs; FEAT writes one for each")
        if settings.get(f"convolve{number}") in BASIS_SETS:
            raise FoolscanError(
                f"{file}: EV {number} ({title}) is convolved with a set of basis functions; no single estimate is the response. Use one HRF"
            )
        evs.append(_Ev(title, real, _timing(path / "custom_timing_files" / f"ev{number}.txt")))
        real += 2 if settings.get(f"deriv_yn{number}") == "1" else 1
    return evs


def _timing(path: Path) -> tuple[float, ...]:
    """Onsets of a file with three columns, s; empty without one, and for files with one value per volume."""
    if not path.is_file():
        return ()
    onsets = []
    for line, text in enumerate(_lines(path), start=1):
        cells = text.split()
        if not cells:
            continue
        if len(cells) != 3:
            return ()
        try:
            onset_s, weight = float(cells[0]), float(cells[2])
        except ValueError:
            raise FoolscanError(f"{path}:{line}: found {text.strip()!r}, expected onset, duration and weight") from None
        if math.isfinite(onset_s) and weight != 0:
            onsets.append(onset_s)
    return tuple(onsets)


def _design_con(path: Path) -> list[_Contrast]:
    if not path.is_file():
        raise FoolscanError(f"{path}: no such file; it names the contrasts. For the estimates themselves: --maps pe")
    lines = _lines(path)
    titles: dict[int, str] = {}
    rows: list[tuple[float, ...]] = []
    in_matrix = False
    for line, text in enumerate(lines, start=1):
        name = re.match(r"^/ContrastName(\d+)\s+(.*?)\s*$", text)
        if name:
            titles[int(name[1])] = name[2].strip('"')
        elif text.startswith("/Matrix"):
            in_matrix = True
        elif in_matrix and text.strip():
            try:
                rows.append(tuple(float(cell) for cell in text.split()))
            except ValueError:
                raise FoolscanError(
                    f"{path}:{line}: found {text.strip()!r}, expected the weights of a contrast"
                ) from None
    if not rows or len({len(row) for row in rows}) != 1 or set(titles) != set(range(1, len(rows) + 1)):
        raise FoolscanError(
            f"{path}: found {len(titles)} names of contrasts and {len(rows)} rows of weights; expected one name per row"
        )
    return [_Contrast(titles[number], row) for number, row in enumerate(rows, start=1)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FoolscanError(f"{path}: not readable as text ({error}); copy it again") from error
