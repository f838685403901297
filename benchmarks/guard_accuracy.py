"""How many copies does the guard find, and how often does it cry wolf? Beside datasketch's MinHashLSH on the same code.

Recall counts a copy only if the right owner is named. `three lines` draws a function three lines at a time, each call
with the earlier lines as its prefix, and counts it if a call that would hand out the tenth line, or an earlier one, is
blocked. False alarms are blocks of code from projects that are not indexed; true copies among it are set aside first,
by the rule of copies.py, and counted. Python only: the corpora are. Equal seeds give equal figures.

    SCALE=small|full python benchmarks/guard_accuracy.py [--json] [--cache DIR] [--seed N]
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from clones import KINDS, disguise, thirds
from copies import RULE
from corpora import INDEXED, NEGATIVE, SMALL, CorpusDownloadError, sources
from material import Material, Size, gather
from options import options_of
from peers import PARAMETERS, WindowLsh
from report import Report, progress

from guard.check import SIGNIFICANT_BITS, Guard, GuardQuery
from guard.commons import add_standard_library
from guard.digest import Digester
from guard.index import Index
from guard.ingest import IndexAddress, ingest
from guard.secret import IndexKey
from guard.store import open_store
from guard.tree import Tree
from guard.types import Action, Owner

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from rich.progress import Progress

SIZES = {"small": Size(functions=200, negatives=1000), "full": Size(functions=1000, negatives=4000)}
STRANGER = "stranger"
"""The caller: an organization that owns none of the code."""
TENTH = 9
PATIENCE = 30.0
"""Seconds that a check may wait for the store here, where time is not measured."""
BARS = {"T1": 0.998, "T2": 0.99, "T3": 0.92, "P1": 0.995, "P2": 0.99, "three_lines": 0.985}
FALSE_ALARMS = {"functions": 0.001, "spans": 0.003}


class Detector(Protocol):
    """Whatever says whose code a text copies."""

    def owners(self, text: str, prefix: str = "") -> set[str]:
        """Names of the owners, empty if it finds the text clean."""


class Guarding:
    """The guard as a detector: owners for whose sake it blocks."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def owners(self, text: str, prefix: str = "") -> set[str]:
        """Ask as a stranger would."""
        decision = self._guard.check(GuardQuery(text=text, caller=STRANGER, prefix=prefix, language="python"))
        return {match.owner.name for match in decision.matches if match.action is Action.BLOCK}


class Datasketch:
    """The peer as a detector; it knows no prefix, so it is asked about both together."""

    def __init__(self, indexed: dict[str, list[tuple[str, str]]], bar: Progress) -> None:
        self._lsh = WindowLsh()
        for owner, files in bar.track(indexed.items(), description="datasketch: index"):
            for _, text in files:
                self._lsh.add(owner, text)

    def owners(self, text: str, prefix: str = "") -> set[str]:
        """Ask about the text with what stands before it."""
        return self._lsh.owners(prefix + text)


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, seeded=True)
    size = SIZES[options.scale]
    projects = INDEXED[:SMALL] if options.scale == "small" else INDEXED
    indexed = sources(projects, options.cache)
    material = gather(indexed, sources(NEGATIVE, options.cache), size, options.seed)
    report = Report("guard-accuracy")
    with progress() as bar, guarding(indexed, options.seed, bar) as guard:
        peer = Datasketch(material.indexed, bar)
        report.figures.update(measured(Guarding(guard), material, bar, ""))
        report.figures.update(measured(peer, material, bar, "datasketch_"))
    _describe(report, material, options)
    report.show(json_only=options.json)


@contextmanager
def guarding(indexed: dict[str, Path], seed: int, bar: Progress) -> Iterator[Guard]:
    """The guard over a fresh index of these projects, each an organization, beside the standard library."""
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
            yield Guard(index, Digester(key))


def measured(detector: Detector, material: Material, bar: Progress, name: str) -> dict[str, float]:
    """Recall by kind and rate of false alarms, each between 0 and 1; `name` goes in front of each figure's."""
    figures = {}
    for kind in KINDS:
        found = 0
        for function in bar.track(material.positives, description=f"{name or 'guard_'}{kind}"):
            rng = random.Random(zlib.crc32(f"{kind} {function.text}".encode()))  # noqa: S311 - no secret
            found += function.project in detector.owners(disguise(kind, function.text, material.foreign, rng))
        figures[f"{name}recall_{kind}"] = found / len(material.positives)
    long = [function for function in material.positives if function.text.count("\n") >= TENTH]
    found = 0
    for function in bar.track(long, description=f"{name or 'guard_'}three_lines"):
        found += _stopped_in_time(detector, function.text, function.project)
    figures[f"{name}recall_three_lines"] = found / len(long)
    for what, texts in (("functions", material.independent_functions), ("spans", material.independent_spans)):
        alarms = sum(bool(detector.owners(text)) for text in bar.track(texts, description=f"independent {what}"))
        figures[f"{name}false_alarms_{what}"] = alarms / len(texts)
    return figures


def _stopped_in_time(detector: Detector, text: str, owner: str) -> bool:
    """Whether the tenth line never comes, a few lines a call."""
    for prefix, lines in thirds(text):
        if prefix.count("\n") > TENTH:
            return False
        if owner in detector.owners(lines, prefix):
            return True
    return False


def _describe(report: Report, material: Material, options: argparse.Namespace) -> None:
    figures = report.figures
    rows = []
    for label, name in (("guard", ""), ("datasketch", "datasketch_")):
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
        f"guard: {SIGNIFICANT_BITS:g} bits beyond log2 of the indexed tokens; the standard library is commons",
        PARAMETERS,
    ]


if __name__ == "__main__":
    try:
        main()
    except CorpusDownloadError as error:
        sys.exit(f"error: {error}")
