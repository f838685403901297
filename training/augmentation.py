"""Examples with other identifiers that mean the same. Knows Python's scopes, and no model.

Renamed are names that a function keeps to itself: its variables, and parameters that nobody can pass by keyword. What
others may see stays: attributes, modules, functions, classes, and every name that a string or a look at the running
program could reach. Other languages stay as they are, since without a parser of theirs nobody could say the same.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import keyword
import logging
import random
import re
import symtable
import warnings
from dataclasses import dataclass, replace
from itertools import chain, count, product, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from training.examples import Example

_LOG = logging.getLogger(__name__)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_LOOKING = frozenset({"locals", "vars", "eval", "exec", "dir", "globals", "__class__"})
"""Names of what can see a variable's name."""
_KEPT = frozenset({"self", "cls", "_"})
_FIRST = ("old", "new", "next", "last", "main", "raw", "full", "inner", "outer", "local", "given", "known")
_SECOND = ("item", "value", "entry", "part", "result", "record", "node", "field", "group", "piece", "line", "data")
_NEWLINE = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Renaming:
    """Examples, of which `renamed` have other names than before.

    Of those that were drawn for it, `others` are in another language, and `untouched` do not parse or have no name that
    may be changed.
    """

    examples: list[Example]
    renamed: int
    others: int
    untouched: int


@dataclass(frozen=True, slots=True)
class _Edit:
    """Bytes `start` to `end` of a text are to become `name`."""

    start: int
    end: int
    name: bytes


def renamed(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The examples, in order, a `share` of them (0 to 1) with other identifiers. What was done is logged."""
    done = rename(examples, share, seed)
    _LOG.info(
        "identifiers renamed in %d of %d examples; left as they were: %d in other languages, %d with nothing to rename",
        done.renamed, len(examples), done.others, done.untouched,
    )  # fmt: skip
    return done.examples


def rename(examples: Iterable[Example], share: float, seed: int) -> Renaming:
    """As `renamed`, with counts. Which are drawn depends on path and `seed` alone, never on other examples."""
    result: list[Example] = []
    counts = {"renamed": 0, "others": 0, "untouched": 0}
    for example in examples:
        draw = random.Random(hashlib.blake2b(b"%d %s" % (seed, example.path.encode())).digest())  # noqa: S311 - no secret
        if draw.random() >= share:
            result.append(example)
            continue
        changed = _renamed(example, draw) if example.language == "python" else example
        kind = "others" if example.language != "python" else "untouched" if changed is example else "renamed"
        counts[kind] += 1
        result.append(changed)
    return Renaming(result, **counts)


def _renamed(example: Example, draw: random.Random) -> Example:
    text = (example.prefix + example.middle + example.suffix).encode()
    edits = edits_of(text, draw)
    if not edits:
        return example
    start = len(example.prefix.encode())
    end = start + len(example.middle.encode())
    changed = _applied(text, edits)
    # Names are ASCII, so that a cut within one stays between two characters.
    start, end = _moved(start, edits), _moved(end, edits)
    return replace(
        example, prefix=changed[:start].decode(), middle=changed[start:end].decode(), suffix=changed[end:].decode()
    )


def edits_of(text: bytes, draw: random.Random) -> list[_Edit]:
    """What to change in a Python source so that it means the same under other names; nothing if it does not parse."""
    tree = _parsed(text)
    if tree is None:
        return []
    taken = {word for node in ast.walk(tree) for word in _words(node)} | set(dir(builtins)) | set(keyword.kwlist)
    calls = _calls(tree)
    starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]
    edits = []
    for function in _outermost(tree):
        fresh = _fresh_names(taken, draw)
        for old, places in sorted(_own_names(function, calls).items()):
            new = "_" * (len(old) - len(old.lstrip("_"))) + next(fresh)
            for line, column in places:
                start = starts[line - 1] + column
                edits.append(_Edit(start, start + len(old), new.encode()))
    edits.sort(key=lambda one: one.start)
    return edits if _keeps_shape(text, edits, tree) else []


def _parsed(text: bytes) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What a compiler says of others' code.
            return ast.parse(text.decode())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _keeps_shape(text: bytes, edits: Sequence[_Edit], tree: ast.Module) -> bool:
    changed = _parsed(_applied(text, edits)) if edits else None
    return changed is not None and alike(changed, tree)


def alike(one: ast.AST, other: ast.AST) -> bool:
    """Whether two trees are equal but for the names of variables and parameters, and for positions."""
    pairs = zip_longest(map(_told, ast.walk(one)), map(_told, ast.walk(other)))
    return all(first == second for first, second in pairs)


def _told(node: ast.AST) -> list[object]:
    """What a node is beside its children, of which the number is told."""
    told: list[object] = [type(node)]
    for field, value in ast.iter_fields(node):
        if (isinstance(node, ast.Name) and field == "id") or (isinstance(node, ast.arg) and field == "arg"):
            continue
        if isinstance(value, list):
            told.append([one if not isinstance(one, ast.AST) else None for one in value])
        else:
            # repr tells 1, 1.0 and True apart.
            told.append(None if isinstance(value, ast.AST) else repr(value))
    return told


def _applied(text: bytes, edits: Sequence[_Edit]) -> bytes:
    parts, at = [], 0
    for edit in edits:
        parts += [text[at : edit.start], edit.name]
        at = edit.end
    return b"".join([*parts, text[at:]])


def _moved(at: int, edits: Sequence[_Edit]) -> int:
    """Where a place in the text lies in the changed one."""
    moved = at
    for edit in edits:
        if edit.end <= at:
            moved += len(edit.name) - (edit.end - edit.start)
        elif edit.start < at:
            # Within the old name: as far into the new one, as far as it reaches.
            moved += min(at - edit.start, len(edit.name)) - (at - edit.start)
    return moved


def _fresh_names(taken: set[str], draw: random.Random) -> Iterator[str]:
    """Names that are not taken, with underscores before them or without; they do not end."""
    pairs = [f"{one}_{two}" for one, two in product(_FIRST, _SECOND)]
    draw.shuffle(pairs)
    names = [*draw.sample(_SECOND, len(_SECOND)), *pairs]
    bare = {name.lstrip("_") for name in taken}
    tails = chain([""], map(str, count(2)))
    return (name + tail for tail in tails for name in names if name + tail not in bare)


def _words(node: ast.AST) -> Iterator[str]:
    for _, value in ast.iter_fields(node):
        if isinstance(value, str):
            yield from re.findall(r"\w+", value)
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))


def _outermost(node: ast.AST) -> Iterator[_Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function):
            yield child
        else:
            yield from _outermost(child)


def _own_names(function: _Function, calls: _Calls) -> dict[str, list[tuple[int, int]]]:
    """The names that `function` keeps to itself, with the line and the column (in bytes) of each occurrence."""
    nodes = [node for node in ast.walk(function) if node is not function]
    if any(isinstance(node, ast.Name) and node.id in _LOOKING for node in nodes):
        return {}
    own = _bound_within(function) - _KEPT - set(_seen_outside(function, nodes, calls))
    places: dict[str, list[tuple[int, int]]] = {}
    for node in nodes:
        name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else None
        if name in own and isinstance(node, ast.Name | ast.arg) and name.isascii() and not name.startswith("__"):
            places.setdefault(name, []).append((node.lineno, node.col_offset))
    return places


def _bound_within(function: _Function) -> set[str]:
    """Names that in every scope of `function` are variables of it or of a scope around it, but never the file's."""
    # Scopes are Python's own, of the function by itself: what it takes from outside is global there.
    try:
        top = symtable.symtable(ast.unparse(function), "function", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    local: set[str] = set()
    others = set(top.get_identifiers())
    for table in _below(top):
        if table.get_type() not in {"function", "class"}:
            return set()
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if symbol.is_global() or symbol.is_imported() or (table.get_type() == "class" and symbol.is_assigned()):
                others.add(name)
            elif symbol.is_local():
                local.add(name)
    return local - others


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _below(child)


def _seen_outside(function: _Function, nodes: Sequence[ast.AST], calls: _Calls) -> Iterator[str]:
    """Names that stand where a mere variable does not, or that a caller may write."""
    for node in nodes:
        match node:
            case ast.JoinedStr():
                # Python before 3.12 does not tell where they stand.
                yield from (one.id for one in ast.walk(node) if isinstance(one, ast.Name))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.ExceptHandler():
                yield node.name or ""
            case ast.Global() | ast.Nonlocal():
                yield from node.names
            case ast.MatchAs() | ast.MatchStar():
                yield node.name or ""
            case ast.MatchMapping():
                yield node.rest or ""
    for node in (function, *nodes):
        if isinstance(node, _Function):
            yield from _passed(node, calls, inner=node is not function)
        elif isinstance(node, ast.Lambda):
            yield from (one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg))


@dataclass(frozen=True, slots=True)
class _Calls:
    """How a file calls. `keywords`: what is passed by name; `open`: some by `**`; `values`: names not just called."""

    keywords: frozenset[str]
    open: bool
    values: Mapping[str, int]


def _calls(tree: ast.Module) -> _Calls:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    passed = [one.arg for call in calls for one in call.keywords]
    called = {id(call.func) for call in calls}
    values: dict[str, int] = {}
    for node in ast.walk(tree):
        if id(node) not in called and isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            values[name] = values.get(name, 0) + 1
    return _Calls(frozenset(one for one in passed if one), None in passed, values)


def _passed(function: _Function, calls: _Calls, *, inner: bool) -> Iterator[str]:
    """The parameters that a caller may pass by keyword, or that a decorator may read."""
    given = function.args
    hidden = inner or (function.name.startswith("_") and not function.name.endswith("__"))
    closed = hidden and not function.decorator_list and not calls.open and function.name not in calls.values
    for one in (*given.args, *given.kwonlyargs):
        if not closed or one.arg in calls.keywords:
            yield one.arg
    if function.decorator_list:
        yield from (one.arg for one in ast.walk(given) if isinstance(one, ast.arg))
