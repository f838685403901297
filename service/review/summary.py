"""A period in numbers: how many leaks there were, between whom, of what. Knows no ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from service.review.leak import Severity
from service.review.tallies import Tally

if TYPE_CHECKING:
    from service.review.tallies import Counted

TOP = 20
"""Rows of each ranking."""


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


def summarize(counted: Counted, since: datetime, until: datetime) -> Summary:
    """Write down what was counted from `since` (inclusive) to `until` (exclusive)."""
    severities = Tally()
    for (_, severity), leaks in counted.days.items():
        severities.add(severity, severity, leaks)
    return Summary(
        since=since,
        until=until,
        leaks=counted.total,
        days=tuple(_day(counted, day) for day in _days(since, until)),
        pairs=tuple(Pair(caller, owner, leaks) for (caller, owner), leaks in counted.pairs.ranked()),
        severities=_rows(severities),
        dispositions=_rows(counted.dispositions),
        outcomes=_rows(counted.outcomes),
        licenses=_rows(counted.licenses),
        models=_rows(counted.models),
        documents=_rows(counted.documents),
        keys=_rows(counted.keys),
    )


def _rows(tally: Tally) -> tuple[Row, ...]:
    return tuple(Row(_shown(name), leaks, tally.severe[name]) for name, leaks in tally.ranked(TOP))


def _shown(name: str | tuple[str, str]) -> str:
    return name if isinstance(name, str) else " ".join(name).strip()


def _day(counted: Counted, day: str) -> Row:
    return Row(day, sum(counted.days[day, one] for one in Severity), counted.days[day, Severity.HIGH])


def _days(since: datetime, until: datetime) -> list[str]:
    day, last = since.astimezone(UTC).date(), (until - timedelta(microseconds=1)).astimezone(UTC).date()
    return [(day + timedelta(days=number)).isoformat() for number in range((last - day).days + 1)]
