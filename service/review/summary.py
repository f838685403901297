"""A period in numbers: how many leaks there were, between whom, of what. Knows leaks as their viewer sees them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from service.review.leak import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from service.review.leak import Leak

TOP = 20
"""Rows of each ranking."""
UNNAMED = "(not named to you)"
"""Stands for an organization or a document that the viewer may not know."""


@dataclass(frozen=True, slots=True)
class Pair:
    """How often generations for `caller` would have given code of `owner` away. Corpora are owners too."""

    caller: str
    owner: str
    leaks: int


@dataclass(frozen=True, slots=True)
class Row:
    """A name and how many leaks it had; `severe` of them were of high severity."""

    name: str
    leaks: int
    severe: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The leaks of a period. A leak counts once for each owner, licence and document that it names.

    `days` has every day of the period (UTC), also those without leaks; rankings have the first TOP rows.
    """

    since: datetime
    until: datetime
    leaks: int
    days: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    severities: tuple[Row, ...]
    dispositions: tuple[Row, ...]
    outcomes: tuple[Row, ...]
    licenses: tuple[Row, ...]
    models: tuple[Row, ...]
    documents: tuple[Row, ...]
    keys: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """The numbers as one JSON object."""
        return {**asdict(self), "since": self.since.isoformat(), "until": self.until.isoformat()}


class _Tally:
    """Counts leaks by what a function names of each of them."""

    def __init__(self, names: Callable[[Leak], Iterable[Hashable]]) -> None:
        self._names = names
        self.counts: Counter[Any] = Counter()
        self._severe: Counter[Any] = Counter()

    def add(self, leak: Leak) -> None:
        names = set(self._names(leak))
        self.counts.update(names)
        if leak.severity is Severity.HIGH:
            self._severe.update(names)

    def rows(self, top: int | None = TOP) -> tuple[Row, ...]:
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Row(str(name), count, self._severe[name]) for name, count in ranked[:top])

    def row(self, name: str) -> Row:
        return Row(name, self.counts[name], self._severe[name])


def summarize(leaks: Iterable[Leak], since: datetime, until: datetime) -> Summary:
    """Count the leaks of a period, which must be those from `since` (inclusive) to `until` (exclusive)."""
    tallies = {
        "severities": _Tally(lambda leak: [leak.severity.value]),
        "dispositions": _Tally(lambda leak: [leak.disposition]),
        "outcomes": _Tally(lambda leak: [leak.outcome]),
        "licenses": _Tally(lambda leak: [one.license for one in leak.matches if one.license and one.action == "block"]),
        "models": _Tally(lambda leak: [leak.release or leak.model]),
        "documents": _Tally(_documents),
        "keys": _Tally(lambda leak: [leak.key or UNNAMED]),
    }
    days, pairs = _Tally(lambda leak: [leak.at[:10]]), _Tally(_pairs)
    total = 0
    for leak in leaks:
        total += 1
        for tally in (days, pairs, *tallies.values()):
            tally.add(leak)
    ranked = sorted(pairs.counts.items(), key=lambda item: (-item[1], item[0]))
    return Summary(
        since=since,
        until=until,
        leaks=total,
        days=tuple(days.row(day) for day in _days(since, until)),
        pairs=tuple(Pair(caller, owner, count) for (caller, owner), count in ranked),
        **{name: tally.rows() for name, tally in tallies.items()},
    )


def _pairs(leak: Leak) -> list[tuple[str, str]]:
    return [(leak.org or UNNAMED, one.owner or UNNAMED) for one in leak.matches if one.action == "block"]


def _documents(leak: Leak) -> list[str]:
    blocked = [one for one in leak.matches if one.action == "block"]
    return [f"{one.owner} {one.document}" if one.document is not None else UNNAMED for one in blocked]


def _days(since: datetime, until: datetime) -> list[str]:
    day, last = since.astimezone(UTC).date(), (until - timedelta(microseconds=1)).astimezone(UTC).date()
    return [(day + timedelta(days=number)).isoformat() for number in range((last - day).days + 1)]
