"""What may happen to documents on their way into the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from samples.code import PYTHON, UNRELATED
from samples.indexed import ACME, KEY, Indexed

from guard import ingest as ingestion
from guard.audit import verify
from guard.errors import RefusalError, StoreUnavailableError
from guard.ingest import IndexAddress, ingest
from guard.layout import VERSION
from guard.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    return Indexed(embedded_store, home)


def test_documents_that_are_given_up_whenever_they_are_begun_are_named(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(indexed.index.writer)
    real = kind._begin

    def begun(writer: Any, *given: Any) -> Any:  # noqa: ANN401 - as the method
        drafts = real(writer, *given)
        assert writer.clean() == len(drafts)
        return drafts

    monkeypatch.setattr(kind, "_begin", begun)
    with pytest.raises(StoreUnavailableError, match="as fast as they are written"):
        indexed.add(ACME, "a.py", PYTHON)
    monkeypatch.undo()
    report = verify(indexed.index)
    assert (report.sound, report.documents, report.postings) == (True, 0, 0)
    assert indexed.add(ACME, "a.py", PYTHON)


def test_an_error_of_the_store_that_no_program_expects_is_a_refusal(indexed: Indexed) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    indexed.store.writer.delete(VERSION)
    indexed.store.writer.rpush(VERSION, b"1")
    with pytest.raises(RefusalError):
        indexed.add(ACME, "b.py", UNRELATED)


def test_an_interrupted_run_ends_its_workers_and_leaves_what_is_whole(
    embedded_store: Store, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "INLINE", 0)
    indexed, files = Indexed(embedded_store, home), 200
    (tmp_path / "tree").mkdir()
    for number in range(files):
        (tmp_path / "tree" / f"{number}.py").write_text(f"{UNRELATED}\nnumber = {number}\n")

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    address, tree = IndexAddress(embedded_store.address, home, KEY.secret), Tree(tmp_path / "tree", ACME)
    with pytest.raises(KeyboardInterrupt):
        ingest(address, tree, jobs=2, progress=interrupt)
    assert not verify(indexed.index).incomplete_documents
    ingest(address, tree, jobs=2)
    assert verify(indexed.index, mend=True).documents == files


def test_of_two_who_write_the_same_at_once_one_takes_its_own_back(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(indexed.index.writer)
    real = kind._begin

    def begun(writer: Any, *given: Any) -> Any:  # noqa: ANN401 - as the method
        drafts = real(writer, *given)
        monkeypatch.undo()
        assert indexed.add(ACME, "a.py", PYTHON)  # the other one is quicker
        return drafts

    monkeypatch.setattr(kind, "_begin", begun)
    assert not indexed.add(ACME, "a.py", PYTHON)
    report = verify(indexed.index)
    assert (report.sound, report.documents) == (True, 1)
