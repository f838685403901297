"""Arrays that refuse negative indexes and count what is read of them. Knows the names of the modules with kernels.

numpy takes an index below zero as one from the end, and so does numba: a place before a text's begin would be read at
its end, without an error. Works on kernels that run as plain Python only.
"""

from __future__ import annotations

import importlib
import types
from typing import Any

import numpy as np
from numba import config

_MODULES = (
    "characters", "extents", "fingerprint", "hints", "lexicon", "lexing", "minhash", "names", "opening", "page",
    "remarks", "runs", "syntax", "tokens", "winnowing",
)  # fmt: skip
_MAKERS = ("array", "ascontiguousarray", "empty", "frombuffer", "stack", "zeros")
_Index = Any


class OutOfBoundsError(Exception):
    """An index below zero."""


class Bounded(np.ndarray[Any, Any]):
    """An array without places below zero. `reads`: how many were read, of all arrays."""

    reads = 0

    def __getitem__(self, index: _Index) -> Any:  # noqa: ANN401 - as numpy
        Bounded.reads += 1
        _require(index)
        return super().__getitem__(index)

    def __setitem__(self, index: _Index, value: Any) -> None:  # noqa: ANN401 - as numpy
        _require(index)
        super().__setitem__(index, value)


def _require(index: _Index) -> None:
    for one in index if isinstance(index, tuple) else (index,):
        if isinstance(one, int | np.integer) and one < 0:
            message = f"index {index}"
            raise OutOfBoundsError(message)


def bound() -> None:
    """Give every kernel such arrays instead of numpy's, for the rest of the process."""
    if not config.DISABLE_JIT:
        message = "compiled kernels take numpy's own arrays only: set NUMBA_DISABLE_JIT=1"
        raise RuntimeError(message)
    np.seterr(over="ignore")  # hashes overflow on purpose
    numpy = types.ModuleType("numpy")
    numpy.__dict__.update(np.__dict__)
    for name in _MAKERS:
        setattr(numpy, name, _bounded(getattr(np, name)))
    for name in _MODULES:
        module = importlib.import_module(f"guard.{name}")
        for known, value in vars(module).items():
            if isinstance(value, np.ndarray):
                setattr(module, known, value.view(Bounded))
        if hasattr(module, "np"):
            module.np = numpy
    tokens = importlib.import_module("guard.tokens")
    classes = tokens.classes().view(Bounded)
    tokens.classes = lambda: classes


def _bounded(make: Any) -> Any:  # noqa: ANN401 - any of numpy's functions
    return lambda *given, **named: make(*given, **named).view(Bounded)
