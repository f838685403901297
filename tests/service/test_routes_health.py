from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guard.errors import StoreMismatchError
from service.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import SimpleNamespace

    from samples.scripted import ScriptedGuard

    from service.parts import Services


def test_open_without_a_key(world: SimpleNamespace) -> None:
    assert httpx.get(f"{world.url}/healthz").json() == {"status": "ok"}
    reply = httpx.get(f"{world.url}/readyz")
    assert reply.status_code == 200
    assert reply.json() == {
        "ready": True,
        "parts": {part: {"ready": True, "reason": None} for part in ("index", "ledger", "accounts", "engine")},
    }


@pytest.mark.parametrize(
    ("part", "name", "error"),
    [
        ("guard", "index", StoreMismatchError("redis://10.0.0.7 holds another key")),
        ("engine", "engine", EngineUnavailableError("http://10.0.0.7 is down")),
    ],
)
def test_failing_part_is_named_but_not_where_it_is(
    world: SimpleNamespace, part: str, name: str, error: Exception
) -> None:
    getattr(world, part).error = error
    reply = world.client.get("/readyz")
    assert reply.status_code == 503
    body = reply.json()
    assert body["ready"] is False
    assert [part for part, state in body["parts"].items() if not state["ready"]] == [name]
    assert body["parts"][name]["reason"] == type(error).__name__
    assert "10.0.0.7" not in reply.text
    assert world.client.get("/healthz").status_code == 200
    getattr(world, part).error = None
    assert world.client.get("/readyz").status_code == 200


def test_broken_database_is_not_ready(services: Services, running: Callable[[Services], Any], tmp_path: Path) -> None:
    with running(services) as url:
        connection = sqlite3.connect(tmp_path / "cleanroom.db")
        connection.execute("PRAGMA foreign_keys = OFF")
        for table in ("api_keys", "organizations", "ledger_matches", "ledger_entries"):
            connection.execute(f"DROP TABLE {table}")
        connection.close()
        parts = httpx.get(f"{url}/readyz").json()["parts"]
    assert parts["accounts"] == {"ready": False, "reason": "AccountsUnavailableError"}
    assert parts["ledger"] == {"ready": False, "reason": "LedgerError"}
    assert parts["index"]["ready"] is True


def test_however_many_ask_the_parts_are_asked_once_at_a_time(
    services: Services,
    running: Callable[[Services], Any],
    guard: ScriptedGuard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody needs a key to ask, and every answer takes threads that checks need."""
    at_once, most = 0, 0

    def ready() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)
        at_once -= 1

    monkeypatch.setattr(guard, "ready", ready)
    with running(services) as url, ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: httpx.get(f"{url}/readyz").status_code, range(64)))
    assert set(replies) == {200}
    assert most == 1
