"""The index key is rotated with the rights of the user `indexer`, and with no less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from samples.code import PYTHON
from samples.indexed import ACME, KEY, Indexed

from guard.check import Guard, GuardQuery
from guard.digest import Digester
from guard.errors import StoreMismatchError, StoreUnavailableError
from guard.index import Index
from guard.rotation import Rotation
from guard.secret import load_index_key, write_index_key
from guard.store import open_store
from guard.types import Action

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Deployment


def test_the_indexer_rotates_the_key_and_the_guard_cannot(fresh_deployment: Deployment, tmp_path: Path) -> None:
    write_index_key(tmp_path / "index.key", KEY)
    with (
        open_store(fresh_deployment.url("indexer"), tmp_path, check_timeout=5.0) as store,
        open_store(fresh_deployment.url("guard"), tmp_path, check_timeout=5.0) as reading,
    ):
        Indexed(store, tmp_path).add(ACME, "a.py", PYTHON)
        old = Guard(Index(reading, KEY, tmp_path), Digester(KEY))
        assert old.check(GuardQuery(PYTHON, "globex")).action is Action.BLOCK
        with pytest.raises(StoreUnavailableError, match="denies our user"):
            Rotation(tmp_path).run(reading)
        Rotation(tmp_path).run(store)
        with pytest.raises(StoreMismatchError):
            old.check(GuardQuery(PYTHON, "globex"))
        new = load_index_key(tmp_path, None)
        assert Guard(Index(reading, new, tmp_path), Digester(new)).check(GuardQuery(PYTHON, "globex")).action is (
            Action.BLOCK
        )
