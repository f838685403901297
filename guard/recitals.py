"""Literals of private code that a text recites: whose they are, and where. Knows neither text nor keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guard.hits import owner_number
from guard.types import OwnerKind

if TYPE_CHECKING:
    from guard.exemptions import Owners
    from guard.hits import DocumentId, Hits
    from guard.index import Index
    from guard.literals import Literals
    from guard.policy import Viewpoint
    from guard.types import Owner


@dataclass(frozen=True, slots=True)
class Recital:
    """Part of a literal that stands in a document, from character `start` to `end` of the query."""

    document: DocumentId
    owner: Owner
    start: int
    end: int

    def characters(self, boundary: int, length: int) -> tuple[int, int]:
        """The part of it in the generation, which begins at character `boundary` of the query."""
        return max(0, self.start - boundary), min(length, self.end - boundary)


def recitals(literals: Literals, hits: Hits, index: Index | Owners, view: Viewpoint) -> list[Recital]:
    """What of `literals` stands in private code of others and in nobody's whose code the caller may have.

    `hits`: of their names, counted from the first. Runs that overlap are one recital. What the caller's organization
    holds itself, or what is commons or publicly licensed, is no secret.
    """
    agreeing = hits.only(hits.agreement == literals.agreement[hits.which])
    if not len(agreeing.which):
        return []
    documents = agreeing.documents
    owners = {number: index.owner(number) for number in np.unique(owner_number(documents)).tolist()}
    strangers = [
        number for number, owner in owners.items() if owner.kind is OwnerKind.ORGANIZATION and owner.name != view.caller
    ]
    strange = np.isin(owner_number(documents), np.array(strangers, dtype=np.int64))
    accused = strange & ~np.isin(agreeing.which, agreeing.which[~strange])
    found: dict[DocumentId, Recital] = {}
    done: list[Recital] = []
    for run, document in zip(agreeing.which[accused].tolist(), documents[accused].tolist(), strict=True):
        start, end, before = int(literals.starts[run]), int(literals.ends[run]), found.get(document)
        if before is not None and start < before.end:
            found[document] = Recital(document, before.owner, before.start, end)
            continue
        if before is not None:
            done.append(before)
        found[document] = Recital(document, owners[owner_number(document)], start, end)
    return [*done, *found.values()]
