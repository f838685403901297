"""What only many entries together show: a key that feels for the index, a pair that spikes, a model that got worse.

Counts rows of the ledger; knows no text and tells nobody. Each alert is raised once a day for its subject.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, distinct, func, insert, select
from sqlalchemy.exc import IntegrityError

from guard.ledger_schema import entry_table, match_table
from guard.types import Action, OwnerKind
from service.review.filters import written
from service.review.review_schema import alert_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection

    from guard.ledger_database import Database
    from service.review.viewer import Viewer

PROBING_LEAKS, PROBING_TIME = 20, timedelta(minutes=10)
"""So many generations of a key that private code blocked, in so short a time."""
WALKING_LEAKS, WALKING_TIME = 8, timedelta(hours=1)
"""So many of them in one document: whoever goes along a file asks for it a few lines at a time."""
SPIKE_LEAKS, SPIKE_TIMES, SPIKE_BEFORE = 10, 5.0, 24
"""So many leaks of a pair in an hour, so many times those of an hour before, over so many hours."""
MODEL_DAYS, MODEL_LEAKS, MODEL_TIMES, MODEL_DEVIATIONS = 30, 10, 2.0, 3.3
"""A release leaks more: so many leaks, so many times the share of the one before, beyond chance (z-test, p < 0.001)."""
LISTED = 200

_ENTRY, _MATCH = entry_table.c, match_table.c
_PRIVATE = (
    _ENTRY.severity.is_not(None),
    _MATCH.action == Action.BLOCK.value,
    _MATCH.owner.startswith(f"{OwnerKind.ORGANIZATION.value}:"),
)


class AlertKind(StrEnum):
    """What was noticed."""

    PROBING = "probing"
    WALKING = "walking"
    PAIR_SPIKE = "pair_spike"
    MODEL_REGRESSION = "model_regression"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that was noticed at a time. `org` is the caller's organization, "" where it is about none."""

    id: int
    at: str
    kind: AlertKind
    subject: str
    org: str
    details: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The alert as one JSON object."""
        shown = {name: getattr(self, name) for name in ("id", "at", "subject", "org", "details")}
        return {"kind": self.kind.value, **shown}


Noticed = tuple[AlertKind, str, str, dict[str, Any]]


class Alerts:
    """Kept in the database of the ledger. Methods raise LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def notice(self, now: datetime) -> list[AlertKind]:
        """Look for what there is to notice, keep what is new, and answer its kinds."""
        with self._database.refusing("read"), self._database.reading() as connection:
            noticed = [
                *_probing(connection, now),
                *_walking(connection, now),
                *_spiking(connection, now),
                *_worse_models(connection, now),
            ]
        return [one[0] for one in noticed if self._keep(now, one)]

    def _keep(self, now: datetime, noticed: Noticed) -> bool:
        kind, subject, org, details = noticed
        values = {"at": written(now), "day": written(now)[:10], "kind": kind.value, "subject": subject, "org": org}
        same = [getattr(alert_table.c, name) == values[name] for name in ("kind", "subject", "day")]
        with self._database.refusing("written"):
            with self._database.reading() as connection:
                if connection.execute(select(alert_table.c.id).where(*same)).first() is not None:
                    return False
            try:
                with self._database.writing() as connection:
                    connection.execute(insert(alert_table), {**values, "details": json.dumps(details)})
            except IntegrityError:
                # Another process noticed it at the same time.
                return False
        return True

    def listed(self, viewer: Viewer, since: datetime | None = None) -> tuple[Alert, ...]:
        """The newest alerts that a viewer may see: all, or those about their own organization's keys."""
        query = select(alert_table).order_by(alert_table.c.id.desc()).limit(LISTED)
        if since is not None:
            query = query.where(alert_table.c.at >= written(since))
        with self._database.refusing("read"), self._database.reading() as connection:
            rows = connection.execute(query.where(*concerning(viewer))).all()
        return tuple(_shown(_read(row), viewer) for row in rows)

    def get(self, viewer: Viewer, alert_id: int) -> Alert | None:
        """One alert as a viewer may see it; None where there is none for them."""
        query = select(alert_table).where(alert_table.c.id == alert_id, *concerning(viewer))
        with self._database.refusing("read"), self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _shown(_read(row), viewer)


def concerning(viewer: Viewer) -> list[ColumnElement[bool]]:
    """Of alerts: they are about a key of the viewer's organization, or the viewer sees all."""
    own = [AlertKind.PROBING.value, AlertKind.WALKING.value]
    return [] if viewer.admin else [alert_table.c.org == viewer.org, alert_table.c.kind.in_(own)]


def _shown(alert: Alert, viewer: Viewer) -> Alert:
    if viewer.knows_both:
        return alert
    # Whose code it was is not the caller's to know.
    return Alert(alert.id, alert.at, alert.kind, _own_key(alert), alert.org, _counts(alert.details))


def _read(row: Any) -> Alert:  # noqa: ANN401 - SQLAlchemy's rows have the columns of their query
    return Alert(row.id, row.at, AlertKind(row.kind), row.subject, row.org, json.loads(row.details))


def _own_key(alert: Alert) -> str:
    return str(alert.details.get("key") or "")


def _counts(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name in {"key", "leaks", "minutes"}}


def _since(now: datetime, span: timedelta) -> str:
    return written(now - span)


def _probing(connection: Connection, now: datetime) -> Iterator[Noticed]:
    leaks = func.count(distinct(_ENTRY.seq))
    query = (
        select(_ENTRY.org, _ENTRY.key_id, leaks)
        .join(match_table, _MATCH.seq == _ENTRY.seq)
        .where(*_PRIVATE, _ENTRY.key_id.is_not(None), _ENTRY.at >= _since(now, PROBING_TIME))
        .group_by(_ENTRY.org, _ENTRY.key_id)
        .having(leaks >= PROBING_LEAKS)
    )
    for org, key, count in connection.execute(query).all():
        minutes = PROBING_TIME // timedelta(minutes=1)
        yield AlertKind.PROBING, f"key {key}", org or "", {"key": key, "leaks": count, "minutes": minutes}


def _walking(connection: Connection, now: datetime) -> Iterator[Noticed]:
    leaks = func.count(distinct(_ENTRY.seq))
    query = (
        select(_ENTRY.org, _ENTRY.key_id, _MATCH.owner, _MATCH.document, leaks)
        .join(match_table, _MATCH.seq == _ENTRY.seq)
        .where(*_PRIVATE, _ENTRY.key_id.is_not(None), _ENTRY.at >= _since(now, WALKING_TIME))
        .group_by(_ENTRY.org, _ENTRY.key_id, _MATCH.owner, _MATCH.document)
        .having(leaks >= WALKING_LEAKS)
    )
    for org, key, owner, document, count in connection.execute(query).all():
        details = {"key": key, "leaks": count, "minutes": WALKING_TIME // timedelta(minutes=1)}
        where = {"owner": owner, "document": document}
        yield AlertKind.WALKING, f"key {key} in {owner} {document}", org or "", details | where


def _spiking(connection: Connection, now: datetime) -> Iterator[Noticed]:
    hour = timedelta(hours=1)
    recent = _ENTRY.at >= _since(now, hour)
    leaks = func.count(distinct(case((recent, _ENTRY.seq))))
    before = func.count(distinct(case((~recent, _ENTRY.seq))))
    query = (
        select(_ENTRY.org, _MATCH.owner, leaks, before)
        .join(match_table, _MATCH.seq == _ENTRY.seq)
        .where(*_PRIVATE, _ENTRY.org.is_not(None), _ENTRY.at >= _since(now, (SPIKE_BEFORE + 1) * hour))
        .group_by(_ENTRY.org, _MATCH.owner)
        .having(leaks >= SPIKE_LEAKS)
    )
    for org, owner, count, earlier in connection.execute(query).all():
        usual = earlier / SPIKE_BEFORE
        if count > SPIKE_TIMES * usual:
            details = {"caller": org, "owner": owner, "leaks": count, "usual": round(usual, 2)}
            yield AlertKind.PAIR_SPIKE, f"{org} in {owner}", org, details


def _worse_models(connection: Connection, now: datetime) -> Iterator[Noticed]:
    """Releases of one name in the order of their first generation, each held against the one before."""
    blocked = func.sum(case((_ENTRY.action == Action.BLOCK.value, 1), else_=0))
    query = (
        select(_ENTRY.release, func.count(), blocked)
        .where(_ENTRY.event.is_(None), _ENTRY.release.is_not(None), _ENTRY.at >= _since(now, timedelta(MODEL_DAYS)))
        .group_by(_ENTRY.release)
        .order_by(func.min(_ENTRY.seq))
    )
    previous: dict[str, tuple[str, int, int]] = {}
    for release, generations, leaks in connection.execute(query).all():
        name = release.partition("@")[0]
        if name in previous:
            older, generations_before, leaks_before = previous[name]
            if worse(leaks, generations, leaks_before, generations_before):
                details = {"release": release, "leaks": leaks, "generations": generations, "before": older}
                details |= {"leaks_before": leaks_before, "generations_before": generations_before}
                yield AlertKind.MODEL_REGRESSION, release, "", details
        previous[name] = (release, generations, leaks)


def worse(leaks: int, generations: int, leaks_before: int, generations_before: int) -> bool:
    """Whether a share of leaks is MODEL_TIMES that of before, and chance does not explain it (pooled z-test)."""
    if leaks < MODEL_LEAKS or leaks * generations_before < MODEL_TIMES * leaks_before * generations:
        return False
    pooled = (leaks + leaks_before) / (generations + generations_before)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / generations + 1 / generations_before))
    difference = leaks / generations - leaks_before / generations_before
    return spread == 0 or difference / spread > MODEL_DEVIATIONS
