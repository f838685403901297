"""Literals that look random, such as keys and passwords: which parts of a text could be one, and their keyed names.

To the lexer a string is one token, so that a copied key is too short for what compares code. Here every run of SIZE
letters and digits of a text (guard.folding) that looks random has a name of its own, made as those of fingerprints are.
What looks random is judged by the text alone, by how rare each pair of letters is in code. Knows neither where names
are stored nor whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from guard.folding import DIGITS, Folded, folded
from guard.kernels import kernel, part
from guard.names import BASE_SHIFT, Hashes, seal_names
from guard.siphash import KEY_BYTES, States, absorb, finish, keyed, tail
from guard.winnowing import winnow_into

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from guard.names import Names
    from guard.secret import IndexKey

SIZE = 12
"""Letters of a run. Whoever can ask whether a guess is in the index needs one of 2**48 for hexadecimal digits."""
LEAST = 16
"""Letters of the shortest literal that is indexed."""
DENSE = 128
"""Runs of one literal up to which all are indexed; of longer ones, which are data, one in about four."""
LITERALS_A_DOCUMENT = 4096
"""Runs of one document that are indexed at most, the first ones."""
RARITY = 50
"""Bits that the pairs of a run that looks random are worth: 92 in 100 of hexadecimal digits are, one of code."""
RARITY_OF_WORD = 40
"""The same where it stands in one word that is not written in pieces, and has DIGITS_OF_WORD."""
DIGITS_OF_WORD = 3
RARITY_OF_LETTERS = 58
"""The same for a word's letters without a digit."""
RARITY_OF_LITERAL = 50
"""Bits that a literal's runs must be worth on average for it to be indexed; RARITY_OF_LETTERS with fewer CHANGES."""
CHANGES = 3
"""From digit to letter or back, without anything between."""
STEPS = 5
"""Pairs of a run that may be neighbours in the alphabet, or equal: `0123456789ab` is no secret."""
DISTINCT = 5
POWERS = 129
"""Powers of two below this one are known to everybody."""
_TOGETHER = 3
_AGREEMENT_SHIFT = np.uint64(14)
_BYTE = np.uint64(8)
_NOTHING = np.uint64(0)
# How rare the second of two letters is after the first, in bits up to 9: counted on 4.4 million letters and digits of
# the Python standard library, rows and columns 0 to 9, then a to z. tests/guard/test_literals.py counts again.
_PAIRS = (
    "245445566655555588699687889667999199" "244455455545434575488466669545787789" "243452555545445577578476767556787799"
    "233445554443344568699376769656787899" "244444555544444567589376779656698789" "244453354344444577699476869766699989"
    "244434445544445567598376769656788899" "254554544544444467699367879666689899" "254553453544445567598376879656688899"
    "234454454344444566699387977566799899" "799999999985447759496233949332666769" "577788887736462688439377369446389838"
    "687999999937563683494367279453578969" "678988899935541576298566369444476879" "689999999946445467597353557233666469"
    "689899997936444356297454358334476979" "778999999946552564399453569324466998" "789999999927551777389766369554697979"
    "999999999956455349898341359533969696" "567999999947561678475765259556397999" "578999999946451567398474559535574689"
    "789999999936652288399287369744488759" "799999999924661698498657339645596989" "689999999936333538496665359632567879"
    "899999998965437469696442549243465699" "788999999927662686398377348353477959" "478999999976767797699786667447098999"
    "899999999936552557396653369433567759" "789999999947451565396545448532476869" "789999999936552582298666359343476859"
    "495999999955563569599343649233897999" "679979799918681798399877689768777999" "799999999927653793199574379346796799"
    "144666665545345598499677759763898679" "679999999945444466397554429333665887" "496999999948771796298656379767796878"
)  # fmt: skip
PAIRS = np.array([int(bits) for bits in _PAIRS], dtype=np.uint8).reshape(36, 36)


@dataclass(frozen=True, slots=True)
class Literals:
    """Runs of a text that look random, in the order of their places.

    `names`: uint64, shape (n,), keyed names below 2**NAME_BITS. `agreement`: uint8, shape (n,), eight more bits of the
    same hash. `starts`, `ends`: int32, shape (n,), characters of the text; of what is indexed they are not kept.
    """

    names: Hashes
    agreement: NDArray[np.uint8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def none(cls) -> Self:
        """No literals."""
        places = np.empty(0, dtype=np.int32)
        return cls(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint8), places, places)


class _Keys(NamedTuple):
    """SipHash before a run is read, shape (1, 4), and before every round of a name, shape (ROUNDS, 4)."""

    runs: States
    rounds: States


class LiteralNames:
    """Names of literals under one index key. Safe to share between threads."""

    def __init__(self, key: IndexKey, names: Names) -> None:
        self._keys = _Keys(keyed(key.derive(b"literals")[:KEY_BYTES]), names.rounds)

    def indexed(self, text: str) -> Literals:
        """What is remembered of a whole document: runs of literals of LEAST letters that look random throughout."""
        letters = folded(text)
        places = [place for place in _of_literals(letters, PAIRS).tolist() if not _known(letters, place)]
        return self._named(letters, np.array(places[:LITERALS_A_DOCUMENT], dtype=np.int64))

    def asked(self, text: str, start: int = 0, end: int | None = None) -> Literals:
        """Every run of `text` that looks random and has one of its characters from `start` to `end` in it."""
        letters = folded(text)
        return self._named(letters, _random(letters, PAIRS, start, len(text) if end is None else end))

    def _named(self, letters: Folded, places: NDArray[np.int64]) -> Literals:
        names, agreement = _names(letters.letters, places, self._keys)
        return Literals(names, agreement, letters.starts[places], letters.ends[places + SIZE - 1])


def _known(letters: Folded, place: int) -> bool:
    """Whether the run at `place` is a part of a number that is nobody's secret: the bounds of integers."""
    run = letters.letters[place : place + SIZE]
    return bool((run < DIGITS).all()) and run.tobytes() in _bounds()


@cache
def _bounds() -> frozenset[bytes]:
    """The runs of digits in powers of two and the numbers beside them."""
    numbers = [str((1 << power) + beside) for power in range(SIZE * 3, POWERS) for beside in (-1, 0, 1)]
    runs = (number[at : at + SIZE] for number in numbers for at in range(len(number) - SIZE + 1))
    return frozenset(bytes(map(int, run)) for run in runs)


@kernel
def _random(letters: Folded, pairs: NDArray[np.uint8], start: int, end: int) -> NDArray[np.int64]:
    """Where runs begin that look random and touch the characters from `start` to `end`."""
    found = np.empty(max(0, len(letters.letters) - SIZE + 1), dtype=np.int64)
    count = 0
    for at in range(len(found)):
        touches = letters.ends[at + SIZE - 1] > start and letters.starts[at] < end
        if touches and _looks_random(letters, pairs, at) > 0:
            found[count] = at
            count += 1
    return found[:count]


@kernel
def _of_literals(letters: Folded, pairs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where runs begin that stand in a literal: in one word, at least LEAST letters of them one after the other."""
    total = max(0, len(letters.letters) - SIZE + 1)
    found = np.empty(total, dtype=np.int64)
    count, at = 0, 0
    while at < total:
        if (
            letters.words[at] < 0
            or letters.words[at] != letters.words[at + SIZE - 1]
            or _looks_random(letters, pairs, at) == 0
        ):
            at += 1
            continue
        stop, last, worth, runs = at, at, 0, 0
        while stop < total and letters.words[stop + SIZE - 1] == letters.words[at] and stop - last < _TOGETHER:
            rarity = _looks_random(letters, pairs, stop)
            if rarity > 0:
                last, worth, runs = stop, worth + rarity, runs + 1
            stop += 1
        if last - at + SIZE >= LEAST and _is_literal(letters, at, last + SIZE, worth / runs):
            count = _take(letters, pairs, (at, last), found, count)
        at = last + 1
    return found[:count]


@part
def _is_literal(letters: Folded, first: int, end: int, rarity: float) -> bool:
    """Whether a stretch of random runs is more than words and numbers with hyphens between: `gpt-4-turbo-2024-04`."""
    digits, changes = 0, 0
    for at in range(first, end):
        digits += letters.letters[at] < DIGITS
        if at > first and letters.starts[at] == letters.ends[at - 1]:
            changes += (letters.letters[at] < DIGITS) != (letters.letters[at - 1] < DIGITS)
    if digits == end - first:
        return True
    return rarity >= (RARITY_OF_LITERAL if changes >= CHANGES else RARITY_OF_LETTERS)


@part
def _take(
    letters: Folded, pairs: NDArray[np.uint8], span: tuple[int, int], found: NDArray[np.int64], count: int
) -> int:
    """Add the runs of one literal, of a long one the winnowed ones; answer how many are found by now."""
    first, last = span
    size = last - first + 1
    kept = np.empty(size, dtype=np.int32)
    order = np.empty(size, dtype=np.uint64)
    taken = size
    for place in range(size):
        kept[place] = place
        value = _NOTHING
        for letter in range(SIZE):
            value = value * np.uint64(0x9E3779B97F4A7C15) + np.uint64(letters.letters[first + place + letter])
        order[place] = value
    if size > DENSE:
        taken = winnow_into(order, kept)
    for place in range(taken):
        if _looks_random(letters, pairs, first + kept[place]) > 0:
            found[count] = first + kept[place]
            count += 1
    return count


@part
def _looks_random(letters: Folded, pairs: NDArray[np.uint8], at: int) -> int:
    """What the run at `at` is worth in bits if it looks random, else 0."""
    worth, digits, steps, distinct, seen = 0, 0, 0, 0, np.uint64(0)
    for place in range(at, at + SIZE):
        letter = int(letters.letters[place])
        digits += letter < DIGITS
        seen |= np.uint64(1) << np.uint64(letter)
        if place > at:
            before = int(letters.letters[place - 1])
            worth += int(pairs[before, letter])
            steps += abs(letter - before) <= 1
    while seen:
        seen &= seen - np.uint64(1)
        distinct += 1
    if steps > STEPS or distinct < DISTINCT:
        return 0
    if letters.words[at] != letters.words[at + SIZE - 1]:
        return worth if worth >= RARITY and 0 < digits < SIZE else 0
    if digits == SIZE:
        # Pairs of digits are common; long numbers are rare all the same, but for fractions.
        return RARITY_OF_LITERAL if letters.words[at] > 0 else 0
    if digits >= DIGITS_OF_WORD:
        return worth if worth >= RARITY_OF_WORD else 0
    return worth if worth >= (RARITY if digits else RARITY_OF_LETTERS) else 0


@kernel
def _names(letters: NDArray[np.uint8], places: NDArray[np.int64], keys: _Keys) -> tuple[Hashes, NDArray[np.uint8]]:
    names, agreement = np.empty(len(places), dtype=np.uint64), np.empty(len(places), dtype=np.uint8)
    states = keys.runs
    for i in range(len(places)):
        words = np.zeros(2, dtype=np.uint64)
        for place in range(SIZE):
            words[place // 8] |= np.uint64(letters[places[i] + place]) << (_BYTE * np.uint64(place % 8))
        state = absorb((states[0, 0], states[0, 1], states[0, 2], states[0, 3]), words[0])
        run = finish(state, tail(SIZE, words[1]))
        names[i] = run >> BASE_SHIFT
        agreement[i] = np.uint8((run >> _AGREEMENT_SHIFT) & np.uint64(0xFF))
    seal_names(names, keys.rounds)
    return names, agreement
