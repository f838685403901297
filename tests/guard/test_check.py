from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import JAVA, METHOD, PYTHON, SAMPLES, UNRELATED, reindented, renamed, without_comments
from samples.indexed import ACME, BETA, COMMONS, KEY, Indexed, allows, in_every_language

from guard import background, check
from guard.check import Guard, GuardQuery
from guard.errors import RefusalError, StoreUnavailableError
from guard.index import Index
from guard.licenses import LicenseAction, LicenseCategory, LicensePolicy
from guard.secret import IndexKey
from guard.tokens import lex
from guard.types import Action, MatchKind, Owner
from guard.winnowing import W

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from guard.index import DocumentId, DocumentRecord
    from guard.store import Store
    from guard.stream import TokenStream
    from guard.types import Match

LANGUAGE_SAMPLES = pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    return in_every_language(embedded_store, home)


@pytest.mark.parametrize("store_kind", ["embedded_store", "redis_store"])
def test_a_copy_is_blocked_and_its_owner_passes(store_kind: str, request: pytest.FixtureRequest, home: Path) -> None:
    indexed = Indexed(request.getfixturevalue(store_kind), home)
    indexed.add(ACME, "ledger.py", PYTHON)
    assert not allows(indexed, METHOD)
    assert allows(indexed, METHOD, "acme")
    assert allows(indexed, UNRELATED)


@LANGUAGE_SAMPLES
@pytest.mark.parametrize(
    ("disguise", "kind"),
    [
        (str, MatchKind.EXACT),
        (reindented, MatchKind.EXACT),
        (without_comments, MatchKind.EXACT),
        (renamed, MatchKind.RENAMED),
    ],
    ids=["as it is", "layout", "comments", "renamed"],
)
@pytest.mark.parametrize("told", [True, False], ids=["language told", "language not told"])
def test_copies_are_named_with_owner_document_and_span(
    indexed: Indexed, language: str, text: str, disguise: Callable[[str], str], kind: MatchKind, *, told: bool
) -> None:
    head, tail = (
        ("import os\n\n\n", "\n\nx = 1\n") if language == "python" else ("// first\nint x;\n\n", "\n\nint y;\n")
    )
    copy = disguise(text).strip()
    generation = head + copy + tail
    decision = indexed.check(generation, language=language if told else None)
    assert decision.action is Action.BLOCK
    match = decision.matches[0]
    assert (match.owner, match.document, match.kind) == (ACME, f"src/{language}", kind)
    assert match.similarity > 0.95
    assert match.license is None
    assert "acme" in match.reason
    code = lex(generation, language).code
    assert_spans(match, code, len(head), len(head) + len(copy))
    assert match.tokens > 100


def assert_spans(match: Match, code: TokenStream, start: int, end: int) -> None:
    """The match has every token of the copy text[start:end] but those that the guarantee of winnowing leaves open.

    Of those there are W - 1 at either edge; in front they are taken in.
    """
    first, last = np.searchsorted(code.starts, start), np.searchsorted(code.ends, end, side="right") - 1
    begun, ended = np.searchsorted(code.starts, match.start), np.searchsorted(code.ends, match.end)
    assert code.starts[begun] == match.start
    assert code.ends[ended] == match.end
    assert first - (W - 1) <= begun <= first
    assert last - (W - 1) <= ended <= last + (W - 1)


@pytest.mark.parametrize("number", range(12))
def test_whatever_the_key_a_copy_is_found_and_its_span_is_exact(embedded_store: Store, home: Path, number: int) -> None:
    indexed = Indexed(embedded_store, home, IndexKey(number.to_bytes(32, "little")))
    indexed.add(ACME, "ledger.py", PYTHON)
    generation = f"{UNRELATED}\n{METHOD}"
    for text in (generation, renamed(generation)):
        (match,) = indexed.check(text, language="python").matches
        start = sum(map(len, text.splitlines(keepends=True)[: UNRELATED.count("\n") + 1]))
        assert_spans(match, lex(text, "python").code, start, len(text))
    assert allows(indexed, generation, "acme")


def test_unrelated_code_passes(indexed: Indexed) -> None:
    assert allows(indexed, UNRELATED)
    assert allows(indexed, "for i in range(10):\n    print(i)\n")
    assert allows(indexed, 'if __name__ == "__main__":\n    sys.exit(main(sys.argv[1:]))\n')


def test_code_that_the_caller_holds_alike_passes(indexed: Indexed) -> None:
    indexed.add(BETA, "fork/ledger.py", PYTHON)
    assert allows(indexed, METHOD, "acme")
    assert allows(indexed, METHOD, "beta")
    assert {str(match.owner) for match in indexed.check(METHOD, "gamma").matches} == {"org:acme", "org:beta"}
    # What only acme has is still acme's.
    assert not allows(indexed, JAVA, "beta")


def test_commons_pass_and_private_code_around_them_does_not(indexed: Indexed) -> None:
    indexed.add(COMMONS, "ledger.py", PYTHON)
    assert allows(indexed, METHOD)
    decision = indexed.check(f"{JAVA}\n{METHOD}", language="java")
    assert {match.document for match in decision.matches} == {"src/java"}


def test_many_pieces_of_commons_pass_in_one_text(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    rng = random.Random(2)  # noqa: S311 - not for secrets
    signs = ["+", "-", "*", "//", "<<", "@", "^"]
    pieces = [
        f"def piece_{number}(one, two):\n"
        + "".join(f"    one.part[{n}] = two {rng.choice(signs)} {n} {rng.choice(signs)} one.f{n}()\n" for n in range(9))
        for number in range(8)
    ]
    for owner in (ACME, COMMONS):
        indexed.add(owner, "pieces.py", "\n".join(pieces))
    filler = "\n".join(f"other_{n}.run(lambda: {n})" for n in range(25))
    text = f"\n{filler}\n".join(reversed(pieces))
    assert allows(indexed, text, language="python")
    indexed.index.remove(COMMONS, "pieces.py")
    assert not allows(indexed, text, language="python")


@pytest.mark.parametrize(
    ("license_", "rule", "action"),
    [
        ("GPL-3.0-only", {}, Action.BLOCK),
        ("MIT", {}, Action.CITE),
        ("CC0-1.0", {}, Action.ALLOW),
        ("GPL-3.0-only", {LicenseCategory.STRONG_COPYLEFT: LicenseAction.ALLOW}, Action.ALLOW),
        ("MIT", {LicenseCategory.PERMISSIVE: LicenseAction.DENY}, Action.BLOCK),
        ("LicenseRef-unknown", {}, Action.BLOCK),
        ("GPL-3.0-only OR MIT", {}, Action.CITE),
    ],
)
def test_licensed_code_follows_the_policy(
    embedded_store: Store,
    home: Path,
    license_: str,
    rule: dict[LicenseCategory, LicenseAction],
    action: Action,
) -> None:
    indexed = Indexed(embedded_store, home)
    owner = Owner.licensed("lib", license_)
    indexed.add(owner, "ledger.py", PYTHON)
    decision = indexed.check(METHOD, policy=LicensePolicy.of(rule))
    assert decision.action is action
    assert [(match.owner, match.license, match.action) for match in decision.matches[:1]] == (
        [] if action is Action.ALLOW else [(owner, license_, action)]
    )


def test_private_code_that_is_publicly_licensed_is_no_secret(indexed: Indexed) -> None:
    indexed.add(Owner.licensed("lib", "MIT"), "ledger.py", PYTHON)
    decision = indexed.check(METHOD)
    assert decision.action is Action.CITE
    assert {match.license for match in decision.matches} == {"MIT"}


def test_the_strictest_of_several_matches_decides(indexed: Indexed) -> None:
    indexed.add(Owner.licensed("lib", "MIT"), "tide.py", UNRELATED)
    decision = indexed.check(f"{UNRELATED}\n{METHOD}")
    assert decision.action is Action.BLOCK
    assert decision.matches[0].action is Action.BLOCK
    assert {str(match.owner) for match in decision.matches} == {"org:acme", "license:lib:MIT"}


def reads(store: Store) -> int:
    """How often the server has read from a client: once a round trip."""
    writer: Any = store.writer
    return int(writer.info("stats")["total_reads_processed"])


def test_a_clean_text_costs_one_round_trip(store: Store, home: Path) -> None:
    indexed = Indexed(store, home)
    indexed.add(ACME, "ledger.py", PYTHON)
    for text, caller, trips in ((UNRELATED, "gamma", 1), (METHOD, "acme", 1), ("", "gamma", 1), (METHOD, "gamma", 2)):
        indexed.check(text, caller, language="python")  # opens the index, fetches the owners and reads the model
        before = reads(store)
        indexed.check(text, caller, language="python")
        assert reads(store) - before - 1 == trips  # asking for the number is a read as well


def test_a_decision_says_what_it_rests_on(indexed: Indexed) -> None:
    one, other = indexed.check(METHOD), indexed.check(METHOD)
    assert one.id != other.id
    assert re.fullmatch("dec_[0-9a-f]{24}", one.id)
    assert one.matches == other.matches
    assert one.index_version == other.index_version == indexed.index.lookup(np.empty(0, dtype=np.uint64)).version
    assert one.checked_tokens >= len(lex(METHOD, "python").code)
    indexed.index.remove(ACME, "src/python")
    assert indexed.check(METHOD).index_version > one.index_version


def test_a_decision_says_how_long_it_took(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([1000.25, 1000.375])
    monkeypatch.setattr(check, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    assert indexed.check(UNRELATED).guard_ms == 125


def test_code_is_guarded_from_the_moment_it_is_put_until_it_is_removed(indexed: Indexed) -> None:
    assert allows(indexed, UNRELATED)
    indexed.add(BETA, "tide.py", UNRELATED)
    assert not allows(indexed, UNRELATED)
    indexed.add(BETA, "tide.py", "x = 1\n")
    assert allows(indexed, UNRELATED)
    indexed.add(BETA, "tide.py", UNRELATED)
    indexed.index.remove(BETA, "tide.py")
    assert allows(indexed, UNRELATED)


class Shifting(Index):
    """An index in which a document is replaced between look-up and confirmation."""

    turns = 1

    def records(self, documents: Iterable[DocumentId]) -> dict[DocumentId, DocumentRecord]:
        """The records, once the document has been replaced."""
        if self.turns:
            self.turns -= 1
            indexed = Indexed(self.store, self._home)
            indexed.add(ACME, "src/python", f"{PYTHON}\nturn = {self.turns}\n")
        return super().records(documents)


def test_a_document_that_is_replaced_meanwhile_is_still_guarded(indexed: Indexed) -> None:
    shifting = Shifting(indexed.store, KEY, indexed.home)
    indexed.guard = Guard(shifting, indexed.digester)
    assert not allows(indexed, METHOD)
    shifting.turns = 99
    with pytest.raises(StoreUnavailableError, match=r"^the index names documents .*`cleanroom index verify --mend`$"):
        indexed.check(METHOD)


def test_what_everybody_writes_is_no_copy(indexed: Indexed) -> None:
    point = "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = y\n"
    main = 'if __name__ == "__main__":\n    sys.exit(main(sys.argv[1:]))\n'
    for text in (point, main):
        indexed.add(ACME, f"idiom{len(text)}.py", text)
    indexed.grow(10**9)
    for text in (point, main, renamed(point), renamed(main)):
        assert allows(indexed, text, language="python")


def test_without_a_model_of_ordinary_code_nothing_is_released(
    indexed: Indexed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "FOLDER", tmp_path)
    background._read.cache_clear()
    background.shipped_languages.cache_clear()
    for text in (METHOD, UNRELATED):
        with pytest.raises(RefusalError, match="install Cleanroom again"):
            indexed.check(text, language="python")
    monkeypatch.undo()
    background.shipped_languages.cache_clear()
    assert not allows(indexed, METHOD)


def test_many_threads_may_ask_one_guard(indexed: Indexed) -> None:
    texts = [METHOD, UNRELATED, JAVA, "", renamed(METHOD)] * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: indexed.check(text).action, texts))
    assert found == [indexed.check(text).action for text in texts]


def test_a_query_needs_no_more_than_text_and_caller(indexed: Indexed) -> None:
    assert indexed.guard.check(GuardQuery(METHOD, "gamma")).action is Action.BLOCK
    indexed.guard.ready()
