"""Functions from real code, and the disguises in which a model might recite them.

T1 layout (re-indented, quotes, blank lines, comments); T2 renamed (every name and literal); T3 renamed and edited (one
line in seven deleted, one in six inserted); P1 and P2 are T1 and T2 inside 60 foreign lines. The types are those of
Roy & Cordy, A survey on software clone detection research (2007).
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import random
import textwrap
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIN_LINES, MAX_LINES = 9, 22
FOREIGN_LINES = 60
KINDS = ("T1", "T2", "T3", "P1", "P2")
_KEPT = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | {"self", "cls"}
_WORDS = "alpha beta gamma delta omega node item entry value field record state limit index token frame chunk".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a project: its file, its name and its dedented text without docstring and comments."""

    project: str
    path: str
    name: str
    text: str


def functions(project: str, root: Path) -> Iterator[Function]:
    """Every function of MIN_LINES to MAX_LINES lines of code below `root`, docstring and comments not counted."""
    for path in sorted(root.rglob("*.py")):
        if {"tests", "test", "testing", "_vendor", "vendor"} & set(path.parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if ast.get_docstring(node) is not None:
                    node.body = node.body[1:] or [ast.Pass()]
                text = ast.unparse(node)
                if MIN_LINES <= text.count("\n") + 1 <= MAX_LINES:
                    yield Function(project, str(path.relative_to(root)), node.name, text)


def spans(root: Path, length: int = FOREIGN_LINES) -> Iterator[str]:
    """Runs of `length` lines of the source as it stands, one after the other."""
    for path in sorted(root.rglob("*.py")):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for start in range(0, len(lines) - length + 1, length):
            yield "\n".join(lines[start : start + length]) + "\n"


def disguise(kind: str, text: str, foreign: list[str], rng: random.Random) -> str:
    """One disguise of a function. `foreign` holds spans of other projects' code."""
    if kind == "T1":
        return layout(text, rng)
    if kind == "T2":
        return renamed(text, rng)
    if kind == "T3":
        return edited(renamed(text, rng), foreign, rng)
    inner = layout(text, rng) if kind == "P1" else renamed(text, rng)
    lines = rng.choice(foreign).splitlines()
    cut = rng.randrange(10, len(lines) - 10)
    return "\n".join([*lines[:cut], "", *inner.splitlines(), "", *lines[cut:]]) + "\n"


def layout(text: str, rng: random.Random) -> str:
    """Type 1: another indentation, blank lines and comments."""
    step = rng.choice([2, 3, 8])
    lines = []
    for line in text.splitlines():
        body = line.lstrip(" ")
        lines.append(" " * ((len(line) - len(body)) // 4 * step) + body)
        if rng.random() < 0.15:
            lines.append(rng.choice(["", "# step", "# see above", ""]))
    return "\n".join(lines) + "\n"


def renamed(text: str, rng: random.Random) -> str:
    """Type 2: every name that is neither keyword nor builtin, every string and every number becomes another."""
    names: dict[str, str] = {}
    tokens = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        value = token.string
        if token.type == tokenize.NAME and value not in _KEPT:
            value = names.setdefault(value, f"{rng.choice(_WORDS)}_{len(names)}")
        elif token.type == tokenize.STRING and value[0] in "'\"":
            value = f'"{rng.choice(_WORDS)} {rng.randrange(1000)}"'
        elif token.type == tokenize.NUMBER:
            value = str(rng.randrange(2, 1000))
        tokens.append((token.type, value))
    return layout(_readable(tokens), rng)


def edited(text: str, foreign: list[str], rng: random.Random) -> str:
    """Type 3: one line in seven deleted, one of foreign code inserted for every six."""
    pool = [line.strip() for line in rng.choice(foreign).splitlines() if line.strip()]
    lines = []
    for number, line in enumerate(text.splitlines()):
        indent = line[: len(line) - len(line.lstrip())]
        if number == 0 or rng.random() >= 1 / 7:
            lines.append(line)
        if number and rng.random() < 1 / 6:
            lines.append(indent + rng.choice(pool))
    return "\n".join(lines) + "\n"


def _readable(tokens: list[tuple[int, str]]) -> str:
    """Python source from tokens; `tokenize.untokenize` keeps the structure, the layout is the caller's."""
    return textwrap.dedent(tokenize.untokenize(tokens))
