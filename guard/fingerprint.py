"""Keyed fingerprints of token streams: which runs of tokens are remembered, and under which names.

Runs of K renamed tokens are winnowed (see guard.winnowing), so that two texts that share K + W - 1 tokens in a row
share a fingerprint, whatever their names and literals; a byte tells with which runs those agree as well. Knows neither
where fingerprints are stored nor whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from guard.kernels import constant, kernel, part
from guard.names import BASE_SHIFT, NAME_BITS, Hashes, Names, seal_names
from guard.pattern import patterned, within
from guard.runs import TokenKeys, mixed, run_hashes, symbol_hashes, token_hash, token_keys
from guard.siphash import HALF_WORD, KEY_BYTES, WORD_BYTES, States, absorb, finish, keyed, tail
from guard.winnowing import W, winnow_into

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from guard.secret import IndexKey
    from guard.stream import TokenStream

__all__ = ["GUARANTEE", "MIN_DISTINCT", "NAME_BITS", "Fingerprinter", "Fingerprints", "Hashes", "K", "Names", "W"]

K = 9
"""Tokens in a fingerprinted run."""
GUARANTEE = K + W - 1
"""Any shared run of this many tokens shares a fingerprint."""
MIN_DISTINCT = 4
"""A run of fewer distinct renamed tokens (`0, 0, 0, 0, 0`) is known by its exact tokens, of which as many differ."""
_RUN = constant(K)
_DROPPED = np.uint64(2**64 - 1)
_AGREEMENT_SHIFT = np.uint64(56)
_NOTHING = np.uint64(0)
_RENAMED_BYTES = 4


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Kept runs, in the order of their positions.

    `names`: uint64, shape (n,), keyed names below 2**NAME_BITS. `positions`: int32, shape (n,), the run's first token.
    `agreement`: uint8, shape (n,), a keyed hash of the run's exact tokens.
    """

    names: Hashes
    positions: NDArray[np.int32]
    agreement: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.names)


class _Keys(NamedTuple):
    """What fingerprints are made with.

    `runs`, `agreement`: SipHash before a run is read, shape (1, 4). `rounds`: SipHash before every round of a name,
    shape (ROUNDS, 4).
    """

    tokens: TokenKeys
    runs: States
    agreement: States
    rounds: States


class Fingerprinter:
    """Fingerprints under one index key. Safe to share between threads."""

    def __init__(self, key: IndexKey, names: Names | None = None) -> None:
        self.token_keys = token_keys(key)
        self.names = names or Names(key)
        runs, agreement = (keyed(key.derive(purpose)[:KEY_BYTES]) for purpose in (b"runs", b"agreement"))
        self._keys = _Keys(self.token_keys, runs, agreement, self.names.rounds)

    def fingerprints(self, stream: TokenStream, *, every: bool = False) -> Fingerprints:
        """The stream's fingerprints; none if it has fewer than K tokens. `every`: those of all runs, not winnowed."""
        count = max(0, len(stream) - K + 1)
        names = np.empty(count, dtype=np.uint64)
        positions = np.empty(count, dtype=np.int32)
        agreement = np.empty(count, dtype=np.uint8)
        if count:
            tokens = (stream.symbols, stream.value_starts, stream.value_ends)
            found = _fingerprint(_read_only(stream.text), tokens, self._keys, every, (names, positions, agreement))
            names, positions, agreement = names[:found], positions[:found], agreement[:found]
        return Fingerprints(names, positions, agreement)


def _read_only(text: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The text as the lexer gives it: for numba an array that may be written is of another type."""
    if text.flags.writeable:
        text = text.view()
        text.flags.writeable = False
    return text


@kernel
def _fingerprint(
    text: NDArray[np.uint32],
    tokens: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
    keys: _Keys,
    every: bool,  # noqa: FBT001 - kernels take no keywords
    prints: tuple[Hashes, NDArray[np.int32], NDArray[np.uint8]],
) -> int:
    """Fill names, positions and agreement of `prints`; return how many there are. There are K tokens at least."""
    symbols, starts, ends = tokens
    names, positions, agreement = prints
    renamed = symbol_hashes(symbols, keys.tokens)
    exact = np.empty(len(symbols), dtype=np.uint64)
    for at in range(len(symbols)):
        exact[at] = token_hash(text, symbols[at], starts[at], ends[at], keys.tokens)
    pattern = patterned(text, symbols, starts, ends)
    kinds = np.empty(len(symbols), dtype=np.uint64)
    for at in range(len(symbols)):
        kinds[at] = within(pattern[at], 0)  # that a name comes again makes no run rich
    base = keys.tokens.base[0]
    exact_runs = run_hashes(exact, _RUN, base)
    order = run_hashes(renamed, _RUN, base)
    poor = np.empty(len(order), dtype=np.bool_)
    for at in range(len(order)):
        poor[at] = not _is_rich(kinds, at)
        if not poor[at]:
            order[at] = mixed(order[at])
        else:
            order[at] = mixed(exact_runs[at]) if _is_rich(exact, at) else _DROPPED
    found = 0
    # Writing never overtakes reading: at most as many are kept as were read.
    for i in range(len(order) if every else winnow_into(order, positions)):
        first = np.int64(i) if every else np.int64(positions[i])
        if order[first] == _DROPPED:
            continue
        run = _exact_run(exact, first, keys.runs) if poor[first] else _renamed_run(pattern, first, keys.runs)
        names[found] = run >> BASE_SHIFT
        positions[found] = first
        agreement[found] = _agreement(exact_runs[first], keys.agreement)
        found += 1
    seal_names(names[:found], keys.rounds)
    return found


@part
def _is_rich(tokens: Hashes, start: int) -> bool:
    """Whether the run at `start` has MIN_DISTINCT distinct tokens."""
    distinct = 0
    for at in range(start, start + K):
        new = True
        for before in range(start, at):
            if tokens[before] == tokens[at]:
                new = False
                break
        distinct += new
        if distinct >= MIN_DISTINCT:
            return True
    return False


@part
def _seen(pattern: NDArray[np.int32], start: int | np.int64) -> Hashes:
    """A run's symbols as the run sees them, shape (K,)."""
    symbols = np.empty(K, dtype=np.uint64)
    for behind in range(K):
        symbols[behind] = within(pattern[start + behind], behind)
    return symbols


@part
def _renamed_run(pattern: NDArray[np.int32], start: int | np.int64, states: States) -> np.uint64:
    """SipHash of a run's symbols as the run sees them, four bytes each."""
    state = (states[0, 0], states[0, 1], states[0, 2], states[0, 3])
    symbols = _seen(pattern, start)
    for behind in range(0, K - 1, 2):
        state = absorb(state, symbols[behind] | (symbols[behind + 1] << HALF_WORD))
    rest = symbols[K - 1] if K % 2 else _NOTHING
    return finish(state, tail(_RENAMED_BYTES * K, rest))


@part
def _exact_run(exact: Hashes, start: int | np.int64, states: States) -> np.uint64:
    """SipHash of the hashes of a run's exact tokens: twice as long a message as that of symbols, so none is both."""
    state = (states[0, 0], states[0, 1], states[0, 2], states[0, 3])
    for at in range(start, start + K):
        state = absorb(state, exact[at])
    return finish(state, tail(WORD_BYTES * K, _NOTHING))


@part
def _agreement(run: np.uint64, states: States) -> np.uint8:
    """A byte of the SipHash of the polynomial hash of a run's exact tokens."""
    state = absorb((states[0, 0], states[0, 1], states[0, 2], states[0, 3]), run)
    return np.uint8(finish(state, tail(WORD_BYTES, _NOTHING)) >> _AGREEMENT_SHIFT)
