from __future__ import annotations

import ast
import io
import random
import tokenize
from typing import TYPE_CHECKING

import pytest

from benchmarks.evasions import EVASIONS, OF_CLASSES, several

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = """
async def totals(self, items: dict[str, int], *, limit: int = 10, name: str = "x") -> list[str]:
    first = items.get(name, 0)
    second = limit + 1
    seen = []
    for key, (size, kind) in sorted(items.items(), key=lambda item: item[1]):
        if size > limit and kind == "file":
            seen.append(f"{key!r}: {size:>10} bytes {kind}")
            continue
        else:
            label = key.upper()
            self.log("%s of %s", label)
        try:
            self.store(key, size + first, self.path(kind))
        except OSError as error:
            raise ValueError("no such kind %s" % kind) from error
    names = [key.strip() for key in items if key]
    text = ", ".join(names)
    self.note(text)
    return [one for one in seen if one] + names + [str(second)]
"""
CLASS = """
class Store:
    limit = 3

    def get(self, key):
        return self.items[key]

    def put(self, key, value):
        self.items[key] = value

    def drop(self, key):
        del self.items[key]
"""
LAYOUT = ("reformatted", "broken lines", "commented")
ALL = {**EVASIONS, "all at once": several}


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - reproducible, no secret


def plain(code: str) -> str:
    return ast.unparse(ast.parse(code))


def tokens(code: str) -> list[str]:
    layout = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENDMARKER}
    found = tokenize.generate_tokens(io.StringIO(code).readline)
    return [token.string for token in found if token.type not in layout]


def names(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("trick", ALL)
def test_each_changes_the_text_into_other_python(trick: str) -> None:
    text = plain(SOURCE)
    for seed in range(20):
        changed = ALL[trick](text, seeded(seed))
        ast.parse(changed)
        assert changed.strip() != text


@pytest.mark.parametrize("trick", ALL)
def test_equal_seeds_give_equal_texts(trick: str) -> None:
    assert ALL[trick](SOURCE, seeded(3)) == ALL[trick](SOURCE, seeded(3))


@pytest.mark.parametrize("trick", LAYOUT)
def test_layout_changes_no_token(trick: str) -> None:
    text = plain(SOURCE)
    for seed in range(20):
        changed = EVASIONS[trick](text, seeded(seed))
        assert tokens(changed) == tokens(text)
        assert plain(changed) == text


@pytest.mark.parametrize("trick", sorted(EVASIONS.keys() - set(LAYOUT)))
def test_the_others_change_the_program(trick: str) -> None:
    assert plain(EVASIONS[trick](SOURCE, seeded(1))) != plain(SOURCE)


@pytest.mark.parametrize("trick", ALL)
def test_a_text_with_nothing_to_do_stays_python(trick: str) -> None:
    ast.parse(ALL[trick]("def f():\n    pass\n", seeded(1)))


def test_capitals_spare_builtins() -> None:
    changed = EVASIONS["capitals"]("def total(items):\n    return len(items) + base.size\n", seeded(1))
    assert changed == "def TOTAL(ITEMS):\n    return len(ITEMS) + BASE.SIZE\n"


def test_statements_that_need_each_other_keep_their_order() -> None:
    evasion = EVASIONS["reordered statements"]
    bound = "a = 1\nb = a\nb += 1\nf(b)\ng(b)\n"
    assert evasion(bound, seeded(1)) == bound
    assert evasion("a = 1\nb = f(c)\n", seeded(1)) == "b = f(c)\na = 1\n"


def test_loops_and_comprehensions_do_the_same() -> None:
    code = "found = [x * y for x in range(4) if x % 2 for y in (x, 3)]\n"
    code += "for x, y in zip('ab', 'cd'):\n    found += [x + y]\n"

    def run(text: str) -> object:
        room: dict[str, object] = {}
        exec(compile(text, "text", "exec"), room)  # noqa: S102 - a text of this test
        return room["found"]

    for trick in ("while loops", "loops for comprehensions", "intermediate variables", "inlined variables"):
        assert run(EVASIONS[trick](code, seeded(1))) == run(code)
    assert "for " not in EVASIONS["while loops"]("for x in y:\n    f(x)\n", seeded(1))


@pytest.mark.parametrize(
    "expression",
    ["f'{a!r:>4}{{}}'", "f'{a:{width}}'", "'%s and %s' % (a, width)", "'%s' % a", "'%d%%' % width", "width % 3"],
)
def test_formatting_gives_the_same_text(expression: str) -> None:
    changed = EVASIONS["other formatting"](expression, seeded(1))
    room = {"a": "b", "width": 7}
    assert eval(changed, dict(room)) == eval(expression, dict(room))  # noqa: S307 - texts of this test


def test_conditions_say_the_same() -> None:
    code = "if a < b:\n    c = 1\nelse:\n    c = 2\n"
    changed = EVASIONS["turned conditions"](code, seeded(1))
    assert changed == "if not b > a:\n    c = 2\nelse:\n    c = 1\n"


def test_a_variable_that_is_read_once_goes_where_it_is_read() -> None:
    evasion = EVASIONS["inlined variables"]
    assert evasion("a = f(x)\nreturn_ = a + 1\nprint(return_)\n", seeded(1)).count("\n") < 3
    assert evasion("a = f(x)\nb = a + a\nprint(b, b)\n", seeded(1)) == "a = f(x)\nb = a + a\nprint(b, b)\n"


def test_no_hint_is_left_and_others_come() -> None:
    code = "def f(self, a: int, *b: str) -> bool:\n    return a\n"
    assert EVASIONS["no type hints"](code, seeded(1)) == "def f(self, a, *b):\n    return a\n"
    assert EVASIONS["other type hints"](code, seeded(1)).count(":") == 3


@pytest.fixture
def shuffled() -> Callable[[str, random.Random], str]:
    return OF_CLASSES["methods shuffled"]


def test_methods_are_shuffled_and_nothing_else(shuffled: Callable[[str, random.Random], str]) -> None:
    for seed in range(20):
        changed = shuffled(CLASS, seeded(seed))
        assert changed.strip() != plain(CLASS)
        assert sorted(changed.split("\n")) != changed.split("\n")
        kept = ast.parse(changed).body[0]
        assert isinstance(kept, ast.ClassDef)
        assert isinstance(kept.body[0], ast.Assign)
        methods = sorted(ast.unparse(node) for node in kept.body)
        original = ast.parse(CLASS).body[0]
        assert isinstance(original, ast.ClassDef)
        assert methods == sorted(ast.unparse(node) for node in original.body)
    single = "def f():\n    pass\n"
    assert shuffled(single, seeded(1)) == single
