"""Does the guard take common knowledge for somebody's code? No idiom of `idioms/` may be blocked.

    SCALE=small|full python benchmarks/guard_idioms.py [--json] [--cache DIR] [--seed N]

The index holds the Python projects of the accuracy benchmark and, where npm is to be had, one in other languages, each
an organization, beside the standard library. An idiom is asked about as its language, and as one that is not named.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from corpora import INDEXED, SMALL, polyglot, sources
from guard_accuracy import STRANGER, guarding
from idioms import Idiom, blocked, idioms
from options import options_of
from report import Report, progress

from guard.check import Guard, GuardQuery
from guard.types import Action
from published.errors import PublishedCodeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZES = {"small": SMALL, "full": len(INDEXED)}
"""How many of the projects are indexed."""


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, seeded=True)
    report = Report("guard-idioms")
    known = idioms()
    indexed = sources(INDEXED[: SIZES[options.scale]], options.cache)
    others, report.notes = polyglot(options.cache)
    indexed |= others
    with progress() as bar, guarding(indexed, options.seed, bar) as guard:
        found = blocked(blockers(guard), known)
        found += [pair for pair in blocked(unnamed(guard), known) if pair not in found]
    report.figures["idioms"] = len(known)
    report.figures["idioms_blocked"] = len(found)
    report.at_most("idioms_blocked", 0)
    _describe(report, known, found, indexed)
    report.show(json_only=options.json)


def blockers(guard: Guard) -> Callable[[str, str | None], set[str]]:
    """For whose sake the guard blocks a text of a language that a stranger is to be given."""

    def answer(text: str, language: str | None) -> set[str]:
        decision = guard.check(GuardQuery(text=text, caller=STRANGER, language=language))
        return {match.owner.name for match in decision.matches if match.action is Action.BLOCK}

    return answer


def unnamed(guard: Guard) -> Callable[[str, str | None], set[str]]:
    """The same where the editor names no language."""
    ask = blockers(guard)
    return lambda text, _: ask(text, None)


def _describe(report: Report, known: list[Idiom], found: list[tuple[Idiom, str]], indexed: dict[str, Path]) -> None:
    total = Counter(idiom.language for idiom in known)
    bad = Counter(idiom.language for idiom, _ in found)
    rows = [[language, str(count), str(bad[language])] for language, count in sorted(total.items())]
    report.table("Idioms that are nobody's, and how many are blocked", ["", "idioms", "blocked"], rows)
    report.notes.append(f"indexed: {', '.join(indexed)}")
    report.notes += [f"blocked: {idiom.language}, {idiom.name}: said to be of {owners}" for idiom, owners in found]


if __name__ == "__main__":
    try:
        main()
    except PublishedCodeError as error:
        sys.exit(f"error: {error}")
