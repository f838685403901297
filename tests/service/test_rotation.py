"""A service that runs on under the old index key releases nothing; one with the new key is back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from samples.code import PYTHON
from samples.indexed import ACME, KEY, Indexed

from guard.rotation import Rotation
from guard.secret import load_index_key, write_index_key
from guard.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guard.store import Store
    from service.parts import Services


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """The embedded store of the home."""
    with open_store(None, home, check_timeout=5) as store:
        yield store


def completion(url: str, secret: str) -> httpx.Response:
    body = {"prompt": "# the answer\n", "max_tokens": 16}
    return httpx.post(f"{url}/v1/completions", json=body, headers={"Authorization": f"Bearer {secret}"}, timeout=30)


def test_only_the_new_key_is_served(
    services: Services, running: Callable[[Services], Any], secret: str, store: Store, home: Path
) -> None:
    write_index_key(home / "index.key", KEY)
    indexed = Indexed(store, home)
    indexed.add(ACME, "a.py", PYTHON)
    with running(replace(services, guard=indexed.guard)) as url:
        assert completion(url, secret).status_code == 200
        Rotation(home).run(store)
        refused = completion(url, secret)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "guard_unavailable")
        ready = httpx.get(f"{url}/readyz")
        assert (ready.status_code, ready.json()["parts"]["index"]["reason"]) == (503, "StoreMismatchError")
    restarted = Indexed(store, home, load_index_key(home, None))
    with running(replace(services, guard=restarted.guard)) as url:
        assert completion(url, secret).status_code == 200
