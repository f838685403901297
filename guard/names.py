"""Names under which postings are stored: a pseudo-random permutation of NAME_BITS bits under the key's store part.

A balanced Feistel network (Luby and Rackoff: How to construct pseudorandom permutations from pseudorandom functions,
1988) whose round functions are SipHash. As it can be undone, the store part can be changed by opening every name and
sealing it anew, without the sources. What is stored of a place under a name is veiled under the same part: two postings
of one name and one document differ as their places do, and nothing else shows. Knows neither what is named nor where
names are stored.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from guard.kernels import kernel, part
from guard.layout import OWNER_BITS, SERIAL_BITS
from guard.siphash import KEY_BYTES, States, absorb, finish, keyed, tail

if TYPE_CHECKING:
    from guard.secret import IndexKey

Hashes = NDArray[np.uint64]

NAME_BITS = 42
BASE_SHIFT = np.uint64(64 - NAME_BITS)
"""How far a 64-bit hash is shifted to give the base of a name: its upper NAME_BITS."""
ROUNDS = 8
_HALF_BITS = np.uint64(NAME_BITS // 2)
_HALF = np.uint64((1 << (NAME_BITS // 2)) - 1)
_HALF_BYTES = 4
_DOCUMENT_BITS = np.uint64(OWNER_BITS + SERIAL_BITS)
_DOCUMENT = np.uint64((1 << (OWNER_BITS + SERIAL_BITS)) - 1)
_NOTHING = np.uint64(0)
_VEILED_BYTES = 16
"""A name and a document, a word each."""


class Names:
    """The permutation under one key, both ways. Safe to share between threads."""

    def __init__(self, key: IndexKey) -> None:
        # One SipHash key a round.
        size = hashlib.blake2b.MAX_DIGEST_SIZE
        rounds = [hashlib.blake2b(bytes([i]), key=key.store).digest() for i in range(ROUNDS * KEY_BYTES // size)]
        self.rounds: States = keyed(b"".join(rounds))
        self._veil: States = keyed(hashlib.blake2b(b"veil", key=key.store, digest_size=KEY_BYTES).digest())

    def seal(self, bases: Hashes) -> Hashes:
        """The names of `bases` (each below 2**NAME_BITS), of the same shape."""
        names = np.array(bases, dtype=np.uint64, order="C")
        _seal(names.reshape(-1), self.rounds)
        return names

    def open(self, names: Hashes) -> Hashes:
        """The bases of `names`: what `seal` made them of."""
        bases = np.array(names, dtype=np.uint64, order="C")
        _open(bases.reshape(-1), self.rounds)
        return bases

    def veil(self, names: Hashes, postings: Hashes) -> Hashes:
        """Hide what postings of `names` say beside whose they are, or show it again: the same is done for both.

        Both arrays have shape (n,). A posting is as in guard.hits.Hits: its lowest 40 bits are the document, and stay.
        Places and agreement bytes would otherwise let long texts be tested by the key's content part alone.
        """
        veiled = np.array(postings, dtype=np.uint64, order="C")
        _apply_veil(np.ascontiguousarray(names, dtype=np.uint64), veiled, self._veil)
        return veiled


@part
def seal_names(values: Hashes, rounds: States) -> None:
    """Replace bases by their names, in place."""
    # Every round goes over all values: so the compiler computes several of them at once.
    for i in range(len(rounds)):
        v0, v1, v2, v3 = rounds[i, 0], rounds[i, 1], rounds[i, 2], rounds[i, 3]
        for at in range(len(values)):
            right = values[at] & _HALF
            left = values[at] >> _HALF_BITS
            mixed = finish((v0, v1, v2, v3), tail(_HALF_BYTES, right)) & _HALF
            values[at] = (right << _HALF_BITS) | (left ^ mixed)


@kernel
def _seal(values: Hashes, rounds: States) -> None:
    seal_names(values, rounds)


@kernel
def _open(values: Hashes, rounds: States) -> None:
    for i in range(len(rounds) - 1, -1, -1):
        v0, v1, v2, v3 = rounds[i, 0], rounds[i, 1], rounds[i, 2], rounds[i, 3]
        for at in range(len(values)):
            right = values[at] >> _HALF_BITS
            left = values[at] & _HALF
            mixed = finish((v0, v1, v2, v3), tail(_HALF_BYTES, right)) & _HALF
            values[at] = ((left ^ mixed) << _HALF_BITS) | right


@kernel
def _apply_veil(names: Hashes, postings: Hashes, states: States) -> None:
    for at in range(len(postings)):
        state = absorb((states[0, 0], states[0, 1], states[0, 2], states[0, 3]), names[at])
        state = absorb(state, postings[at] & _DOCUMENT)
        postings[at] ^= (finish(state, tail(_VEILED_BYTES, _NOTHING)) >> _DOCUMENT_BITS) << _DOCUMENT_BITS
