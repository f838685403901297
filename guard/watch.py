"""A watch over one generation while it is being written: how much of it may leave already.

A stream cannot be taken back, so text that belongs to an open chain is held: one in code that the caller may not see,
worth a good share of a match, that may still grow. Every run of tokens is looked up once, when it is complete; only a
window behind the newest token is lexed again, and weighed when something new was found, so that a stream of n tokens
costs the look-ups of one check. What is left open of a literal at its end is held as well. What a watch suspects is a
match only if the check of the whole text says so.

Decides nothing; knows no engine and no HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np

from guard.background import backgrounds_for
from guard.candidates import Examination
from guard.chaining import GAP_LIMIT
from guard.exemptions import Owners, counted
from guard.hits import Hits, owner_number
from guard.recitals import recitals
from guard.tokens import lex
from guard.types import Action
from guard.unfinished import finished
from guard.vocabulary import STRING
from guard.winnowing import W

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from guard.digest import Digester, Probe
    from guard.exemptions import Exempt
    from guard.index import Index
    from guard.literals import Literals
    from guard.policy import Viewpoint
    from guard.stream import TokenStream

WINDOW = 120
"""Tokens that are kept in view behind the newest one; twice as many at most, unless more are held."""
_NEWLINE = ord("\n")


@dataclass(frozen=True, slots=True)
class Caution:
    """How much of a growing text is held.

    `newest`: tokens at its end, and of its code, in any case. `share`: of the bits of a match, from which a chain is
    held. `live`: tokens after its last shared one for which a chain is expected to go on.
    """

    newest: int
    share: float
    live: int


EARLY = Caution(newest=0, share=0.5, live=20)
"""Clean code leaves at once; of a copy, an opening too short to be told from chance has left when it is noticed."""
LATE = Caution(newest=30, share=0.4, live=GAP_LIMIT)
"""What leaves is old enough that a copy which began there would have been noticed."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What one look at a growing text found.

    `safe`: so many characters of the generation may leave. `suspect`: what is held looks like a match by now.
    """

    safe: int
    suspect: bool


@dataclass(frozen=True, slots=True)
class _Open:
    """A chain that may still grow; `start` and `end` are characters of prefix and generation together."""

    prose: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A window of a growing text. `fresh`: names in it that have not been looked up yet.

    `finished`: characters of the generation before a literal that is open at its end.
    """

    window: str
    probes: tuple[Probe, ...]
    literals: Literals
    fresh: list[int]
    finished: int


class Watch:
    """Follows one generation. Not for several threads at once."""

    def __init__(
        self,
        index: Index,
        digester: Digester,
        view: Viewpoint,
        *,
        prefix: str,
        language: str | None,
        caution: Caution,
        exempt: Exempt = frozenset(),
    ) -> None:
        """`prefix`: what stands before the generation. `exempt`: documents whose copies may pass."""
        self._index = index
        self._owners = Owners(index) if exempt else index
        self._digester = digester
        self._view = view
        self._prefix = prefix
        self._language = language
        self._caution = caution
        self._exempt = exempt
        code = lex(prefix, language).code
        self._start = _beginning(code, len(code) - WINDOW)
        self._tokens = 0
        self._postings: dict[int, NDArray[np.uint64]] = {}
        self._blocked: dict[int, bool] = {}
        self._open: list[_Open] = []
        self._recited: int | None = None

    def look(self, text: str) -> Hold:
        """Look at the generation so far; since the last look it may only have grown.

        Raises:
            RefusalError: the index cannot answer; nothing more may leave.
        """
        return look_together([(self, text)])[0]

    def reading(self, text: str) -> Reading:
        """The window of the generation so far, and the names of its runs that were not there at the last look."""
        window = (self._prefix + text)[self._start :]
        probes = self._digester.probes(window, self._language, every=True)
        literals = self._digester.literals(window, max(0, len(self._prefix) - self._start), len(window))
        asked = chain(*(probe.fingerprints.names.tolist() for probe in probes), literals.names.tolist())
        fresh = list(dict.fromkeys(name for name in asked if name not in self._postings))
        return Reading(window, probes, literals, fresh, finished(self._prefix, text, goes_on=True))

    def lookup(self, names: NDArray[np.uint64]) -> Hits:
        """What the index holds of these names."""
        return self._index.lookup(names)

    def counted(self, postings: Sequence[NDArray[np.uint64]]) -> Sequence[NDArray[np.uint64]]:
        """What counts of the postings of several names.

        Raises:
            RefusalError: the index cannot answer.
        """
        if not self._exempt or not any(map(len, postings)):
            return postings
        kept = counted(self._index, self._exempt, self._hits(postings)).hits
        places = np.searchsorted(kept.which, np.arange(len(postings) + 1))
        return [kept.postings[first:last] for first, last in pairwise(places)]

    def weigh(self, reading: Reading, postings: Sequence[NDArray[np.uint64]], tokens: int) -> Hold:
        """What the postings of the reading's fresh names, in an index of so many `tokens`, say of it."""
        boundary = len(self._prefix) - self._start
        self._postings.update(zip(reading.fresh, postings, strict=True))
        self._tokens = tokens
        suspect = False
        if self._foreign(postings):
            self._note_recitals(reading.literals)
            opened = []
            for probe in reading.probes:
                chains, leaks = self._weigh(probe, boundary)
                opened += chains
                suspect = suspect or leaks
            self._open = opened
        self._open = [one for one in self._open if self._lives(one, reading.probes)]
        newest = self._newest(reading.probes, boundary, len(reading.window))
        held = min([newest, *(one.start - self._start for one in self._open)])
        self._move(reading.probes, held)
        safe = min(max(0, held - boundary), reading.finished)
        if self._recited is not None:
            return Hold(min(safe, max(0, self._recited - len(self._prefix))), suspect=True)
        return Hold(safe, suspect)

    def _foreign(self, postings: Sequence[NDArray[np.uint64]]) -> bool:
        """Whether the caller may not see the code of some who hold these."""
        if not any(map(len, postings)):
            return False
        documents = self._hits(postings).documents
        return any(self._blocks(number) for number in np.unique(owner_number(documents)).tolist())

    def _hits(self, found: Sequence[NDArray[np.uint64]]) -> Hits:
        """The postings of several names as hits of names in this order."""
        which = np.repeat(np.arange(len(found)), [len(some) for some in found])
        return Hits(which, np.concatenate(found), version=0, tokens=self._tokens)

    def _blocks(self, number: int) -> bool:
        if number not in self._blocked:
            self._blocked[number] = self._view.action(self._owners.owner(number)) is Action.BLOCK
        return self._blocked[number]

    def _note_recitals(self, literals: Literals) -> None:
        """Remember where the first literal of private code begins."""
        found = [self._postings[name] for name in literals.names.tolist()]
        if self._recited is not None or not any(map(len, found)):
            return
        starts = [one.start for one in recitals(literals, self._hits(found), self._owners, self._view)]
        self._recited = self._start + min(starts) if starts else None

    def _weigh(self, probe: Probe, boundary: int) -> tuple[list[_Open], bool]:
        """The chains of a stream that are worth holding, and whether one of them looks like a match."""
        found = [self._postings[name] for name in probe.fingerprints.names.tolist()]
        if not any(len(some) for some in found):
            return [], False
        backgrounds = backgrounds_for(self._language, probe.syntax)
        examination = Examination(probe, self._hits(found), backgrounds, boundary=boundary, floor=self._caution.share)
        candidates = examination.candidates(self._owners, self._view)
        leaks = [one for one in candidates if self._view.action(one.owner) is Action.BLOCK]
        traces = [one for one in examination.traces() if self._view.action(one.owner) is Action.BLOCK]
        places = [(one.first, one.last) for one in traces] + [(one.first, one.last) for one in leaks]
        return [self._chain(probe, first, last) for first, last in places], bool(leaks)

    def _chain(self, probe: Probe, first: int, last: int) -> _Open:
        """A chain with the tokens in front that it may have begun with (see `Candidate.characters`), as whole lines."""
        start, end = int(probe.stream.starts[max(0, first - (W - 1))]), int(probe.stream.ends[last])
        before = np.flatnonzero(probe.stream.text[:start] == _NEWLINE)
        start = int(before[-1]) + 1 if len(before) else 0
        return _Open(probe.prose, self._start + start, self._start + end)

    def _lives(self, chain: _Open, probes: tuple[Probe, ...]) -> bool:
        """Whether the stream of a chain has not gone on without it for long."""
        for probe in probes:
            if probe.prose == chain.prose:
                return (
                    len(probe.stream) - int(np.searchsorted(probe.stream.ends, chain.end - self._start))
                    <= self._caution.live
                )
        return False

    def _newest(self, probes: tuple[Probe, ...], boundary: int, end: int) -> int:
        """Where the newest tokens begin that are held in any case: those of the text, and those of its code.

        Code is held behind comments of any length: what it may be a copy of is told by code alone.
        """
        if not probes or not self._caution.newest:
            return end
        starts = np.sort(np.concatenate([probe.stream.starts for probe in probes]))
        newest = [int(starts[max(0, len(starts) - self._caution.newest)])]
        for probe in probes:
            if not probe.prose:
                code = probe.stream.starts[-self._caution.newest :]
                newest += code[code >= boundary][:1].tolist()
        return min(newest)

    def _move(self, probes: tuple[Probe, ...], held: int) -> None:
        """Let the window begin later, with a line, where it has grown to twice its size and nothing there is held."""
        code = next((probe.stream for probe in probes if not probe.prose), None)
        if code is None or len(code) <= 2 * WINDOW:
            return
        last = min(len(code) - WINDOW, int(np.searchsorted(code.starts, held, side="right")) - 1)
        self._start += _beginning(code, last)


def look_together(growing: Sequence[tuple[Watch, str]]) -> list[Hold]:
    """One look at each of several texts, all of one index, by one round trip; see `Watch.look`.

    Raises:
        RefusalError: the index cannot answer; of none of them anything more may leave.
    """
    readings = [watch.reading(text) for watch, text in growing]
    bounds = np.cumsum([0, *(len(reading.fresh) for reading in readings)]).tolist()
    if not bounds[-1]:
        return [watch.weigh(reading, (), 0) for (watch, _), reading in zip(growing, readings, strict=True)]
    names = np.fromiter(chain.from_iterable(reading.fresh for reading in readings), dtype=np.uint64, count=bounds[-1])
    hits = growing[0][0].lookup(names)
    places = np.searchsorted(hits.which, np.arange(len(names) + 1))
    postings = [hits.postings[first:last] for first, last in pairwise(places)]
    return [
        watch.weigh(reading, watch.counted(postings[first:last]), hits.tokens)
        for (watch, _), reading, (first, last) in zip(growing, readings, pairwise(bounds), strict=True)
    ]


def _beginning(code: TokenStream, last: int) -> int:
    """The character of the last line that begins with a word, of those up to the token `last`; 0 without one."""
    return next((int(code.starts[at]) for at in range(last, 0, -1) if _opens_line(code, at)), 0)


def _opens_line(stream: TokenStream, at: int) -> bool:
    """Whether the token is a word and the first of its line: from there on, the text is lexed as with all before it."""
    start = int(stream.starts[at])
    if stream.symbols[at] == STRING or not chr(stream.text[start]).isidentifier():
        return False
    while start > 0 and stream.text[start - 1] != _NEWLINE:
        start -= 1
        if not chr(stream.text[start]).isspace():
            return False
    return True
