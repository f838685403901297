from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp.repair import fitted

CASES = {
    "brackets that stand there": ("n))", "print(grow(", "))", "))\n", "n"),
    "a bracket of its own": ("f(n))", "print(", ")", ")\n", "f(n)"),
    "nothing behind": ("n)\nprint(2)", "f(", "", "", "n)\nprint(2)"),
    "a quote that stands there": ('hello")', 'print("', '")', '")\n', "hello"),
    "the rest of the line": ("1, b = 2", "f(a = ", ", b = 2", ", b = 2\n", "1"),
    "an indentation that stands there": ("    return n", "def f(n):\n    ", "", "\n", "return n"),
    "an indentation that is missing": ("    return n", "    def f(n):\n    ", "", "\n", "    return n"),
    "indentation after a statement": ("    y = 2", "def f():\n    x = 1\n    ", "", "\n", "y = 2"),
    "tabs": (
        "if x:\n        return 1\n    return 2",
        "def f():\n\tx = 1\n\t",
        "",
        "\n",
        "if x:\n\t\treturn 1\n\treturn 2",
    ),
    "lines that stand below": ("x = 1\n}", "{\n    ", "", "\n}\n", "x = 1"),
    "more lines that stand below": ("a()\nb()\nc()", "\n", "", "\nb()\n\nc()\nd()", "a()"),
    "only the same line below": ("b()", "\n", "", "\nb()\n", "b()"),
    "blanks at the end": ("return n + 1\n\n", "def f(n):\n    ", "", "", "return n + 1"),
    "line ends of all kinds": ("a\r\nb\rc", "\n", "", "", "a\nb\nc"),
    "nothing": ("", "x", "y", "y", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_a_text_is_fitted_into_its_place(name: str) -> None:
    text, prefix, rest, suffix, expected = CASES[name]
    assert fitted(text, prefix, rest, suffix) == expected


SIGNS = st.text(st.sampled_from("ab()[]{}\"' \t\n:"), max_size=40)


@given(SIGNS, SIGNS, SIGNS)
def test_nothing_is_added_but_blanks(text: str, prefix: str, suffix: str) -> None:
    found = "".join(fitted(text, prefix, suffix.partition("\n")[0], suffix).split())
    assert "".join(text.split()).startswith(found)
