from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from samples.code import PYTHON
from samples.indexed import ACME, Indexed

from guard.audit import verify
from guard.buckets import encoded
from guard.census import Census
from guard.layout import PENDING, back_list

if TYPE_CHECKING:
    from pathlib import Path

    from guard.census import Document, Findings
    from guard.store import Store


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    indexed = Indexed(embedded_store, home)
    indexed.add(ACME, "a.py", PYTHON)
    return indexed


def test_what_is_whole_at_a_second_look_is_no_damage(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = min(indexed.store.writer.scan_iter(match="cr:{??}:p0:*"))
    held = indexed.store.writer.get(bucket)
    real = Census.take

    def torn(census: Census, documents: list[Document]) -> Findings:
        indexed.store.writer.delete(bucket)
        try:
            return real(census, documents)
        finally:
            indexed.store.writer.set(bucket, held)

    monkeypatch.setattr(Census, "take", torn)
    report = verify(indexed.index, mend=True)
    assert report.sound
    assert not report.incomplete_documents
    monkeypatch.undo()
    assert verify(indexed.index).sound


def test_what_another_run_begins_while_the_index_is_mended_is_left_to_it(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, writer = b"\1\0\x99\0\0", indexed.store.writer
    real = indexed.index.writer.clean

    def clean(owner_ids: list[bytes] | None = None) -> int:
        done = real(owner_ids)
        writer.hset(PENDING, key, b"w")
        writer.set(back_list(0) + key, encoded(np.array([7])))
        return done

    monkeypatch.setattr(type(indexed.index.writer), "clean", lambda _, owner_ids=None: clean(owner_ids))
    assert verify(indexed.index, mend=True).sound
    assert writer.hkeys(PENDING) == [key]


def test_an_owner_of_many_documents_is_read_page_by_page(indexed: Indexed) -> None:
    owner = indexed.index.owner_id(ACME)
    digest = indexed.digester.digest("", "", "python")
    indexed.index.put_all([(owner, replace(digest, path=f"{number}.py")) for number in range(1200)])
    report = verify(indexed.index)
    assert report.sound
    assert report.documents == 1201
    assert not [*Census(indexed.index).documents(b"??")]
