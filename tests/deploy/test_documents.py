"""What organizations send is written with the rights of the user `indexer`, and with no less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from samples.code import PYTHON, SAMPLES
from samples.indexed import KEY

from guard.digest import Digester
from guard.index import Index
from guard.store import open_store
from guard.wire import encode, encode_batch
from service.documents import Documents
from service.errors import IndexUnavailableError
from service.remote import made_with

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Deployment


def batch() -> bytes:
    digester = Digester(KEY)
    texts = {"a.py": PYTHON, "b/c.go": SAMPLES["go"]}
    return encode_batch(made_with(KEY), [encode(digester.digest(path, text, "x")) for path, text in texts.items()])


def test_the_indexer_may_do_all_that_organizations_ask_for(fresh_deployment: Deployment, tmp_path: Path) -> None:
    with open_store(fresh_deployment.url("indexer"), tmp_path, check_timeout=5.0) as store:
        index = Index(store, KEY, tmp_path / "indexer")
        index.create()
        documents = Documents(index)
        assert documents.put("acme", batch()) == (2, 0)
        assert documents.page("acme", 0)[0].keys() == {"a.py", "b/c.go"}
        assert documents.statistics("acme").documents == 2
        assert documents.expire("acme", 60) == documents.statistics("acme").expires
        with open_store(fresh_deployment.url("guard"), tmp_path, check_timeout=5.0) as reading:
            guard = Documents(Index(reading, KEY, tmp_path / "guard"))
            assert guard.stamp().key_check == KEY.check
            with pytest.raises(IndexUnavailableError, match="denies our user"):
                guard.put("acme", batch())
        assert documents.remove("acme", ["a.py"]) == 1
        assert documents.withdraw("acme", "b/") == 1
        documents.put("acme", batch())
        assert documents.withdraw("acme", "") == 2
