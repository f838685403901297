"""Documents whose copies may pass: what of an index's answer is about them. Knows no reason and no ledger.

What is exempt is taken out of the answer before anything is weighed: whatever else shares a run with it is judged as
if it had never been indexed, and it excuses nothing. Only the size of the index still counts it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from guard.hits import owner_number
from guard.types import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from guard.hits import Hits
    from guard.index import Index
    from guard.types import Match, Owner


@dataclass(frozen=True, slots=True)
class Exemption:
    """A document whose copies may pass; `id` names, in the ledger, what says so."""

    id: str
    owner: Owner
    path: str


Exempt: TypeAlias = frozenset[Exemption]


def exempted(index: Index, exempt: Exempt, hits: Hits) -> NDArray[np.bool_]:
    """Which of the hits are in exempt documents, shape of the hits. One round trip if it may be any.

    A document is known by its record, which only says where it stood: of one that is gone nothing is exempt.

    Raises:
        RefusalError: the index cannot answer.
    """
    documents = hits.documents
    known = np.unique(documents)
    paths: dict[Owner, set[str]] = {}
    for one in exempt:
        paths.setdefault(one.owner, set()).add(one.path)
    meant = {number: paths.get(index.owner(number)) for number in np.unique(owner_number(known)).tolist()}
    records = index.records([document for document in known.tolist() if meant[owner_number(document)]])
    found = [document for document, record in records.items() if record.path in (meant[owner_number(document)] or ())]
    return np.isin(documents, np.array(found, dtype=np.int64))


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
