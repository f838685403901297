"""What leaks look like over HTTP, for the reference that the service gives of itself. Knows shapes only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

ID = "dec_2f9c1b7a40d86e5300c1a2b3"
_AT = "2026-09-21T08:14:07.120000+00:00"
_MATCH = {
    "kind": "renamed",
    "start": 211,
    "end": 640,
    "tokens": 88,
    "similarity": 0.9773,
    "action": "block",
    "private": True,
    "owner": "org:acme",
    "document": "billing/src/invoices.py",
    "license": None,
    "reason": "renamed copy of private code of acme, 142 bits of evidence (3e-20 such matches expected by chance)",
}
LEAK: dict[str, object] = {
    "id": ID,
    "at": _AT,
    "role": "owner",
    "severity": "high",
    "disposition": "open",
    "org": None,
    "key": None,
    "model": "joint-1b",
    "release": "joint-1b@4 sha256:9f86d081884c7d65",
    "surface": "/v1/completions",
    "outcome": "trimmed",
    "released_characters": 198,
    "generated_characters": 702,
    "checked_tokens": 171,
    "matches": [_MATCH],
    "entry": None,
    "hash": None,
    "index_version": None,
}
_SAID = {
    "at": "2026-09-21T09:02:51.004000+00:00",
    "disposition": "confirmed",
    "note": "ours; told the platform team",
    "org": "acme",
    "key": "a1b2c3d4e5f6",
}
PAGE = {"object": "list", "data": [LEAK], "next": "Qk1SRXh3c0RQZ0F5bG5qTzVhQ2dBd3Z4eXpBQkNERUZHSElK"}
DETAIL = {**LEAK, "disposition": "confirmed", "history": [_SAID]}
JUDGED = {"id": ID, "disposition": "confirmed", "history": [_SAID]}
DISPOSITIONS: dict[str, Example] = {
    "confirmed": {"summary": "confirmed", "value": {"disposition": "confirmed", "note": "ours"}},
    "taken back": {"summary": "taken back", "value": {"disposition": "open"}},
}
ALERTS = {
    "object": "list",
    "data": [
        {
            "kind": "probing",
            "id": 4,
            "at": "2026-09-21T08:20:00.000000+00:00",
            "subject": "key a1b2c3d4e5f6",
            "org": "acme",
            "details": {"key": "a1b2c3d4e5f6", "leaks": 23, "minutes": 10},
        }
    ],
}
_LINES = {"jsonl": {"summary": "jsonl", "value": '{"id":"dec_2f9c...","at":"2026-09-21T08:14:07.120000+00:00",...}\n'}}
_ROWS = {"csv": {"summary": "csv", "value": '"id","at","role","severity",...\r\n"dec_2f9c...","2026-09-21T08..."'}}
EXPORTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The leaks.",
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}, "examples": _LINES},
            "text/csv": {"schema": {"type": "string"}, "examples": _ROWS},
        },
    }
}
