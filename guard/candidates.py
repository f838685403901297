"""Candidates: what in one query's stream looks like a copy, after everything the caller may see has been set aside.

Chains are weighed in the order of the caller's rights: commons and the caller's own code first, whose tokens then tell
nothing; licensed code next, by the licence policy; and private code of others last, in which what is publicly licensed
is no secret either. Knows neither settings nor the ledger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guard.alignment import RUNS_A_DOCUMENT, Alignment, Chain, Mask, Seeds
from guard.fingerprint import W
from guard.index import owner_number
from guard.minhash import FRAGMENT, similarity
from guard.rarity import literal_bits, without_prose
from guard.types import Action, MatchKind, Owner, OwnerKind

if TYPE_CHECKING:
    from guard.digest import Probe
    from guard.index import DocumentId, DocumentRecord, Hits, Index
    from guard.policy import Viewpoint
    from guard.rarity import Background, Bits

EXONERATING_BITS = 40.0
"""A chain in commons or the caller's own code worth this much takes its tokens out of account."""
ADDED_BITS = 10.0
"""What the generation itself must add to a match: text that stands in the prompt alone never triggers one."""
ADDED_TOKENS = 5
REORDERED_SIMILARITY = 0.75
"""Estimated Jaccard similarity from which a fragment counts as a reordered copy."""
REORDERED_BANDS = 2
"""Bands that it shares: one is most often chance, and 98 of 100 fragments of that similarity share two of 16. Whatever
has fewer costs no second question to the store."""
REORDERED_BITS = 60.0
"""Bits that a reordered copy needs beyond an aligned one: a bag of tokens says less than their order."""
_WHOLE = 0.95


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of the query that may be a copy. `first` and `last` are token indexes, `covered` of them are shared."""

    document: DocumentId
    owner: Owner
    probe: Probe
    kind: MatchKind
    first: int
    last: int
    covered: int
    evidence: str
    fragment: tuple[int, int] | None = None
    """For a reordered copy: row of the query's fragment, start of the document's."""

    @property
    def tokens(self) -> int:
        """Tokens from the first shared one to the last."""
        return self.last - self.first + 1

    @property
    def similarity(self) -> float:
        """Share of them that stands in the document."""
        return self.covered / self.tokens

    def confirmed_by(self, record: DocumentRecord) -> bool:
        """Whether the document's own record bears it out: for a reordered copy, its signature."""
        if self.fragment is None:
            return True
        row, start = self.fragment
        signature = self.probe.fragments.signatures[row]
        rows = np.flatnonzero(record.starts == start)
        return bool(len(rows)) and similarity(signature, record.signatures[rows[0]]) >= REORDERED_SIMILARITY

    def characters(self, boundary: int, length: int) -> tuple[int, int]:
        """The span in the generation, which begins at character `boundary` of the query.

        It begins W - 1 tokens before the first shared fingerprint: the copy may have begun that early (the guarantee
        of winnowing), and what is kept in front of it must be clean.
        """
        stream = self.probe.stream
        start = stream.starts[max(0, self.first - (W - 1))] - boundary
        return max(0, start), min(length, max(0, stream.ends[self.last] - boundary))


class Examination:
    """One stream of one query beside everything the index holds of it."""

    def __init__(self, probe: Probe, hits: Hits, background: Background, *, boundary: int) -> None:
        self._probe = probe
        prints = probe.fingerprints
        aligned = hits.which < len(prints)
        which = hits.which[aligned]
        seeds = Seeds(
            queries=prints.positions[which].astype(np.int64),
            documents=hits.documents[aligned],
            positions=hits.positions[aligned],
            exact=prints.exact[which],
        )
        self._alignment = Alignment(seeds, len(probe.stream))
        self._band_rows = (hits.which[~aligned] - len(prints)) // max(1, probe.fragments.bands.shape[1])
        self._band_documents = hits.documents[~aligned]
        self._band_positions = hits.positions[~aligned]
        bits = background.bits(probe.stream)
        self._bits = without_prose(bits, probe.stream) if probe.prose else bits
        self._literal = literal_bits(probe.stream)
        self._added = np.array(probe.stream.ends) > boundary

    def candidates(self, index: Index, view: Viewpoint, threshold: float) -> list[Candidate]:
        """What may not pass unseen: candidates for a citation or a block, each worth `threshold` bits or more."""
        owners = self._owners(index)
        allowed = {number for number, owner in owners.items() if view.action(owner) is Action.ALLOW}
        denied = owners.keys() - allowed
        if not denied:
            return []
        licensed = {number for number in denied if owners[number].kind is OwnerKind.LICENSED}
        private = denied - licensed
        bits, literal = self._set_aside(self._held_by(allowed), self._bits, self._literal)
        found = self._significant(self._held_by(licensed), bits, literal, threshold)
        if private:
            bits, public_literal = self._set_aside(self._held_by(licensed), bits, literal)
            found += self._significant(self._held_by(private), bits, public_literal, threshold)
        aligned = [self._aligned(chain, owners[owner_number(chain.document)]) for chain in found]
        return aligned + self._reordered({number: owners[number] for number in denied}, found, bits, threshold)

    def _owners(self, index: Index) -> dict[int, Owner]:
        """Everyone who holds a document that shares a fingerprint or a band, by number."""
        numbers = np.unique(owner_number(np.concatenate([self._alignment.documents, self._band_documents])))
        return {number: index.owner(number) for number in numbers.tolist()}

    def _held_by(self, numbers: set[int]) -> Mask:
        """Which of the alignment's documents belong to these owners."""
        return np.isin(owner_number(self._alignment.documents), list(numbers))

    def _set_aside(self, documents: Mask, bits: Bits, literal: Bits) -> tuple[Bits, Bits]:
        """What the tokens tell once those that stand in these documents tell nothing."""
        bits, literal = bits.copy(), literal.copy()
        for chain in self._alignment.chains(
            documents, self._bits, self._literal, EXONERATING_BITS, most=RUNS_A_DOCUMENT
        ):
            bits[chain.covered] = 0.0
            literal[chain.exact] = 0.0
        return bits, literal

    def _significant(self, documents: Mask, bits: Bits, literal: Bits, threshold: float) -> list[Chain]:
        chains = self._alignment.chains(documents, bits, literal, threshold)
        return [chain for chain in chains if self._adds(chain, bits, literal, threshold)]

    def _adds(self, chain: Chain, bits: Bits, literal: Bits, threshold: float) -> bool:
        """Whether the generation itself, not the prompt before it, has its share in a match.

        Where the prompt alone is a significant copy, that share may be a single token: whoever draws code out a few
        tokens at a time has the rest of it in the prompt.
        """
        new = chain.covered & self._added
        count, worth = int(new.sum()), float(bits[new].sum() + literal[chain.exact & self._added].sum())
        return (count >= ADDED_TOKENS and worth >= ADDED_BITS) or (count > 0 and chain.bits - worth >= threshold)

    def _aligned(self, chain: Chain, owner: Owner) -> Candidate:
        covered, span = int(chain.covered.sum()), chain.end - chain.start
        kind = MatchKind.NEAR
        if covered >= _WHOLE * span and len({run.diagonal for run in chain.runs}) == 1:
            kind = MatchKind.EXACT if int(chain.exact.sum()) >= _WHOLE * span else MatchKind.RENAMED
        return Candidate(
            document=chain.document,
            owner=owner,
            probe=self._probe,
            kind=kind,
            first=chain.start,
            last=chain.end - 1,
            covered=covered,
            evidence=f"{chain.bits:.0f} bits of evidence",
        )

    def _reordered(
        self, owners: dict[int, Owner], aligned: list[Chain], bits: Bits, threshold: float
    ) -> list[Candidate]:
        """Fragments that share bands with a document of these owners in which no alignment was found."""
        held = np.isin(owner_number(self._band_documents), list(owners))
        held &= ~np.isin(self._band_documents, [chain.document for chain in aligned])
        held &= self._tells(bits, threshold)[self._band_rows]
        columns = (self._band_rows[held], self._band_documents[held], self._band_positions[held])
        shared = Counter(zip(*(column.tolist() for column in columns), strict=True))
        return [
            self._shuffled(row, document, position, owners[owner_number(document)])
            for (row, document, position), bands in shared.items()
            if bands >= REORDERED_BANDS
        ]

    def _shuffled(self, row: int, document: DocumentId, position: int, owner: Owner) -> Candidate:
        fragments = self._probe.fragments
        start, end = int(fragments.starts[row]), int(fragments.ends[row])
        return Candidate(
            document=document,
            owner=owner,
            probe=self._probe,
            kind=MatchKind.NEAR,
            first=start,
            last=end - 1,
            covered=round(REORDERED_SIMILARITY * (end - start)),
            evidence="the same statements in another order",
            fragment=(row, position),
        )

    def _tells(self, bits: Bits, threshold: float) -> Mask:
        """Which of the query's fragments would be worth enough if they were reordered copies; shape (fragments,)."""
        fragments = self._probe.fragments
        total = np.concatenate([[0.0], np.cumsum(bits)])
        added = np.concatenate([[0], np.cumsum(self._added)])
        worth = total[fragments.ends] - total[fragments.starts]
        new = added[fragments.ends] - added[fragments.starts]
        half = np.minimum(FRAGMENT, fragments.ends - fragments.starts) / 2
        tells: Mask = (worth * REORDERED_SIMILARITY >= threshold + REORDERED_BITS) & (new >= half)
        return tells
