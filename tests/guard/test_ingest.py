from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from samples.code import GO, JAVA, PYTHON, UNRELATED
from samples.indexed import ACME, BETA, KEY, Indexed
from samples.ingested import StopError, paths, write

from guard.audit import verify
from guard.errors import CorpusError, StoreMismatchError
from guard.ingest import IndexAddress, Progress, ingest
from guard.inventory import statistics
from guard.skips import SkipReason
from guard.tree import Tree
from guard.types import Owner

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store


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
