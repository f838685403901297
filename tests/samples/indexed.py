"""An index with a guard over it, in a test's own store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samples.code import SAMPLES

from guard.check import Guard, GuardQuery
from guard.digest import Digester
from guard.index import Index
from guard.layout import TOKENS
from guard.licenses import LicensePolicy
from guard.secret import IndexKey
from guard.types import Action, Owner

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store
    from guard.types import Decision

KEY = IndexKey(bytes(range(32)))
ACME = Owner.organization("acme")
BETA = Owner.organization("beta")
COMMONS = Owner.commons("public")


class Indexed:
    """An index that a home has just begun, with what it takes to fill and to ask it."""

    def __init__(self, store: Store, home: Path, key: IndexKey = KEY) -> None:
        self.store = store
        self.home = home
        self.index = Index(store, key, home)
        self.index.create()
        self.digester = Digester(key)
        self.guard = Guard(self.index, self.digester)

    def add(self, owner: Owner, path: str, text: str, language: str = "python") -> bool:
        """Index one document; False if it stands there unchanged."""
        return self.index.put(self.index.owner_id(owner), self.digester.digest(path, text, language))

    def grow(self, tokens: int) -> None:
        """Let the index say that it holds so many tokens, which decides how much evidence a match takes."""
        writer: Any = self.store.writer
        writer.set(TOKENS, tokens)

    def check(
        self,
        text: str,
        caller: str = "gamma",
        *,
        prefix: str = "",
        language: str | None = None,
        policy: LicensePolicy | None = None,
    ) -> Decision:
        """What the guard says of `text`, generated for `caller`."""
        query = GuardQuery(text, caller, prefix, language, policy or LicensePolicy.default())
        return self.guard.check(query)


def allows(indexed: Indexed, text: str, caller: str = "gamma", **given: Any) -> bool:  # noqa: ANN401 - as Indexed.check
    """Whether the guard lets `text` pass; then it names no match, and else one."""
    decision = indexed.check(text, caller, **given)
    assert (decision.action is Action.ALLOW) == (not decision.matches)
    return decision.action is Action.ALLOW


def in_every_language(store: Store, home: Path) -> Indexed:
    """An index in which acme has a document in every language."""
    indexed = Indexed(store, home)
    for language, text in SAMPLES.items():
        indexed.add(ACME, f"src/{language}", text, language)
    return indexed
