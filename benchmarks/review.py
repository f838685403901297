"""What reviewers ask for, in a ledger of which half is leaks (`make bench-review`; SCALE=full: a million entries).

Pages of fifty, asked for with every condition and with words, at the beginning of their list and behind it; and the
overview of a month.
"""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from report import Report, progress

from guard.ledger import Ledger, LedgerRecord
from guard.types import Action, Decision, Match, MatchKind, Owner
from service.console.overview import overview
from service.console.reading import Question, find
from service.review.filters import LeakFilter
from service.review.leak import Disposition, Severity
from service.review.reviews import PAGE, Reviews
from service.review.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRIES = 1_000_000 if os.environ.get("SCALE") == "full" else 50_000
AT_ONCE = 1000
REPEATS = 10
COUNTED = 5
JUDGED = 500
LIMIT_MS = 200.0
RARE = 997
ADMIN, REVIEWER = Viewer("org-0", "k", admin=True), Viewer("org-3", "k")


def record(number: int) -> LedgerRecord:
    """A generation for one of eight organizations; every other one is a leak, of the next one's code or of a corpus."""
    leak = number % 2 == 0
    rare = number % RARE == 0
    owner = Owner.licensed("pylint", "GPL-2.0-only") if rare else Owner.organization(f"org-{(number // 2 + 1) % 8}")
    kind = MatchKind.NEAR if rare else (MatchKind.EXACT, MatchKind.RENAMED)[number % 3 == 0]
    path = f"src/{number % 999}.py"
    found = Match(kind, 3, 90, 41 + number % 90, 0.875, owner, path, owner.license, Action.BLOCK, "x")
    decision = Decision(
        f"dec_{number:024x}", Action.BLOCK if leak else Action.ALLOW, (found,) if leak else (), 60, 1.2, 7
    )
    return LedgerRecord(
        decision, f"org-{number // 2 % 8}", f"key-{number // 2 % 40}", f"coder-{number // 2 % 3}", "completions",
        "trimmed" if leak else "released", 12, 90, f"coder@{number // 2 % 3}",
    )  # fmt: skip


def conditions(first: datetime, last: datetime) -> Iterator[tuple[str, LeakFilter]]:
    """Every condition by itself, and some together."""
    minute, span = timedelta(minutes=1), last - first
    yield "none", LeakFilter()
    yield "owner", LeakFilter(owner="org-3")
    yield "caller", LeakFilter(org="org-3")
    yield "kind, frequent", LeakFilter(kind="exact")
    yield "kind, rare", LeakFilter(kind="near")
    yield "licence, rare", LeakFilter(license="GPL-2.0-only")
    yield "severity", LeakFilter(severity=Severity.HIGH)
    yield "severity, rare", LeakFilter(severity=Severity.LOW)
    yield "judged", LeakFilter(disposition=Disposition.CONFIRMED)
    yield "not judged", LeakFilter(disposition=Disposition.OPEN)
    yield "key", LeakFilter(key="key-7")
    yield "model", LeakFilter(model="coder-1")
    yield "release", LeakFilter(model="coder@1")
    yield "nothing such", LeakFilter(model="no such model")
    yield "recent", LeakFilter(since=last - span / 100)
    yield "long ago", LeakFilter(until=first + span / 100)
    yield "the middle half", LeakFilter(since=first + span / 4, until=last - span / 4)
    yield "all time", LeakFilter(since=first - minute, until=last + minute)
    yield "caller, owner and kind", LeakFilter(org="org-2", owner="org-3", kind="renamed")


def pages(reviews: Reviews, viewer: Viewer, wanted: LeakFilter) -> list[float]:
    """Milliseconds of pages at the beginning, and of those that follow."""
    times = []
    cursor: str | None = None
    for number in range(REPEATS):
        began = time.perf_counter()
        page = reviews.page(viewer, wanted, cursor=cursor, limit=PAGE)
        times.append(1000 * (time.perf_counter() - began))
        # Every second page is the first one.
        cursor = page.next if number % 2 == 0 else None
    return sorted(times)


def searches(reviews: Reviews, viewer: Viewer) -> Iterator[tuple[str, list[float]]]:
    """Milliseconds of lists in which each leak has certain words, as the console asks."""
    for name, words in (("frequent word", "coder"), ("rare word", "pylint"), ("word of nobody", "no-such-word")):
        found = partial(find, reviews, viewer, Question(q=words))
        yield name, sorted(1000 * timed(found) for _ in range(REPEATS))


def overviews(reviews: Reviews, viewer: Viewer) -> list[float]:
    """Milliseconds of the numbers of the console's first page, over thirty days."""
    now = datetime.now(UTC)
    since = now - timedelta(30)

    def once() -> None:
        overview(reviews.counted(viewer, since, now), reviews.alerts.listed(viewer, since), 30, now)

    return sorted(1000 * timed(once) for _ in range(COUNTED))


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Fill a ledger and ask, in a folder that is gone afterwards."""
    report = Report("review")
    rows: list[list[str]] = []
    every: list[float] = []
    searched: list[float] = []
    with tempfile.TemporaryDirectory(prefix="cleanroom-review-") as folder:
        url = f"sqlite:///{folder}/ledger.db"
        with Ledger(url) as ledger, Reviews(ledger, url) as reviews:
            with progress() as shown:
                for start in shown.track(range(0, ENTRIES, AT_ONCE), description="filling"):
                    ledger.append_all([record(number) for number in range(start, start + AT_ONCE)])
            first, last = (
                datetime.fromisoformat(ledger.entries(limit=1, newest_first=newest)[0].at) for newest in (False, True)
            )
            judged = [f"dec_{number:024x}" for number in range(0, 2 * JUDGED, 2)]
            reviews.judge(ADMIN, judged, Disposition.CONFIRMED)
            for name, wanted in conditions(first, last):
                cells = []
                for viewer in (ADMIN, REVIEWER):
                    times = pages(reviews, viewer, wanted)
                    every += times
                    cells += [f"{times[len(times) // 2]:.1f}", f"{times[-1]:.1f}"]
                rows.append([name, *cells])
            both = [dict(searches(reviews, viewer)) for viewer in (ADMIN, REVIEWER)]
            for name in both[0]:
                times = [one[name] for one in both]
                searched += [*times[0], *times[1]]
                rows.append([name, *(f"{each[at]:.1f}" for each in times for at in (REPEATS // 2, -1))])
            counted = [overviews(reviews, viewer) for viewer in (ADMIN, REVIEWER)]
            rows.append(["overview", *(f"{each[at]:.1f}" for each in counted for at in (COUNTED // 2, -1))])
    every.sort()
    columns = ["condition", "administrator p50", "slowest", "reviewer p50", "slowest"]
    report.table(f"Pages of {PAGE}, ms", columns, rows)
    report.figures |= {
        "entries": ENTRIES,
        "page_p50_ms": every[len(every) // 2],
        "page_p95_ms": every[int(0.95 * len(every))],
        "page_slowest_ms": every[-1],
        "search_p95_ms": sorted(searched)[int(0.95 * len(searched))],
        "overview_p95_ms": max(max(each) for each in counted),
    }
    report.at_most("page_p95_ms", LIMIT_MS)
    report.show(json_only=False)


if __name__ == "__main__":
    main()
