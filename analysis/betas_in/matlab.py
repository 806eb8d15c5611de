"""Reads MATLAB's files of any version as dictionaries, lists, text and arrays: structures 5 and 7 by scipy, 7.3 by h5py."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from protocols.problems import FoolscanError

DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    RuntimeError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
)


def read_matlab(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Some variables of a MATLAB file; those it does not have are absent.

    names : dotted paths into structures, as ``SPM.xX.name``; the result has them as keys.

    Structures become dictionaries, arrays of structures and cells lists, characters text; numbers stay arrays, in MATLAB's
    order of dimensions. Raises FoolscanError when the file is missing or not readable.
    """
    if not path.is_file():
        raise FoolscanError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise FoolscanError(f"{path}: found 0 bytes; copy the file again")
    try:
        return _version_73(path, names) if is_hdf5(path) else _version_5(path, names)
    except DAMAGE as error:
        raise FoolscanError(
            f"{path}: not readable as a MATLAB file ({error}); copy it again, or save it with -v7"
        ) from error


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5 inside, as MATLAB's version 7.3 is."""
    signature = b"\x89HDF\r\n\x1a\n"
    with path.open("rb") as content:
        start = content.read(520)
    return start.startswith(signature) or start[512:].startswith(signature)


def is_matlab_73(path: Path) -> bool:
    """Whether an HDF5 file is MATLAB's, with its dimensions in reverse."""
    with path.open("rb") as content:
        return content.read(19) == b"MATLAB 7.3 MAT-file"


def _version_5(path: Path, names: Sequence[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    top = sorted({name.split(".")[0] for name in names})
    content = loadmat(path, variable_names=top, struct_as_record=False, squeeze_me=True, chars_as_strings=True)
    found = {}
    for name in names:
        here: Any = content
        for part in name.split("."):
            if isinstance(here, np.ndarray) and here.size == 1:
                here = here.item()
            here = here.get(part) if isinstance(here, dict) else getattr(here, part, None)
            if here is None:
                break
        if here is not None:
            found[name] = _plain(here)
    return found


def _plain(value: Any) -> Any:
    if hasattr(value, "_fieldnames"):
        return {name: _plain(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(item) for item in value.ravel(order="F")]
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        texts = [str(item) for item in value.ravel(order="F")]
        return texts[0] if value.ndim == 0 else texts
    if isinstance(value, str | bytes):
        return str(value)
    return value


def _version_73(path: Path, names: Sequence[str]) -> dict[str, Any]:
    import h5py

    found = {}
    with h5py.File(path, "r") as content:
        for name in names:
            key = name.replace(".", "/")
            if key in content:
                found[name] = _of_hdf5(content, content[key], is_matlab_73(path))
    return found


def _of_hdf5(content: Any, item: Any, reverse: bool) -> Any:
    import h5py

    if isinstance(item, h5py.Group):
        fields = {name: item[name] for name in item}
        # of an array of structures every field is a list of references, and says nothing of a cell
        many = [field for field in fields.values() if _has_references(field) and "MATLAB_class" not in field.attrs]
        if fields and len(many) == len(fields):
            columns = {
                name: [_of_hdf5(content, content[ref], reverse) for ref in field[()].ravel()]
                for name, field in fields.items()
            }
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return {name: _of_hdf5(content, field, reverse) for name, field in fields.items()}
    if _has_references(item):
        return [_of_hdf5(content, content[ref], reverse) for ref in item[()].ravel()]
    value = item[()]
    if item.attrs.get("MATLAB_empty", 0):
        return np.empty(0)
    if item.attrs.get("MATLAB_class", b"") in (b"char", "char"):
        return "".join(chr(int(code)) for code in np.asarray(value).ravel())
    array = np.asarray(value)
    return array.transpose() if reverse else array


def _has_references(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Dataset) and h5py.check_ref_dtype(item.dtype) is not None
