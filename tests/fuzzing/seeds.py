"""Inputs to begin with: the samples, files of the standard library in pieces, and what the readers' writers write."""

from __future__ import annotations

import hashlib
import inspect
import shlex
import statistics
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from samples.code import SAMPLES

from fuzzing.targets import DIGESTER, KEY, LENGTHS
from guard.background import Background
from guard.buckets import encoded
from guard.layout import BUCKETS
from guard.stamp import Stamp
from guard.wire import encode, encode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MADE_WITH = Stamp(2, "lexer1 winnow9/7", KEY.check, "")
_MARKS = (
    "\"|'|`|\"\"\"|'''|/*|*/|//|#|\\|\n|\r\n|\t|\x00|\ufeff|\u202e|(|)|[|]|{|}|,|;|=|:|->|.|...|===|!==|&'a|'static|"
    "0x1f|3.25|def f(|class|return|import|r\"|f'|L'|\u03b4\u03ad\u03bb\u03c4\u03b1|# include|@x|=>|"
    "x: int = 1\n|once upon a time"
)
"""What languages are made of."""


def write(target: str, folder: Path) -> None:
    """Put the seeds of a target into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds(target):
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


def dictionary() -> str:
    """What languages are made of, as libFuzzer reads them."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in mark.encode()) + '"\n' for mark in _MARKS.split("|"))


def seeds(target: str) -> Iterator[bytes]:
    """What to begin a target with."""
    if target in ("lexer", "growth", "digest"):
        size = LENGTHS[target] - 1
        texts = [*SAMPLES.values(), *map(inspect.getsource, (shlex, statistics, textwrap))]
        for number, text in enumerate(texts):
            data = text.encode()
            for mode, at in enumerate(range(0, min(len(data), 12 * size), size)):
                yield bytes([(number + mode) % 12]) + data[at : at + size]
    elif target == "wire":
        digests = [encode(DIGESTER.digest(f"a/{name}", text[:600], name)) for name, text in SAMPLES.items()]
        yield from digests
        yield encode_batch(MADE_WITH, [*digests[:2]])
        yield encode_batch(MADE_WITH, [])
    elif target == "buckets":
        for count in (0, 1, 2, 5, 60, 500):
            raw = encoded(np.linspace(0, BUCKETS - 1, count).astype(np.int64))
            yield from (raw, raw[:1] + raw[3:])
    else:
        model = Background.of_counts(np.arange(9, 60, dtype=np.uint64), np.arange(51) + 1, "python")
        yield model.to_bytes()
        yield bytes(range(16))
