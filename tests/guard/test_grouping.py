from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.code import PYTHON
from samples.streams import exact, spans

from guard.tokens import lex

PARTS = st.sampled_from(["(", ")", "[", "]", "name", "1", "return", "+", "'text'", ","])


def tokens(text: str, language: str = "python") -> list[str]:
    return exact(lex(text, language).code)


@pytest.mark.parametrize(
    ("grouped", "plain"),
    [
        ("return (a, b)", "return a, b"),
        ("x = ((a, (b)))", "x = a, b"),
        ("if (not a) and (b or c):\n    yield (1, 2)", "if not a and b or c:\n    yield 1, 2"),
        ("for (a, b) in (c, d):\n    assert (a)", "for a, b in c, d:\n    assert a"),
        ("x = (\n    'one'\n    'two'\n)", "x = 'one' 'two'"),
        ("f((a, b), (c))", "f(a, b, c)"),
        ("x = (a, b)[0]", "x = a, b[0]"),
    ],
)
def test_grouping_leaves_no_trace(grouped: str, plain: str) -> None:
    assert tokens(grouped) == tokens(plain)


@pytest.mark.parametrize("text", ["f(x)", "f()(x)", "a[0](x)", "'text'(x)", "{}(x)", "x = ()", "class A(B): pass"])
def test_calls_and_empty_pairs_stay(text: str) -> None:
    assert tokens(text).count("(") == text.count("(")
    assert tokens(text).count(")") == text.count(")")


def test_other_languages_keep_theirs() -> None:
    assert "(" in tokens("if (x) { return (y); }", "java")


def test_what_a_printer_makes_of_the_code_is_the_same() -> None:
    assert tokens(ast.unparse(ast.parse(PYTHON))) == tokens(PYTHON)


def test_of_a_pair_that_is_cut_the_opening_half_goes() -> None:
    assert tokens("return (a, b") == tokens("return a, b")
    assert tokens("a, b)\nx = (c)") == [*tokens("a, b)"), *tokens("x = c")]


@given(st.lists(PARTS, max_size=40))
def test_nothing_else_is_lost(parts: list[str]) -> None:
    text = " ".join(parts)
    code = lex(text, "python").code
    kept = [word for word in exact(code) if word not in "()"]
    plain = lex(text.replace("(", " ").replace(")", " "), "python").code
    assert len(kept) <= len(parts)
    assert spans(code) == sorted(spans(code))
    # A comma before a closing bracket is layout, so that commas may differ.
    assert [word for word in kept if word != ","] == [word for word in exact(plain) if word != ","]
