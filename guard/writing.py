"""Writing documents into the index and taking them out again, in steps that never hold the store up for long.

A document's postings are written first; then one small step, the commit, makes it visible and hides the one that it
replaces; then the old postings are taken back. What is written or taken back stands in a journal, which readers are
given with every answer so that they pass over it: a document is there whole or not at all. An interrupted run leaves
its journal, from which `clean` takes up. Knows neither readers nor owners' names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from guard import buckets
from guard.errors import StoreUnavailableError
from guard.layout import PENDING, bucket_keys
from guard.postings import Postings, postings_of
from guard.records import DocumentRecord
from guard.scripts import APPEND, BEGIN, COMMIT, FINISH, GIVE_UP, REMOVE, TAKE_BACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from guard.digest import Digest
    from guard.names import Names
    from guard.programs import Call, Programs

OWNER_CAP = 64
"""Entries of one name that an owner may have: what stands in more of its documents is an idiom. A cap for each, so that
no owner's code can push another's out."""
SLICE = 500
"""Entries or buckets that one call is about. The store answers nobody else meanwhile: a millisecond or two."""
ROUND = 1_000
"""Entries or buckets sent at a time: a server goes through what one client has sent before it turns to the next."""
ATTEMPTS = 5


@dataclass(slots=True)
class _Draft:
    """A document that is being written. `entries` and `buckets`: what of it the index has taken."""

    place: int
    key: bytes
    replaced: bytes
    digest: Digest
    postings: Postings
    kept: NDArray[np.bool_]

    @property
    def stands_in(self) -> NDArray[np.int64]:
        return _distinct(self.postings.buckets[self.kept])

    def record(self) -> bytes:
        digest = self.digest
        size = int(self.kept.sum())
        return DocumentRecord(digest.path, digest.language, digest.tokens, len(digest.fragments), size).to_bytes()


class Writer:
    """Writes to one index. Safe to share between threads."""

    def __init__(self, programs: Programs, names: Names) -> None:
        self._programs = programs
        self._names = names

    def put_all(self, documents: Sequence[tuple[bytes, Digest]]) -> list[bool]:
        """Add or replace documents, given with their owners' ids; for each, False if it stands there unchanged.

        Raises:
            RefusalError: the store does not answer, an owner is gone, or others keep taking the documents out.
        """
        written = [False] * len(documents)
        places = list(range(len(documents)))
        for _ in range(ATTEMPTS):
            drafts = self._begin(documents, places)
            self._append(drafts)
            places = self._commit(drafts, written)
            if not places:
                return written
        message = "documents are taken out of the index as fast as they are written: stop what does so, then try again"
        raise StoreUnavailableError(message)

    def remove_all(self, owner_id: bytes, paths: Sequence[str | bytes]) -> int:
        """Remove documents of one owner; answers how many there were."""
        generation = self._programs.generation
        answers = self._programs.main_all(REMOVE, [(owner_id, path, generation) for path in paths])
        gone = [(answer[0], answer[1]) for answer in answers if answer]
        self._take_back(gone)
        return len(gone)

    def clean(self, owner_ids: Iterable[bytes] | None = None) -> int:
        """Take back what interrupted runs left of these owners', or of everyone's; answers how many documents it was.

        A run that is not interrupted but at work notices, and begins those documents again.
        """
        wanted = None if owner_ids is None else set(owner_ids)
        writer: Any = self._programs.store.writer
        with self._programs.store.refusing():
            journal = writer.hkeys(PENDING)
        return self.give_up([key for key in journal if wanted is None or key[:2] in wanted])

    def give_up(self, keys: Sequence[bytes]) -> int:
        """Take back documents that stand in the journal; answers how many did."""
        generation = self._programs.generation
        answers = self._programs.main_all(GIVE_UP, [(key, generation) for key in keys])
        held = [(key, answer) for key, answer in zip(keys, answers, strict=True) if answer != 0]
        self._take_back(held)
        return len(held)

    def _begin(self, documents: Sequence[tuple[bytes, Digest]], places: list[int]) -> list[_Draft]:
        generation = self._programs.generation
        made = {place: postings_of(documents[place][1]) for place in places}
        calls = [
            (owner, digest.path, digest.content, generation, buckets.encoded(_distinct(made[place].buckets)))
            for place, (owner, digest) in ((place, documents[place]) for place in places)
        ]
        answers = self._programs.main_all(BEGIN, calls)
        drafts = []
        for place, answer in zip(places, answers, strict=True):
            if answer:
                key, replaced = answer
                kept = np.ones(len(made[place]), dtype=np.bool_)
                drafts.append(_Draft(place, key, replaced, documents[place][1], made[place], kept))
        return drafts

    def _append(self, drafts: list[_Draft]) -> None:
        generation, journalled = self._programs.generation, int(not self._programs.store.sharded)
        calls, places = [], []
        for draft in drafts:
            rows = draft.postings.rows(draft.key, generation, self._names)
            for shard, part in self._programs.parts(draft.postings.buckets, SLICE):
                calls.append((shard, (draft.key, draft.replaced, OWNER_CAP, journalled, rows[part].tobytes())))
                places.append((draft, part))
        answers = self._in_rounds(APPEND, calls, [part.stop - part.start for _, part in places])
        for (draft, part), left_out in zip(places, answers, strict=True):
            if left_out != -1:  # else the commit will say so
                draft.kept[[part.start + row for row in left_out]] = False

    def _commit(self, drafts: list[_Draft], written: list[bool]) -> list[int]:
        """Commit; answers the places of those that have to be begun again."""
        generation = self._programs.generation
        calls: list[Call] = []
        for draft in drafts:
            changed = b"" if draft.kept.all() else buckets.encoded(draft.stands_in)
            calls.append((draft.key, draft.digest.path, draft.digest.content, generation, draft.record(), changed))
        gone, again = [], []
        for draft, answer in zip(drafts, self._programs.main_all(COMMIT, calls), strict=True):
            if isinstance(answer, list):
                written[draft.place] = True
                gone += [(answer[0], answer[1])] if answer[0] else []
                continue
            gone.append((draft.key, buckets.encoded(draft.stands_in)))
            if answer == -1:
                again.append(draft.place)
        self._take_back(gone)
        return again

    def _take_back(self, documents: list[tuple[bytes, bytes]]) -> None:
        """Take back hidden documents by their lists of buckets; without its list one stays in the journal, unseen."""
        generation = self._programs.generation
        calls, sizes, finished = [], [], []
        for key, listed in documents:
            try:
                stands_in = buckets.decoded(listed)
            except ValueError:
                continue  # an audit will find them by their postings
            keys = bucket_keys(stands_in, generation)
            finished.append(key)
            for shard, part in self._programs.parts(stands_in, SLICE):
                calls.append((shard, (key, keys[part].tobytes(), 1)))
                sizes.append(part.stop - part.start)
        self._in_rounds(TAKE_BACK, calls, sizes)
        self._programs.main_all(FINISH, [(key, generation) for key in finished])

    def _in_rounds(self, script: str, calls: list[tuple[int | None, Call]], sizes: list[int]) -> list[Any]:
        """Run a program for all of `calls`, as many at a time as sum up to ROUND."""
        answers: list[Any] = []
        first, total = 0, 0
        for place, size in enumerate(sizes):
            if total + size > ROUND and place > first:
                answers += self._programs.spread(script, calls[first:place])
                first, total = place, 0
            total += size
        return answers + self._programs.spread(script, calls[first:])


def _distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorted numbers, each once: `np.unique` would sort them again."""
    fresh = np.ones(len(numbers), dtype=np.bool_)
    fresh[1:] = numbers[1:] != numbers[:-1]
    return numbers[fresh]
