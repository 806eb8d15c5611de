"""Reads ``.npy`` files that hold a dictionary of arrays, without running what a file of unknown origin may ask for."""

from __future__ import annotations

import pickle
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
    AttributeError,
    MemoryError,
    ImportError,
    pickle.UnpicklingError,
)
# What NumPy's arrays, types and numbers are made with in a pickle; all else becomes an empty stand-in.
NEEDED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("builtins", "complex"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "bytearray"),
    ("builtins", "slice"),
    ("collections", "OrderedDict"),
    *(
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("_reconstruct", "scalar")
    ),
    *((module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")),
}


class StandIn:
    """Stands where a file has an object that is no number, text, list, dictionary or array."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        """Keep nothing of it."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in NEEDED else StandIn


def read_dictionary(path: Path) -> dict[str, Any]:
    """The dictionary that ``numpy.save`` wrote.

    Nothing in the file is executed: only arrays, numbers, text, lists and dictionaries are made from it.
    Raises FoolscanError when it is missing, not readable, or holds no dictionary.
    """
    if not path.is_file():
        raise FoolscanError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise FoolscanError(f"{path}: found 0 bytes; copy the file again")
    try:
        with path.open("rb") as content:
            version = np.lib.format.read_magic(content)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(content)
            found = _Reader(content).load() if dtype.hasobject else None
    except DAMAGE as error:
        raise FoolscanError(f"{path}: not readable as NumPy's file ({error}); copy it again") from error
    value = found.item() if isinstance(found, np.ndarray) and found.size == 1 else found
    if not isinstance(value, dict):
        raise FoolscanError(f"{path}: found an array of shape {shape}; expected a dictionary, as GLMsingle saves it")
    return {str(name): item for name, item in value.items()}
