"""How much a run of tokens tells: information in bits under a model of ordinary code. Knows neither owners nor index.

A shared idiom is no copy. A token of the renamed stream is worth -log2 of its probability under interpolated n-grams of
public code (guard.background) or under what the text itself did before, whichever expects it more, which makes idioms
and repetitive code cheap: the bit score of alignment statistics (Karlin & Altschul, PNAS 87, 1990) with a background in
context in place of letter frequencies, and its masking of low complexity (Wootton & Federhen 1993).

Two estimates by n-grams are made, by orders up to SHORT and up to ORDERS. The longer one knows whole idioms, but is too
sure of what follows a rare run of tokens; so the larger of the two probabilities counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from guard.background import COUNTS, ORDERS, level_of, literal_key, longer
from guard.kernels import kernel, part
from guard.pattern import pattern_of
from guard.stream import IDENTIFIER, NUMBER, STRING
from guard.vocabulary import symbol_of

if TYPE_CHECKING:
    from guard.background import Background
    from guard.stream import TokenStream

SHORT = 5
"""Tokens of the longest n-gram of the shorter estimate."""
SHORT_SMOOTHING = 6.0
"""Weight of the lower order's estimate, in observations (Dirichlet smoothing), up to order SHORT."""
LONG_SMOOTHING = 3.0
"""The same above it."""
SELF_CONTEXT = 4
"""Tokens after which the text's own past is asked."""
SELF_WEIGHT = 0.9
"""How far it is trusted."""
LIMIT = 6.0
"""The most bits that a token tells: what a model finds next to impossible it merely does not know."""
UNTRAINED_BITS = 2.0
"""Bits a token where there is no background, the mean of Python under its own."""
LITERAL_SHARE = 0.16
"""Share of its own information that a name or literal adds when it agrees to the letter: names come in company."""
LITERAL_FREE = 8.0
"""Bits of that information that tell nothing: `self` and `value` are in every idiom."""
LITERAL_LIMITS = (0.4, 1.6)
"""The least and the most bits that it adds, half as much where it stands in the text again."""
UNSEEN_LITERAL = 18.0
"""The information of a literal that public code does not have."""
_VOCABULARY = 150.0
_IMPORT_WORDS = np.array([symbol_of(word) for word in ("import", "from")], dtype=np.int32)
_IMPORT_PARTS = np.array([IDENTIFIER, STRING, *map(symbol_of, (",", ".", "(", ")", "as", "*"))], dtype=np.int32)
_ONE = np.uint64(1)
_MIDDLE = np.uint64(20)

Bits = NDArray[np.float64]


def information(stream: TokenStream, backgrounds: tuple[Background, ...]) -> Bits:
    """Bits of each token of the renamed stream, float64, shape (len(stream),): the least that any model gives it.

    Import statements are worth nothing.
    """
    bits = np.full(len(stream), LIMIT, dtype=np.float64)
    pattern = pattern_of(stream)
    for background in backgrounds:
        _information(stream.symbols, pattern, background.slots, float(background.tokens), COUNTS, bits)
    return bits


def literal_information(stream: TokenStream, backgrounds: tuple[Background, ...]) -> Bits:
    """What each token adds where it agrees to the letter, float64, shape (len(stream),): the rarer, the more."""
    bits = np.full(len(stream), LITERAL_LIMITS[1], dtype=np.float64)
    columns = (stream.symbols, stream.value_starts, stream.value_ends)
    for background in backgrounds:
        _literal_information(stream.text, columns, background.slots, float(background.tokens), COUNTS, bits)
    return bits


def without_prose(bits: Bits, stream: TokenStream) -> Bits:
    """The bits of comment words: nothing where name follows name, which the background, knowing code, finds rare."""
    names = stream.symbols == IDENTIFIER
    pairs = names[1:] & names[:-1]
    prose = np.zeros(len(names), dtype=np.bool_)
    prose[1:] |= pairs
    prose[:-1] |= pairs
    return np.where(prose, 0.0, bits)


@kernel
def _information(
    symbols: NDArray[np.int32],
    pattern: NDArray[np.int32],
    slots: NDArray[np.uint16],
    tokens: float,
    counts: Bits,
    bits: Bits,
) -> None:
    inside = False
    before, here = np.zeros(ORDERS + 1), np.zeros(ORDERS + 1)
    own = _own_probability(pattern)
    for at in range(len(symbols)):
        symbol = symbols[at]
        inside = _is_one_of(symbol, _IMPORT_WORDS) or (inside and _is_one_of(symbol, _IMPORT_PARTS))
        before, here = here, before
        probability = 2.0**-UNTRAINED_BITS
        if tokens > 0:
            before[0] = tokens
            probability = _probability(pattern, at, slots, counts, before, here)
        if own[at] >= 0.0:
            probability = max(probability, (1.0 - SELF_WEIGHT) * probability + SELF_WEIGHT * own[at])
        bits[at] = 0.0 if inside else min(bits[at], -np.log2(min(1.0, probability)))


@kernel
def _literal_information(
    text: NDArray[np.uint32],
    columns: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
    slots: NDArray[np.uint16],
    tokens: float,
    counts: Bits,
    bits: Bits,
) -> None:
    symbols, starts, ends = columns
    least, most = LITERAL_LIMITS
    keys, seen = _counters(len(symbols))
    for at in range(len(symbols)):
        if not IDENTIFIER <= symbols[at] <= NUMBER:
            bits[at] = 0.0
            continue
        key = literal_key(text, symbols[at], starts[at], ends[at])
        told = UNSEEN_LITERAL
        found = counts[level_of(slots, key)]
        if found > 0.0:
            told = min(told, np.log2(tokens / found))
        added = min(most, max(least, LITERAL_SHARE * (told - LITERAL_FREE)))
        bits[at] = min(bits[at], added if _count_up(keys, seen, key | _ONE) == 0 else added / 2.0)


@part
def _probability(
    symbols: NDArray[np.int32], at: int, slots: NDArray[np.uint16], counts: Bits, before: Bits, here: Bits
) -> float:
    """The larger of the two estimates. `here` is filled with the counts of the n-grams that end at `at`, by order."""
    key = np.uint64(0)
    here[:] = 0.0
    for order in range(1, min(ORDERS, at + 1) + 1):
        key = longer(key, symbols[at + 1 - order])
        here[order] = counts[level_of(slots, key)]
        if here[order] == 0.0:
            break  # what contains it was never seen either
    estimate = 1.0 / _VOCABULARY
    short = 0.0
    for order in range(1, ORDERS + 1):
        context = max(before[order - 1], here[order])
        if context == 0.0:
            break
        smoothing = SHORT_SMOOTHING if order <= SHORT else LONG_SMOOTHING
        estimate = (here[order] + smoothing * estimate) / (context + smoothing)
        if order <= SHORT:
            short = estimate
    return max(short, estimate)


@part
def _own_probability(symbols: NDArray[np.int32]) -> Bits:
    """Each token's probability after its context by what this text did before, -1 where the context is new."""
    count = len(symbols)
    own = np.full(count, -1.0)
    keys, seen = _counters(2 * count)
    for at in range(SELF_CONTEXT, count):
        key = np.uint64(0)
        for back in range(1, SELF_CONTEXT + 1):
            key = longer(key, symbols[at - back])
        context = _count_up(keys, seen, key | _ONE)
        run = _count_up(keys, seen, longer(key, symbols[at]) | _ONE)
        if context > 0:
            own[at] = run / (context + 0.5)
    return own


@part
def _counters(count: int) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """An empty table in which so many different keys can be counted."""
    size = 16
    while size < 2 * count:
        size *= 2
    return np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.int32)


@part
def _count_up(keys: NDArray[np.uint64], seen: NDArray[np.int32], key: np.uint64) -> np.int64:
    """How often the key was counted before; counts it once more."""
    mask = np.uint64(len(keys) - 1)
    at = np.int64((key >> _MIDDLE) & mask)
    while keys[at] != 0 and keys[at] != key:
        at = (at + 1) & np.int64(mask)
    keys[at] = key
    seen[at] += 1
    return np.int64(seen[at] - 1)


@part
def _is_one_of(symbol: int, some: NDArray[np.int32]) -> bool:
    for other in some:  # noqa: SIM110 - numba knows no any() of a generator
        if symbol == other:
            return True
    return False
