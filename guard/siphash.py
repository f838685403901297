"""SipHash-2-4, a keyed hash of short messages (Aumasson and Bernstein: SipHash: a fast short-input PRF, 2012).

For kernels, which absorb a message word by word, and for Python. Knows neither keys' purposes nor what is hashed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guard.kernels import kernel, part

State = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
States = NDArray[np.uint64]
"""Rows of what SipHash keeps, shape (n, 4)."""

KEY_BYTES = 16
WORD_BYTES = 8
HALF_WORD = np.uint64(32)
_INITIAL = np.frombuffer(b"somepseudorandomlygeneratedbytes", dtype=">u8").astype(np.uint64)
_FINAL = np.uint64(0xFF)
_LENGTH = np.uint64(56)
_13, _16, _17, _21, _32 = np.uint64(13), np.uint64(16), np.uint64(17), np.uint64(21), np.uint64(32)
_51, _48, _47, _43 = np.uint64(51), np.uint64(48), np.uint64(47), np.uint64(43)


def keyed(key: bytes) -> States:
    """The states before anything was read, one for every KEY_BYTES of `key`, shape (len(key) // KEY_BYTES, 4)."""
    words = np.frombuffer(key, dtype="<u8").astype(np.uint64).reshape(-1, 2)
    return np.ascontiguousarray(_INITIAL ^ np.tile(words, 2))


def siphash(key: bytes, message: bytes) -> int:
    """SipHash-2-4 of `message` under a `key` of KEY_BYTES, as a number of 64 bits."""
    size = len(message)
    padded = message + bytes(-(size + 1) % WORD_BYTES) + bytes([size % 256])
    return int(_hashed(keyed(key)[0], np.frombuffer(bytearray(padded), dtype="<u8")))


@kernel
def _hashed(state: NDArray[np.uint64], words: NDArray[np.uint64]) -> np.uint64:
    """The hash of a message whose last word holds its length in the highest byte."""
    values = (state[0], state[1], state[2], state[3])
    for at in range(len(words) - 1):
        values = absorb(values, words[at])
    return finish(values, words[-1])


@part
def absorb(state: State, word: np.uint64) -> State:
    """The state after one more word of the message."""
    state = sip_round(sip_round((state[0], state[1], state[2], state[3] ^ word)))
    return (state[0] ^ word, state[1], state[2], state[3])


@part
def finish(state: State, last: np.uint64) -> np.uint64:
    """The hash, whose message ends in the word `last`, with the length in its highest byte (see `tail`)."""
    state = absorb(state, last)
    state = sip_round(sip_round((state[0], state[1], state[2] ^ _FINAL, state[3])))
    state = sip_round(sip_round(state))
    return np.uint64(state[0] ^ state[1] ^ state[2] ^ state[3])


@part
def tail(size: int, rest: np.uint64) -> np.uint64:
    """The last word of a message of `size` bytes, of which `rest` are those behind its whole words."""
    return (np.uint64(size) << _LENGTH) | rest


@part
def sip_round(state: State) -> State:
    """SipRound (section 2.2 of the paper)."""
    v0, v1, v2, v3 = state
    v0 += v1
    v2 += v3
    v1 = ((v1 << _13) | (v1 >> _51)) ^ v0
    v3 = ((v3 << _16) | (v3 >> _48)) ^ v2
    v0 = (v0 << _32) | (v0 >> _32)
    v2 += v1
    v0 += v3
    v1 = ((v1 << _17) | (v1 >> _47)) ^ v2
    v3 = ((v3 << _21) | (v3 >> _43)) ^ v0
    v2 = (v2 << _32) | (v2 >> _32)
    return v0, v1, v2, v3
