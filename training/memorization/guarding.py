"""What the guard says of generations, asked as an organization that owns none of the code. Knows no model.

The corpora are indexed in an embedded store in a temporary home that is gone afterwards; nothing of an installation is
touched. The standard library is commons there, as in every index.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guard.check import Guard, GuardQuery
from guard.commons import add_standard_library
from guard.digest import Digester
from guard.index import Index
from guard.ingest import IndexAddress
from guard.secret import KEY_BYTES, IndexKey
from guard.store import open_store
from guard.types import Action, MatchKind, Owner, OwnerKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from training.corpus_files import CorpusFile

STRANGER = "measuring-stranger"
"""The caller: it owns nothing."""
PATIENCE = 30.0
"""Seconds that a check may wait for the store: nobody waits for it here."""
CLEANING = 10.0
"""Seconds in which the store's server must have left the home."""
_CLOSEST = (MatchKind.EXACT, MatchKind.RENAMED, MatchKind.NEAR)


@dataclass(frozen=True, slots=True)
class GuardedLine:
    """A line of a generation inside a match: the closest kind of copy, and the organizations whose code it is."""

    kind: MatchKind
    organizations: frozenset[str]


class GuardedCode:
    """A guard over the code of some organizations."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def lines(self, text: str, language: str, caller: str = STRANGER) -> list[GuardedLine | None]:
        """For each line of `text` that is not empty, the match in which a part of it lies; None: in no match.

        Raises RefusalError when the guard cannot answer.
        """
        decision = self._guard.check(GuardQuery(text=text, caller=caller, language=language))
        blocking = [
            match
            for match in decision.matches
            if match.action is Action.BLOCK and match.owner.kind is OwnerKind.ORGANIZATION
        ]
        answer: list[GuardedLine | None] = []
        start = 0
        for line in text.splitlines(keepends=True):
            begin, end = start + len(line) - len(line.lstrip()), start + len(line.rstrip())
            start += len(line)
            if begin >= end:
                continue
            inside = [match for match in blocking if match.start < end and match.end > begin]
            if not inside:
                answer.append(None)
                continue
            kind = min((match.kind for match in inside), key=_CLOSEST.index)
            answer.append(GuardedLine(kind, frozenset(match.owner.name for match in inside)))
        return answer


@contextmanager
def guarded(files: Iterable[CorpusFile]) -> Iterator[GuardedCode]:
    """A guard over these files, each its organization's. Raises EmbeddedStoreError where no store can be started."""
    key = IndexKey(secrets.token_bytes(KEY_BYTES))
    with _passing_home() as home, open_store(None, home, check_timeout=PATIENCE) as store:
        add_standard_library(IndexAddress(None, home, key.secret), jobs=1)
        index, digester = Index(store, key, home), Digester(key)
        index.open()
        owners: dict[str, bytes] = {}
        for file in files:
            if file.organization not in owners:
                owners[file.organization] = index.owner_id(Owner.organization(file.organization))
            index.put(owners[file.organization], digester.digest(file.path, file.text, file.language))
        yield GuardedCode(Guard(index, digester))


@contextmanager
def _passing_home() -> Iterator[Path]:
    """A folder that is gone afterwards; the store's server, which stops on its own, may write until then."""
    home = Path(tempfile.mkdtemp(prefix="cleanroom-measure-"))
    try:
        yield home
    finally:
        deadline = time.monotonic() + CLEANING
        while home.exists() and time.monotonic() < deadline:
            shutil.rmtree(home, ignore_errors=True)
            time.sleep(0.02)
