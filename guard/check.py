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
from guard.hits import Hits, picked
from guard.layout import ENTRY
from guard.licenses import LicensePolicy, decide
from guard.policy import Viewpoint, strictest
from guard.rarity import information, literal_information
from guard.recitals import Recital, recitals
from guard.secret import KEY_BYTES, IndexKey
from guard.types import Action, Decision, Match, MatchKind, OwnerKind, new_decision_id
from guard.watch import Watch, look_together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from guard.digest import Probe
    from guard.index import DocumentId, DocumentRecord, Index
    from guard.literals import Literals
    from guard.spans import Candidate
    from guard.watch import Caution, Hold

PREFIX_CHARACTERS = 8_000
SUFFIX_CHARACTERS = 200
"""Characters of the suffix in which the rest of a literal may stand."""
LOOKUPS = 3
"""Tries to see one state of the index: a document that is being replaced has new postings at the next look."""
MATCHES = 8
"""Matches a decision names, the strongest first; more if they are of more organizations."""
SUSPECTS = 64
"""Documents whose records come with a closer look."""


@dataclass(frozen=True, slots=True)
class GuardQuery:
    """A generation to check. `prefix` is the text before it (the prompt), of which the tail is joined to it.

    `suffix`: what stands behind it; a literal that ends there is seen whole.
    """

    text: str
    caller: str
    prefix: str = ""
    language: str | None = None
    policy: LicensePolicy = field(default_factory=LicensePolicy.default)
    suffix: str = ""


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
        prefix = _tail(query.prefix, self._prefix_characters)
        probes = self._digester.probes(prefix + query.text, query.language)
        ends = len(prefix), len(prefix) + len(query.text)
        literals = self._digester.literals(prefix + query.text + query.suffix[:SUFFIX_CHARACTERS], *ends)
        view = Viewpoint(query.caller, query.policy)
        for _ in range(LOOKUPS):
            hits, candidates = self._found(probes, literals, query.language, view, len(prefix))
            records = hits.records | self._index.records({one.document for one in candidates} - hits.records.keys())
            if all(candidate.document in records for candidate in candidates):
                break
        else:
            message = "the index names documents that it has no record of: run `cleanroom index verify --mend`"
            raise StoreUnavailableError(message)
        matches = _matches(candidates, records, view, len(prefix), len(query.text))
        return Decision(
            id=new_decision_id(),
            action=strictest([match.action for match in matches]),
            matches=matches,
            checked_tokens=sum(_added(probe, len(prefix)) for probe in probes),
            guard_ms=(time.perf_counter() - started) * 1000,
            index_version=hits.version,
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
        )

    def look(self, growing: Sequence[tuple[Watch, str]]) -> list[Hold]:
        """One look at each of several texts that are being written, by one round trip.

        Raises:
            RefusalError: the index cannot answer; of none of them anything more may leave.
        """
        return look_together(growing)

    def _found(
        self, probes: tuple[Probe, ...], literals: Literals, language: str | None, view: Viewpoint, boundary: int
    ) -> tuple[Hits, list[Candidate | Recital]]:
        """The candidates of a first look and, where that is suspicious, of a closer one.

        With the closer look come the records of those suspected, so that it is the last round trip.
        """
        hits, examinations, candidates = self._look(probes, literals, language, view, boundary)
        suspects = [examination.suspects() for examination in examinations]
        if not candidates and any(suspects):
            closer = tuple(self._digester.closer(probe) for probe, some in zip(probes, suspects, strict=True) if some)
            records = list(dict.fromkeys(document for some in suspects for document in some[:SUSPECTS]))
            hits, _, candidates = self._look(closer, literals, language, view, boundary, records)
        return hits, candidates

    def _look(
        self,
        probes: tuple[Probe, ...],
        literals: Literals,
        language: str | None,
        view: Viewpoint,
        boundary: int,
        records: Sequence[DocumentId] = (),
    ) -> tuple[Hits, list[Examination], list[Candidate | Recital]]:
        """One round trip, and what it found."""
        names = _names(probes)
        hits = self._index.lookup(np.concatenate([names, literals.names]), records)
        found = recitals(literals, _from(hits, len(names)), self._index, view)
        examinations = [
            Examination(probe, own_hits, backgrounds_for(language, probe.syntax), boundary=boundary)
            for probe, own_hits in zip(probes, _split(probes, hits), strict=True)
        ]
        copied = [one for some in examinations for one in some.candidates(self._index, view)]
        return hits, examinations, [*copied, *found]


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


def _matches(
    candidates: list[Candidate | Recital],
    records: dict[DocumentId, DocumentRecord],
    view: Viewpoint,
    boundary: int,
    length: int,
) -> tuple[Match, ...]:
    """The confirmed candidates, strictest and strongest first."""
    matches = []
    for candidate in candidates:
        record = records[candidate.document]
        span = candidate.characters(boundary, length)
        if isinstance(candidate, Recital):
            matches.append(_recited(candidate, record, view, span))
            continue
        matches.append(
            Match(
                kind=candidate.kind,
                start=span[0],
                end=span[1],
                tokens=candidate.tokens,
                similarity=candidate.similarity,
                owner=candidate.owner,
                document=record.path,
                license=candidate.owner.license,
                action=view.action(candidate.owner),
                reason=f"{_WORDS[candidate.kind]} of {view.reason(candidate.owner)}, {candidate.evidence}",
            )
        )
    return _named(matches)


def _recited(recital: Recital, record: DocumentRecord, view: Viewpoint, span: tuple[int, int]) -> Match:
    """A literal is one token, of which every letter that was compared is equal."""
    owner = recital.owner
    reason = f"{recital.end - recital.start} characters of a literal that looks random, of {view.reason(owner)}"
    action = view.action(owner)
    return Match(MatchKind.EXACT, *span, 1, 1.0, owner, record.path, None, action, reason)


def _named(matches: list[Match]) -> tuple[Match, ...]:
    """The strongest MATCHES, and with them whatever trimming and disclosure must not miss.

    That is the earliest leak, before which a generation is cut, one of each kind of owner, and one of each organization
    whose code would leak: each will ask whether it was told.
    """
    matches.sort(key=lambda match: (match.action is not Action.BLOCK, -match.tokens * match.similarity))
    leaks = [match for match in matches if match.action is Action.BLOCK]
    first_of_kind = {match.owner.kind: match for match in reversed(matches)}
    private = [match for match in reversed(leaks) if match.owner.kind is OwnerKind.ORGANIZATION]
    first_of_organization = {match.owner.name: match for match in private}
    needed = [*first_of_kind.values(), *reversed(first_of_organization.values())]
    needed += [min(leaks, key=lambda match: match.start)] if leaks else []
    rest = dict.fromkeys(match for match in needed if match not in matches[:MATCHES])
    return (*matches[:MATCHES], *rest)


_WORDS = {
    MatchKind.EXACT: "exact copy",
    MatchKind.RENAMED: "renamed copy",
    MatchKind.NEAR: "edited copy",
}
