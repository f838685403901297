"""Runs of ingestion that are interrupted, helped, or not alone."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from samples.code import JAVA, PYTHON
from samples.indexed import ACME
from samples.ingested import StopError, paths, write

from guard import ingest as ingestion
from guard.audit import verify
from guard.errors import IngestError
from guard.ingest import IndexAddress, Progress, helpers_for, ingest
from guard.intake import IntakeTrade, Item
from guard.inventory import statistics
from guard.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path


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
