"""The whole service over an engine of the benchmark's, with some functions in the index as one organization's own.

A store, a ledger and accounts in a home that is gone afterwards; the standard library is commons. Asked through its
pipeline, or over HTTP as clients ask. Measures nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import uvicorn

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
from service.app import create_app
from service.parts import Services
from service.pipeline import Pipeline
from service.server import claim_port, configured
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from clones import Function

    from service.engines.protocol import Engine

KEY = IndexKey(hashlib.sha256(b"steering").digest())
OWNER = Caller("owner", "key", frozenset({Scope.COMPLETE}), LicensePolicy.default())
"""The organization whose code the functions are."""
STRANGER = Caller("stranger", "key", frozenset({Scope.COMPLETE}), LicensePolicy.default())
PATIENCE = 120.0
"""Seconds that an answer over HTTP may take."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A service whose engine runs. `keys`: what OWNER and STRANGER authenticate with, by their organizations."""

    services: Services
    pipeline: Pipeline
    ledger: Ledger
    keys: dict[str, str]


@asynccontextmanager
async def serving(engine: Engine, owned: Sequence[Function]) -> AsyncIterator[Serving]:
    """A service over `engine`, which is started and closed; OWNER owns the functions."""
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
        keys = {}
        for caller in (OWNER, STRANGER):
            accounts.add_organization(caller.org)
            _, keys[caller.org] = accounts.create_key(caller.org, caller.scopes)
        services = Services(settings, accounts, engine, Guard(index, digester), ledger)
        await engine.start()
        try:
            yield Serving(services, Pipeline(services), ledger, keys)
        finally:
            await engine.close()


@asynccontextmanager
async def over_http(one: Serving) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service's own web application on loopback; its engine is closed behind it."""
    app = create_app(one.services)
    with claim_port("127.0.0.1", 0) as listener:
        server = uvicorn.Server(configured(app, one.services.settings))
        running = asyncio.create_task(server.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            await running
