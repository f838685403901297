"""Which single trick hides a copy from the guard? Recall by trick, beside datasketch's MinHashLSH on the same code.

Every trick of `evasions.py` is played on functions of indexed projects; a function on which it finds nothing to do is
not counted, and the number of those that are stands beside it. Recall counts a copy only if the right owner is named.

    SCALE=small|full python benchmarks/guard_evasions.py [--json] [--cache DIR] [--seed N]
"""

from __future__ import annotations

import ast
import random
import sys
from typing import TYPE_CHECKING

from clones import TESTS, functions
from corpora import INDEXED, SMALL, CorpusDownloadError, python_files, sources
from evasions import EVASIONS, OF_CLASSES, several
from guard_accuracy import Guarding, guarding
from options import options_of
from questions import OneByOne, Question, recall, seeded
from report import Report, progress
from rivals import Datasketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evasions import Evasion

SIZES = {"small": 200, "full": 1000}
"""How many functions; and half as many classes."""
ALL_AT_ONCE = "all at once"
CLASS_LINES = range(20, 81)
CLASS_METHODS = 3


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, seeded=True)
    indexed = sources(INDEXED[:SMALL] if options.scale == "small" else INDEXED, options.cache)
    files = {name: list(python_files(folder)) for name, folder in indexed.items()}
    drawn = questions(files, SIZES[options.scale], options.seed)
    report = Report("guard-evasions")
    with progress() as bar, guarding(indexed, options.seed, bar) as guard:
        peers = {"guard": OneByOne(Guarding(guard)), "datasketch": OneByOne(Datasketch.of(files))}
        rows = []
        for trick, asked in drawn.items():
            rates = {name: recall(peer, asked) for name, peer in peers.items()}
            figure = trick.replace(" ", "_")
            report.figures |= {f"{name}_recall_{figure}": rate for name, rate in rates.items()}
            rows.append([trick, str(len(asked)), *(f"{rate:.3f}" for rate in rates.values())])
    report.table("Copies found, by the right owner, by trick", ["trick", "copies", *peers], rows)
    report.notes.append(f"functions and classes of {len(files)} indexed projects, seed {options.seed}")
    report.show(json_only=options.json)


def questions(files: dict[str, list[tuple[str, str]]], count: int, seed: int) -> dict[str, list[Question]]:
    """By trick what to ask; tricks that change none of the texts are left out."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    known = [(one.project, one.text) for name, some in files.items() for one in functions(name, some)]
    whole = [(name, text) for name, some in files.items() for text in classes(some)]
    rng.shuffle(known)
    rng.shuffle(whole)
    tricks: dict[str, Evasion] = {**EVASIONS, ALL_AT_ONCE: several}
    asked = {trick: _played(trick, evasion, known[:count]) for trick, evasion in tricks.items()}
    asked |= {trick: _played(trick, evasion, whole[: count // 2]) for trick, evasion in OF_CLASSES.items()}
    return {trick: some for trick, some in asked.items() if some}


def classes(files: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Classes of some length with several methods in files of (path, text), tests left out."""
    for path, text in files:
        if TESTS & set(path.split("/")):
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                methods = sum(isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) for one in node.body)
                code = ast.unparse(node)
                if methods >= CLASS_METHODS and code.count("\n") + 1 in CLASS_LINES:
                    yield code


def _played(trick: str, evasion: Evasion, texts: list[tuple[str, str]]) -> list[Question]:
    played = [(owner, text, evasion(text, seeded(trick, text))) for owner, text in texts]
    return [Question(changed, "", owner) for owner, text, changed in played if changed.strip() != text.strip()]


if __name__ == "__main__":
    try:
        main()
    except CorpusDownloadError as error:
        sys.exit(f"error: {error}")
