"""Leaks as others read them: lines of JSON, a table, and events for a SIEM. Knows no ledger and no HTTP.

OCSF: Data Security Finding (class 2006) of version 1.3 (schema.ocsf.io). ECS: version 8.17 (elastic.co/guide/en/ecs).
Both hold the leak itself where their schema leaves room for what is ours (`unmapped`, `cleanroom`).
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from service.review.leak import Disposition, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from service.review.leak import Leak, LeakMatch

COLUMNS = (
    *("id", "at", "role", "severity", "disposition", "org", "key", "model", "release", "surface", "outcome"),
    *("released_characters", "generated_characters", "checked_tokens"),
    *("kind", "owner", "document", "license", "start", "end", "tokens", "similarity", "action", "reason"),
)
"""A row of the table is one match: what it says of the leak is repeated."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for a formula at the beginning of a cell (OWASP, CSV injection)."""
PRODUCT = "Cleanroom"
OCSF_SEVERITY = {Severity.LOW: (2, "Low"), Severity.MEDIUM: (3, "Medium"), Severity.HIGH: (4, "High")}
OCSF_STATUS = {
    Disposition.OPEN: (1, "New"),
    Disposition.CONFIRMED: (2, "In Progress"),
    Disposition.FALSE_ALARM: (3, "Suppressed"),
    Disposition.ACCEPTED_RISK: (4, "Resolved"),
}
ECS_SEVERITY = {Severity.LOW: 21, Severity.MEDIUM: 47, Severity.HIGH: 73}
"""The values that Elastic's own rules use."""


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write leaks: pieces of text that follow one another."""

    write: Callable[[Iterable[Leak]], Iterator[str]]
    media_type: str
    suffix: str


def _lines(shape: Callable[[Leak], dict[str, Any]]) -> Callable[[Iterable[Leak]], Iterator[str]]:
    def write(leaks: Iterable[Leak]) -> Iterator[str]:
        # ASCII: the path of a document may be no text, and a line separator no end of a line.
        return (json.dumps(shape(leak), separators=(",", ":")) + "\n" for leak in leaks)

    return write


def _table(leaks: Iterable[Leak]) -> Iterator[str]:
    yield _row(COLUMNS)
    for leak in leaks:
        whole = leak.to_json()
        # What was redacted names no match, and is a row all the same.
        matches: list[dict[str, Any]] = whole.pop("matches") or [{}]
        for match in matches:
            cells = {**whole, **match}
            yield _row(_cell(cells.get(column)) for column in COLUMNS)


def _row(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(cells)
    return text.getvalue()


def _cell(value: object) -> str:
    """A cell that no spreadsheet computes and every reader can decode."""
    text = "" if value is None else str(value)
    text = text.replace("\0", "").encode("utf-8", "backslashreplace").decode()
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def _title(leak: Leak) -> str:
    if not leak.matches:
        return "Generation blocked"
    worst = leak.matches[0]
    whose = "private code" if worst.private else f"code under {worst.license}"
    return f"Generation blocked: {worst.kind} copy of {whose}"


def _ocsf(leak: Leak) -> dict[str, Any]:
    """A Data Security Finding: class 2006 of category 2, activity 1 (Create), disposition 2 (Blocked)."""
    moment = round(datetime.fromisoformat(leak.at).timestamp() * 1000)
    severity, severity_name = OCSF_SEVERITY[leak.severity]
    status, status_name = OCSF_STATUS[Disposition(leak.disposition)]
    event: dict[str, Any] = {
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2006,
        "class_name": "Data Security Finding",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": 200_601,
        "time": moment,
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "action_id": 2,
        "action": "Denied",
        "disposition_id": 2,
        "disposition": "Blocked",
        "finding_info": {"uid": leak.id, "title": _title(leak), "created_time": moment, "types": ["code leak"]},
        "resources": [_resource(match) for match in leak.matches if match.document is not None],
        "metadata": {
            "version": "1.3.0",
            "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": version("cleanroom")},
            "uid": leak.id,
        },
        "unmapped": leak.to_json(),
    }
    if leak.key is not None:
        event["actor"] = {"user": {"uid": leak.key, "org": {"name": leak.org}}}
    return event


def _resource(match: LeakMatch) -> dict[str, Any]:
    return {"name": match.document, "type": "source code", "owner": {"name": match.owner}}


def _ecs(leak: Leak) -> dict[str, Any]:
    event: dict[str, Any] = {
        "@timestamp": leak.at,
        "ecs": {"version": "8.17.0"},
        "event": {
            "id": leak.id,
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["denied"],
            "action": "generation-blocked",
            "outcome": "success",
            "severity": ECS_SEVERITY[leak.severity],
            "provider": "cleanroom",
            "module": "cleanroom",
            "dataset": "cleanroom.leaks",
        },
        "message": _title(leak),
        "observer": {"product": PRODUCT, "vendor": PRODUCT, "type": "code-guard", "version": version("cleanroom")},
        "cleanroom": {"leak": leak.to_json()},
    }
    if leak.org is not None:
        event["organization"] = {"name": leak.org}
    if leak.key is not None:
        event["user"] = {"id": leak.key}
    documents = [match.document for match in leak.matches if match.document is not None]
    if documents:
        event["file"] = {"path": documents[0]}
    return event


LINES = "application/x-ndjson"
FORMS = {
    "jsonl": Form(_lines(lambda leak: leak.to_json()), LINES, "jsonl"),
    "csv": Form(_table, "text/csv; charset=utf-8; header=present", "csv"),
    "ocsf": Form(_lines(_ocsf), LINES, "ocsf.jsonl"),
    "ecs": Form(_lines(_ecs), LINES, "ecs.jsonl"),
}
