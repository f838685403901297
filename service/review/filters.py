"""What a viewer asks for of all leaks: says of one, as its viewer sees it, whether it is meant. Knows no database.

What a viewer may not see they cannot filter by either: an answer would tell it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from service.review.leak import Disposition, Leak, Severity

TEXT_LIMIT = 512
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LeakFilter:
    """Every condition holds; None is no condition.

    `since` (inclusive) and `until` (exclusive) are times with a zone, `org` the caller's slug, `owner` an organization
    or corpus by its slug or as the ledger writes it (`org:acme`, `license:attrs:MIT`), `kind` that of the closest
    match, `license` that of one of them, `key` the caller's key's id, `model` the name that clients see or the release.
    """

    since: datetime | None = None
    until: datetime | None = None
    org: str | None = None
    owner: str | None = None
    kind: str | None = None
    license: str | None = None
    severity: Severity | None = None
    disposition: Disposition | None = None
    key: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can never be meant. Raises InvalidRequestError."""
        for name in ("since", "until"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                message = f"{name} {moment.isoformat()} has no time zone: write it as {moment.isoformat()}Z"
                raise InvalidRequestError(message, param=name)
            if moment is not None and not EARLIEST <= moment < LATEST:
                message = f"{name} {moment.isoformat()} is no time of a leak: name one from 1970 to 9998"
                raise InvalidRequestError(message, param=name)
        if self.since is not None and self.until is not None and self.since >= self.until:
            message = f"since {self.since.isoformat()} is not before until {self.until.isoformat()}: exchange them"
            raise InvalidRequestError(message, param="since")
        for name in ("org", "owner", "license", "key", "model"):
            text = getattr(self, name)
            if text is not None and (not text or len(text) > TEXT_LIMIT or "\0" in text):
                message = (
                    f"{name} is empty, longer than {TEXT_LIMIT} characters or holds a NUL: leave it out, or mend it"
                )
                raise InvalidRequestError(message, param=name)

    @property
    def first(self) -> str | None:
        """`since` as the ledger writes times."""
        return None if self.since is None else written(self.since)

    @property
    def end(self) -> str | None:
        """`until` as the ledger writes times."""
        return None if self.until is None else written(self.until)

    def meant(self, leak: Leak) -> bool:
        """Whether `leak` is asked for."""
        return (
            (self.first is None or leak.at >= self.first)
            and (self.end is None or leak.at < self.end)
            and self.org in {None, leak.org}
            and self.key in {None, leak.key}
            and self.model in {None, leak.model, leak.release}
            and self.severity in {None, leak.severity}
            and self.disposition in {None, leak.disposition}
            and self.kind in {None, leak.kind}
            and self._matches(leak)
        )

    def _matches(self, leak: Leak) -> bool:
        if self.owner is None and self.license is None:
            return True
        return any(
            self.license in {None, match.license} and (self.owner is None or _is_of(match.owner, self.owner))
            for match in leak.matches
        )

    def digest(self) -> bytes:
        """What tells this filter from every other."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        shown = {name: written(one) if isinstance(one, datetime) else one for name, one in values.items()}
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode("utf-8", "surrogatepass")).digest()


def written(moment: datetime) -> str:
    """A time as the ledger writes it: UTC, ISO 8601, microseconds; sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _is_of(owner: str | None, asked: str) -> bool:
    return owner is not None and (owner == asked or owner.split(":")[1] == asked)
