"""Which trick hides a copy from the guard? Recall by trick, beside datasketch's MinHashLSH, and by kind and language.

Every trick of `evasions.py` is played on functions of indexed Python projects, and those of `brace_evasions.py` on
functions in other languages; a function on which a trick finds nothing to do is not counted, and the number of those
that are stands beside it. Recall counts a copy only if the right owner is named. Without npm there is only Python.

    SCALE=small|full python benchmarks/guard_evasions.py [--json] [--cache DIR] [--seed N]
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from corpora import INDEXED, SMALL, polyglot, python_files, sources
from evasion_material import kinds, tricks
from guard_accuracy import Guarding, guarding
from options import options_of
from questions import OneByOne, recall
from report import Report, progress
from rivals import Datasketch

from published.errors import PublishedCodeError

if TYPE_CHECKING:
    from questions import BatchDetector, Question

    from guard.check import Guard

SIZES = {"small": 200, "full": 1000}
"""How many functions; and half as many classes."""


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, seeded=True)
    count = SIZES[options.scale]
    report = Report("guard-evasions")
    indexed = sources(INDEXED[:SMALL] if options.scale == "small" else INDEXED, options.cache)
    others, missing = polyglot(options.cache)
    files = {name: list(python_files(folder)) for name, folder in indexed.items()}
    with progress() as bar, guarding(indexed | others, options.seed, bar) as guard:
        peers = {"guard": OneByOne(Guarding(guard)), "datasketch": OneByOne(Datasketch.of(files))}
        _by_trick(report, peers, tricks(files, count, options.seed))
        _by_kind(report, guard, kinds(files, others, count, options.seed))
    report.notes += missing
    report.notes.append(f"code of {len(indexed | others)} indexed projects, seed {options.seed}, SCALE={options.scale}")
    report.show(json_only=options.json)


def _by_trick(report: Report, peers: dict[str, OneByOne], drawn: dict[str, list[Question]]) -> None:
    """Python, beside the peer."""
    rows = []
    for trick, asked in drawn.items():
        rates = {name: recall(peer, asked) for name, peer in peers.items()}
        report.figures |= {f"{name}_recall_{_figure(trick)}": rate for name, rate in rates.items()}
        rows.append([trick, str(len(asked)), *(f"{rate:.3f}" for rate in rates.values())])
    report.table("Copies found in Python, by the right owner, by trick", ["trick", "copies", *peers], rows)


def _by_kind(report: Report, guard: Guard, drawn: dict[str, dict[str, list[Question]]]) -> None:
    """The guard in every language."""
    cells: dict[str, dict[str, str]] = {}
    for language, some in drawn.items():
        detector: BatchDetector = OneByOne(Guarding(guard, language))
        for kind, asked in some.items():
            if asked:
                rate = recall(detector, asked)
                report.figures[f"recall_{_figure(kind)}_{_figure(language)}"] = rate
                cells.setdefault(kind, {})[language] = f"{rate:.3f} of {len(asked)}"
    rows = [[kind, *(row.get(language, "-") for language in drawn)] for kind, row in cells.items()]
    report.table("Copies found by the guard, by the right owner, by kind and language", ["kind", *drawn], rows)


def _figure(words: str) -> str:
    return words.replace(" ", "_").replace("-", "_")


if __name__ == "__main__":
    try:
        main()
    except PublishedCodeError as error:
        sys.exit(f"error: {error}")
