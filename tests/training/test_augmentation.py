"""Renamed code is the same code: it parses alike, does the same, and shows the same names to others."""

from __future__ import annotations

import ast
import contextlib
import io
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training
from training.augmentation import alike, edits_of, rename, renamed
from training.examples import Example, Kind

SOURCES = sorted(Path(training.__file__).parent.glob("*.py"))[:24]
PROGRAM = '''
import os

LIMIT = 3

def total(prices, *, tax=0.5):
    """The sum of prices."""
    amount, limit = 0, LIMIT
    for at, price in enumerate(prices):
        try:
            amount += price * (1 + tax)
        except TypeError as error:
            print(error)
        if at > limit: break
    shown = f"{amount:.2f}"
    def add(more, _twice=2):
        nonlocal amount
        largest = [more for more in prices if more]
        return more * _twice + len(largest)
    print(shown, add(3), [price for price in prices])
    return amount

class Basket:
    limit = 7
    def _first(self, items, start):
        chosen = items[start]
        class Inner:
            chosen = 5
            seen = start
        return chosen, Inner.seen, Inner.chosen, self.limit, os.sep
    def show(self, items): return self._first(items, start=0)

print(total([1, 2.5], tax=1), Basket().show([4]))
match [1, 2]:
    case [LIMIT, *others]: print(LIMIT, others)
'''


def example(text: str, path: str = "a.py", language: str = "python", cuts: tuple[int, int] | None = None) -> Example:
    start, end = cuts or (0, len(text))
    return Example(path, language, "MIT", Kind.FILL_IN_THE_MIDDLE, text[:start], text[end:], text[start:end])


def text_of(one: Example) -> str:
    return one.prefix + one.middle + one.suffix


def functions(tree: ast.Module) -> list[ast.AST]:
    return [one for one in tree.body if isinstance(one, ast.FunctionDef)]


def names(tree: ast.AST) -> list[str]:
    nodes = ast.walk(tree)
    return [one.id if isinstance(one, ast.Name) else one.arg for one in nodes if isinstance(one, ast.Name | ast.arg)]


def printed(text: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, "program", "exec"), {"__name__": "program"})  # noqa: S102 - the text above
    return out.getvalue()


@settings(max_examples=20, deadline=None)
@given(path=st.sampled_from(SOURCES), seed=st.integers(0, 2**32), cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_renamed_file_is_alike_and_cut_where_it_was(path: Path, seed: int, cuts: tuple[float, float]) -> None:
    text = path.read_text(encoding="utf-8")
    start, end = sorted(int(share * len(text)) for share in cuts)
    (done,) = renamed([example(text, str(path), cuts=(start, end))], 1.0, seed)
    old, new = ast.parse(text), ast.parse(text_of(done))
    assert alike(old, new)
    for before, after in zip(functions(old), functions(new), strict=True):
        pairs = set(zip(names(before), names(after), strict=True))
        assert len({one for one, _ in pairs}) == len(pairs) == len({other for _, other in pairs})
    assert done.prefix.count("\n") == text[:start].count("\n")
    assert done.suffix.count("\n") == text[end:].count("\n")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_renamed_program_does_the_same(seed: int) -> None:
    (done,) = renamed([example(PROGRAM)], 1.0, seed)
    assert text_of(done) != PROGRAM
    assert printed(text_of(done)) == printed(PROGRAM)


def test_what_others_may_see_keeps_its_name() -> None:
    text = text_of(renamed([example(PROGRAM)], 1.0, 0)[0])
    for kept in (
        "def total(prices, *, tax=0.5)",
        "as error",
        "def add(",
        "start=0",
        "limit = 7",
        "chosen = 5",
        "{amount",
    ):
        assert kept in text
    for gone in ("at, price", "largest =", "def _first(self, items"):
        assert gone not in text


@pytest.mark.parametrize(
    "text",
    [
        "def f(x:\n",
        "def f():\n    x = 1\n    return locals()\n",
        "def f():\n    global x\n    x = 1\n",
        "def f():\n    import os\n    return os\n",
        "def f():\n    def g(): pass\n    return g\n",
        "def _f(x): return x\nh = _f\n",
        "def _f(x): return x\n_f(**{'x': 1})\n",
        "@route\ndef _f(x): return x\n",
        "def f(x=1): return lambda y: x + y\n",
        "def f(x):\n    match x:\n        case [y, *z]: return y, z\n",
        "x = 1\nprint(x)\n",
        "def f():\n    ﬁ = 1\n    return ﬁ\n",
        "\x00",
    ],
)
def test_what_cannot_be_renamed_is_left(text: str) -> None:
    one = example(text)
    assert rename([one], 1.0, 0).examples == [one]


def test_the_share_is_drawn_by_path_and_other_languages_are_counted() -> None:
    many = [example(PROGRAM, f"{at}.py") for at in range(200)]
    done = rename(many, 0.25, 7)
    assert 25 <= done.renamed <= 75
    assert rename(many[50:], 0.25, 7).examples == done.examples[50:]
    assert rename(many, 0.0, 7).examples == many
    go = rename([example("x := 1", language="go")], 1.0, 7)
    assert (go.renamed, go.others, go.untouched) == (0, 1, 0)


def test_edits_stand_in_lines_that_hold_other_letters() -> None:
    text = 'def f():\r\n    größe = "ü"; name = größe\r\n    return name, "é", name\r\n'
    edits = edits_of(text.encode(), random.Random(0))  # noqa: S311 - a test
    assert [text.encode()[one.start : one.end] for one in edits] == [b"name"] * 3
