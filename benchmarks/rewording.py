"""Tricks on the expressions of a function: type hints, formatted texts and conditions written another way.

See `evasions.py`, which has the others and all their names. Knows no guard.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_HINTS = ("int", "str", "bytes", "object", "list[str]", "dict[str, int]", "bool | None")


def without_hints(text: str, rng: random.Random) -> str:
    """No type hint is left."""
    del rng
    return _Hints(lambda _: None).text(text)


def other_hints(text: str, rng: random.Random) -> str:
    """Every argument and result has a type hint, none the one that it had."""
    return _Hints(lambda _: ast.parse(rng.choice(_HINTS), mode="eval").body).text(text)


class _Hints(ast.NodeTransformer):
    def __init__(self, hint: Callable[[ast.AST], ast.expr | None]) -> None:
        self._hint = hint

    def text(self, text: str) -> str:
        return ast.unparse(ast.fix_missing_locations(self.visit(ast.parse(text)))) + "\n"

    def visit_arg(self, node: ast.arg) -> ast.arg:
        if node.arg not in {"self", "cls"}:
            node.annotation = self._hint(node)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node  # its arguments have no hints

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = self._hint(node)
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = self._hint(node)
        return self.generic_visit(node)


def other_formatting(text: str, rng: random.Random) -> str:
    """f-strings become `str.format`, and `str.format` and `%` with a plain template become concatenation of `str`."""
    del rng
    tree = _Templates().visit(ast.parse(text))
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


class _Templates(ast.NodeTransformer):
    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        template, values = "", []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                if part.format_spec is not None and not _plain(part.format_spec):
                    return node
                spec = _spec(part.format_spec)
                conversion = f"!{chr(part.conversion)}" if part.conversion > 0 else ""
                template += f"{{{conversion}{':' + spec if spec else ''}}}"
                values.append(part.value)
            elif isinstance(part, ast.Constant):
                template += str(part.value).replace("{", "{{").replace("}", "}}")
        return ast.Call(ast.Attribute(ast.Constant(template), "format", ast.Load()), values, [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = node.left, node.right
        if not (isinstance(node.op, ast.Mod) and isinstance(left, ast.Constant) and isinstance(left.value, str)):
            return node
        values = right.elts if isinstance(right, ast.Tuple) else [right]
        texts = left.value.split("%s")
        if len(texts) != len(values) + 1 or any("%" in text for text in texts):
            return node
        parts: list[ast.expr] = [ast.Constant(texts[0])]
        for value, text in zip(values, texts[1:], strict=True):
            parts += [ast.FormattedValue(value, -1), ast.Constant(text)]
        return ast.JoinedStr(parts)


def _spec(node: ast.expr | None) -> str:
    """The text of a plain format specification."""
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


def _plain(spec: ast.expr) -> bool:
    return isinstance(spec, ast.JoinedStr) and all(isinstance(part, ast.Constant) for part in spec.values)


def turned_conditions(text: str, rng: random.Random) -> str:
    """`if` with an `else` is asked the other way round, and comparisons are written from the right."""
    del rng
    return ast.unparse(ast.fix_missing_locations(_Conditions().visit(ast.parse(text)))) + "\n"


_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}


class _Conditions(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.If:
        self.generic_visit(node)
        if not node.orelse or isinstance(node.orelse[0], ast.If):
            return node
        return ast.If(ast.UnaryOp(ast.Not(), node.test), node.orelse, node.body)

    def visit_Compare(self, node: ast.Compare) -> ast.Compare:
        self.generic_visit(node)
        mirrored = _MIRRORED.get(type(node.ops[0]))
        if len(node.ops) > 1 or mirrored is None:
            return node
        return ast.Compare(node.comparators[0], [mirrored()], [node.left])


EXPRESSION_TRICKS: dict[str, Callable[[str, random.Random], str]] = {
    "no type hints": without_hints,
    "other type hints": other_hints,
    "other formatting": other_formatting,
    "turned conditions": turned_conditions,
}
