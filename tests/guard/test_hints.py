from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.code import PYTHON
from samples.streams import exact as words

from guard.hints import HINT_LIMIT
from guard.tokens import lex

TYPED = """\
async def fetch(self, url: str, *parts: bytes, tries: int = 3, **rest: dict[str, list[int]]) -> tuple[int, str] | None:
    self.seen: set[str] = set()
    body: bytes
    best: Callable[[int], bool] = lambda size: size > tries
    for part in parts:
        body = body + part[1:2] if part else {"a": 1}
    return best
"""
UNTYPED = """\
async def fetch(self, url, *parts, tries=3, **rest):
    self.seen = set()
    body
    best = lambda size: size > tries
    for part in parts:
        body = body + part[1:2] if part else {"a": 1}
    return best
"""
names = st.sampled_from(["int", "str", "Path", "np.ndarray", "'Forward'", "None", "Any"])
hints = st.recursive(
    names,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda of: f"tuple[{', '.join(of)}]"),
        st.tuples(inner, inner).map(" | ".join),
        inner.map(lambda of: f"Callable[[{of}], None]"),
    ),
    max_leaves=4,
).filter(lambda hint: len(exact(f"f({hint})")) <= HINT_LIMIT)


def exact(text: str) -> list[str]:
    return words(lex(text, "python").code)


def test_a_typed_translation_reads_like_an_untyped_one() -> None:
    assert exact(TYPED) == exact(UNTYPED)


@settings(max_examples=40)
@given(hints, hints, hints)
def test_any_hint_goes(one: str, two: str, three: str) -> None:
    typed = f"def f(a: {one}, b: {two} = 5) -> {three}:\n    c: {one} = a\n    return c\n"
    assert exact(typed) == exact("def f(a, b = 5):\n    c = a\n    return c\n")


@pytest.mark.parametrize(
    "text",
    [
        "x = {a: b, c: d}",
        "f(lambda a: b)",
        "x = y[1:2]",
        "if x: return y",
        "for x in y: print(x)",
        "else: x = 1",
        "match x:\n    case y: pass",
        "while x: y()",
    ],
)
def test_what_is_no_hint_stays(text: str) -> None:
    assert exact(text).count(":") == text.count(":")


@pytest.mark.parametrize(
    "opening", ["x: (", "x: [", "def f(x: {", "def f(x) -> (", "def f(", "def f(x: int, y: (", "self.x: (", "x:"]
)
def test_code_does_not_hide_behind_an_open_hint(opening: str) -> None:
    body = exact(PYTHON)
    found = exact(f"{opening}\n{PYTHON}")
    lost = sum(1 for token in set(body) if found.count(token) < body.count(token) - 1)
    assert lost == 0
    assert len(found) >= len(body) - HINT_LIMIT


def test_a_hint_has_a_greatest_length() -> None:
    long = "x: " + " | ".join(f"T{number}" for number in range(HINT_LIMIT)) + " = 1\n"
    assert len(exact(long)) == 2 * HINT_LIMIT + 3
    assert exact("x: A | B = 1\n") == ["x", "=", "1"]


@pytest.mark.parametrize(
    "text", ["x:", "def", "def f", "def f(", "def f(x:", "def f(x) ->", "x: y", "->", ":", "x.", "x.y:"]
)
def test_a_fragment_may_end_anywhere(text: str) -> None:
    assert len(exact(text)) <= len(text)
