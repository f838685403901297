"""Documents whose copies may pass: what of an index's answer is about them. Knows no reason and no ledger.

What is exempt is taken out of the answer before anything is weighed: whatever else shares a run with it is judged as
if it had never been indexed, and it excuses nothing. What counts as commons is nobody's secret: it excuses all that
holds the same code. Only the size of the index still counts both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from guard.hits import owner_number
from guard.layout import OWNER_BITS, SERIAL_BITS
from guard.types import Action, Owner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.hits import DocumentId, Hits
    from guard.index import Index
    from guard.types import Match

_DOCUMENT_BITS = np.uint64(OWNER_BITS + SERIAL_BITS)
NOBODY = 0
"""The number of an owner that no index gives."""
_COMMONS = Owner.commons("exempt")


@dataclass(frozen=True, slots=True)
class Exemption:
    """A document whose copies may pass, or which counts as `commons`; `id` names, in the ledger, what says so."""

    id: str
    owner: Owner
    path: str
    commons: bool = False


Exempt: TypeAlias = frozenset[Exemption]


class Owners:
    """Whose a document is by its owner's number, in hits of which some count as nobody's."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def owner(self, number: int) -> Owner:
        """As `Index.owner`."""
        return _COMMONS if number == NOBODY else self._index.owner(number)


@dataclass(frozen=True, slots=True)
class Counted:
    """What counts of some hits, and which exemptions these are about."""

    hits: Hits
    used: Exempt = frozenset()


def counted(index: Index, exempt: Exempt, hits: Hits) -> Counted:
    """Take out of hits what is exempt, and make nobody's what is commons. One round trip if it may be any of them.

    A document is known by its record, which only says where it stood: of one that is gone nothing is exempt. Read the
    owners of what counts from `Owners`.

    Raises:
        RefusalError: the index cannot answer, or does not know an owner.
    """
    if not exempt:
        return Counted(hits)
    documents = hits.documents
    known = np.unique(documents)
    wanted = {(one.owner, one.path): one for one in sorted(exempt, key=lambda one: (one.commons, one.id))}
    holders = {owner for owner, _ in wanted}
    # Asked of every one, so that none passes for nobody that the index does not know.
    owners = {number: index.owner(number) for number in np.unique(owner_number(known)).tolist()}
    records = index.records([one for one in known.tolist() if owners[owner_number(one)] in holders])
    meant = {one: wanted.get((owners[owner_number(one)], record.path)) for one, record in records.items()}
    used = {document: one for document, one in meant.items() if one is not None}
    # The same number at each look.
    ranks = {one: rank for rank, one in enumerate(sorted(exempt, key=lambda one: one.id))}
    commons = {document: ranks[one] for document, one in used.items() if one.commons}
    gone = np.array([document for document, one in used.items() if not one.commons], dtype=np.int64)
    return Counted(_as_nobodys(hits, commons).only(~np.isin(documents, gone)), frozenset(used.values()))


def _as_nobodys(hits: Hits, serials: dict[DocumentId, int]) -> Hits:
    """The hits with these documents under NOBODY, by these numbers."""
    postings = hits.postings.copy()
    for document, serial in serials.items():
        mine = hits.documents == document
        postings[mine] = postings[mine] >> _DOCUMENT_BITS << _DOCUMENT_BITS | np.uint64(NOBODY | serial << OWNER_BITS)
    return replace(hits, postings=postings)


def excused(whole: Iterable[Match], found: Iterable[Match], used: Exempt) -> tuple[Match, ...]:
    """What was let pass: of the matches of a check without exemptions those in documents that no match is `found` in.

    They are allowed, and name the exemption: their own, or one that makes the same code commons. The strongest for each
    exemption and owner.
    """
    ids = {(one.owner, one.path): one.id for one in sorted(used, key=lambda one: (one.commons, one.id))}
    commons = min((one.id for one in used if one.commons), default=None)
    still = {(match.owner, match.document) for match in found}
    passed: dict[tuple[str, str], Match] = {}
    for match in sorted(whole, key=lambda match: match.tokens * match.similarity):
        place = match.owner, match.document
        id_ = ids.get(place, commons)
        if id_ is not None and place not in still:
            passed[id_, str(match.owner)] = replace(match, action=Action.ALLOW, exception=id_)
    return tuple(passed[key] for key in sorted(passed))
