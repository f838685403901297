from __future__ import annotations

import inspect
import sysconfig
import textwrap
from typing import TYPE_CHECKING

import pytest
from samples.code import PYTHON
from samples.indexed import ACME, Indexed

from guard.commons import EXCLUDED, add_standard_library, has_commons, standard_library
from guard.index import Index
from guard.types import OwnerKind

if TYPE_CHECKING:
    from pathlib import Path

    from guard.ingest import IndexAddress, Progress
    from guard.store import Store

IDIOM = inspect.getsource(textwrap)


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A standard library of a few files: the real one takes half a minute."""
    root = tmp_path / "python3"
    (root / "test").mkdir(parents=True)
    (root / "textwrap.py").write_text(IDIOM)
    (root / "other.py").write_text("import textwrap\n\n\ndef wrap(text):\n    return textwrap.wrap(text)\n")
    (root / "test" / "test_ledger.py").write_text(PYTHON)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(root))
    return root


def test_the_standard_library_becomes_commons(address: IndexAddress) -> None:
    assert not has_commons(address)
    report = add_standard_library(address, jobs=1)
    assert report.added == 2
    assert has_commons(address)
    with address.opened() as (index, _):
        assert index.paths(standard_library()).keys() == {"python3/textwrap.py", "python3/other.py"}
        assert index.completed() == [str(standard_library())]
    assert standard_library().kind is OwnerKind.COMMONS
    assert "tests" in EXCLUDED


def test_private_code_that_is_commons_too_is_nobodys_secret(address: IndexAddress, embedded_store: Store) -> None:
    indexed = Indexed(embedded_store, address.home)
    indexed.add(ACME, "wrap.py", IDIOM)
    indexed.add(ACME, "ledger.py", PYTHON)
    assert indexed.check(IDIOM).action == "block"
    add_standard_library(address, jobs=1)
    assert indexed.check(IDIOM).action == "allow"
    assert indexed.check(PYTHON).action == "block"


class StopError(Exception):
    """What a test raises to interrupt a run."""


@pytest.mark.parametrize("where", ["files", "mark"])
def test_an_interrupted_run_is_done_again(address: IndexAddress, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise StopError

    def ignore(_: Progress) -> None:
        pass

    with monkeypatch.context() as patch:
        if where == "mark":
            patch.setattr(Index, "complete", stop)
        with pytest.raises(StopError):
            add_standard_library(address, jobs=1, progress=stop if where == "files" else ignore)
    assert not has_commons(address)
    assert add_standard_library(address, jobs=1).unchanged == 2
    assert has_commons(address)


def test_an_index_without_commons_still_guards(address: IndexAddress, embedded_store: Store) -> None:
    indexed = Indexed(embedded_store, address.home)
    indexed.add(ACME, "ledger.py", PYTHON)
    assert indexed.check(PYTHON).action == "block"
    assert not has_commons(address)
