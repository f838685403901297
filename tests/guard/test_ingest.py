from __future__ import annotations

import json
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from samples.code import GO, JAVA, PYTHON, UNRELATED
from samples.indexed import ACME, BETA, KEY, Indexed

from guard import ingest as ingestion
from guard.audit import verify
from guard.errors import CorpusError, IngestError, StoreMismatchError
from guard.ingest import IndexAddress, Progress, helpers_for, ingest
from guard.intake import IntakeTrade, Item
from guard.inventory import statistics
from guard.skips import SkipReason
from guard.tree import Tree
from guard.types import Owner

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store


@pytest.fixture
def address(embedded_store: Store, home: Path) -> IndexAddress:
    return IndexAddress(embedded_store.address, home, KEY.secret)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "project"
    write(root / "ledger.py", PYTHON)
    write(root / "deep" / "router.java", JAVA)
    return Tree(root, ACME)


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def paths(address: IndexAddress, owner: Owner = ACME) -> set[str]:
    with address.opened() as (index, _):
        return set(index.paths(owner))


def blocked(address: IndexAddress, text: str) -> str | None:
    """The document of the first match that blocks a text, or None."""
    with address.opened() as (index, _):
        indexed = Indexed(index.store, address.home)
        matches = indexed.check(text).matches
        return matches[0].document if matches else None


def test_a_tree_is_indexed_and_then_unchanged(store: Store, home: Path, tree: Tree) -> None:
    address = IndexAddress(store.address, home, KEY.secret)
    report = ingest(address, tree, jobs=1)
    assert (report.added, report.unchanged, report.removed) == (2, 0, 0)
    assert report.tokens > 400
    assert report.fragments >= 6
    assert report.size == len(PYTHON) + len(JAVA)
    assert paths(address) == {"project/ledger.py", "project/deep/router.java"}
    assert blocked(address, PYTHON) == "project/ledger.py"
    again = ingest(address, tree, jobs=1)
    assert (again.added, again.unchanged, again.tokens, again.size) == (0, 2, 0, 0)
    with address.opened() as (index, _):
        assert statistics(index).tokens == report.tokens
        assert statistics(index).fragments == report.fragments


def test_what_is_left_out_is_counted_with_its_reason(address: IndexAddress, tree: Tree) -> None:
    left_out: dict[str, str | bytes] = {
        "notes.txt": "no source",
        "node_modules/left.js": "x",
        "made_pb2.py": "x = 1",
        "small.min.js": "x",
        "binary.py": b"x\0y",
        "big.py": "x = 1\n" * 100_000,
        "latin.py": b"# \xe4\n",
        "empty.py": "",
    }
    for path, content in left_out.items():
        write(tree.root / path, content)
    (tree.root / "link.py").symlink_to("ledger.py")
    report = ingest(address, tree, jobs=1)
    assert report.added == 2
    assert dict(report.skipped) == {
        SkipReason.NOT_SOURCE: 1,
        SkipReason.VENDORED: 1,
        SkipReason.GENERATED: 1,
        SkipReason.MINIFIED: 1,
        SkipReason.BINARY: 1,
        SkipReason.OVERSIZE: 1,
        SkipReason.UNDECODABLE: 1,
        SkipReason.EMPTY: 1,
        SkipReason.SYMLINK: 1,
    }
    told = json.loads(json.dumps(report.to_json()))
    assert told["added"] == 2
    assert told["skipped"]["not source"] == 1


def test_a_changed_file_replaces_its_document(address: IndexAddress, tree: Tree) -> None:
    ingest(address, tree, jobs=1)
    write(tree.root / "ledger.py", UNRELATED)
    report = ingest(address, tree, jobs=1)
    assert (report.added, report.unchanged) == (1, 1)
    assert blocked(address, PYTHON) is None
    assert blocked(address, UNRELATED) == "project/ledger.py"


def test_pruning_takes_out_what_is_gone_from_this_tree_alone(address: IndexAddress, tree: Tree, tmp_path: Path) -> None:
    write(tmp_path / "project-two" / "other.py", UNRELATED)
    ingest(address, Tree(tmp_path / "project-two", ACME), jobs=1)
    ingest(address, Tree(tree.root, BETA), jobs=1)
    ingest(address, tree, jobs=1)
    (tree.root / "ledger.py").unlink()
    assert ingest(address, tree, jobs=1).removed == 0
    assert blocked(address, PYTHON) == "project/ledger.py"
    assert ingest(address, tree, jobs=1, prune=True).removed == 1
    assert paths(address) == {"project/deep/router.java", "project-two/other.py"}
    assert paths(address, BETA) == {"project/ledger.py", "project/deep/router.java"}


def test_pruning_a_single_file_touches_nothing_else(address: IndexAddress, tree: Tree) -> None:
    ingest(address, tree, jobs=1)
    write(tree.root / "alone.go", GO)
    for _ in range(2):
        ingest(address, Tree(tree.root / "alone.go", ACME), jobs=1, prune=True)
        assert paths(address) == {"project/ledger.py", "project/deep/router.java", "alone.go"}


def test_a_tree_that_has_become_empty_is_not_pruned(address: IndexAddress, tree: Tree) -> None:
    ingest(address, tree, jobs=1)
    (tree.root / "ledger.py").unlink()
    (tree.root / "deep" / "router.java").unlink()
    with pytest.raises(CorpusError, match=r"index remove --owner org:acme --path project/"):
        ingest(address, tree, jobs=1, prune=True)
    assert len(paths(address)) == 2
    assert ingest(address, Tree(tree.root, BETA), jobs=1, prune=True).removed == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_not_pruned(address: IndexAddress, tree: Tree) -> None:
    ingest(address, tree, jobs=1)
    (tree.root / "deep").chmod(0)
    try:
        report = ingest(address, tree, jobs=1, prune=True)
    finally:
        (tree.root / "deep").chmod(0o700)
    assert report.skipped[SkipReason.UNREADABLE] == 1
    assert report.removed == 0


def test_a_file_that_turned_into_something_else_stays(address: IndexAddress, tree: Tree) -> None:
    ingest(address, tree, jobs=1)
    (tree.root / "ledger.py").unlink()
    os.mkfifo(tree.root / "ledger.py")
    report = ingest(address, tree, jobs=1, prune=True)
    assert report.skipped[SkipReason.UNREADABLE] == 1
    assert blocked(address, PYTHON) == "project/ledger.py"


@pytest.mark.parametrize("now", [b"x = 1\n" * 100_000, b"# \xe4\n"], ids=["over-large", "undecodable"])
def test_what_can_no_longer_be_read_stays_protected(address: IndexAddress, tree: Tree, now: bytes) -> None:
    ingest(address, tree, jobs=1)
    write(tree.root / "ledger.py", now)
    assert ingest(address, tree, jobs=1, prune=True).removed == 0
    assert blocked(address, PYTHON) == "project/ledger.py"


def test_a_file_that_cannot_be_read_keeps_no_other(address: IndexAddress, tree: Tree) -> None:
    write(tree.root / "ledger.pyx", UNRELATED)
    write(tree.root / "ledger.pyi", GO)
    ingest(address, tree, jobs=1)
    write(tree.root / "ledger.py", b"# \xe4\n")
    (tree.root / "ledger.pyi").unlink()
    assert ingest(address, tree, jobs=1, prune=True).removed == 1


def test_trees_of_one_name_are_kept_apart_by_another(address: IndexAddress, tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "project"
    write(other / "ledger.py", UNRELATED)
    ingest(address, tree, jobs=1)
    ingest(address, Tree(other, ACME, name="second"), jobs=1, prune=True)
    assert paths(address) == {"project/ledger.py", "project/deep/router.java", "second/ledger.py"}
    write(other / "alone.go", GO)
    ingest(address, Tree(other / "alone.go", ACME, name="third"), jobs=1, prune=True)
    assert "third/alone.go" in paths(address)
    (other / "ledger.py").unlink()
    assert ingest(address, Tree(other, ACME, name="second"), jobs=1, prune=True).removed == 1
    assert paths(address) == {"project/ledger.py", "project/deep/router.java", "second/alone.go", "third/alone.go"}


def test_what_has_a_time_to_live_is_withdrawn_after_it(address: IndexAddress, tree: Tree) -> None:
    ingest(address, tree, jobs=1, ttl=3600)
    with address.opened() as (index, _):
        (end,) = index.expiries().values()
        assert 3500 < end - time.time() <= 3600
        assert statistics(index).owners[0].expires == end
        index.expire(ACME, time.time() - 1)
    assert blocked(address, PYTHON) is None
    ingest(address, Tree(tree.root, BETA), jobs=1)
    assert paths(address) == set()
    with address.opened() as (index, _):
        assert index.owners() == [BETA]
        assert verify(index).sound


class StopError(Exception):
    """What a test raises to interrupt a run."""


def many(tmp_path: Path, count: int) -> Tree:
    root = tmp_path / "many"
    for number in range(count):
        write(root / f"{number:03}.py", f"{PYTHON}\nnumber = {number}\n")
    return Tree(root, ACME)


def test_an_interrupted_run_goes_on_where_it_stopped(address: IndexAddress, tmp_path: Path) -> None:
    tree = many(tmp_path, 40)

    def stop(progress: Progress) -> None:
        if progress.done >= 20:
            raise StopError

    with pytest.raises(StopError):
        ingest(address, tree, jobs=1, progress=stop)
    done = len(paths(address))
    assert 0 < done < 40
    report = ingest(address, tree, jobs=1)
    assert (report.added, report.unchanged) == (40 - done, done)
    with address.opened() as (index, _):
        assert verify(index).sound


def test_progress_goes_from_nothing_to_all(address: IndexAddress, tree: Tree) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        write(tree.root / name, "no source")
    write(tree.root / "binary.py", b"\0")
    told: list[Progress] = []
    ingest(address, tree, jobs=1, progress=told.append)
    assert (told[-1].done, {each.total for each in told}) == (3, {3})
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1].size == len(PYTHON) + len(JAVA) + 1


def test_several_processes_do_it_and_one_that_dies_loses_nothing(
    address: IndexAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "INLINE", 0)
    tree = many(tmp_path, 114)

    def kill(_: Progress) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(IngestError, match=r"run the command again"):
        ingest(address, tree, jobs=2, progress=kill)
    done = len(paths(address))
    assert done > 0
    report = ingest(address, tree, jobs=2)
    assert report.added + report.unchanged == 114
    assert report.unchanged >= done
    with address.opened() as (index, _):
        assert verify(index).sound
        assert statistics(index).documents == 114
    assert not multiprocessing.active_children()


def test_a_helper_writes_what_this_process_would_write(address: IndexAddress, tmp_path: Path) -> None:
    tree = many(tmp_path, 20)
    items = [Item(f"{number:03}.py", 1, {}) for number in range(20)]
    with IntakeTrade(address, tree).practised() as intake:
        outcomes = intake.take(items) + intake.rest()
    assert {outcome.relative for outcome in outcomes if outcome.written} == {item.relative for item in items}
    assert ingest(address, tree, jobs=1).unchanged == 20


def test_help_is_called_for_what_is_worth_it() -> None:
    new = [Item(str(number), 10_000, {}) for number in range(1000)]
    known = [Item(str(number), 10_000, {"org:acme": b""}) for number in range(1000)]
    assert [helpers_for(new, jobs) for jobs in (1, 2, 8, 100)] == [0, 1, 7, 31]
    assert helpers_for(new, 0) == len(os.sched_getaffinity(0)) - 1
    assert helpers_for(known, 8) == helpers_for(new[:100], 8) == 0


def test_two_runs_at_once_agree(address: IndexAddress, tmp_path: Path) -> None:
    tree = many(tmp_path, 30)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: ingest(address, tree, jobs=1, prune=True), range(2)))
    assert sum(report.added for report in reports) == 30
    assert sum(report.added + report.unchanged for report in reports) == 60
    assert len(paths(address)) == 30
    with address.opened() as (index, _):
        assert verify(index).sound
        assert statistics(index).tokens == sum(report.tokens for report in reports)


def test_files_take_the_licence_that_the_tree_states(address: IndexAddress, tmp_path: Path) -> None:
    root = tmp_path / "lib"
    write(root / "LICENSE", "MIT License\n\nPermission is hereby granted, free of charge, to any person")
    write(root / "pyproject.toml", '[project]\nname = "lib"\nlicense = "MIT"\n')
    write(root / "ledger.py", PYTHON)
    write(root / "router.java", f"// SPDX-License-Identifier: GPL-2.0-only\n{JAVA}")
    report = ingest(address, Tree.with_detected_licenses(root, "lib"), jobs=1)
    assert dict(report.licenses) == {"MIT": 1, "GPL-2.0-only": 1}
    assert paths(address, Owner.licensed("lib", "MIT")) == {"lib/ledger.py"}
    assert paths(address, Owner.licensed("lib", "GPL-2.0-only")) == {"lib/router.java"}
    # A file that moves to another licence leaves its old one.
    write(root / "router.java", f"// SPDX-License-Identifier: Apache-2.0\n{JAVA}")
    again = ingest(address, Tree.with_detected_licenses(root, "lib"), jobs=1)
    assert (again.added, again.unchanged, again.removed) == (1, 1, 1)
    assert paths(address, Owner.licensed("lib", "GPL-2.0-only")) == set()
    assert paths(address, Owner.licensed("lib", "Apache-2.0")) == {"lib/router.java"}
    assert ingest(address, Tree.with_detected_licenses(root, "lib"), jobs=1).unchanged == 2


def test_a_licence_that_moved_in_an_interrupted_run_is_put_right(address: IndexAddress, tmp_path: Path) -> None:
    root = tmp_path / "lib"
    write(root / "ledger.py", f"# SPDX-License-Identifier: MIT\n{PYTHON}")
    ingest(address, Tree.with_detected_licenses(root, "lib"), jobs=1)
    write(root / "ledger.py", f"# SPDX-License-Identifier: GPL-2.0-only\n{PYTHON}")

    def stop(_: Progress) -> None:
        raise StopError

    with pytest.raises(StopError):
        ingest(address, Tree.with_detected_licenses(root, "lib"), jobs=1, progress=stop)
    assert ingest(address, Tree.with_detected_licenses(root, "lib"), jobs=1).removed == 1
    assert paths(address, Owner.licensed("lib", "MIT")) == set()
    assert paths(address, Owner.licensed("lib", "GPL-2.0-only")) == {"lib/ledger.py"}


def test_excluded_folders_are_not_entered(address: IndexAddress, tree: Tree) -> None:
    ingest(address, Tree(tree.root, ACME, exclude=frozenset({"deep"})), jobs=1)
    assert paths(address) == {"project/ledger.py"}


def test_a_tree_that_is_not_there_is_named(address: IndexAddress, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere"):
        ingest(address, Tree(tmp_path / "nowhere", ACME))


def test_another_key_writes_nothing(address: IndexAddress, tree: Tree, tmp_path: Path) -> None:
    ingest(address, tree, jobs=1)
    other = IndexAddress(address.url, tmp_path / "other home", b"o" * 32)
    with pytest.raises(StoreMismatchError, match="CLEANROOM_INDEX_KEY"):
        ingest(other, Tree(tree.root, BETA), jobs=1)
    assert paths(address, BETA) == set()
    assert KEY.secret.hex() not in repr(address)
