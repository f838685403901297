"""What is taken for a copy: judged through the guard, on texts made for one rule each."""

from __future__ import annotations

import random
import re
from itertools import pairwise, product
from typing import TYPE_CHECKING

import pytest
from samples.code import METHOD, PYTHON, UNRELATED, renamed, without_comments
from samples.indexed import ACME, BETA, COMMONS, KEY, Indexed

from guard import candidates
from guard.candidates import COVERED_TOKENS, VERBATIM_LINE_TOKENS
from guard.check import Guard
from guard.digest import Digester
from guard.fingerprint import K
from guard.licenses import LicenseAction, LicenseCategory, LicensePolicy
from guard.tokens import lex
from guard.types import Action, MatchKind, Owner
from guard.winnowing import W

if TYPE_CHECKING:
    from pathlib import Path

    from guard.digest import Probe
    from guard.store import Store

MIT = Owner.licensed("lib", "MIT")
LARGE = 10**16
"""Tokens of an index in which nothing that these texts share by chance is a match."""
_NAMES = ["alpha", "beta", "gamma", "delta", "omega", "node", "item", "entry", "value", "field"]
_SIGNS = ["+", "-", "*", "/", "//", "%", "@", "<<", ">>", "&", "|", "^", "**", "==", "!=", "<", "is", "and", "or"]
_SHAPES = ["{} {} {}", "({} {} {})", "{1} ~{0}({2})", "{0}[{2}:]", "{0}({2}, *{0})", "[{0}, {2}]", "{{{0}: {2}}}"]
_LINES = [
    "{} = {}",
    "{}.append({})",
    "{} += yield {}",
    "del {}[{}]",
    "assert {}, {}",
    "{}[0] = not {}",
    "return {}, {}",
]


SHORT_LINES = """\
def depth(marks):
    level = 0
    for mark in marks:
        if mark == "<":
            level += 1
        else:
            level -= 1
        if level < 0:
            raise ValueError(marks)
    return level == 0
"""
_GRADES = ["A+", "A", "A-", "B+", "B", "B-", "C+", "C", "C-", "D+", "D", "D-"]
ARMS = "for points in results:\n    if points == 100:\n        letters.append('best')\n" + "".join(
    f"    elif points > {96 - 4 * at}:\n        letters.append('{grade}')\n" for at, grade in enumerate(_GRADES)
)
TABLE = "GRADES = {\n" + "".join(f"    '{grade}': {96 - 4 * at},\n" for at, grade in enumerate(_GRADES)) + "}\n"


def statements(seed: int, count: int, depth: int = 3) -> list[str]:
    """Lines that nobody else has written, one statement each; no two of them share a fingerprint."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets

    def expression(depth: int) -> str:
        if not depth:
            return rng.choice(_NAMES)
        return rng.choice(_SHAPES).format(expression(depth - 1), rng.choice(_SIGNS), expression(depth - 1))

    lines: list[str] = []
    seen: set[tuple[int, ...]] = set()
    while len(lines) < count:
        line = rng.choice(_LINES).format(rng.choice(_NAMES), expression(depth))
        symbols = lex(line, "python").code.symbols.tolist()
        runs = {tuple(symbols[i : i + K]) for i in range(len(symbols) - K + 1)}
        if runs and not runs & seen:
            seen |= runs
            lines.append(line)
    return lines


def short_statements(seed: int, count: int) -> list[str]:
    """The same, none of them long enough to be a match."""
    lines = statements(seed, 3 * count, depth=2)
    return sorted(lines, key=lambda line: len(lex(line, "python").code))[:count]


def text_of(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def turned(lines: list[str], size: int = 1) -> str:
    """The lines from last to first, in groups of `size`: nothing but a group is in its order."""
    return text_of([line for i in range(len(lines), 0, -size) for line in lines[max(0, i - size) : i]])


def strewn(text: str, every: int) -> str:
    """The text with another token before every so manieth."""
    cuts = lex(text, "python").code.starts[every::every].tolist()
    return "~".join(text[start:end] for start, end in pairwise([0, *cuts, len(text)]))


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    return Indexed(embedded_store, home)


class Cursory(Digester):
    """A digester that never looks closer."""

    def closer(self, probe: Probe) -> Probe:
        return probe


def test_a_closer_look_finds_edited_copies_that_the_first_one_misses(indexed: Indexed) -> None:
    cursory = Guard(indexed.index, Cursory(KEY))
    indexed.add(ACME, "steps.py", text_of(statements(1, 60)))
    thorough, missed = indexed.guard, []
    for start, count, every in product(range(0, 48, 6), (2, 3, 5), (9, 10, 11)):
        text = strewn(text_of(statements(1, 60)[start : start + count]), every)
        indexed.guard = cursory
        first = indexed.check(text, language="python").action
        indexed.guard = thorough
        decision = indexed.check(text, language="python")
        assert decision.action is Action.BLOCK or first is Action.ALLOW, "what was found stays found"
        if decision.action is not first:
            missed.append(text)
            assert (decision.matches[0].document, decision.matches[0].kind) == ("steps.py", MatchKind.NEAR)
            assert indexed.check(text, "acme", language="python").action is Action.ALLOW
    assert missed


def test_a_match_covers_enough_tokens(indexed: Indexed) -> None:
    lines = statements(3, 40)
    indexed.add(ACME, "steps.py", text_of(lines))
    shortest = {}
    for start in range(0, 30, 3):
        tokens = [token for line in lines[start : start + 9] for token in re.findall(r"\w+|[^\w\s]", line)]
        for count in range(9, len(tokens)):
            match = next(iter(indexed.check(" ".join(tokens[:count]), language="python").matches), None)
            if match:
                shortest[start] = round(match.tokens * match.similarity)
                break
    assert len(shortest) == 10, "every copy is found at last"
    assert min(shortest.values()) >= COVERED_TOKENS


def shortest(indexed: Indexed, text: str) -> int:
    """Tokens of the shortest beginning of `text` that is blocked."""
    ends = lex(text, "python").code.ends.tolist()
    return next(n for n, end in enumerate(ends, 1) if indexed.check(text[:end], language="python").matches)


def test_a_larger_index_asks_for_more_evidence(indexed: Indexed) -> None:
    text = renamed(without_comments(METHOD))
    indexed.add(ACME, "ledger.py", PYTHON)
    needed = []
    for size in (10**5, 10**13, 10**17):
        indexed.grow(size)
        needed.append(shortest(indexed, text))
    assert needed == sorted(set(needed))
    reason = indexed.check(text, language="python").matches[0].reason
    assert re.search(r", \d+ bits of evidence \(\de-\d+ such matches expected by chance\)", reason)


def test_what_agrees_to_the_letter_takes_less(indexed: Indexed) -> None:
    indexed.add(ACME, "ledger.py", PYTHON)
    indexed.grow(10**16)
    text = without_comments(METHOD)
    exact, other = shortest(indexed, text), shortest(indexed, renamed(text))
    assert COVERED_TOKENS <= exact < other


def test_a_copy_of_six_short_lines_is_found(indexed: Indexed) -> None:
    """They have fewer tokens than any other match covers."""
    indexed.add(ACME, "depth.py", SHORT_LINES)
    indexed.grow(10**6)
    lines = SHORT_LINES.splitlines(keepends=True)
    code = lex("".join(lines[:7]), "python").code
    assert VERBATIM_LINE_TOKENS <= len(code) < COVERED_TOKENS + W - 1
    (match,) = indexed.check("".join(lines[:7]), language="python").matches
    assert (match.kind, match.action) == (MatchKind.EXACT, Action.BLOCK)
    # Neither so many tokens on fewer lines, nor so many lines with other names.
    assert not indexed.check("".join(line.strip() + "; " for line in lines[:7]), language="python").matches
    assert not indexed.check(renamed("".join(lines[:7])), language="python").matches


@pytest.mark.parametrize("text", [ARMS, TABLE], ids=["arms", "table"])
def test_what_repeats_itself_is_followed_to_its_end(indexed: Indexed, text: str) -> None:
    """Whoever goes on with a table that stands in the prompt recites it."""
    indexed.add(ACME, "grades.py", text)
    lines = text.splitlines(keepends=True)
    for first in range(8, len(lines) - 6):
        decision = indexed.check("".join(lines[first : first + 6]), prefix="".join(lines[:first]), language="python")
        assert decision.action is Action.BLOCK, first
        assert indexed.check(UNRELATED, prefix="".join(lines[:first]), language="python").action is Action.ALLOW


def test_commons_that_stand_in_many_places_of_a_text_pass(indexed: Indexed) -> None:
    lines = statements(5, 12)
    for owner in (ACME, COMMONS):
        indexed.add(owner, "steps.py", text_of(lines * 3))
    for text in (text_of(lines * 2), text_of(lines[6:] + lines[:6] * 4), turned(lines * 3, 3)):
        assert indexed.check(text, language="python").action is Action.ALLOW
    indexed.index.remove(COMMONS, "steps.py")
    assert indexed.check(text_of(lines * 2), language="python").action is Action.BLOCK


@pytest.mark.parametrize("owner", [COMMONS, BETA, MIT], ids=str)
def test_statements_in_another_order_pass_where_the_caller_may_see_them(indexed: Indexed, owner: Owner) -> None:
    lines = short_statements(6, 80)
    indexed.add(ACME, "steps.py", text_of(lines))
    indexed.grow(LARGE)
    text = turned(lines)
    match = indexed.check(text, "beta", language="python").matches[0]
    assert (match.kind, match.document, match.action) == (MatchKind.NEAR, "steps.py", Action.BLOCK)
    assert "the same statements in another order" in match.reason
    indexed.add(owner, "public.py", text_of(lines))
    decision = indexed.check(text, "beta", language="python")
    if owner is MIT:
        assert {(match.owner, match.action) for match in decision.matches} == {(MIT, Action.CITE)}
        allowing = LicensePolicy.of({LicenseCategory.PERMISSIVE: LicenseAction.ALLOW})
        assert indexed.check(text, "beta", language="python", policy=allowing).action is Action.ALLOW
    else:
        assert decision.action is Action.ALLOW
    assert indexed.check(text, "acme", language="python").action is Action.ALLOW
    assert (indexed.check(text, "gamma", language="python").action is Action.BLOCK) == (owner is BETA)


def test_what_excuses_one_document_excuses_no_other(indexed: Indexed) -> None:
    secret, public = short_statements(8, 160)[::2], short_statements(8, 160)[1::2]
    indexed.add(ACME, "secret.py", text_of(secret))
    for owner in (ACME, COMMONS):
        indexed.add(owner, "public.py", text_of(public))
    indexed.grow(LARGE)
    assert indexed.check(turned(public), language="python").action is Action.ALLOW
    decision = indexed.check(turned(public) + turned(secret), language="python")
    assert {match.document for match in decision.matches} == {"secret.py"}


def test_statements_of_the_prompt_in_another_order_trigger_nothing(indexed: Indexed) -> None:
    lines = short_statements(10, 80)
    indexed.add(ACME, "steps.py", text_of(lines))
    indexed.grow(LARGE)
    text = turned(lines)
    assert indexed.check(text, language="python").matches
    assert not indexed.check(UNRELATED, language="python", prefix=text).matches
    # Less than half of it is the generation's: what a person goes on writing is theirs.
    rows = text.splitlines(keepends=True)
    assert not indexed.check("".join(rows[60:]), language="python", prefix="".join(rows[:60])).matches


def test_licensed_code_that_is_commons_needs_no_citation(indexed: Indexed) -> None:
    indexed.add(MIT, "ledger.py", PYTHON)
    assert indexed.check(PYTHON).action is Action.CITE
    indexed.add(COMMONS, "ledger.py", PYTHON)
    assert indexed.check(PYTHON).action is Action.ALLOW


def test_of_private_code_that_is_half_public_the_other_half_is_secret(indexed: Indexed) -> None:
    lines = statements(11, 60)
    indexed.add(ACME, "steps.py", text_of(lines))
    indexed.add(MIT, "half.py", text_of(lines[:30]))
    indexed.grow(LARGE)
    public, secret = (indexed.check(text_of(half), language="python") for half in (lines[:30], lines[30:]))
    assert {match.owner for match in public.matches} == {MIT}
    assert {match.owner for match in secret.matches} == {ACME}
    both = indexed.check(text_of(lines), language="python")
    assert {(match.owner, match.action) for match in both.matches} == {(MIT, Action.CITE), (ACME, Action.BLOCK)}


def test_one_shared_run_tells_nothing(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    text = statements(12, 1)[0]
    code = lex(text, "python").code
    indexed.add(ACME, "steps.py", text)
    monkeypatch.setattr(candidates, "information", lambda *_: pytest.fail("weighed"))
    runs = [tuple(code.symbols[at : at + K].tolist()) for at in range(len(code) - K)]
    once = [at for at, run in enumerate(runs) if runs.count(run) == 1]
    assert once
    for at in once:
        assert indexed.check(text[code.starts[at] : code.starts[at + K]], language="python").action is Action.ALLOW


def test_code_is_not_drawn_out_token_by_token(indexed: Indexed) -> None:
    indexed.add(ACME, "ledger.py", PYTHON)
    tokens = lex(PYTHON, "python").code
    first = len(tokens) // 2
    drawn = 0
    for at in range(first, len(tokens) - 1):
        start, end = int(tokens.ends[at - 1]), int(tokens.ends[at])
        decision = indexed.check(PYTHON[start:end], prefix=PYTHON[:start], language="python")
        if decision.action is not Action.BLOCK:
            drawn += 1
            continue
        assert all((match.start, match.end) == (0, end - start) for match in decision.matches)
    assert drawn == 0


def test_what_leaves_the_copy_in_the_prompt_passes_once_it_can_be_told(indexed: Indexed) -> None:
    indexed.add(ACME, "ledger.py", PYTHON)
    prefix = PYTHON[: PYTHON.index("\n", len(PYTHON) // 2) + 1]
    leaving = "del other[0], other[1]\n"
    assert not indexed.check(leaving, prefix=prefix, language="python").matches
    assert not indexed.check(UNRELATED, prefix=prefix, language="python").matches
    assert not indexed.check("x", prefix=prefix, caller="acme", language="python").matches
    assert not indexed.check("", prefix=prefix, language="python").matches
