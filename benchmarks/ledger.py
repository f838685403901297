"""The ledger: appending durably, verifying, listing (`make bench-ledger`; SCALE=full for a million entries).

A durable append of a block stands beside a plain insert of the same bytes by sqlite3, in turns in the same run: what is
above it is ours. One entry in twenty is a leak.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import Report

from guard.ledger import Ledger, LedgerRecord
from guard.types import Action, Decision, Match, MatchKind, Owner

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRIES = 1_000_000 if os.environ.get("SCALE") == "full" else 100_000
AT_ONCE = 1000
APPENDS = 300
PAGES = 200
LEAKS = 20
GROUP = 32


def record(number: int, *, leak: bool) -> LedgerRecord:
    """A generation of one of eight organizations; a leak is of the next one's code."""
    action = Action.BLOCK if leak else Action.ALLOW
    owner = Owner.organization(f"org-{(number + 1) % 8}")
    found = Match(MatchKind.RENAMED, 3, 90, 41 + number % 90, 0.875, owner, f"src/{number % 999}.py", None, action, "x")
    decision = Decision(f"dec_{number:024x}", action, (found,) if leak else (), 60, 1.25, 7)
    policy, release = "0123456789ab", f"coder@{number % 3}"
    return LedgerRecord(
        decision, f"org-{number % 8}", f"key-{number % 40}", "coder", "completions", "trimmed" if leak else "released",
        12, 90, release, policy,
    )  # fmt: skip


def quantile(seconds: list[float], share: float) -> float:
    """Milliseconds that `share` of the times do not exceed."""
    return 1000 * sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def fill(ledger: Ledger, report: Report) -> None:
    """Append all but a few entries, many at a time."""
    began = time.perf_counter()
    for first in range(0, ENTRIES, AT_ONCE):
        ledger.append_all([record(number, leak=number % LEAKS == 0) for number in range(first, first + AT_ONCE)])
    report.figures["filled_per_s"] = ENTRIES / (time.perf_counter() - began)


def appending(ledger: Ledger, folder: Path, report: Report) -> None:
    """Durable appends of one block, of a group of them, and plain inserts, in turns."""
    plain = sqlite3.connect(folder / "plain.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
        plain.execute(f"PRAGMA {pragma}")
    plain.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, body TEXT)")
    body = "x" * 1200
    ours, group, theirs, number = [], [], [], ENTRIES
    for _ in range(APPENDS):
        number += 1
        one = record(number, leak=True)
        ours.append(timed(partial(ledger.append, one)))
        theirs.append(timed(lambda: plain.execute("INSERT INTO plain (body) VALUES (?)", (body,))))
        several = [record(number + place, leak=True) for place in range(1, GROUP + 1)]
        number += GROUP
        group.append(timed(partial(ledger.append_all, several)) / GROUP)
    plain.close()
    named = {"append_block": ours, f"append_block_of_{GROUP}": group, "plain_insert": theirs}
    for name, seconds in named.items():
        report.figures |= {f"{name}_p50_ms": quantile(seconds, 0.5), f"{name}_p95_ms": quantile(seconds, 0.95)}
    rows = [(name, *(f"{quantile(seconds, share):.2f}" for share in (0.5, 0.95))) for name, seconds in named.items()]
    report.table("Durable on SQLite, in turns", ("", "p50 ms", "p95 ms"), rows)
    report.at_most("append_block_p50_ms", 5)


def listing(ledger: Ledger, report: Report) -> None:
    """Pages of fifty of `Ledger.entries`, each of another place."""
    asked: dict[str, dict[str, Any]] = {
        "all": {},
        "blocks": {"action": Action.BLOCK},
        "owner": {"owner": "org:org-3"},
        "org": {"org": "org-5"},
    }
    for name, choice in asked.items():
        page = partial(ledger.entries, limit=50, newest_first=True, **choice)
        seconds = [timed(partial(page, after=after)) for after in range(ENTRIES, 0, -(ENTRIES // PAGES))]
        report.figures[f"page_{name}_p95_ms"] = quantile(seconds, 0.95)
        report.at_most(f"page_{name}_p95_ms", 200)


def verifying(ledger: Ledger, report: Report) -> None:
    """Whole verifications against the ledger's own heads."""
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        verification = ledger.verify(ledger.heads())
        rates.append(verification.entries / (time.perf_counter() - began))
        assert verification.ok
    report.figures["verified_per_s"] = statistics.median(rates)
    report.at_least("verified_per_s", 100_000)


def main() -> None:
    """Measure, in a folder that is gone afterwards."""
    report = Report("ledger", {"entries": ENTRIES})
    with tempfile.TemporaryDirectory(prefix="cleanroom-ledger-") as name:
        folder = Path(name)
        with Ledger(f"sqlite:///{folder}/ledger.db") as ledger:
            fill(ledger, report)
            report.figures["bytes_per_entry"] = sum(file.stat().st_size for file in folder.iterdir()) / ENTRIES
            listing(ledger, report)
            appending(ledger, folder, report)
            verifying(ledger, report)
    report.show(json_only=False)


if __name__ == "__main__":
    main()
