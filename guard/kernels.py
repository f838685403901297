"""How the guard's inner loops are compiled: numba, to machine code that is kept on disk. Knows none of the loops."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

    AnyCallable = Callable[..., object]

F = TypeVar("F", bound="AnyCallable")


def constant(value: int) -> int:
    """A number that kernels hand on to one another: of a literal, numba makes a type of its own."""
    return cast("int", np.int64(value))


ZERO = constant(0)

# Without the code for calls from Python and C, which takes a third of the time of compiling.
_UNWRAPPED: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Modules whose constants stand in compiled code, though they hold no kernel.
_CONSTANTS = ("keywords.py", "vocabulary.py", "stream.py")


def _sources() -> tuple[str, int]:
    """A hash of the text of every module that compiled code is made from, and how long those texts are together.

    numba keeps a kernel's machine code as long as the kernel's own file does not change. Kernels call kernels of other
    files and hold their constants, so the code of one is kept as long as none of them changes.
    """
    hasher, size = hashlib.sha256(), 0
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source = path.read_bytes()
        if path.name in _CONSTANTS or b"guard.kernels" in source:
            hasher.update(source)
            size += len(source)
    return hasher.hexdigest(), size


SOURCES = _sources()


def kernel(function: F) -> F:
    """`function` compiled when it is first called with arguments of a type, without the interpreter's lock.

    The machine code is kept beside the module, else in the user's cache directory, else nowhere: then every process
    compiles anew.
    """
    try:
        compiled: Any = njit(cache=True, nogil=True)(function)
        compiled._cache._cache_file._source_stamp = SOURCES  # noqa: SLF001 - numba has no public way to widen it
    except (RuntimeError, AttributeError):
        compiled = njit(nogil=True)(function)
    return cast("F", compiled)


def part(function: F) -> F:
    """`function` as a part of kernels, which alone may call it: it is compiled and kept with them.

    For each type of its arguments it is compiled once more, and a literal integer is a type of its own: what is handed
    on begins as a `constant`.
    """
    return cast("F", njit(nogil=True, **_UNWRAPPED)(function))
