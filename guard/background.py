"""A background model: how often runs of renamed tokens occur in public code of one language. Knows no index.

Counts of n-grams of renamed tokens (orders 1 to ORDERS) and of literals (names, strings and numbers as they are
written) in one table of 16-bit slots: 11 bits that tell entries apart and 5 of a rounded count. A lookup of what was
never seen finds another one's count once in some three hundred times, which makes a token cheaper, never dearer. Models
are made of public code only (counts of private code would leak it), ship with the package and are stamped with a
version. Made by guard.counting, read by guard.rarity.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from guard.errors import BackgroundError
from guard.kernels import kernel, part
from guard.runs import mixed
from guard.stream import IDENTIFIER, NUMBER

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDERS = 10
"""Tokens of the longest n-gram."""
FORMAT = 2
FOLDER = Path(__file__).parent / "backgrounds"
"""The models that ship, one file a language."""
LOAD = 0.7
"""Share of the slots that are taken."""
STEP = 0.75
"""Binary logarithm of the ratio of one rounded count to the next."""
_LEVEL_BITS = 5
_LEVELS = (1 << _LEVEL_BITS) - 1
_LEVEL = np.uint64(_LEVELS)
_CHECK = np.uint64((1 << 16) - 1 - _LEVELS)
_HALF = np.uint64(32)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_READING = Lock()
_LITERAL = np.uint64(0xD6E8FEB86659FD93)

Number = int | np.int64 | np.int32
"""What kernels count with."""
COUNTS = np.concatenate([[0.0], 2.0 ** (STEP * np.arange(_LEVELS))])
"""The count of each level; none is level 0."""


@dataclass(frozen=True, slots=True)
class Background:
    """One language's model. `slots`: uint16, never empty. `tokens`: how many it was counted on, 0 if untrained."""

    slots: NDArray[np.uint16]
    tokens: int
    language: str = ""
    version: str = ""
    sources: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def untrained(cls) -> Self:
        """A model of nothing: every token is worth the same."""
        return cls(np.zeros(1, dtype=np.uint16), 0)

    @classmethod
    def of_counts(cls, grams: NDArray[np.uint64], counts: NDArray[np.int64], language: str) -> Self:
        """A model of n-grams' keys (see `gram_key`), each once, and how often each occurs; shapes (n,), n > 0."""
        # The commonest first, so that they lie where they are found at once.
        order = np.lexsort((grams, -counts))
        levels = np.minimum(1 + np.round(np.log2(counts[order]) / STEP), _LEVELS).astype(np.uint64)
        slots = np.zeros(int(len(grams) / LOAD) + 1, dtype=np.uint16)
        _fill(slots, grams[order], levels)
        version = hashlib.sha256(slots.astype("<u2").tobytes()).hexdigest()[:12]
        return cls(slots, 0, language, version)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            BackgroundError: it is something else, or was changed.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                slots, about = arrays["slots"], json.loads(arrays["about"].tobytes())
            model = cls(slots, int(about["tokens"]), about["language"], about["version"], about["sources"])
            sound = about["format"] == FORMAT and slots.dtype == np.uint16 and slots.ndim == 1 and not slots.all()
            sound &= isinstance(about["language"], str) and isinstance(about["sources"], dict) and model.tokens >= 0
        except Exception as error:  # numpy, zipfile and zlib raise a dozen kinds at damaged bytes
            message = f"{len(data)} bytes that are no background model: build it with `cleanroom background build`"
            raise BackgroundError(message) from error
        if not sound or hashlib.sha256(slots.astype("<u2").tobytes()).hexdigest()[:12] != model.version:
            message = f"a background model of another format or a damaged one (version {model.version}): build it again"
            raise BackgroundError(message)
        return model

    def to_bytes(self) -> bytes:
        """The model with what is known of it; equal models are equal bytes."""
        about = {
            "format": FORMAT,
            "language": self.language,
            "tokens": self.tokens,
            "version": self.version,
            "sources": self.sources,
        }
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=np.uint8)
        np.savez_compressed(buffer, slots=self.slots.astype("<u2"), about=text)
        return buffer.getvalue()


# What is written alike, or told apart too late, shares models: an idiom of either is one in both.
_WEB = ("javascript", "typescript")
_MODELS = {
    "javascript": _WEB,
    "typescript": _WEB,
    "c": ("cpp",),
    "objective-c": ("cpp",),
    "csharp": ("java",),
    "kotlin": ("java",),
    "scala": ("java",),
    "groovy": ("java",),
}
_OF_SYNTAX = {"hash": ("python",), "slash": ("cpp", "go", "java", "javascript", "rust", "typescript")}


def backgrounds_for(language: str | None, syntax: str) -> tuple[Background, ...]:
    """The models of a language, or all of its syntax if there are none of it: ordinary is what any of them expects.

    Raises:
        BackgroundError: a model's file is missing or damaged; nothing can be judged without it.
    """
    name = language or ""
    models = (name,) if name in shipped_languages() else _OF_SYNTAX[syntax]
    return tuple(shipped(model) for model in _MODELS.get(name, models))


@cache
def shipped_languages() -> frozenset[str]:
    """The languages whose models ship with the package."""
    return frozenset(path.stem for path in FOLDER.glob("*.npz"))


def shipped(language: str) -> Background:
    """The model of `language` that ships with the package; raises BackgroundError if there is none."""
    # One thread at a time: numpy parses a header with `ast`, which several threads at once can upset.
    with _READING:
        return _read(language)


@cache
def _read(language: str) -> Background:
    path = FOLDER / f"{language}.npz"
    try:
        return Background.from_bytes(path.read_bytes())
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): install Cleanroom again"
        raise BackgroundError(message) from error


@part
def longer(key: np.uint64, symbol: Number) -> np.uint64:
    """The key of an n-gram with one more symbol in front of it; that of the empty one is 0."""
    return mixed(key * _BASE + np.uint64(symbol) + _ONE)


@part
def literal_key(text: NDArray[np.uint32], symbol: int, start: int, end: int) -> np.uint64:
    """The key of a token as it is written: its kind and the characters text[start:end]."""
    key = _LITERAL
    for at in range(start, end):
        key = longer(key, np.int64(text[at]))
    return longer(key, symbol)


@part
def level_of(slots: NDArray[np.uint16], key: np.uint64) -> Number:
    """The level of an n-gram's count, 0 if it is not there."""
    size = np.uint64(len(slots))
    at = np.int64(((key >> _HALF) * size) >> _HALF)
    check = (key << np.uint64(_LEVEL_BITS)) & _CHECK
    while slots[at]:
        if np.uint64(slots[at]) & _CHECK == check:
            return np.int64(np.uint64(slots[at]) & _LEVEL)
        at = np.int64(at + 1)
        if at == len(slots):
            at = np.int64(0)
    return np.int64(0)


@kernel
def _fill(slots: NDArray[np.uint16], keys: NDArray[np.uint64], levels: NDArray[np.uint64]) -> None:
    """Enter n-grams; of two that cannot be told apart the first stays."""
    size = np.uint64(len(slots))
    for i in range(len(keys)):
        at = np.int64(((keys[i] >> _HALF) * size) >> _HALF)
        check = (keys[i] << np.uint64(_LEVEL_BITS)) & _CHECK
        while slots[at] and np.uint64(slots[at]) & _CHECK != check:
            at = np.int64(at + 1) if at + 1 < len(slots) else np.int64(0)
        if not slots[at]:
            slots[at] = check | levels[i]


@kernel
def gram_keys(symbols: NDArray[np.int32], order: int) -> NDArray[np.uint64]:
    """Keys of all n-grams of one order, shape (max(0, n - order + 1),); gram i ends at symbol i + order - 1."""
    keys = np.empty(max(0, len(symbols) - order + 1), dtype=np.uint64)
    for at in range(len(keys)):
        key = np.uint64(0)
        for back in range(order):
            key = longer(key, symbols[at + order - 1 - back])
        keys[at] = key
    return keys


@kernel
def literal_keys(
    text: NDArray[np.uint32], symbols: NDArray[np.int32], starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> NDArray[np.uint64]:
    """Keys of a stream's names, strings and numbers in order, shape (as many as there are,)."""
    keys = np.empty(len(symbols), dtype=np.uint64)
    count = 0
    for at in range(len(symbols)):
        if IDENTIFIER <= symbols[at] <= NUMBER:
            keys[count] = literal_key(text, symbols[at], starts[at], ends[at])
            count += 1
    return keys[:count]
