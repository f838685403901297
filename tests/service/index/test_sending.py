from __future__ import annotations

import multiprocessing
import re
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from samples.code import SAMPLES, UNRELATED
from samples.indexed import ACME, KEY
from samples.sending import SECRET_CODE, sent
from samples.streams import exact

from guard import ingest as ingestion
from guard.digest import Digester
from guard.errors import CorpusError
from guard.ingest import IngestReport
from guard.intake import Item
from guard.skips import SkipReason
from guard.standing import Standing
from guard.tokens import lex
from guard.types import Action
from service import sending
from service.path_names import PathNames, SentTree

if TYPE_CHECKING:
    from pathlib import Path

    from guard.ingest import Progress

    from .conftest import Shelf, Wire


def secrets_of(*texts: tuple[str, str]) -> set[str]:
    """Every token of four characters and more: names, literals, keywords, and the words of comments."""
    words = set()
    for text, language in texts:
        words |= {word.lstrip('"') for word in exact(lex(text, language, fragment=False).code)}
        words |= {line.strip() for line in text.splitlines()} | set(re.findall(r"\w+", text))
    return {word for word in words if len(word) >= 4}


def stored(shelf: Shelf) -> bytes:
    """All keys and values of the store, as they are."""
    writer: Any = shelf.store.writer
    read = {
        b"string": writer.get,
        b"hash": lambda key: b"".join(part for pair in writer.hgetall(key).items() for part in pair),
    }
    return b"\n".join(part for key in writer.scan_iter() for part in (key, read[writer.type(key)](key)))


def test_sent_code_is_guarded_like_any_other(shelf: Shelf, tree: Path) -> None:
    report = sent(shelf, shelf.url, tree)
    assert (report.added, report.unchanged, report.removed) == (3, 0, 0)
    assert shelf.indexed.index.paths(ACME).keys() == {
        "wildlife/savannah/rebalancing.py",
        "wildlife/router.java",
        "wildlife/pool.go",
    }
    assert shelf.indexed.check(SECRET_CODE, "globex").action is Action.BLOCK
    assert shelf.indexed.check(SECRET_CODE, "acme").action is Action.ALLOW
    body = SECRET_CODE.partition("    surplus_by_member = {}\n")[2]
    assert body.splitlines()[1].strip() not in shelf.completion("globex", body)
    assert shelf.completion("acme", body) == body


@pytest.mark.parametrize("hidden", [False, True], ids=["paths in clear", "paths hashed"])
def test_no_word_of_the_source_is_sent_or_stored(shelf: Shelf, wire: Wire, tmp_path: Path, *, hidden: bool) -> None:
    tree = tmp_path / "wildlife"
    tree.mkdir()
    (tree / "quotas.py").write_text(SECRET_CODE)
    secrets = secrets_of((SECRET_CODE, "python"))
    assert {"rebalance_quota", "salutations from the savannah", "271828", "return", "Okapi", "okapi"} <= secrets
    assert sent(shelf, wire.url, tree, hidden=hidden).added == 1
    (tree / "quotas.py").write_text(UNRELATED + SECRET_CODE)
    assert sent(shelf, wire.url, tree, hidden=hidden, prune=True).added == 1
    assert shelf.indexed.check(SECRET_CODE, "globex").action is Action.BLOCK
    for name, kept in (("wire", bytes(wire.sent)), ("store", stored(shelf))):
        assert len(kept) > 1000
        leaked = {secret for secret in secrets if secret.encode() in kept}
        assert not leaked, name
        assert KEY.secret not in kept
        assert (b"quotas.py" in kept) == (not hidden), name
        assert (b"wildlife" in kept) == (not hidden), name


def test_what_stands_there_is_not_sent_again(shelf: Shelf, wire: Wire, tree: Path) -> None:
    sent(shelf, wire.url, tree)
    before = len(wire.sent)
    report = sent(shelf, wire.url, tree)
    assert (report.added, report.unchanged) == (0, 3)
    assert b"PUT " not in wire.sent[before:]
    (tree / "pool.go").write_text(SAMPLES["go"] + "// more\nvar again = 1\n")
    assert sent(shelf, wire.url, tree).added == 1


def test_an_interrupted_run_sends_only_the_rest(shelf: Shelf, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BATCH_DOCUMENTS", 2)
    for number in range(7):
        (tree / f"more{number}.py").write_text(f"answer_{number} = compute({number})\n" * 9)

    def stop(state: Progress) -> None:
        if state.done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sent(shelf, shelf.url, tree, progress=stop)
    standing = len(shelf.indexed.index.paths(ACME))
    assert 0 < standing < 10
    report = sent(shelf, shelf.url, tree)
    assert (report.added, report.unchanged) == (10 - standing, standing)
    assert len(shelf.indexed.index.paths(ACME)) == 10


@pytest.mark.parametrize("hidden", [True, False])
def test_two_trees_of_one_name_may_be_given_others(shelf: Shelf, tree: Path, *, hidden: bool) -> None:
    for name in ("north", "south"):
        assert sent(shelf, shelf.url, tree, name=name, hidden=hidden).added == 3
    (tree / "pool.go").unlink()
    assert sent(shelf, shelf.url, tree, name="north", hidden=hidden, prune=True).removed == 1
    assert len(shelf.indexed.index.paths(ACME)) == 5


@pytest.mark.parametrize("hidden", [False, True], ids=["paths in clear", "paths hashed"])
def test_several_processes_send_what_one_would(
    shelf: Shelf, tree: Path, monkeypatch: pytest.MonkeyPatch, *, hidden: bool
) -> None:
    monkeypatch.setattr(ingestion, "INLINE", 0)
    for number in range(150):
        (tree / f"more{number}.py").write_text(f"answer_{number} = compute({number})\n" * 9)
    report = sent(shelf, shelf.url, tree, hidden=hidden, jobs=3)
    assert (report.added, report.unchanged) == (153, 0)
    assert not multiprocessing.active_children()
    assert sent(shelf, shelf.url, tree, hidden=hidden, jobs=1).unchanged == 153


def test_another_process_reads_and_digests_the_same(tree: Path) -> None:
    sent_tree = SentTree(tree, ACME, names=PathNames.of(KEY, "acme"), hidden=True)
    items = [Item(name, 1, {}) for name in ("pool.go", "gone.py")]
    trade = sending._Digesting(KEY.secret, sent_tree)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(sending._Reader.take, sending._Reader(sent_tree, Digester(KEY)), items)
        with trade.practised() as reader:
            assert reader.take(items) == there.result()


def test_a_life_time_counts_from_the_runs_end(shelf: Shelf, tree: Path) -> None:
    sent(shelf, shelf.url, tree, ttl=3600)
    (end,) = shelf.indexed.index.expiries().values()
    assert 3300 < end - time.time() <= 3600
    sent(shelf, shelf.url, tree)
    assert shelf.indexed.index.expiries() == {ACME: end}


def test_an_organization_whose_time_is_over_begins_anew(shelf: Shelf, tree: Path) -> None:
    sent(shelf, shelf.url, tree)
    shelf.indexed.index.expire(ACME, 1.0)
    assert shelf.indexed.check(SECRET_CODE, "globex").action is Action.ALLOW
    assert sent(shelf, shelf.url, tree).added == 3
    assert shelf.indexed.check(SECRET_CODE, "globex").action is Action.BLOCK


def test_sync_follows_the_tree(shelf: Shelf, tree: Path) -> None:
    sent(shelf, shelf.url, tree)
    shelf.indexed.add(ACME, "elsewhere/a.py", UNRELATED)
    (tree / "pool.go").rename(tree / "moved.go")
    report = sent(shelf, shelf.url, tree, prune=True)
    assert (report.added, report.unchanged, report.removed) == (1, 2, 1)
    paths = shelf.indexed.index.paths(ACME).keys()
    assert "wildlife/moved.go" in paths
    assert "wildlife/pool.go" not in paths
    assert "elsewhere/a.py" in paths


@pytest.mark.parametrize("hidden", [True, False])
def test_sync_under_other_names_leaves_nothing_twice(shelf: Shelf, tree: Path, *, hidden: bool) -> None:
    sent(shelf, shelf.url, tree, hidden=not hidden)
    report = sent(shelf, shelf.url, tree, hidden=hidden, prune=True)
    assert (report.added, report.removed) == (3, 3)
    assert {path.startswith("h:") for path in shelf.indexed.index.paths(ACME)} == {hidden}
    assert sent(shelf, shelf.url, tree, hidden=hidden, prune=True).unchanged == 3


@pytest.mark.parametrize("hidden", [True, False])
def test_what_cannot_be_read_stays(tree: Path, *, hidden: bool) -> None:
    names = PathNames.of(KEY, "acme")
    document = "wildlife/savannah/rebalancing.py"
    known = dict.fromkeys([document, names.document(document), "wildlife/gone.py"], b"")
    standing = Standing(SentTree(tree, ACME, names=names, hidden=hidden), {ACME: known})
    sending._note_skipped(standing, IngestReport(), "savannah/", SkipReason.UNREADABLE)
    stale = set(standing.stale(prune=True)[ACME])
    assert document not in stale
    assert not hidden or names.document(document) not in stale
    assert "wildlife/gone.py" in stale


def test_an_empty_tree_removes_nothing(shelf: Shelf, tree: Path) -> None:
    sent(shelf, shelf.url, tree)
    for path in [*tree.rglob("*.*")]:
        path.unlink()
    with pytest.raises(CorpusError, match="has 3 documents of it"):
        sent(shelf, shelf.url, tree, prune=True)
    assert len(shelf.indexed.index.paths(ACME)) == 3


def test_names_of_paths_tell_trees_and_organizations_apart() -> None:
    names, others = PathNames.of(KEY, "acme"), PathNames.of(KEY, "globex")
    document = names.document("src/billing/fraud.py")
    assert document.startswith(names.tree("src"))
    assert document == PathNames.of(KEY, "acme").document("src/billing/fraud.py")
    assert len({document, names.document("src/billing/fraud.pyi"), others.document("src/billing/fraud.py")}) == 3
    assert not document.startswith(others.tree("src"))
    assert set(document) <= set("h:/0123456789abcdef")
