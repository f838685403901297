"""What the benchmark of evasions asks: functions of indexed projects under one trick, or several, by language.

Equal seeds draw equal material. Knows no detector.
"""

from __future__ import annotations

import ast
import random
from typing import TYPE_CHECKING

from brace_evasions import tricks_of
from braces import LANGUAGES
from braces import functions as brace_functions
from clones import TESTS, functions, nodes
from evasions import EVASIONS, OF_CLASSES, combined, several
from questions import Question, seeded

from guard.corpus import SourceFile, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from evasions import Evasion

    Owned = tuple[str, str]
    """An owner and a text of his."""

ALL_AT_ONCE = "all at once"
SHUFFLED = "functions shuffled"
UNCHANGED = "unchanged"
"""What no trick was played on, to compare with."""
TOGETHER = 3
"""Functions of one file that are shuffled."""
PYTHON_KINDS: dict[str, Evasion] = {
    **{kind: EVASIONS[kind] for kind in ("reformatted", "broken lines", "commented", "capitals")},
    "other names": EVASIONS["camel case"],
    **{kind: EVASIONS[kind] for kind in ("other literals", "reordered statements", "dead code", "while loops")},
    "no declared types": EVASIONS["no type hints"],
    "combined": combined,
}
"""Python's tricks by the kinds that the languages share."""
_TESTS = TESTS | {"__tests__", "__mocks__"}
_CLASS_LINES = range(20, 81)
_CLASS_METHODS = 3


def tricks(files: Mapping[str, Sequence[tuple[str, str]]], count: int, seed: int) -> dict[str, list[Question]]:
    """By Python trick what to ask; tricks that change none of the texts are left out."""
    known, whole = _python(files, count, seed)
    every: dict[str, Evasion] = {**EVASIONS, ALL_AT_ONCE: several}
    asked = {trick: _played(trick, evasion, known) for trick, evasion in every.items()}
    asked |= {trick: _played(trick, evasion, whole) for trick, evasion in OF_CLASSES.items()}
    return {trick: some for trick, some in asked.items() if some}


def kinds(
    files: Mapping[str, Sequence[tuple[str, str]]], others: Mapping[str, Path], count: int, seed: int
) -> dict[str, dict[str, list[Question]]]:
    """By language and kind what to ask. `files`: Python's by owner; `others`: trees in languages with braces."""
    known, whole = _python(files, count, seed)
    shuffled = [question for trick in OF_CLASSES for question in _played(trick, OF_CLASSES[trick], whole)]
    asked = {"python": _kinds(PYTHON_KINDS, known, shuffled)}
    for language in LANGUAGES:
        rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
        by_file = [
            (owner, some)
            for owner, folder in others.items()
            for text in _texts(folder, language)
            if (some := list(brace_functions(text, language)))
        ]
        single = [(owner, text) for owner, some in by_file for text in some]
        rng.shuffle(single)
        asked[language] = _kinds(tricks_of(language), single[:count], _shuffled(by_file, rng)[:count])
    return {language: some for language, some in asked.items() if any(some.values())}


def _kinds(some: Mapping[str, Evasion], texts: Sequence[Owned], shuffled: list[Question]) -> dict[str, list[Question]]:
    """The questions of one language: texts as they are, under each trick, and those that were shuffled."""
    asked = {UNCHANGED: [Question(text, "", owner) for owner, text in texts]}
    asked |= {kind: _played(kind, evasion, texts) for kind, evasion in some.items()}
    return asked | {SHUFFLED: shuffled}


def _python(files: Mapping[str, Sequence[tuple[str, str]]], count: int, seed: int) -> tuple[list[Owned], list[Owned]]:
    """So many functions, and half as many classes."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    known = [(one.project, one.text) for name, some in files.items() for one in functions(name, some)]
    whole = [(name, text) for name, some in files.items() for text in classes(some)]
    rng.shuffle(known)
    rng.shuffle(whole)
    return known[:count], whole[: count // 2]


def classes(files: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Classes of some length with several methods in files of (path, text), tests left out."""
    for _, node in nodes(files):
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) for one in node.body)
            code = ast.unparse(node)
            if methods >= _CLASS_METHODS and code.count("\n") + 1 in _CLASS_LINES:
                yield code


def _texts(folder: Path, language: str) -> Iterator[str]:
    """The files of a language below a folder that the guard would index, tests left out."""
    for file in walk(folder):
        if isinstance(file, SourceFile) and file.language == language and not _TESTS & set(file.path.split("/")):
            yield file.text


def _shuffled(by_file: Iterable[tuple[str, list[str]]], rng: random.Random) -> list[Question]:
    """The first TOGETHER functions of every file that has as many, in another order."""
    asked = []
    for owner, some in by_file:
        order = list(range(TOGETHER))
        while order == sorted(order):
            rng.shuffle(order)
        if len(some) >= TOGETHER:
            asked.append(Question("\n".join(some[at] for at in order), "", owner))
    rng.shuffle(asked)
    return asked


def _played(trick: str, evasion: Evasion, texts: Iterable[Owned]) -> list[Question]:
    """Questions about the texts that the trick changes."""
    played = [(owner, text, evasion(text, seeded(trick, text))) for owner, text in texts]
    return [Question(changed, "", owner) for owner, text, changed in played if changed.strip() != text.strip()]
