"""Keyed hashes of tokens and of runs of tokens. Knows neither which runs are kept nor what they are called.

A run's hash is a polynomial in its tokens' hashes, from which that of the next run is made in constant time (Karp and
Rabin: Efficient randomized pattern-matching algorithms, 1987), with a base that only the key's holders know. It puts
runs in an order; names are made of SipHash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from guard.characters import RETURN
from guard.kernels import part
from guard.siphash import HALF_WORD, KEY_BYTES, States, absorb, finish, keyed, siphash, tail
from guard.vocabulary import CHARACTERS, NUMBER

if TYPE_CHECKING:
    from guard.secret import IndexKey

Hashes = NDArray[np.uint64]

_LISTED = 512
"""Symbols below this and ASCII characters have their hashes in a table."""
_ASCII = 128
_POINT_BYTES = 4
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class TokenKeys(NamedTuple):
    """What tokens are hashed with.

    `states`: uint64, shape (1, 4), SipHash before the token. `known`: uint64, hashes of listed symbols, then of ASCII
    characters. `base`: uint64, shape (1,), of the polynomial, odd.
    """

    states: States
    known: Hashes
    base: Hashes


def token_keys(key: IndexKey) -> TokenKeys:
    """What tokens are hashed with under an index key."""
    token_key = key.derive(b"tokens")[:KEY_BYTES]
    symbols = [*range(_LISTED), *range(CHARACTERS, CHARACTERS + _ASCII)]
    known = [siphash(token_key, symbol.to_bytes(_POINT_BYTES, "little")) for symbol in symbols]
    base = int.from_bytes(key.derive(b"rolling")[:8], "little") | 1
    return TokenKeys(keyed(token_key), np.array(known, dtype=np.uint64), np.array([base], dtype=np.uint64))


@part
def symbol_hash(symbol: int, keys: TokenKeys) -> np.uint64:
    """The hash of a renamed token: SipHash of its symbol in four bytes."""
    if symbol < _LISTED:
        return np.uint64(keys.known[symbol])
    if symbol - CHARACTERS >= 0 and symbol - CHARACTERS < _ASCII:
        return np.uint64(keys.known[_LISTED + symbol - CHARACTERS])
    states = keys.states
    state = (states[0, 0], states[0, 1], states[0, 2], states[0, 3])
    return finish(state, tail(_POINT_BYTES, np.uint64(symbol)))


@part
def token_hash(text: NDArray[np.uint32], symbol: int, start: int, end: int, keys: TokenKeys) -> np.uint64:
    """The hash of an exact token: of its symbol and, unless that says all, of the code points of its value.

    Carriage returns in a string are a matter of layout and left out.
    """
    if symbol > NUMBER:
        return symbol_hash(symbol, keys)
    states = keys.states
    state = (states[0, 0], states[0, 1], states[0, 2], states[0, 3])
    held, size = np.uint64(symbol), _POINT_BYTES
    for at in range(start, end):
        point = np.uint64(text[at])
        if text[at] == RETURN:
            continue
        if size & _POINT_BYTES:
            state = absorb(state, held | (point << HALF_WORD))
            held = np.uint64(0)
        else:
            held = point
        size += _POINT_BYTES
    return finish(state, tail(size, held))


@part
def symbol_hashes(symbols: NDArray[np.int32], keys: TokenKeys) -> Hashes:
    """The hashes of all renamed tokens, shape (n,)."""
    hashes = np.empty(len(symbols), dtype=np.uint64)
    for at in range(len(symbols)):
        hashes[at] = symbol_hash(symbols[at], keys)
    return hashes


@part
def run_hashes(tokens: Hashes, length: int, base: np.uint64) -> Hashes:
    """Polynomial hashes of all runs of `length` tokens, of which there is one at least; shape (n - length + 1,)."""
    runs = np.empty(len(tokens) - length + 1, dtype=np.uint64)
    run, power = np.uint64(0), np.uint64(1)
    for at in range(length):
        run = run * base + tokens[at]
        power *= base
    runs[0] = run
    for at in range(1, len(runs)):
        run = run * base + tokens[at + length - 1] - tokens[at - 1] * power
        runs[at] = run
    return runs


@part
def mixed(value: np.uint64) -> np.uint64:
    """The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""
    value = (value ^ (value >> _30)) * _MIX_1
    value = (value ^ (value >> _27)) * _MIX_2
    return np.uint64(value ^ (value >> _31))
