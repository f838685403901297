"""Ways to hide a copied function, each a text that becomes another of nearly the same meaning. Knows no guard.

What `clones.py` calls disguises are the kinds of the literature; these are single tricks, so that a benchmark can say
which of them works. Those on statements are in `rewriting.py`, on expressions in `rewording.py`. A trick that finds
nothing to do answers what came in, in another layout perhaps. Whatever looks random is drawn from the generator that is
passed in. None of them aims at a program that still runs in every corner: someone who hides a copy mends that by hand.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import tokenize
from typing import TYPE_CHECKING

from rewording import EXPRESSION_TRICKS
from rewriting import STATEMENT_TRICKS, reordered_functions

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Evasion = Callable[[str, random.Random], str]

_KEPT = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | {"self", "cls"}
_LOOSE = frozenset(
    "= == != < > <= >= + - * / % | & -> += -= *= /= , : ( ) [ ] { }".split()  # noqa: SIM905 - a list hides them
)
"""Operators that may stand close to their neighbours or apart from them."""
_REMARKS = ("# step", "# see the ticket", "# TODO: tidy", "# next", "# as agreed", "# keep in order", "# hm")
_SAYINGS = ("request", "missing value", "unexpected state", "not found", "ok", "the limit", "see the manual")
_IN_STRING = frozenset({getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_MIDDLE", -1)})


def reformatted(text: str, rng: random.Random) -> str:
    """Another indentation, and spaces round operators by chance."""
    step = rng.choice([2, 3, 8])
    pieces: list[str] = []
    last = (1, 0)
    fresh, depth = True, 0
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in {tokenize.INDENT, tokenize.DEDENT}:
            depth += 1 if token.type == tokenize.INDENT else -1
            continue
        if token.type == tokenize.ENDMARKER:
            break
        gap = " " * (token.start[1] - last[1]) if token.start[0] == last[0] else " " * token.start[1]
        if fresh and token.type not in {tokenize.NL, tokenize.COMMENT}:
            gap = " " * (step * depth)
        elif not fresh and token.start[0] == last[0] and _loose(previous, token):
            gap = rng.choice(["", " ", "  "])
        pieces += [gap, token.string]
        last, previous = token.end, token.string
        fresh = token.type in {tokenize.NEWLINE, tokenize.NL} and (fresh or token.type == tokenize.NEWLINE)
    return "".join(pieces)


def _loose(previous: str, token: tokenize.TokenInfo) -> bool:
    """Whether the gap before a token says nothing. Inside of an f-string it may."""
    if token.type in _IN_STRING or previous.startswith(("f'", 'f"')):
        return False
    return previous in _LOOSE or token.string in _LOOSE


def broken_lines(text: str, rng: random.Random) -> str:
    """Every pair of brackets with a comma in it goes over several lines, one for each item."""
    lines = []
    for line in ast.unparse(ast.parse(text)).splitlines():
        opened: list[str] = []
        pieces = []
        last = 0
        indent = " " * (len(line) - len(line.lstrip()) + rng.choice([4, 8]))
        for token in _tokens_of(line):
            if token.string in {"(", "[", "{"}:
                opened.append(token.string)
            elif token.string in {")", "]", "}"} and opened:
                opened.pop()
            if opened and token.string in {"(", "[", "{", ","}:
                pieces += [line[last : token.end[1]].rstrip(), "\n", indent]
                last = token.end[1] + (line[token.end[1] : token.end[1] + 1] == " ")
        lines.append("".join(pieces) + line[last:])
    return "\n".join(lines) + "\n"


def _tokens_of(line: str) -> list[tokenize.TokenInfo]:
    """Brackets and commas outside of strings; none if the line is not one by itself (a string over several lines)."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.strip() + "\n").readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    shift = len(line) - len(line.lstrip())
    found, inside = [], 0
    for token in tokens:
        inside += (token.type == getattr(tokenize, "FSTRING_START", -1)) - (
            token.type == getattr(tokenize, "FSTRING_END", -1)
        )
        if token.type == tokenize.OP and not inside:
            found.append(token._replace(end=(token.end[0], token.end[1] + shift)))
    return found


def commented(text: str, rng: random.Random) -> str:
    """A comment after every line."""
    lines = []
    for line in ast.unparse(ast.parse(text)).splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        lines += [line, f"{indent}{rng.choice(_REMARKS)} {rng.randrange(100)}"]
    return "\n".join(lines) + "\n"


def capitals(text: str, rng: random.Random) -> str:
    """Every name in capital letters, keywords and builtins aside."""
    del rng
    return _names(text, str.upper)


def camel_case(text: str, rng: random.Random) -> str:
    """Every name in camelCase, with a letter before it that chance draws."""
    letter = rng.choice("abcxyz")

    def changed(name: str) -> str:
        first, *rest = name.strip("_").split("_")
        return letter + "".join(word[:1].upper() + word[1:] for word in (first, *rest))

    return _names(text, changed)


def _names(text: str, changed: Callable[[str], str]) -> str:
    tree = ast.parse(text)
    fields = {"id", "attr", "name", "arg", "asname"}
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if field in fields and isinstance(value, str) and value not in _KEPT and "." not in value:
                setattr(node, field, changed(value))
            elif isinstance(node, ast.Global | ast.Nonlocal) and isinstance(value, list):
                setattr(node, field, [changed(name) for name in value])
    return ast.unparse(tree) + "\n"


def other_literals(text: str, rng: random.Random) -> str:
    """Every string and number another; names stay."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
            continue
        if isinstance(node.value, str):
            node.value = f"{rng.choice(_SAYINGS)} {rng.randrange(100)}"
        elif isinstance(node.value, int | float):
            node.value += rng.randrange(1, 100)
    return ast.unparse(tree) + "\n"


EVASIONS: dict[str, Evasion] = {
    "reformatted": reformatted,
    "broken lines": broken_lines,
    "commented": commented,
    "capitals": capitals,
    "camel case": camel_case,
    "other literals": other_literals,
    **STATEMENT_TRICKS,
    **EXPRESSION_TRICKS,
}
"""Every trick for one function, by name."""

OF_CLASSES: dict[str, Evasion] = {"methods shuffled": reordered_functions}
"""Those that want a class."""


def several(text: str, rng: random.Random, names: tuple[str, ...] = tuple(EVASIONS)) -> str:
    """Some tricks one after the other, in an order that chance draws."""
    for name in rng.sample(names, len(names)):
        text = EVASIONS[name](text, rng)
    return text


COMBINED = ("other literals", "reordered statements", "dead code", "while loops", "no type hints", "camel case")


def combined(text: str, rng: random.Random) -> str:
    """The tricks of COMBINED one after the other, then comments in another layout: what one would do to hide a copy."""
    for name in (*COMBINED, "commented", "reformatted"):
        text = EVASIONS[name](text, rng)
    return text
