"""Documents whose copies may pass, and what is left of an index without them. Knows no reason and no ledger.

An exempt document is taken out of what the index answers before anything is weighed, and its tokens out of the size of
the index: whatever else shares a run with it is judged as if it had never been indexed. It excuses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from guard.hits import Hits
from guard.types import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from guard.index import Index
    from guard.types import Match, Owner

KEPT = 64
"""Sets of exemptions of which it is remembered which documents they mean."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """A document whose copies may pass; `id` names, in the ledger, what says so."""

    id: str
    owner: Owner
    path: str


Exempt: TypeAlias = frozenset[Exemption]


@dataclass(frozen=True, slots=True)
class Exempted:
    """Documents of one state of an index, int64, shape (n,), and the `tokens` that they have together."""

    documents: NDArray[np.int64]
    tokens: int

    def mark(self, hits: Hits) -> NDArray[np.bool_]:
        """Which hits are in these documents, shape of the hits."""
        return np.isin(hits.documents, self.documents)

    def left(self, tokens: int) -> int:
        """The size in tokens of an index of `tokens` without these documents."""
        return max(0, tokens - self.tokens)

    def without(self, hits: Hits) -> Hits:
        """The hits of an index that never had these documents."""
        return replace(hits.only(~self.mark(hits)), tokens=self.left(hits.tokens))

    def postings_without(self, postings: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Of the postings of one name, shape (n,), those of other documents."""
        hits = Hits(np.zeros(len(postings), dtype=np.int64), postings, version=0, tokens=0)
        return postings[~self.mark(hits)]


class Exemptions:
    """Finds the documents that exemptions mean in one index. Safe to share between threads.

    A document that is replaced becomes another one, which its exemption means from the next change's look on; until
    then it is not exempt.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._found: dict[Exempt, tuple[int, Exempted]] = {}

    def at(self, exempt: Exempt, version: int) -> Exempted:
        """The documents that are meant, when the index has changed `version` times or more.

        Raises:
            RefusalError: the index cannot answer.
        """
        known = self._found.get(exempt)
        if known is not None and known[0] == version:
            return known[1]
        paths: dict[Owner, list[str]] = {}
        for one in exempt:
            paths.setdefault(one.owner, []).append(one.path)
        documents = {document for owner, some in paths.items() for document in self._index.documents(owner, some)}
        records = self._index.records(documents)
        found = Exempted(
            np.array(sorted(records), dtype=np.int64), tokens=sum(record.tokens for record in records.values())
        )
        if len(self._found) >= KEPT:
            self._found.clear()
        self._found[exempt] = version, found
        return found


def excused(matches: Iterable[Match], exempt: Exempt) -> tuple[Match, ...]:
    """Of the matches of a check without exemptions those that these let pass: the strongest for each exemption.

    They are allowed, and name the exemption.
    """
    ids = {(one.owner, one.path): one.id for one in sorted(exempt, key=lambda one: one.id)}
    found: dict[str, Match] = {}
    for match in sorted(matches, key=lambda match: match.tokens * match.similarity):
        id_ = ids.get((match.owner, match.document))
        if id_ is not None:
            found[id_] = replace(match, action=Action.ALLOW, exception=id_)
    return tuple(found[id_] for id_ in sorted(found))
