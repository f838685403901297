from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import JAVA, PYTHON, SAMPLES, UNRELATED, reindented, renamed, without_comments
from samples.indexed import ACME, BETA, COMMONS, KEY, Indexed

from guard.check import Guard, GuardQuery
from guard.errors import RefusalError, StoreUnavailableError
from guard.index import Index
from guard.licenses import LicenseAction, LicenseCategory, LicensePolicy
from guard.rarity import Background
from guard.tokens import Syntax, lex
from guard.types import Action, MatchKind, Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from guard.index import DocumentId, DocumentRecord
    from guard.store import Store

LANGUAGE_SAMPLES = pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)
METHOD = PYTHON[PYTHON.index("    def book") :]
"""What a model might recite: two methods of a class."""


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    """An index in which acme has a document in every language."""
    indexed = Indexed(embedded_store, home)
    for language, text in SAMPLES.items():
        indexed.add(ACME, f"src/{language}", text, language)
    return indexed


def allows(indexed: Indexed, text: str, caller: str = "gamma", **given: Any) -> bool:  # noqa: ANN401 - as Indexed.check
    decision = indexed.check(text, caller, **given)
    assert (decision.action is Action.ALLOW) == (not decision.matches)
    return decision.action is Action.ALLOW


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
    first = next(start for start in code.starts if start >= len(head))
    last = [end for end in code.ends if end <= len(head) + len(copy)][-1]
    assert match.start <= first
    assert code.starts.index(first) - sum(start < match.start for start in code.starts) <= 6
    assert last - 30 <= match.end <= len(generation)
    assert match.tokens > 100


def edited(text: str, every: int = 7) -> str:
    """`text` without one line in so many, and with another line instead of it."""
    lines = text.splitlines()
    return "\n".join(
        line if number % every else " " * (len(line) - len(line.lstrip())) + f"trace(stage_{number}, [flags])"
        for number, line in enumerate(lines, start=1)
    )


@LANGUAGE_SAMPLES
def test_an_edited_copy_is_blocked(indexed: Indexed, language: str, text: str) -> None:
    match = indexed.check(edited(without_comments(text)), language=language).matches[0]
    assert (match.document, match.kind) == (f"src/{language}", MatchKind.NEAR)
    assert 0.4 < match.similarity < 1
    assert match.end - match.start > 0.6 * len(without_comments(text))


def test_statements_in_another_order_are_blocked(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    rng = random.Random(1)  # noqa: S311 - not for secrets
    names = "alpha beta gamma delta omega node item entry value field".split()  # noqa: SIM905 - shorter to read
    shapes = [
        "{}.{}({}[{}])",
        "{} = {} + {} // {}",
        "del {}[{}:{}], {}",
        "assert {} != {} or {} < {}",
        "{} @= {}({}) ^ ~{}",
    ]
    shapes += ["{}.{} += yield {}, {}", "{} = not {} if {} else [{}]", "{}({}={}, *{})", "{} = {{{}: {} & {}}}"]
    lines = [rng.choice(shapes).format(*(rng.choice(names) for _ in range(4))) for _ in range(70)]
    indexed.add(ACME, "steps.py", "\n".join(lines))
    groups = [lines[i : i + 2] for i in range(0, len(lines), 2)]
    # Neighbouring pairs of lines change places: no run is long enough to be significant by itself.
    mixed = [line for pair in zip(groups[1::2], groups[0::2], strict=False) for group in pair for line in group]
    match = indexed.check("\n".join(mixed), language="python").matches[0]
    assert (match.owner, match.document, match.kind) == (ACME, "steps.py", MatchKind.NEAR)


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


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n" + UNRELATED, "    return None\n", "# the end\n"])
def test_what_stands_in_the_prompt_alone_triggers_nothing(indexed: Indexed, text: str) -> None:
    assert allows(indexed, text, prefix=PYTHON)
    assert allows(indexed, text, prefix=f"{UNRELATED}\n{METHOD}")


@LANGUAGE_SAMPLES
def test_a_copy_that_goes_on_from_the_prompt_is_blocked(indexed: Indexed, language: str, text: str) -> None:
    lines = without_comments(text).splitlines(keepends=True)
    half = len(lines) // 2
    prefix, generation = "".join(lines[:half]), "".join(lines[half:])
    decision = indexed.check(generation, prefix=prefix)
    match = decision.matches[0]
    assert match.document == f"src/{language}"
    assert match.start == 0
    assert match.end <= len(generation)
    assert decision.checked_tokens == len(lex(generation, language).code)


@LANGUAGE_SAMPLES
@pytest.mark.parametrize("disguise", [str, renamed], ids=["exact", "renamed"])
def test_code_that_is_drawn_out_line_by_line_is_caught(
    indexed: Indexed, language: str, text: str, disguise: Callable[[str], str]
) -> None:
    lines = disguise(without_comments(text)).splitlines(keepends=True)
    code = [line for line in lines if line.strip()]
    passed = 0
    prefix = ""
    for line in code:
        if indexed.check(line, prefix=prefix, language=language).action is Action.BLOCK:
            break
        passed += 1
        prefix += line
    assert passed <= len(code) / 2
    # And once it is seen, whatever of it is more than a few tokens is kept back.
    for number in range(passed + 1, len(code)):
        line = code[number]
        if len(lex(line, language).code) >= 10:
            assert not allows(indexed, line, prefix="".join(code[:number]), language=language)


@LANGUAGE_SAMPLES
def test_code_that_is_drawn_out_a_few_tokens_at_a_time_is_caught(indexed: Indexed, language: str, text: str) -> None:
    plain = without_comments(text)
    cuts = lex(plain, language).code.starts[::3]
    caught = [
        start
        for start, end in pairwise(cuts)
        if indexed.check(plain[start:end], prefix=plain[:start], language=language).action is Action.BLOCK
    ]
    assert caught[0] < len(plain) / 4
    assert len(caught) > len(cuts) / 3


@LANGUAGE_SAMPLES
def test_code_behind_comment_marks_is_caught(indexed: Indexed, language: str, text: str) -> None:
    plain = without_comments(text)
    mark = "#" if language == "python" else "//"
    commented = "".join(f"{mark} {line}\n" for line in plain.splitlines())
    block = f'def f():\n    """\n{plain}\n    """\n' if language == "python" else f"/*\n{plain}\n*/\n"
    for generation in (commented, block, commented.replace(f"{mark} ", f"{mark}{mark}{mark} ")):
        match = indexed.check(generation, language=language).matches[0]
        assert match.document == f"src/{language}"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "# -*- coding -*-\r" + text.replace("\n", "\r"),
        lambda text: text.replace(" ", "\u200b "),
        lambda text: text.replace("(", "(\u202e").replace(")", "\u2066)"),
        lambda text: "\ufeff" + text.replace("\n", "\x00\n"),
        lambda text: f"x: (\n{text}",
        lambda text: f"def f() -> (\n{text}",
        lambda text: f'x = "\n{text}',
        lambda text: f'"""\n{text}',
        lambda text: f"{text}\n'''",
        lambda text: f"```python\n{text}\n```\n",
        lambda text: f"Sure! Here is the code that you've asked for:\n\n{text}\nI hope that it's what you need.\n",
        lambda text: "".join(f"{number:4} {line}\n" for number, line in enumerate(text.splitlines())),
        lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"+{line}\n" for line in text.splitlines()),
        lambda text: f"{text}# " + "# " * 5000,
        lambda text: f"{text}\nx = '*/5 * * * *'\n",
        lambda text: "\ud800" + text,
        lambda text: "".join(f">>> {line}\n" for line in text.splitlines()),
        lambda text: json.dumps({"code": text}),
        lambda text: "lines = [\n" + "".join(f"    {line!r},\n" for line in text.splitlines()) + "]\n",
        lambda text: "".join(f"' {line}\n" for line in text.splitlines()),
        lambda text: "".join(f'echo "{line}"\n' for line in text.replace('"', "'").splitlines()),
        lambda text: f"const code = `\n{text}`;\nrun(code);\n",
    ],
)
def test_tricks_do_not_hide_a_copy(indexed: Indexed, change: Callable[[str], str]) -> None:
    assert not allows(indexed, change(without_comments(METHOD)))


@pytest.mark.parametrize("language", ["python", "java", "klingon", "", None])
def test_a_wrong_language_does_not_hide_a_copy(indexed: Indexed, language: str | None) -> None:
    assert not allows(indexed, METHOD, language=language)
    assert not allows(indexed, JAVA, language=language)


def test_an_unknown_language_is_guarded_too(indexed: Indexed) -> None:
    text = """\
    (defn settle [accounts rate]
      (let [total (reduce + (map #(Math/abs %) (vals accounts)))]
        (into {} (for [[name value] accounts :when (not= 0 value)]
          (if (neg? value) [name (- value (* rate value))]
            (do (log/info "interest" name (/ value total)) [name (inc value)]))))))
    """
    indexed.add(ACME, "settle.clj", text, "clojure")
    assert indexed.check(text, language="clojure").matches[0].document == "settle.clj"
    assert not allows(indexed, text)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\x00", "\ud800", "#", '"""', "/*", "'", "\\", "x", "\u202e"])
def test_next_to_nothing_passes(indexed: Indexed, text: str) -> None:
    decision = indexed.check(text)
    assert decision.action is Action.ALLOW
    assert decision.checked_tokens <= 1


def test_a_huge_text_is_answered_or_refused(indexed: Indexed) -> None:
    for text in ("x = y + 1\n" * 20_000, "(" * 100_000, "# word " * 20_000, f"{METHOD}\n" * 100):
        try:
            decision = indexed.check(text)
        except RefusalError:
            continue
        assert (decision.action is Action.BLOCK) == ("book" in text)


def test_a_match_at_the_end_of_a_long_text_is_found(indexed: Indexed) -> None:
    rng = random.Random(3)  # noqa: S311 - not for secrets
    filler = "".join(f"v{rng.randrange(99)}.f{rng.randrange(99)}({rng.randrange(99)})\n" for _ in range(3000))
    decision = indexed.check(filler + METHOD)
    assert decision.matches[0].start >= len(filler) - 80
    assert decision.matches[0].end <= len(filler) + len(METHOD)


def test_only_the_tail_of_a_long_prompt_is_joined(indexed: Indexed) -> None:
    lines = METHOD.splitlines(keepends=True)
    far = "".join(lines) + "pass\n" * 4000
    assert allows(indexed, "x = 1\n", prefix=far)
    near = "pass\n" * 4000 + "".join(lines[:8])
    match = indexed.check("".join(lines[8:]), prefix=near).matches[0]
    assert match.start == 0


def reads(store: Store) -> int:
    """How often the server has read from a client: once a round trip."""
    writer: Any = store.writer
    return int(writer.info("stats")["total_reads_processed"])


def test_a_clean_text_costs_one_round_trip(store: Store, home: Path) -> None:
    indexed = Indexed(store, home)
    indexed.add(ACME, "ledger.py", PYTHON)
    for text, caller, trips in ((UNRELATED, "gamma", 1), (METHOD, "acme", 1), ("", "gamma", 1), (METHOD, "gamma", 2)):
        indexed.check(text, caller, language="python")  # opens the index and fetches background and owners
        before = reads(store)
        indexed.check(text, caller, language="python")
        assert reads(store) - before - 1 == trips  # asking for the number is a read as well


def test_a_decision_says_what_it_rests_on(indexed: Indexed) -> None:
    one, other = indexed.check(METHOD), indexed.check(METHOD)
    assert one.id != other.id
    assert one.matches == other.matches
    assert one.index_version == other.index_version == indexed.index.lookup(np.empty(0, dtype=np.uint64)).version
    assert one.guard_ms > 0
    assert one.checked_tokens >= len(lex(METHOD, "python").code)
    indexed.index.remove(ACME, "src/python")
    assert indexed.check(METHOD).index_version > one.index_version


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
    with pytest.raises(StoreUnavailableError, match="index verify"):
        indexed.check(METHOD)


def test_a_background_of_public_code_keeps_copies_in_sight(indexed: Indexed) -> None:
    ordinary = lex(UNRELATED, "python").code.renamed
    indexed.index.put_background(Syntax.HASH, Background.train([ordinary] * 30))
    indexed.guard = Guard(indexed.index, indexed.digester)
    assert not allows(indexed, METHOD)
    assert not allows(indexed, renamed(METHOD))
    assert allows(indexed, UNRELATED)


def test_many_threads_may_ask_one_guard(indexed: Indexed) -> None:
    texts = [METHOD, UNRELATED, JAVA, "", renamed(METHOD)] * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: indexed.check(text).action, texts))
    assert found == [indexed.check(text).action for text in texts]


def test_a_query_needs_no_more_than_text_and_caller(indexed: Indexed) -> None:
    assert indexed.guard.check(GuardQuery(METHOD, "gamma")).action is Action.BLOCK
    indexed.guard.ready()
