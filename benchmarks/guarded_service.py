"""The whole pipeline over an engine of the benchmark's, with some functions in the index as one organization's own.

A store, a ledger and accounts in a home that is gone afterwards; the standard library is commons. Measures nothing.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from guard.check import Guard
from guard.commons import add_standard_library
from guard.digest import Digester
from guard.index import Index
from guard.ingest import IndexAddress
from guard.ledger import Ledger
from guard.licenses import LicensePolicy
from guard.secret import IndexKey
from guard.store import open_store
from guard.types import Owner
from service.accounts import Accounts, Caller, Scope
from service.parts import Services
from service.pipeline import Pipeline
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from clones import Function

    from service.engines.protocol import Engine

KEY = IndexKey(hashlib.sha256(b"steering").digest())
OWNER = Caller("owner", "key", frozenset({Scope.COMPLETE}), LicensePolicy.default())
"""The organization whose code the functions are."""
STRANGER = Caller("stranger", "key", frozenset({Scope.COMPLETE}), LicensePolicy.default())


@asynccontextmanager
async def serving(engine: Engine, owned: Sequence[Function]) -> AsyncIterator[tuple[Pipeline, Ledger]]:
    """A pipeline over `engine`, which is started and closed, and its ledger; OWNER owns the functions."""
    with tempfile.TemporaryDirectory(prefix="cr-bench-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        home = Path(folder)
        settings = load_settings(home=home, check_timeout=30)
        store = stack.enter_context(open_store(None, home, check_timeout=30))
        add_standard_library(IndexAddress(None, home, KEY.secret), jobs=1)
        index, digester = Index(store, KEY, home), Digester(KEY)
        index.open()
        owner = index.owner_id(Owner.organization(OWNER.org))
        for number, one in enumerate(owned):
            index.put(owner, digester.digest(f"{number}.py", one.text, "python"))
        ledger = stack.enter_context(Ledger(settings.database_url))
        accounts = stack.enter_context(Accounts(settings.database_url))
        await engine.start()
        try:
            yield Pipeline(Services(settings, accounts, engine, Guard(index, digester), ledger)), ledger
        finally:
            await engine.close()
