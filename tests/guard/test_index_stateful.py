"""The index against a model of it in plain dictionaries, whatever several owners do to it in whatever order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from samples.indexed import ACME, BETA, COMMONS, KEY, Indexed
from samples.stored import kept

from guard.audit import verify
from guard.errors import OwnerError
from guard.index import Index, owner_number
from guard.inventory import statistics
from guard.withdrawal import withdraw

if TYPE_CHECKING:
    from pathlib import Path

    from guard.digest import Digest
    from guard.store import Store
    from guard.types import Owner

# Documents are put together of these, so that many fingerprints are shared by several of them.
BLOCKS = [
    f"def step_{word}(state, item):\n    if item.kind == '{word}' and state.{word} < {number}:\n"
    f"        state.{word} += item.{inner}[{number}] * {number}\n        return state.{word}, item\n    {outer}\n"
    for number, (word, inner, outer) in enumerate(
        [
            ("open", "size", "raise ValueError(item)"),
            ("close", "time", "return None"),
            ("wait", "size", "for each in item: yield each"),
            ("fail", "rank", "del state.queue[item.key]"),
            ("fail", "rank", "assert not state.queue, 'busy'"),
        ]
    )
]
texts = st.lists(st.sampled_from(BLOCKS), min_size=0, max_size=4).map("\n".join)
owners = st.sampled_from([ACME, BETA, COMMONS])
paths = st.sampled_from(["a.py", "src/a.py", "src/b.py", "srcé/\udce9.py".encode("utf-8", "replace").decode()])


class IndexMachine(RuleBasedStateMachine):
    """What is done to the index is done to `documents` as well: owner -> path -> text."""

    def __init__(self, store: Store, home: Path) -> None:
        super().__init__()
        store.writer.flushall()
        self.indexed = Indexed(store, home)
        # Somebody else, who reads the same index and is told nothing.
        self.reader = Index(store, KEY, home)
        self.documents: dict[Owner, dict[str, str]] = {}

    def digest(self, path: str, text: str) -> Digest:
        return self.indexed.digester.digest(path, text, "python")

    @rule(owner=owners, path=paths, text=texts)
    def put(self, owner: Owner, path: str, text: str) -> None:
        written = self.indexed.add(owner, path, text)
        assert written == (self.documents.get(owner, {}).get(path) != text)
        self.documents.setdefault(owner, {})[path] = text

    @rule(owner=owners, path=paths)
    def put_again(self, owner: Owner, path: str) -> None:
        text = self.documents.get(owner, {}).get(path)
        if text is not None:
            assert not self.indexed.add(owner, path, text)

    @rule(owner=owners, path=paths)
    def remove(self, owner: Owner, path: str) -> None:
        there = self.documents.get(owner, {}).pop(path, None) is not None
        assert self.indexed.index.remove(owner, path) == there

    @rule(owner=owners)
    def forget(self, owner: Owner) -> None:
        try:
            self.indexed.index.forget(owner)
        except OwnerError:
            assert self.documents[owner]
        else:
            assert not self.documents.pop(owner, {})

    @rule(owner=owners, prefix=st.sampled_from(["", "src", "src/", "nowhere"]))
    def withdraw(self, owner: Owner, prefix: str) -> None:
        kept = {path: text for path, text in self.documents.get(owner, {}).items() if not path.startswith(prefix)}
        gone = len(self.documents.get(owner, {})) - len(kept)
        assert withdraw(self.indexed.index, owner, prefix) == gone
        self.documents[owner] = kept
        if not kept:
            del self.documents[owner]

    @rule()
    def lose_scripts(self) -> None:
        self.indexed.store.writer.script_flush()

    @rule(text=texts)
    def look_up(self, text: str) -> None:
        prints = self.digest("", text).fingerprints
        hits = self.reader.lookup(prints.names)
        records = self.reader.records({int(document) for document in hits.documents})
        found = sorted(
            (
                int(prints.names[which]),
                str(self.reader.owner(owner_number(document))),
                records[document].path,
                position,
            )
            for which, document, position in zip(
                hits.which.tolist(), hits.documents.tolist(), hits.positions.tolist(), strict=True
            )
        )
        wanted = []
        for owner, path, digest in self.digests():
            places: dict[int, list[int]] = {}
            for name, position in zip(digest.fingerprints.names, digest.fingerprints.positions, strict=True):
                places.setdefault(int(name), []).append(int(position))
            for name in prints.names.tolist():
                mine = places.get(name, [])
                wanted += [(name, str(owner), path, mine[at]) for at in kept(mine)]
        assert found == sorted(wanted)

    def digests(self) -> list[tuple[Owner, str, Digest]]:
        return [
            (owner, path, self.digest(path, text))
            for owner, documents in self.documents.items()
            for path, text in documents.items()
        ]

    @invariant()
    def sizes_agree(self) -> None:
        counted = {each.owner: (each.documents, each.tokens, each.fragments) for each in statistics(self.reader).owners}
        wanted = dict.fromkeys(map(str, self.documents), (0, 0, 0))
        for owner, _, digest in self.digests():
            documents, tokens, fragments = wanted[str(owner)]
            wanted[str(owner)] = (documents + 1, tokens + digest.tokens, fragments + len(digest.fragments))
        assert {owner: count for owner, count in counted.items() if count[0]} == {
            owner: count for owner, count in wanted.items() if count[0]
        }

    def teardown(self) -> None:
        report = verify(self.reader)
        assert report.sound, report
        for owner in list(self.documents):
            withdraw(self.indexed.index, owner)
        writer = self.indexed.store.writer
        assert not set(writer.scan_iter(match="cr:*:[pds]?:*"))
        assert not set(writer.scan_iter(match="cr:*:d:*"))
        assert int(writer.get("cr:{main}:tokens") or 0) == 0


def test_the_index_does_what_its_model_does(embedded_store: Store, tmp_path: Path) -> None:
    homes = itertools.count()
    run_state_machine_as_test(
        lambda: IndexMachine(embedded_store, tmp_path / f"home{next(homes)}"),  # type: ignore[arg-type] # a factory will do
        settings=settings(max_examples=20, stateful_step_count=25, deadline=None),
    )
