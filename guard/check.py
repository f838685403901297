"""The check: one text in, one decision out.

text -> tokens -> fingerprints -> index (one round trip) -> alignment -> what the caller may see -> decision. Where that
finds something that is not quite a match, the index is asked once more, for every run of tokens instead of the winnowed
ones: winnowing keeps different runs at the edges of what two texts share. Knows no HTTP, no model and no accounts.
Literals that look random, such as keys, are compared beside it. Whatever it cannot answer it raises as a RefusalError.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from guard import digest
from guard.alignment import Alignment, Seeds
from guard.background import backgrounds_for
from guard.candidates import Examination
from guard.digest import Digester
from guard.errors import StoreUnavailableError
from guard.exemptions import Owners, counted, excused
from guard.hits import Hits, picked
from guard.layout import ENTRY
from guard.licenses import LicensePolicy, decide
from guard.matches import matches_of, strongest
from guard.policy import Viewpoint, strictest
from guard.rarity import information, literal_information
from guard.recitals import recitals
from guard.secret import KEY_BYTES, IndexKey
from guard.types import Decision, new_decision_id
from guard.watch import Watch, look_together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from guard.digest import Probe
    from guard.exemptions import Exempt
    from guard.index import DocumentId, Index
    from guard.literals import Literals
    from guard.recitals import Recital
    from guard.spans import Candidate
    from guard.types import Match
    from guard.watch import Caution, Hold

PREFIX_CHARACTERS = 8_000
SUFFIX_CHARACTERS = 200
"""Characters of the suffix in which the rest of a literal may stand."""
LOOKUPS = 3
"""Tries to see one state of the index: a document that is being replaced has new postings at the next look."""
SUSPECTS = 64
"""Documents whose records come with a closer look."""


@dataclass(frozen=True, slots=True)
class GuardQuery:
    """A generation to check. `prefix` is the text before it (the prompt), of which the tail is joined to it.

    `suffix`: what stands behind it; a literal that ends there is seen whole. `exempt`: documents whose copies may pass.
    """

    text: str
    caller: str
    prefix: str = ""
    language: str | None = None
    policy: LicensePolicy = field(default_factory=LicensePolicy.default)
    suffix: str = ""
    exempt: Exempt = frozenset()


@dataclass(frozen=True, slots=True)
class _Reading:
    """A query, read. The generation begins at character `boundary` of what the probes are of and has `length`."""

    probes: tuple[Probe, ...]
    literals: Literals
    language: str | None
    view: Viewpoint
    boundary: int
    length: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What the index says of a reading. `used`: the exemptions of documents that share something with it."""

    matches: list[Match]
    version: int
    used: Exempt


class Guard:
    """Decides about generations by one index. Safe to share between threads."""

    def __init__(self, index: Index, digester: Digester, *, prefix_characters: int = PREFIX_CHARACTERS) -> None:
        self._index = index
        self._digester = digester
        self._prefix_characters = prefix_characters

    def ready(self) -> None:
        """Raise a RefusalError unless a check could be answered now."""
        self._index.open()

    def state(self) -> bytes:
        """32 bytes that stay the same for as long as every check would be answered the same; see `Index.state`."""
        return self._index.state()

    def check(self, query: GuardQuery) -> Decision:
        """Decide about one generation.

        Raises:
            RefusalError: the index cannot answer; nothing may be released.
        """
        started = time.perf_counter()
        reading = self._read(query)
        found = self._found(reading, query.exempt)
        # Asked again as if nothing were exempt, so that the ledger tells of each use of an exemption.
        whole = self._found(reading, frozenset()).matches if found.used else []
        passed = excused(whole, found.matches, found.used)
        return Decision(
            id=new_decision_id(),
            action=strictest([match.action for match in found.matches]),
            matches=(*strongest(found.matches), *passed),
            checked_tokens=sum(_added(probe, reading.boundary) for probe in reading.probes),
            guard_ms=(time.perf_counter() - started) * 1000,
            index_version=found.version,
        )

    def watch(self, query: GuardQuery, caution: Caution) -> Watch:
        """Follow a generation that is being written, of which `query` has all but the text; see `Watch`."""
        return Watch(
            self._index,
            self._digester,
            Viewpoint(query.caller, query.policy),
            prefix=_tail(query.prefix, self._prefix_characters),
            language=query.language,
            caution=caution,
            exempt=query.exempt,
        )

    def look(self, growing: Sequence[tuple[Watch, str]]) -> list[Hold]:
        """One look at each of several texts that are being written, by one round trip.

        Raises:
            RefusalError: the index cannot answer; of none of them anything more may leave.
        """
        return look_together(growing)

    def _read(self, query: GuardQuery) -> _Reading:
        prefix = _tail(query.prefix, self._prefix_characters)
        probes = self._digester.probes(prefix + query.text, query.language)
        ends = len(prefix), len(prefix) + len(query.text)
        literals = self._digester.literals(prefix + query.text + query.suffix[:SUFFIX_CHARACTERS], *ends)
        view = Viewpoint(query.caller, query.policy)
        return _Reading(probes, literals, query.language, view, len(prefix), len(query.text))

    def _found(self, reading: _Reading, exempt: Exempt) -> _Found:
        """The matches in all documents but the exempt ones, as of one state of the index."""
        for _ in range(LOOKUPS):
            hits, candidates, used = self._candidates(reading, exempt)
            records = hits.records | self._index.records({one.document for one in candidates} - hits.records.keys())
            if all(candidate.document in records for candidate in candidates):
                matches = matches_of(candidates, records, reading.view, reading.boundary, reading.length)
                return _Found(matches, hits.version, used)
        message = "the index names documents that it has no record of: run `cleanroom index verify --mend`"
        raise StoreUnavailableError(message)

    def _candidates(self, reading: _Reading, exempt: Exempt) -> tuple[Hits, list[Candidate | Recital], Exempt]:
        """The candidates of a first look and, where that is suspicious, of a closer one.

        With the closer look come the records of those suspected, so that it is the last round trip.
        """
        hits, examinations, candidates, used = self._look(reading, reading.probes, exempt)
        suspects = [examination.suspects() for examination in examinations]
        if not candidates and any(suspects):
            probes = zip(reading.probes, suspects, strict=True)
            closer = tuple(self._digester.closer(probe) for probe, some in probes if some)
            records = list(dict.fromkeys(document for some in suspects for document in some[:SUSPECTS]))
            hits, _, candidates, also = self._look(reading, closer, exempt, records)
            used |= also
        return hits, candidates, used

    def _look(
        self, reading: _Reading, probes: tuple[Probe, ...], exempt: Exempt, records: Sequence[DocumentId] = ()
    ) -> tuple[Hits, list[Examination], list[Candidate | Recital], Exempt]:
        """One round trip, and what it found; which exemptions had a part in that."""
        names = _names(probes)
        answer = self._index.lookup(np.concatenate([names, reading.literals.names]), records)
        what, owners = counted(self._index, exempt, answer), Owners(self._index) if exempt else self._index
        hits = what.hits
        found = recitals(reading.literals, _from(hits, len(names)), owners, reading.view)
        examinations = [
            Examination(probe, own_hits, backgrounds_for(reading.language, probe.syntax), boundary=reading.boundary)
            for probe, own_hits in zip(probes, _split(probes, hits), strict=True)
        ]
        copied = [one for some in examinations for one in some.candidates(owners, reading.view)]
        return hits, examinations, [*copied, *found], what.used


def warm() -> None:
    """Compile, or read from disk, whatever a check needs, so that the first one does not wait for it."""
    digest.warm()
    decide(LicensePolicy.default(), "MIT")  # the table of SPDX licences takes a tenth of a second to read
    digester = Digester(IndexKey(bytes(KEY_BYTES)))
    for probe in digester.probes("def f(x):\r\n    return [x, None]\n" * 20, "python"):
        closer, backgrounds = digester.closer(probe), backgrounds_for("python", probe.syntax)
        weights = information(probe.stream, backgrounds), literal_information(probe.stream, backgrounds)
        names, places = closer.fingerprints.names, closer.fingerprints.positions.astype(np.int64)
        Hits(*picked(names, [(np.arange(len(names)), [bytes(ENTRY)] * len(names))]), version=0, tokens=0).columns()
        seeds = Seeds(places, np.zeros_like(places), places, np.ones(len(places), dtype=np.bool_))
        alignment, every = Alignment(seeds, len(probe.stream)), np.ones(1, dtype=np.bool_)
        alignment.chains(every, *weights, 0.0)
        alignment.scattered(every, *weights)


def _tail(prefix: str, limit: int) -> str:
    """The last lines of the prefix that fit; a line cut in two would be lexed as something else.

    Where whole lines are less than half of what fits, as with a line that is longer than that, it is cut all the same.
    """
    if len(prefix) <= limit:
        return prefix
    first = len(prefix) - limit
    line = prefix.find("\n", first - 1) + 1
    return prefix[line if 0 < line <= first + limit // 2 else first :]


def _names(probes: tuple[Probe, ...]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    parts = [part for probe in probes for part in (probe.fingerprints.names, probe.fragments.bands.ravel())]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)


def _split(probes: tuple[Probe, ...], hits: Hits) -> Iterator[Hits]:
    """Each probe's share of the hits, counted from its own first name."""
    first = 0
    for probe in probes:
        count = len(probe.fingerprints) + probe.fragments.bands.size
        low, high = np.searchsorted(hits.which, [first, first + count])
        yield type(hits)(hits.which[low:high] - first, hits.postings[low:high], hits.version, hits.tokens)
        first += count


def _from(hits: Hits, first: int) -> Hits:
    """The hits of the names from `first` on, counted from it."""
    low = int(np.searchsorted(hits.which, first))
    return type(hits)(hits.which[low:] - first, hits.postings[low:], hits.version, hits.tokens)


def _added(probe: Probe, boundary: int) -> int:
    return int((probe.stream.ends > boundary).sum())
