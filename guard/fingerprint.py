"""Keyed fingerprints of token streams: which runs of tokens are remembered, and under which 64-bit names.

Winnowing (Schleimer, Wilkerson, Aiken: Winnowing, SIGMOD 2003, section 3): of every W consecutive k-grams of tokens the
one with the smallest hash is kept, so that two texts that share K + W - 1 tokens in a row share a fingerprint. Knows
neither where fingerprints are stored nor whose they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from guard.secret import IndexKey
    from guard.stream import TokenStream

K = 10
"""Tokens in a fingerprinted run."""
W = 7
"""Runs of which one is kept."""
GUARANTEE = K + W - 1
"""Any shared run of this many tokens shares a fingerprint."""
MIN_DISTINCT = 4
"""A run of fewer distinct tokens (`0, 0, 0, 0, 0`) says nothing and is not kept."""
_TOKEN_CACHE = 500_000
_NAME = 8
"""Bytes of a name, and of the run's hash that it is made from."""

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Kept runs, in the order of `positions` within each stream.

    `hashes`: uint64, shape (n,), the keyed names. `positions`: int32, shape (n,), the run's first token.
    `exact`: bool, shape (n,): from the exact stream (True) or the renamed one (False).
    """

    hashes: Hashes
    positions: Positions
    exact: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.hashes)


class Fingerprinter:
    """Fingerprints under one index key. Safe to share between threads."""

    def __init__(self, key: IndexKey) -> None:
        # Hashing from here on is cheaper than keying anew for every name.
        self._namers = {
            True: hashlib.blake2b(digest_size=_NAME, key=key.derive(b"exact")),
            False: hashlib.blake2b(digest_size=_NAME, key=key.derive(b"renamed")),
        }
        # An odd multiplier that only the key's holders know; see docs/threat-model.md for what a dump reveals.
        self._base = np.uint64(int.from_bytes(key.derive(b"rolling")[:8], "little") | 1)
        self._token_key = key.derive(b"tokens")
        self._known = _TokenHashes(self._token_key)

    def fingerprints(self, stream: TokenStream) -> Fingerprints:
        """Both streams' fingerprints; empty if there are fewer than K tokens."""
        exact = self._winnowed(stream.exact, exact=True)
        renamed = self._winnowed(stream.renamed, exact=False)
        hashes = np.concatenate([exact[0], renamed[0]])
        positions = np.concatenate([exact[1], renamed[1]])
        is_exact = np.zeros(len(hashes), dtype=np.bool_)
        is_exact[: len(exact[0])] = True
        return Fingerprints(hashes, positions, is_exact)

    def token_hashes(self, tokens: list[str]) -> Hashes:
        """Keyed 64-bit hashes of single tokens, shape (len(tokens),)."""
        known = self._known
        if len(known) > _TOKEN_CACHE:
            known = self._known = _TokenHashes(self._token_key)
        return np.fromiter(map(known.__getitem__, tokens), dtype=np.uint64, count=len(tokens))

    def run_hashes(self, tokens: Hashes, length: int) -> Hashes:
        """Polynomial hashes of all runs of `length` tokens, shape (max(0, n - length + 1),), well mixed."""
        count = len(tokens) - length + 1
        if count <= 0:
            return np.empty(0, dtype=np.uint64)
        runs = np.zeros(count, dtype=np.uint64)
        for offset in range(length):
            runs *= self._base
            runs += tokens[offset : offset + count]
        return _mix(runs)

    def _winnowed(self, tokens: list[str], *, exact: bool) -> tuple[Hashes, Positions]:
        hashes = self.token_hashes(tokens)
        runs = self.run_hashes(hashes, K)
        if not len(runs):
            return runs, np.empty(0, dtype=np.int32)
        rich = _distinct(hashes, K) >= MIN_DISTINCT
        order = np.where(rich, runs, np.uint64(2**64 - 1))
        positions = winnow(order)
        positions = positions[rich[positions]]
        return self._named(runs[positions], exact=exact), positions

    def _named(self, runs: Hashes, *, exact: bool) -> Hashes:
        """The stored names: a pseudo-random function of the run's hash (keyed BLAKE2b, RFC 7693)."""
        return keyed_names(self._namers[exact], runs.astype("<u8").tobytes(), _NAME)


class _TokenHashes(dict[str, int]):
    """Keyed 64-bit hashes of tokens, each made when it is first asked for."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def __missing__(self, token: str) -> int:
        digest = hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=8, key=self._key).digest()
        value = self[token] = int.from_bytes(digest, "little")
        return value


def keyed_names(namer: hashlib.blake2b, raw: bytes, size: int) -> Hashes:
    """Names of consecutive records of `size` bytes, as a keyed hash that has read nothing yet gives them; uint64."""
    names = []
    for at in range(0, len(raw), size):
        hasher = namer.copy()
        hasher.update(raw[at : at + size])
        names.append(hasher.digest())
    return np.frombuffer(b"".join(names), dtype="<u8").astype(np.uint64)


def winnow(order: Hashes) -> Positions:
    """Positions kept: the rightmost minimum of every window of W values, or of all values if they are fewer."""
    if len(order) <= W:
        return np.array([len(order) - 1 - int(np.argmin(order[::-1]))], dtype=np.int32)
    windows = sliding_window_view(order, W)[:, ::-1]
    kept = np.arange(W - 1, len(order)) - windows.argmin(axis=1)
    # The minimum never moves back, so equal ones stand together.
    positions: Positions = kept[np.diff(kept, prepend=-1) > 0].astype(np.int32)
    return positions


def _mix(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _distinct(tokens: Hashes, length: int) -> NDArray[np.int32]:
    """How many distinct tokens each run of `length` has, shape (n - length + 1,)."""
    order = np.argsort(tokens, kind="stable")
    previous = np.full(len(tokens), -1, dtype=np.int64)
    same = tokens[order[1:]] == tokens[order[:-1]]
    previous[order[1:][same]] = order[:-1][same]
    count = len(tokens) - length + 1
    starts = np.arange(count)
    distinct = np.zeros(count, dtype=np.int32)
    for offset in range(length):
        distinct += previous[offset : offset + count] < starts
    return distinct
