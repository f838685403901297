from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from samples.code import JAVA, PYTHON, UNRELATED, C
from samples.indexed import ACME, BETA, KEY, Indexed

from guard.audit import AuditReport, verify
from guard.errors import StoreEmptyError
from guard.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guard.store import Store


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    return filled(embedded_store, home)


def filled(store: Store, home: Path) -> Indexed:
    indexed = Indexed(store, home)
    add_all(indexed)
    return indexed


def add_all(indexed: Indexed) -> int:
    """What a run of ingestion does: put what the path tables do not have. Answers how many were written."""
    written = 0
    for owner, path, text, language in (
        (ACME, "a.py", PYTHON, "python"),
        (ACME, "b.py", UNRELATED, "python"),
        (ACME, "empty.py", "", "python"),
        (BETA, "a.py", PYTHON, "python"),
        (BETA, "c.java", JAVA, "java"),
    ):
        if indexed.index.paths(owner).get(path) != indexed.digester.content(text):
            written += indexed.add(owner, path, text, language)
    return written


def keys(indexed: Indexed, pattern: str) -> list[bytes]:
    return sorted(indexed.store.writer.scan_iter(match=pattern))


def test_a_whole_index_is_sound(store: Store, home: Path) -> None:
    indexed = filled(store, home)
    for mend in (False, True):
        report = verify(indexed.index, mend=mend)
        assert report.sound
        assert report.documents == 5
        assert report.postings > 300
        assert not report.changed
        assert not any(count for _, count in report.findings())
    assert add_all(indexed) == 0


def test_a_new_index_is_sound_and_an_empty_store_refused(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    assert verify(indexed.index).sound
    embedded_store.writer.flushall()
    with pytest.raises(StoreEmptyError):
        verify(indexed.index)


def lose(pattern: str, count: int = 1) -> Callable[[Indexed], object]:
    return lambda indexed: indexed.store.writer.delete(*keys(indexed, pattern)[:count])


def overwrite(pattern: str, value: bytes) -> Callable[[Indexed], object]:
    return lambda indexed: indexed.store.writer.set(keys(indexed, pattern)[0], value)


def rewrite_field(pattern: str, value: bytes | None) -> Callable[[Indexed], object]:
    def change(indexed: Indexed) -> None:
        writer: Any = indexed.store.writer
        key = keys(indexed, pattern)[0]
        for name in writer.hkeys(key)[:1]:
            writer.hdel(key, name) if value is None else writer.hset(key, name, value)

    return change


def lose_a_document_with_its_postings_list(indexed: Indexed) -> None:
    tail = keys(indexed, "cr:d:*")[0][5:]
    indexed.store.writer.delete(b"cr:d:" + tail, b"cr:s:" + tail)


def orphan(indexed: Indexed) -> None:
    indexed.store.writer.hset("cr:p:xy", b"123456", b"\x01\x00\x00\xee\xee\xee\x01\x00")


def miscount(indexed: Indexed) -> None:
    indexed.store.writer.incrby("cr:tokens", 7)


# What is done to the index, what the audit calls it, whether that can be mended on the spot.
DAMAGE: dict[str, tuple[Callable[[Indexed], object], str, bool]] = {
    "a record is gone": (lose("cr:d:*"), "lost documents", False),
    "all records are gone": (lose("cr:d:*", 9), "lost documents", False),
    "a record is no JSON": (overwrite("cr:d:*", b"{"), "lost documents", False),
    "a record is of another path": (
        overwrite("cr:d:*", b'{"path":"z.py","language":"python","tokens":3}'),
        "lost documents",
        False,
    ),
    "a list of postings is gone": (lose("cr:s:*"), "incomplete documents", False),
    "a list of postings is cut off": (overwrite("cr:s:*", b"123"), "incomplete documents", False),
    "signatures are gone": (lose("cr:f:*"), "incomplete documents", False),
    "signatures are cut off": (overwrite("cr:f:*", b"\x02"), "incomplete documents", False),
    "buckets are gone": (lose("cr:p:*", 9), "incomplete documents", False),
    "a posting is gone": (rewrite_field("cr:p:*", None), "incomplete documents", False),
    "a posting is malformed": (rewrite_field("cr:p:*", b"1234567"), "malformed postings", False),
    "a posting is empty": (rewrite_field("cr:p:*", b""), "malformed postings", False),
    "a bucket is none": (overwrite("cr:p:*", b"text"), "malformed postings", False),
    "a path is gone": (rewrite_field("cr:paths:*", None), "stray documents", True),
    "a path is malformed": (rewrite_field("cr:paths:*", b"12"), "lost documents", False),
    "a path points elsewhere": (rewrite_field("cr:paths:*", b"\xee\xee\xee" + b"\0" * 8), "lost documents", False),
    "a table of paths is gone": (lose("cr:paths:*"), "stray documents", True),
    "a posting points to nothing": (orphan, "orphan postings", True),
    "an owner is half gone": (rewrite_field("cr:owners", None), "half-known owners", True),
    "owners are half gone": (lose("cr:owner-ids"), "half-known owners", True),
    "owners are gone": (lose("cr:owner*", 2), "ownerless documents", False),
    "the counter is wrong": (miscount, "miscounted tokens", True),
    "the counter is gone": (lose("cr:tokens"), "miscounted tokens", True),
    "everything of a document but its path is gone": (lose_a_document_with_its_postings_list, "lost documents", False),
}


@pytest.mark.parametrize(("damage", "finding", "mendable"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_mended(
    indexed: Indexed, damage: Callable[[Indexed], object], finding: str, *, mendable: bool
) -> None:
    damage(indexed)
    report = verify(indexed.index)
    assert dict(report.findings())[finding] > 0
    assert not report.sound
    assert verify(indexed.index) == report, "an audit that mends nothing changes nothing"
    mended = verify(indexed.index, mend=True)
    assert mended.mended
    assert mended.sound == mendable
    # What cannot be made of what is left is read again, and then all is as if nothing had happened.
    indexed.index = Index(indexed.store, KEY, indexed.home)
    add_all(indexed)
    verify(indexed.index, mend=True)
    last = verify(indexed.index)
    assert last.sound, last
    assert last.documents == 5
    indexed.guard = type(indexed.guard)(indexed.index, indexed.digester)
    for text in (PYTHON, UNRELATED, JAVA):
        assert indexed.check(text).action == "block"
    assert indexed.check(C).action == "allow"


def test_a_lost_record_protects_again_once_mended(indexed: Indexed) -> None:
    indexed.index.remove(BETA, "a.py")
    lose("cr:d:*", 9)(indexed)
    verify(indexed.index, mend=True)
    match = indexed.check(PYTHON).matches[0]
    assert (str(match.owner), match.document) == ("org:acme", "a.py")


def test_others_may_write_while_it_audits(indexed: Indexed) -> None:
    # The counter cannot be judged then, and nothing else is mistaken for damage.
    real, turns = indexed.index.run_all, iter(range(1000))

    def meanwhile(script: str, calls: list[tuple[Any, ...]]) -> list[Any]:
        turn = next(turns)
        indexed.add(ACME, "b.py", f"{UNRELATED}\nturn = {turn}\n")
        indexed.index.remove(BETA, "c.java") if turn % 2 else indexed.add(BETA, "c.java", JAVA, "java")
        return real(script, calls)

    watched = Index(indexed.store, KEY, indexed.home)
    watched.run_all = meanwhile  # type: ignore[assignment,method-assign] # somebody else, at the worst of times
    for mend in (False, True):
        report = verify(watched, mend=mend)
        assert report.sound
        assert report.changed
    assert verify(indexed.index).sound


def test_a_large_index_is_gone_through_page_by_page(indexed: Indexed) -> None:
    owner = indexed.index.owner_id(ACME)
    for number in range(300):
        digest = indexed.digester.digest(f"many/{number}.py", f"{UNRELATED}\nnumber = {number}\n", "python")
        indexed.index.put(owner, digest)
    lose("cr:d:*", 150)(indexed)
    report = verify(indexed.index)
    assert report.documents == 305
    assert report.lost_documents == 150
    assert report.orphan_postings == report.stray_documents == report.incomplete_documents == 0


def test_a_report_in_json() -> None:
    told = json.loads(json.dumps(AuditReport(mended=False, orphan_postings=3).to_json()))
    assert told["sound"] is False
    assert told["orphan_postings"] == 3
    assert {name.replace(" ", "_").replace("-", "_") for name, _ in AuditReport(mended=True).findings()} <= {
        name.replace("half_owners", "half_known_owners") for name in told
    }
