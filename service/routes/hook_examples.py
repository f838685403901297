"""What a webhook looks like over HTTP, for the reference that the service gives of itself. Knows shapes only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

URL = "https://siem.acme.example/cleanroom"
HOOK: dict[str, object] = {"url": URL, "at": "2026-09-21T08:14:07.120000+00:00", "key": "a1b2c3d4e5f6"}
REMOVED: dict[str, object] = {"removed": True}
HOOKS: dict[str, Example] = {
    "set": {"summary": "set", "value": {"url": URL, "secret": "what `openssl rand -hex 32` prints"}},
}
