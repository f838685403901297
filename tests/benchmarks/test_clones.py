from __future__ import annotations

import ast
import random

import pytest

from benchmarks.clones import KINDS, SPAN_LINES, disguise, edited, functions, layout, renamed, spans, thirds

SOURCE = '''
import os


def short(a):
    return a


class Store:
    @property
    def total(self, *, limit: int = 10) -> int:
        """What a reader is told."""
        found = {}
        for name, (size, kind) in sorted(self.items.items()):  # a comment
            if kind == "file" and size > limit:
                found[name] = f"{name}: {size:>10} bytes"
            elif isinstance(name, str):
                raise ValueError("no such kind", kind)
            try:
                os.stat(name)
            except OSError as error:
                found[name] = str(error)
        return len(found)
'''
FOREIGN = ["\n".join(f"value_{i} = call({i})" for i in range(SPAN_LINES)) + "\n"]


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - reproducible, no secret


@pytest.fixture
def text() -> str:
    (function,) = functions("demo", [("demo/store.py", SOURCE), ("demo/tests/store.py", SOURCE)])
    assert (function.project, function.path, function.name) == ("demo", "demo/store.py", "total")
    return function.text


def shape(code: str) -> list[str]:
    return [type(node).__name__ for node in ast.walk(ast.parse(code))]


def words(code: str) -> set[str]:
    tree = ast.walk(ast.parse(code))
    names = {value for node in tree for _, value in ast.iter_fields(node) if isinstance(value, str)}
    return names - {"self", "len", "sorted", "isinstance", "str", "int", "ValueError", "OSError", "property"}


def test_docstrings_and_comments_are_dropped(text: str) -> None:
    assert "reader" not in text
    assert "comment" not in text
    assert text.startswith("@property\ndef total(")


def test_files_that_are_no_python_are_passed_over() -> None:
    assert list(functions("demo", [("a.py", "def broken(:\n"), ("b.py", "\x00")])) == []


def test_layout_changes_no_token(text: str) -> None:
    changed = layout(text, seeded(1))
    assert changed != text
    assert ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text))


def test_renaming_keeps_the_structure_and_no_name(text: str) -> None:
    changed = renamed(text, seeded(1))
    assert shape(changed) == shape(text)
    assert not words(changed) & words(text)


def test_equal_names_stay_equal() -> None:
    changed = renamed("def same(a, b):\n    return a + b * a\n", seeded(1))
    tree = ast.parse(changed).body[0]
    assert isinstance(tree, ast.FunctionDef)
    first, second = (argument.arg for argument in tree.args.args)
    assert first != second
    assert ast.unparse(tree.body[0]) == f"return {first} + {second} * {first}"


def test_an_edited_copy_keeps_most_lines_and_has_foreign_ones(text: str) -> None:
    lines = text.splitlines()
    kept = inserted = 0
    for seed in range(200):
        changed = edited(text, FOREIGN, seeded(seed)).splitlines()
        foreign = [line for line in changed if line.strip().startswith("value_")]
        inserted += len(foreign)
        kept += len(changed) - len(foreign)
    assert kept / (200 * len(lines)) == pytest.approx(6 / 7, abs=0.02)
    assert inserted / (200 * len(lines)) == pytest.approx(1 / 6, abs=0.02)


@pytest.mark.parametrize("kind", ["P1", "P2"])
def test_a_plagiarism_stands_inside_sixty_foreign_lines(kind: str, text: str) -> None:
    lines = disguise(kind, text, FOREIGN, seeded(3)).splitlines()
    assert sum(line.startswith("value_") for line in lines) == SPAN_LINES
    assert lines[0].startswith("value_")
    assert lines[-1].startswith("value_")


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_disguises(kind: str, text: str) -> None:
    assert disguise(kind, text, FOREIGN, seeded(7)) == disguise(kind, text, FOREIGN, seeded(7))
    assert disguise(kind, text, FOREIGN, seeded(7)) != disguise(kind, text, FOREIGN, seeded(8))


def test_drawn_a_few_lines_at_a_time_a_function_is_whole(text: str) -> None:
    drawn = list(thirds(text))
    assert "".join(lines for _, lines in drawn) == text + "\n"
    assert [prefix for prefix, _ in drawn[:2]] == ["", drawn[0][1]]


def test_spans_have_their_length() -> None:
    found = list(spans([("a.py", "x = 1\n" * 130)]))
    assert [span.count("\n") for span in found] == [60, 60]
