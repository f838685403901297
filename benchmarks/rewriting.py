"""Tricks on the statements of a function: moved, added, split, joined and written another way. Knows no guard.

See `evasions.py`, which has the others and all their names.
"""

from __future__ import annotations

import ast
import copy
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

_UNKNOWN_ORDER = ast.Call | ast.Await | ast.Yield | ast.YieldFrom
"""What may do something besides its value."""
_PLAIN = ast.Assign | ast.AnnAssign | ast.Expr | ast.AugAssign


def _edited(text: str, change: Callable[[list[ast.stmt]], list[ast.stmt]]) -> str:
    """The text with every block of statements changed, the inner ones first."""
    tree = ast.parse(text)
    for node in reversed(list(ast.walk(tree))):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                setattr(node, field, change(block))
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def reordered_statements(text: str, rng: random.Random) -> str:
    """Neighbours that need nothing of each other change places, from the top down."""
    del rng

    def change(block: list[ast.stmt]) -> list[ast.stmt]:
        block = list(block)
        at = 0
        while at + 1 < len(block):
            if _independent(block[at], block[at + 1]):
                block[at], block[at + 1] = block[at + 1], block[at]
                at += 1
            at += 1
        return block

    return _edited(text, change)


def _independent(one: ast.stmt, other: ast.stmt) -> bool:
    if not (isinstance(one, _PLAIN) and isinstance(other, _PLAIN)):
        return False
    if all(any(isinstance(node, _UNKNOWN_ORDER) for node in ast.walk(side)) for side in (one, other)):
        return False
    return not (_written(one) & _named(other)) and not (_written(other) & _named(one))


def _written(statement: ast.stmt) -> set[str]:
    """Names that it assigns to, or to a part of."""
    return {
        leaf.id
        for node in ast.walk(statement)
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", None), ast.Store)
        for leaf in ast.walk(node)
        if isinstance(leaf, ast.Name)
    }


def _named(node: ast.AST) -> set[str]:
    return {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}


def reordered_functions(text: str, rng: random.Random) -> str:
    """The functions of every class, and those of the module, in another order."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef):
            continue
        places = [at for at, one in enumerate(node.body) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
        order = places[:]
        while len(places) > 1 and order == places:
            rng.shuffle(order)
        shuffled = [node.body[at] for at in order]
        for at, statement in zip(places, shuffled, strict=True):
            node.body[at] = statement
    return ast.unparse(tree) + "\n"


def dead_code(text: str, rng: random.Random) -> str:
    """Before every other statement one that does nothing."""
    number = 0

    def dead() -> ast.stmt:
        nonlocal number
        number += 1
        pattern = rng.choice(
            [
                "unused_{0} = {1}",
                "if False:\n    unused_{0} = {1}",
                "assert True",
                "while False:\n    unused_{0} += {1}",
                "unused_{0} = [None] * {1}",
                "if {1} < 0:\n    raise RuntimeError('never {0}')",
            ]
        )
        return ast.parse(pattern.format(number, rng.randrange(1, 100))).body[0]

    def change(block: list[ast.stmt]) -> list[ast.stmt]:
        if any(isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for statement in block):
            return block
        return [one for at, statement in enumerate(block) for one in ([dead()] if at % 2 == 0 else []) + [statement]]

    return _edited(text, change)


def while_loops(text: str, rng: random.Random) -> str:
    """`for` becomes `while` over a list that shrinks."""
    number = 0
    word = rng.choice(["rest", "queue", "pending", "todo"])

    def change(block: list[ast.stmt]) -> list[ast.stmt]:
        nonlocal number
        changed: list[ast.stmt] = []
        for statement in block:
            if not isinstance(statement, ast.For):
                changed.append(statement)
                continue
            number += 1
            start, loop = ast.parse(
                f"{word}_{number} = list(_)\nwhile {word}_{number}:\n    _ = {word}_{number}.pop(0)"
            ).body
            assert isinstance(start, ast.Assign)
            assert isinstance(start.value, ast.Call)
            assert isinstance(loop, ast.While)
            draw = loop.body[0]
            assert isinstance(draw, ast.Assign)
            start.value.args = [statement.iter]
            draw.targets = [statement.target]
            loop.body += statement.body
            loop.orelse = statement.orelse
            changed += [start, loop]
        return changed

    return _edited(text, change)


def comprehensions_as_loops(text: str, rng: random.Random) -> str:
    """A statement's list comprehension becomes a loop that appends."""
    number = 0
    word = rng.choice(["found", "result", "collected"])

    def change(block: list[ast.stmt]) -> list[ast.stmt]:
        nonlocal number
        changed: list[ast.stmt] = []
        for statement in block:
            parts = [node for node in _own(statement) if isinstance(node, ast.ListComp)]
            if len(parts) == 1 and isinstance(statement, ast.Assign | ast.Return | ast.Expr):
                number += 1
                name = f"{word}_{number}"
                changed += _loop(parts[0], name)
                statement = _replaced(statement, parts[0], ast.Name(name, ast.Load()))  # noqa: PLW2901 - the rest of it
            changed.append(statement)
        return changed

    return _edited(text, change)


def _loop(comprehension: ast.ListComp, name: str) -> list[ast.stmt]:
    inner: ast.stmt = ast.parse(f"{name}.append(_)").body[0]
    assert isinstance(inner, ast.Expr)
    assert isinstance(inner.value, ast.Call)
    inner.value.args = [comprehension.elt]
    body: ast.stmt = inner
    for part in reversed(comprehension.generators):
        for condition in reversed(part.ifs):
            body = ast.If(condition, [body], [])
        kind = ast.AsyncFor if part.is_async else ast.For
        body = kind(part.target, part.iter, [body], [])
    return [ast.parse(f"{name} = []").body[0], body]


def intermediate_variables(text: str, rng: random.Random) -> str:
    """Arguments that are calls or operations get a name of their own on the line before."""
    number = 0
    word = rng.choice(["part", "step", "inner", "piece"])

    def change(block: list[ast.stmt]) -> list[ast.stmt]:
        nonlocal number
        changed: list[ast.stmt] = []
        for statement in block:
            if isinstance(statement, ast.Assign | ast.Return | ast.Expr | ast.AugAssign):
                for part in _arguments(statement):
                    number += 1
                    name = f"{word}_{number}"
                    changed.append(ast.Assign([ast.Name(name, ast.Store())], part))
                    statement = _replaced(statement, part, ast.Name(name, ast.Load()))  # noqa: PLW2901 - the rest
            changed.append(statement)
        return changed

    return _edited(text, change)


def _arguments(statement: ast.stmt) -> list[ast.expr]:
    """Arguments of the statement's outermost calls that are worth a name."""
    worth = ast.Call | ast.BinOp | ast.Subscript | ast.Attribute | ast.Compare
    value = getattr(statement, "value", None)
    if not isinstance(value, ast.Call):
        return []
    return [part for part in (*value.args, *(named.value for named in value.keywords)) if isinstance(part, worth)]


def inlined(text: str, rng: random.Random) -> str:
    """A variable that only the next statement reads, once, goes where it is read."""
    del rng

    def change(block: list[ast.stmt]) -> list[ast.stmt]:
        block = list(block)
        for one, following in pairwise(list(block)):
            if not (isinstance(one, ast.Assign) and len(one.targets) == 1 and isinstance(one.targets[0], ast.Name)):
                continue
            name = one.targets[0].id
            reads = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
            place = [node for node in _own(following) if isinstance(node, ast.Name) and node.id == name]
            if len(reads) == 2 and len(place) == 1 and one in block and following in block:  # noqa: PLR2004 - and set
                block[block.index(following)] = _replaced(following, place[0], one.value)
                block.remove(one)
        return block

    tree = ast.parse(text)
    return _edited(text, change)


def _own(statement: ast.stmt) -> Iterator[ast.AST]:
    """Nodes of a statement that is no block; of none, if it has statements inside."""
    if not hasattr(statement, "body"):
        yield from ast.walk(statement)


class _Exchange(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.expr) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


def _replaced(statement: ast.stmt, old: ast.AST, new: ast.expr) -> ast.stmt:
    changed = _Exchange(old, copy.copy(new)).visit(statement)
    assert isinstance(changed, ast.stmt)
    return changed


STATEMENT_TRICKS: dict[str, Callable[[str, random.Random], str]] = {
    "reordered statements": reordered_statements,
    "dead code": dead_code,
    "while loops": while_loops,
    "loops for comprehensions": comprehensions_as_loops,
    "intermediate variables": intermediate_variables,
    "inlined variables": inlined,
}
