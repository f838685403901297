"""Functions from real code, and the disguises in which a model might recite them. Knows nothing of the guard.

T1 layout (lines joined and quotes normalized by `ast.unparse`, another indentation, blank lines and comments added,
docstring and comments dropped); T2 renamed (also every name, string and number another); T3 renamed and edited (also
one line in seven deleted, one in six inserted); P1 and P2 are T1 and T2 inside 60 foreign lines. The types are those of
Roy & Cordy, A survey on software clone detection research (2007).

Whatever looks random is drawn from the generator that is passed in, so equal seeds give equal benchmarks.
"""

from __future__ import annotations

import ast
import builtins
import keyword
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator

MIN_LINES, MAX_LINES = 9, 22
SPAN_LINES = 60
KINDS = ("T1", "T2", "T3", "P1", "P2")
TESTS = frozenset({"tests", "test", "testing", "_vendor", "vendor"})
"""Folders whose functions are left out: tests are boilerplate, and vendored code is somebody else's."""
_KEPT = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | {"self", "cls"}
_WORDS = (
    "alpha", "beta", "gamma", "delta", "omega", "node", "item", "entry", "value", "field", "record", "state", "limit",
    "index", "token", "frame", "chunk",
)  # fmt: skip
_NAME_FIELDS = frozenset({"id", "attr", "name", "arg", "asname", "module", "names", "kwd_attrs", "rest"})
"""Where Python's syntax tree keeps identifiers."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a project, as `ast.unparse` writes it, without docstring and comments."""

    project: str
    path: str
    name: str
    text: str


def functions(project: str, files: Iterable[tuple[str, str]]) -> Iterator[Function]:
    """Every function of MIN_LINES to MAX_LINES lines of code in files of (path, text), tests left out."""
    for path, node in nodes(files):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            code = ast.unparse(node)
            if MIN_LINES <= code.count("\n") + 1 <= MAX_LINES:
                yield Function(project, path, node.name, code)


def nodes(files: Iterable[tuple[str, str]]) -> Iterator[tuple[str, ast.AST]]:
    """Path and every node of files of (path, text) that are Python's, tests left out."""
    for path, text in files:
        if TESTS & set(path.split("/")):
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            yield path, node


def spans(files: Iterable[tuple[str, str]], length: int = SPAN_LINES) -> Iterator[str]:
    """Runs of `length` lines of files of (path, text) as they stand, one after the other."""
    for _, text in files:
        lines = text.splitlines()
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


def thirds(text: str, lines: int = 3) -> Iterator[tuple[str, str]]:
    """The function a few lines at a time: what is asked for, and the earlier lines that come as its prefix."""
    drawn = text.splitlines()
    for start in range(0, len(drawn), lines):
        prefix = "".join(f"{line}\n" for line in drawn[:start])
        yield prefix, "".join(f"{line}\n" for line in drawn[start : start + lines])


def layout(text: str, rng: random.Random) -> str:
    """Type 1: another indentation, blank lines and comments."""
    step = rng.choice([2, 3, 8])
    lines = []
    for line in text.splitlines():
        body = line.lstrip(" ")
        lines.append(" " * ((len(line) - len(body)) // 4 * step) + body)
        if rng.random() < 0.15:  # noqa: PLR2004 - about one line in seven is followed by something that says nothing
            lines.append(rng.choice(["", "# step", "# see above", ""]))
    return "\n".join(lines) + "\n"


def renamed(text: str, rng: random.Random) -> str:
    """Type 2: every name that is neither keyword nor builtin, every string and every number becomes another."""
    tree = ast.parse(text)
    names: dict[str, str] = {}

    def other(name: str) -> str:
        parts = name.split(".")
        return ".".join(
            part if part in _KEPT or not part else names.setdefault(part, f"{rng.choice(_WORDS)}_{len(names)}")
            for part in parts
        )

    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = _other_literal(node.value, rng)
            continue
        for field, value in ast.iter_fields(node):
            if field not in _NAME_FIELDS:
                continue
            if isinstance(value, str):
                setattr(node, field, other(value))
            elif isinstance(value, list) and value and isinstance(value[0], str):
                setattr(node, field, [other(name) for name in value])
    return layout(ast.unparse(tree), rng)


def edited(text: str, foreign: list[str], rng: random.Random) -> str:
    """Type 3: one line in seven deleted, one statement of foreign code inserted for every six."""
    pool = _statements(rng.choice(foreign)) or ["pass"]
    lines = []
    for number, line in enumerate(text.splitlines()):
        indent = line[: len(line) - len(line.lstrip())]
        if number == 0 or rng.random() >= 1 / 7:
            lines.append(line)
        if number and rng.random() < 1 / 6:
            lines.append(indent + rng.choice(pool))
    return "\n".join(lines) + "\n"


def _statements(text: str) -> list[str]:
    """The lines that are statements on their own; a stray quote or bracket would change what stands around it."""
    statements = []
    for line in text.splitlines():
        code = line.strip()
        try:
            if ast.parse(code).body:
                statements.append(code)
        except (SyntaxError, ValueError):
            continue
    return statements


def _other_literal(value: object, rng: random.Random) -> str | bytes | int | float | complex | bool | None:
    if isinstance(value, str):
        return f"{rng.choice(_WORDS)} {rng.randrange(1000)}"
    if isinstance(value, bytes):
        return f"{rng.choice(_WORDS)} {rng.randrange(1000)}".encode()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return rng.randrange(2, 1000)
    return value  # type: ignore[return-value]  # what is left is True, False, None, ... or complex
