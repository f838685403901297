"""Candidates: what in one query's stream looks like a copy, after everything the caller may see has been set aside.

Chains are weighed in the order of the caller's rights: commons and the caller's own code first, whose tokens then tell
nothing; licensed code next, by the licence policy; and private code of others last, in which what is publicly licensed
is no secret either. Knows neither settings nor the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.alignment import CHAINS_A_DOCUMENT, Alignment, Chain, Seeds
from guard.chaining import RUNS_A_DOCUMENT
from guard.index import owner_number
from guard.rarity import information, literal_information, without_prose
from guard.significance import Significance
from guard.spans import Candidate, Trace
from guard.types import Action, MatchKind, OwnerKind
from guard.winnowing import W
from guard.worth import Worth, told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.background import Background
    from guard.digest import Probe
    from guard.exemptions import Owners
    from guard.index import DocumentId, Hits, Index
    from guard.policy import Viewpoint
    from guard.seeds import Mask
    from guard.types import Owner

EXONERATING_BITS = 25.0
"""A chain in commons or the caller's own code worth this much takes its tokens out of account."""
ADDED_BITS = 10.0
"""What the generation itself must add to a match: text that stands in the prompt alone never triggers one."""
ADDED_TOKENS = 5
COVERED_TOKENS = 26
"""Tokens that a match must cover: two thirds of the smallest copy that is to be found."""
VERBATIM_TOKENS = 34
"""Tokens that agree to the letter, in one chain, from which VERBATIM_SHARE of the bits is enough: the smallest copy
that is to be found has 40, of which the fingerprints at its edges may leave out six."""
VERBATIM_SHARE = 0.85
VERBATIM_LINES = 6
"""The other measure of the smallest copy: on so many lines VERBATIM_LINE_TOKENS are enough."""
VERBATIM_LINE_TOKENS = 20
SUSPICIOUS_SHARE = 0.7
"""Share of the bits of a match from which a second, closer look is worth its time."""
REORDERED_BITS = 10.0
"""Bits that a reordered copy needs beyond an aligned one: which part of the document it came from is free to choose."""
BAND_BITS = 8.0
"""What a shared MinHash band tells of a reordered copy."""
BANDS_THAT_COUNT = 3
_WHOLE = 0.95


class Examination:
    """One stream of one query beside everything the index holds of it.

    `floor`: the share of the bits of a match from which chains are kept as `traces`.
    """

    def __init__(
        self,
        probe: Probe,
        hits: Hits,
        backgrounds: tuple[Background, ...],
        *,
        boundary: int,
        floor: float = SUSPICIOUS_SHARE,
    ) -> None:
        self._probe = probe
        # The names of bands stand behind those of fingerprints.
        prints, first = probe.fingerprints, int(np.searchsorted(hits.which, len(probe.fingerprints)))
        which, (documents, positions, agreement) = hits.which[:first], hits.columns()
        queries = prints.positions.astype(np.int64)[which]
        exact = prints.agreement[which] == agreement[:first]
        self._alignment = Alignment(Seeds(queries, documents[:first], positions[:first], exact), len(probe.stream))
        rows = (hits.which[first:] - len(prints)) // max(1, probe.fragments.bands.shape[1])
        self._bands = (documents[first:], rows, positions[first:])
        # Which owner each document is of, by its place among the owners' numbers.
        self._numbers, self._owner_of = np.unique(owner_number(self._alignment.documents), return_inverse=True)
        self._backgrounds = backgrounds
        self._added = np.asarray(probe.stream.ends) > boundary
        self._significance = Significance(len(probe.stream), hits.tokens)
        self._weighed: dict[DocumentId, float] = {}
        self._floor = min(floor, SUSPICIOUS_SHARE, VERBATIM_SHARE)
        self._drawn: list[tuple[dict[int, Owner], Chain, Worth]] = []

    def candidates(self, index: Index | Owners, view: Viewpoint) -> list[Candidate]:
        """What may not pass unseen: candidates for a citation or a block, each of them significant."""
        if not len(self._alignment.documents):
            return []
        owners = self._owners(index)
        allowed = {number for number, owner in owners.items() if view.action(owner) is Action.ALLOW}
        denied = owners.keys() - allowed
        if not denied or not self._may_tell(denied):
            return []
        stream = self._probe.stream
        known = information(stream, self._backgrounds)
        bits = without_prose(known, stream) if self._probe.prose else known
        worth = Worth(bits, literal_information(stream, self._backgrounds), np.zeros(len(stream), dtype=np.bool_))
        licensed = {number for number in denied if owners[number].kind is OwnerKind.LICENSED}
        private = denied - licensed
        left = self._set_aside(self._held_by(allowed), worth, worth)
        found = self._significant(owners, licensed, allowed, left)
        if private:
            left = self._set_aside(self._held_by(licensed), worth, left)
            found += self._significant(owners, private, allowed | licensed, left)
        return found

    def traces(self) -> list[Trace]:
        """The chains that `candidates` came upon in code that the caller may not see, matches or not."""
        found = []
        for owners, chain, left in self._drawn:
            telling = np.flatnonzero(left.telling(chain.covered))
            found.append(Trace(owners[owner_number(chain.document)], int(telling[0]), int(telling[-1]), chain.bits))
        return found

    def suspects(self) -> list[DocumentId]:
        """Documents in which a closer look could find what this one did not, the likeliest first."""
        least = SUSPICIOUS_SHARE * self._significance.threshold
        ranked = sorted(self._weighed.items(), key=lambda item: -item[1])
        return [document for document, bits in ranked if bits >= least]

    def _may_tell(self, numbers: set[int]) -> bool:
        """Whether anything of these owners could be worth a match or a closer look: one seed alone never is."""
        return bool((self._held_by(numbers) & (self._alignment.counts > 1)).any())

    def _owners(self, index: Index | Owners) -> dict[int, Owner]:
        """Everyone who holds a document that shares a fingerprint, by number."""
        return {number: index.owner(number) for number in self._numbers.tolist()}

    def _held_by(self, numbers: set[int]) -> Mask:
        """Which of the alignment's documents belong to these owners."""
        held = np.array([number in numbers for number in self._numbers.tolist()], dtype=np.bool_)
        return held[self._owner_of]

    def _set_aside(self, documents: Mask, whole: Worth, left: Worth) -> Worth:
        """What is left of what the tokens tell once those that stand in these documents tell nothing.

        Chains of one document do not overlap, so what one of them passed over is asked for again: afterwards nothing
        is left by which one of these documents, or another one with the same text, could be accused.
        """
        worth = whole
        while chains := self._chains(documents, worth, EXONERATING_BITS, most=RUNS_A_DOCUMENT):
            left = left.without(np.logical_or.reduce([chain.covered for chain in chains]))
            worth = left
        return left

    def _chains(self, documents: Mask, worth: Worth, floor: float, *, most: int = CHAINS_A_DOCUMENT) -> list[Chain]:
        return self._alignment.chains(documents, worth.bits, worth.literal, floor, most=most)

    def _significant(
        self, owners: dict[int, Owner], numbers: set[int], excused: set[int], left: Worth
    ) -> list[Candidate]:
        """What of these owners' documents is a copy; `excused`: whose code may be seen, or is told of already."""
        documents = self._held_by(numbers) & (self._alignment.counts > 1)
        chains = self._chains(documents, left, self._floor * self._significance.threshold)
        self._remember((chain.document, chain.bits) for chain in chains)
        self._drawn += [(owners, chain, left) for chain in chains]
        of = {chain.document: owners[owner_number(chain.document)] for chain in chains}
        strong = [
            chain for chain in chains if self._suffices(chain, left) and self._adds(chain, left, of[chain.document])
        ]
        found = [self._aligned(chain, of[chain.document], left) for chain in strong]
        strong_documents = [chain.document for chain in strong]
        rest = documents & ~np.isin(self._alignment.documents, strong_documents) if strong else documents
        return found + self._reordered(owners, rest, self._held_by(excused), left)

    def _remember(self, found: Iterable[tuple[DocumentId, float]]) -> None:
        for document, bits in found:
            self._weighed[document] = max(bits, self._weighed.get(document, 0.0))

    def _suffices(self, chain: Chain, left: Worth) -> bool:
        """Whether there is enough of the chain: in bits, or to the letter. What is set aside does not count."""
        threshold = self._significance.threshold
        if told(chain, left) >= threshold and int(left.telling(chain.covered).sum()) >= COVERED_TOKENS:
            return True
        return chain.bits >= VERBATIM_SHARE * threshold and self._is_verbatim(left.telling(chain.exact))

    def _is_verbatim(self, exact: Mask) -> bool:
        """Whether enough agrees to the letter for the smallest copy: in tokens, or in lines.

        Fingerprints leave out up to W - 1 tokens at the edges of a copy: the lines of these count.
        """
        tokens = np.flatnonzero(exact)
        if not VERBATIM_LINE_TOKENS <= len(tokens) < VERBATIM_TOKENS:
            return len(tokens) >= VERBATIM_TOKENS
        first, last = int(tokens[0]), int(tokens[-1])
        copied = exact.copy()
        copied[max(0, first - (W - 1)) : first] = copied[last : last + W] = True
        return self._probe.stream.lines(copied) >= VERBATIM_LINES

    def _adds(self, chain: Chain, left: Worth, owner: Owner) -> bool:
        """Whether the generation's own tokens are part of what makes the match.

        Its share tells something by itself; or the prompt holds a match already, and a single token goes on with it:
        whoever draws code out a few tokens at a time has the rest of it in the prompt. Where private code reaches to
        the end of the prompt, fewer than W tokens cannot be told to leave it: one of W runs is sure to be in the index,
        but not one of fewer.
        """
        new = left.telling(chain.covered) & self._added
        count, worth = int(new.sum()), float(left.bits[new].sum() + left.literal[chain.exact & self._added].sum())
        if chain.bits - worth < self._significance.threshold:
            return count >= ADDED_TOKENS and worth >= ADDED_BITS
        written = int(self._added.sum())
        reaches = chain.end > len(self._added) - written - W
        return count > 0 or (0 < written < W and reaches and owner.kind is OwnerKind.ORGANIZATION)

    def _aligned(self, chain: Chain, owner: Owner, left: Worth) -> Candidate:
        """The chain from the first to the last token of it that is not set aside."""
        telling = np.flatnonzero(left.telling(chain.covered))
        first, last = int(telling[0]), int(telling[-1])
        covered, exact = (int(mask[first : last + 1].sum()) for mask in (chain.covered, chain.exact))
        kind = MatchKind.NEAR
        if covered >= _WHOLE * (last - first + 1) and chain.diagonals == 1:
            kind = MatchKind.EXACT if exact >= _WHOLE * (last - first + 1) else MatchKind.RENAMED
        bits = told(chain, left)
        return Candidate(
            document=chain.document,
            owner=owner,
            probe=self._probe,
            kind=kind,
            first=first,
            last=last,
            covered=covered,
            bits=bits,
            expected=self._significance.expected(bits),
        )

    def _reordered(self, owners: dict[int, Owner], documents: Mask, excused: Mask, left: Worth) -> list[Candidate]:
        """Documents that hold enough of the query in whatever order, where the generation's share is half of it.

        What a document that may be seen holds as much of excuses whatever of the query it covers.
        """
        weighed, accused = self._scattered(documents, left)
        excuses = self._scattered(excused, left)[1] if accused else []
        if excuses:
            among = np.zeros(len(excused), dtype=np.bool_)
            among[[row for row, *_ in excuses]] = True
            left = left.without(self._alignment.scattered(among, left.bits, left.literal)[2])
            weighed, accused = self._scattered(documents, left)
        self._remember(weighed)
        found = []
        for row, bits, (first, end, held) in accused:
            if held < COVERED_TOKENS or 2 * int(self._added[first:end].sum()) < end - first:
                continue
            document = int(self._alignment.documents[row])
            found.append(
                Candidate(
                    document=document,
                    owner=owners[owner_number(document)],
                    probe=self._probe,
                    kind=MatchKind.NEAR,
                    first=first,
                    last=end - 1,
                    covered=held,
                    bits=bits,
                    expected=self._significance.expected(bits - REORDERED_BITS),
                    reordered=True,
                )
            )
        return found

    def _scattered(
        self, documents: Mask, left: Worth
    ) -> tuple[list[tuple[DocumentId, float]], list[tuple[int, float, list[int]]]]:
        """What the runs of documents are worth, and the documents in which that is a match: row, bits, span."""
        least = self._significance.threshold + REORDERED_BITS
        accused = least - BAND_BITS * BANDS_THAT_COUNT
        floor = min(accused, SUSPICIOUS_SHARE * self._significance.threshold)
        worth, spans, _ = self._alignment.scattered(documents, left.bits, left.literal, floor)
        found = []
        for row in np.flatnonzero(worth >= accused).tolist():
            bands = min(BANDS_THAT_COUNT, self._shared_bands(int(self._alignment.documents[row])))
            bits = float(worth[row]) + BAND_BITS * bands
            if bits >= least:
                found.append((row, bits, spans[row].tolist()))
        rows = np.flatnonzero(worth)
        return list(zip(self._alignment.documents[rows].tolist(), worth[rows].tolist(), strict=True)), found

    def _shared_bands(self, document: DocumentId) -> int:
        """The most bands that one fragment of the query shares with one of the document."""
        documents, rows, positions = self._bands
        mine = documents == document
        if not mine.any():
            return 0
        _, counts = np.unique(rows[mine] * (1 << 16) + positions[mine], return_counts=True)
        return int(counts.max())
