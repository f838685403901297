"""How many copies does the guard find, and how often does it cry wolf? Beside datasketch's MinHashLSH on the same code.

Recall counts a copy only if the right owner is named. `three lines` draws a function three lines at a time, each call
with the earlier lines as its prefix, and counts it if a call that would hand out the tenth line, or an earlier one, is
blocked. False alarms are blocks of code from projects that are not indexed; true copies among it are set aside first,
by the rule of copies.py, and counted. Whether chance matches are as rare as the guard's evidence says is compared in a
table and a picture, calibration.svg in the cache. Python only: the corpora are. Equal seeds give equal figures.

    SCALE=small|full python benchmarks/guard_accuracy.py [--json] [--cache DIR] [--seed N]
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from calibration import LEVELS, excess_bits, steps, svg, table
from copies import RULE
from corpora import INDEXED, NEGATIVE, SMALL, sources
from material import Material, Size, gather
from options import options_of
from questions import OneByOne, asked, figures
from report import Report, progress
from rivals import Rival, rivals
from weighing import Weighing

from guard.check import Guard, GuardQuery
from guard.commons import add_standard_library
from guard.digest import Digester
from guard.index import Index
from guard.ingest import IndexAddress, ingest
from guard.secret import IndexKey
from guard.significance import EXPECTED
from guard.store import open_store
from guard.tree import Tree
from guard.types import Action, Owner
from published.errors import PublishedCodeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from calibration import Search, Step
    from questions import Asked
    from rich.progress import Progress

SIZES = {"small": Size(functions=200, negatives=2000), "full": Size(functions=1000, negatives=4000)}
STRANGER = "stranger"
"""The caller: an organization that owns none of the code."""
PATIENCE = 30.0
"""Seconds that a check may wait for the store here, where time is not measured."""
BARS = {"T1": 0.998, "T2": 0.99, "T3": 0.92, "P1": 0.995, "P2": 0.99, "three_lines": 0.985}
COUNTED = (
    "chance matches: each search (a text's code, or the words of its comments) counts once, by its best chain; E: how "
    "many as good are expected by chance in an index of this size"
)
FALSE_ALARMS = {"functions": 0.001, "spans": 0.003}


class Guarding:
    """The guard as a detector: owners for whose sake it blocks."""

    def __init__(self, guard: Guard, language: str = "python") -> None:
        self._guard = guard
        self._language = language

    def owners(self, text: str, prefix: str = "") -> set[str]:
        """Ask as a stranger would."""
        decision = self._guard.check(GuardQuery(text=text, caller=STRANGER, prefix=prefix, language=self._language))
        return {match.owner.name for match in decision.matches if match.action is Action.BLOCK}


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, seeded=True)
    size = SIZES[options.scale]
    projects = INDEXED[:SMALL] if options.scale == "small" else INDEXED
    indexed = sources(projects, options.cache)
    material = gather(indexed, sources(NEGATIVE, options.cache), size, options.seed)
    report = Report("guard-accuracy")
    with progress() as bar, opened(indexed, options.seed, bar) as (index, digester):
        peers, missing = rivals(material.indexed, options.cache)
        questions = asked(material)
        report.figures |= figures(OneByOne(Guarding(Guard(index, digester))), questions, "")
        found = steps(list(_searches(Weighing(index, digester, STRANGER), questions)), (*LEVELS, EXPECTED))
        for peer in bar.track(peers, description="peers"):
            report.figures |= figures(peer.detector, questions, peer.name)
    _describe(report, material, options, peers)
    _calibrate(report, found, options.cache)
    report.notes += missing
    report.show(json_only=options.json)


def _searches(weighing: Weighing, questions: Asked) -> Iterator[Search]:
    """Every negative and every copy, weighed."""
    for kinds, copy in ((questions.negatives, False), (questions.copies, True)):
        for some in kinds.values():
            for question in some:
                yield from weighing.searches(question.text, "python", copy=copy)


def _calibrate(report: Report, found: list[Step], cache: Path) -> None:
    """The table, the picture and the bar: no more chance matches than the evidence says."""
    picture = cache / "calibration.svg"
    picture.write_text(svg(found, EXPECTED), encoding="utf-8")
    at = next(step for step in found if step.level == EXPECTED)
    report.tables.append(table(found))
    report.figures["chance_matches_expected"] = at.expected
    report.figures["chance_matches_observed"] = at.observed
    report.figures["chance_matches_ratio"] = at.observed / at.expected
    report.at_most("chance_matches_ratio", 1)
    report.notes += [
        COUNTED,
        f"evidence overrated by {excess_bits(found):+.1f} bits on average (below 0: underrated); {picture} shows it",
    ]


@contextmanager
def guarding(indexed: dict[str, Path], seed: int, bar: Progress) -> Iterator[Guard]:
    """The guard over an index as `opened` makes one."""
    with opened(indexed, seed, bar) as (index, digester):
        yield Guard(index, digester)


@contextmanager
def opened(indexed: dict[str, Path], seed: int, bar: Progress) -> Iterator[tuple[Index, Digester]]:
    """A fresh index of these projects, each an organization, beside the standard library."""
    # One process and a key of its own a seed: the index is the same in every run.
    key = IndexKey(hashlib.sha256(f"benchmark {seed}".encode()).digest())
    with tempfile.TemporaryDirectory(prefix="cr-bench-") as home:
        address = IndexAddress(None, Path(home), key.secret)
        with open_store(None, Path(home), check_timeout=PATIENCE) as store:
            task = bar.add_task("guard: index", total=len(indexed) + 1)
            add_standard_library(address, jobs=1)
            for name, folder in indexed.items():
                bar.advance(task)
                ingest(address, Tree(folder, Owner.organization(name)), jobs=1)
            bar.advance(task)
            index = Index(store, key, Path(home))
            index.open()
            yield index, Digester(key)


def _describe(report: Report, material: Material, options: argparse.Namespace, peers: list[Rival]) -> None:
    figures = report.figures
    rows = []
    for label, name in [("guard", ""), *((peer.label, peer.name) for peer in peers)]:
        recall = [f"{figures[f'{name}recall_{kind}']:.3f}" for kind in BARS]
        rows.append([label, *recall, *(f"{figures[f'{name}false_alarms_{what}']:.2%}" for what in FALSE_ALARMS)])
    columns = ["", *(kind.replace("_", " ") for kind in BARS), *(f"FP {what}" for what in FALSE_ALARMS)]
    report.table("Copies found, by the right owner, and false alarms", columns, rows)
    for kind, limit in BARS.items():
        report.at_least(f"recall_{kind}", limit)
    for what, limit in FALSE_ALARMS.items():
        report.at_most(f"false_alarms_{what}", limit)
    figures["functions"] = len(material.positives)
    figures["independent_functions"] = len(material.independent_functions)
    figures["independent_spans"] = len(material.independent_spans)
    figures["indexed_files"] = sum(map(len, material.indexed.values()))
    figures["copies_set_aside"] = material.set_aside
    projects = f"{len(material.indexed)} indexed projects ({figures['indexed_files']:g} files)"
    negatives = (
        f"{len(material.independent_functions)} functions and {len(material.independent_spans)} spans of 60 lines"
    )
    report.notes += [
        f"{len(material.positives)} functions of {projects}, seed {options.seed}, SCALE={options.scale}",
        f"{negatives} from {len(NEGATIVE)} projects that are not indexed",
        f"{material.set_aside} of {material.candidates} candidates set aside as true copies: a text that {RULE}",
        f"guard: a match counts from {EXPECTED:g} expected by chance; the standard library is commons",
        *(peer.parameters for peer in peers),
    ]


if __name__ == "__main__":
    try:
        main()
    except PublishedCodeError as error:
        sys.exit(f"error: {error}")
