from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import JAVA, PYTHON, UNRELATED, C
from samples.indexed import ACME, BETA, KEY, Indexed

from guard.audit import AuditReport, verify
from guard.buckets import encoded
from guard.errors import StoreEmptyError
from guard.index import Index
from guard.records import DocumentRecord
from guard.scripts import APPEND, COMMIT, FINISH, TAKE_BACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guard.store import Store


POSTINGS = "cr:{??}:p0:*"
RECORDS = "cr:{main}:d:*"
LISTS = "cr:{main}:s0:*"


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
        assert report.postings > 200
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


def cut(pattern: str, first: int | None, past: int | None) -> Callable[[Indexed], object]:
    def change(indexed: Indexed) -> None:
        key = keys(indexed, pattern)[0]
        indexed.store.writer.set(key, indexed.store.writer.get(key)[first:past])

    return change


def lose_a_document_with_its_list(indexed: Indexed) -> None:
    document = keys(indexed, RECORDS)[0][-5:]
    indexed.store.writer.delete(b"cr:{main}:d:" + document, b"cr:{main}:s0:" + document)


def orphan(indexed: Indexed) -> None:
    indexed.store.writer.append("cr:{01}:p0:\x01y", b"123\x01\x00\xee\xee\xee\x01\x00\x00")


def nobodys(indexed: Indexed) -> None:
    indexed.store.writer.append("cr:{3f}:p0:\x01\x02", b"\xff" * 11)


def replace_a_bucket(indexed: Indexed) -> None:
    key = keys(indexed, POSTINGS)[0]
    indexed.store.writer.delete(key)
    indexed.store.writer.hset(key, "no", "bucket")


def double(indexed: Indexed) -> None:
    key = keys(indexed, POSTINGS)[0]
    indexed.store.writer.append(key, indexed.store.writer.get(key)[:11])


def miscount(indexed: Indexed) -> None:
    indexed.store.writer.incrby("cr:{main}:tokens", 7)


# What is done to the index, what the audit calls it, whether that can be mended on the spot.
DAMAGE: dict[str, tuple[Callable[[Indexed], object], str, bool]] = {
    "a record is gone": (lose(RECORDS), "lost documents", False),
    "all records are gone": (lose(RECORDS, 9), "lost documents", False),
    "a record is cut off": (overwrite(RECORDS, b"{"), "lost documents", False),
    "a record is of another path": (
        overwrite(RECORDS, DocumentRecord("z.py", "python", 3).to_bytes()),
        "lost documents",
        False,
    ),
    "a list of buckets is gone": (lose(LISTS), "incomplete documents", False),
    "a list of buckets is cut off": (cut(LISTS, None, -1), "incomplete documents", False),
    "a list of buckets is of others": (overwrite(LISTS, encoded(np.arange(9))), "incomplete documents", False),
    "buckets are gone": (lose(POSTINGS, 9), "incomplete documents", False),
    "an entry is gone": (cut(POSTINGS, 11, None), "incomplete documents", False),
    "an entry is there twice": (double, "incomplete documents", False),
    "a bucket is cut off": (cut(POSTINGS, None, -3), "malformed postings", False),
    "a bucket is empty": (overwrite(POSTINGS, b""), "malformed postings", False),
    "a bucket is none": (replace_a_bucket, "malformed postings", False),
    "a path is gone": (rewrite_field("cr:{main}:paths:*", None), "stray documents", True),
    "a path is malformed": (rewrite_field("cr:{main}:paths:*", b"12"), "lost documents", False),
    "a path points elsewhere": (
        rewrite_field("cr:{main}:paths:*", b"\xee\xee\xee" + b"\0" * 8),
        "lost documents",
        False,
    ),
    "a table of paths is gone": (lose("cr:{main}:paths:*"), "stray documents", True),
    "an entry points to nothing": (orphan, "orphan postings", True),
    "an entry is of nobody": (nobodys, "orphan postings", True),
    "an owner is half gone": (rewrite_field("cr:{main}:owners", None), "half-known owners", True),
    "owners are half gone": (lose("cr:{main}:owner-ids"), "half-known owners", True),
    "owners are gone": (lose("cr:{main}:owner*", 2), "ownerless documents", False),
    "the counter is wrong": (miscount, "miscounted tokens", True),
    "the counter is gone": (lose("cr:{main}:tokens"), "miscounted tokens", True),
    "everything of a document but its path is gone": (lose_a_document_with_its_list, "lost documents", False),
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
    lose(RECORDS, 9)(indexed)
    verify(indexed.index, mend=True)
    match = indexed.check(PYTHON).matches[0]
    assert (str(match.owner), match.document) == ("org:acme", "a.py")


def test_others_may_write_while_it_audits(indexed: Indexed) -> None:
    # The counter cannot be judged then, and nothing else is mistaken for damage.
    watched = Index(indexed.store, KEY, indexed.home)
    real, turns = watched.programs.spread, iter(range(10_000))

    def meanwhile(script: str, calls: list[Any]) -> list[Any]:
        turn = next(turns)
        if turn % 40 == 0 or turn < 40:
            indexed.add(ACME, "b.py", f"{UNRELATED}\nturn = {turn}\n")
            indexed.index.remove(BETA, "c.java") if turn % 80 else indexed.add(BETA, "c.java", JAVA, "java")
        return real(script, calls)

    watched.programs.spread = meanwhile  # type: ignore[assignment,method-assign] # somebody else, at the worst of times
    for mend in (False, True):
        report = verify(watched, mend=mend)
        assert report.sound, report
        assert report.changed
    assert verify(indexed.index).sound


@pytest.mark.parametrize("stop_at", [APPEND, COMMIT, TAKE_BACK, FINISH])
@pytest.mark.parametrize("mend", [True, False])
def test_an_interrupted_put_is_unseen_and_leaves_nothing_for_ever(
    indexed: Indexed, stop_at: str, *, mend: bool
) -> None:
    real = indexed.index.programs.spread

    def stop(script: str, calls: list[Any]) -> list[Any]:
        if script == stop_at:
            real(script, calls[: len(calls) // 2])
            raise InterruptedError
        return real(script, calls)

    indexed.index.programs.spread = stop  # type: ignore[assignment,method-assign] # the machine stops
    with pytest.raises(InterruptedError):
        indexed.add(ACME, "a.py", C, "c")
    indexed.index.programs.spread = real  # type: ignore[method-assign] # another day
    new = stop_at in (TAKE_BACK, FINISH)
    assert (indexed.check(C).action == "block") == new
    assert "org:acme" in {str(match.owner) for match in indexed.check(C if new else PYTHON).matches}
    report = verify(indexed.index)
    assert report.sound, report
    assert report.unfinished_documents == 1
    if mend:
        verify(indexed.index, mend=True)
    else:
        assert indexed.index.writer.clean([indexed.index.owner_id(BETA)]) == 0
        assert indexed.index.writer.clean([indexed.index.owner_id(ACME)]) == 1
    report = verify(indexed.index)
    assert report.sound
    assert report.unfinished_documents == 0
    assert len(keys(indexed, LISTS)) == 5


def test_a_put_that_is_given_up_meanwhile_begins_again(indexed: Indexed) -> None:
    real, given_up = indexed.index.programs.spread, []

    def give_up(script: str, calls: list[Any]) -> list[Any]:
        if script == COMMIT and not given_up:
            given_up.append(Indexed(indexed.store, indexed.home).index.writer.clean())
        return real(script, calls)

    indexed.index.programs.spread = give_up  # type: ignore[assignment,method-assign] # somebody else
    assert indexed.add(ACME, "a.py", C, "c")
    assert given_up == [1]
    assert indexed.check(C).action == "block"
    report = verify(indexed.index)
    assert report.sound
    assert report.unfinished_documents == 0


def test_a_large_index_is_gone_through_page_by_page(indexed: Indexed) -> None:
    owner = indexed.index.owner_id(ACME)
    for number in range(300):
        digest = indexed.digester.digest(f"many/{number}.py", f"{UNRELATED}\nnumber = {number}\n", "python")
        indexed.index.put(owner, digest)
    lose(RECORDS, 150)(indexed)
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
