"""How pages are written: templates that escape whatever is put into them, and the headers that hold a page together.

Knows no ledger. Every response of the console is made here or has `HEADERS`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from service.console.sessions import Session
    from service.review.leak import Leak, LeakMatch

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    # With none at all a browser would call its own forms those of nobody (`Origin: null`).
    "Referrer-Policy": "same-origin",
    # A page that opens one of ours, or is opened by it, gets no hold of it.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex",
}
"""No inline script or style, nothing from elsewhere, in nobody's frame, kept by no cache."""
HTMX = {
    # Nothing that would need 'unsafe-eval' or 'unsafe-inline', and nothing of a page kept in the browser's storage.
    "allowEval": False,
    "allowScriptTags": False,
    "includeIndicatorStyles": False,
    "selfRequestsOnly": True,
    "historyCacheSize": 0,
    "refreshOnHistoryMiss": True,
    # A refusal is shown where every page has a place for it.
    "responseHandling": [
        {"code": "204", "swap": False},
        {"code": "[23]..", "swap": True},
        {"code": "[45]..", "swap": True, "error": True, "target": "#notice", "swapOverride": "innerHTML"},
    ],
}
STATIC = files("service.console") / "static"


def page(
    request: Request, template: str, session: Session | None, values: Mapping[str, object], *, status: int = 200
) -> HTMLResponse:
    """A page, or a part of one, for whoever is signed in."""
    text = _environment().get_template(template).render(request=request, session=session, **values)
    return HTMLResponse(text, status, headers=dict(HEADERS))


def is_part(request: Request) -> bool:
    """Whether a page of ours asks for a part of itself."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-history-restore-request") != "true"


@cache
def versioned(name: str) -> str:
    """The address of a static file, which changes with its content so that it may be cached for ever."""
    return f"/console/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(static=versioned, htmx=json.dumps(HTMX), worst=_worst)
    environment.filters.update(number=_number, moment=_moment, bytesize=_bytesize, percent=_percent)
    return environment


def _worst(leak: Leak) -> LeakMatch | None:
    """The match that a line about a leak shows: the longest of those that blocked it. None once they were redacted."""
    return max(leak.matches, key=lambda match: (match.action == "block", match.tokens), default=None)


def _number(value: float) -> str:
    """12345 as 12,345."""
    return f"{value:,}"


def _percent(share: float) -> str:
    """0.9731 as 97 %; less than 1 is never shown as 100."""
    return "100 %" if share >= 1 else f"{min(99, round(100 * share))} %"


def _moment(value: str | float | datetime) -> str:
    """A moment as `2026-11-22 20:15:03` in UTC: of ISO 8601 or of seconds since 1970."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, datetime):
        value = datetime.fromtimestamp(value, UTC)
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _bytesize(count: float) -> str:
    """1536 as 1.5 KiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - a unit is 1024 of the one before
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


def known_static(name: str) -> Any | None:  # noqa: ANN401 - a Traversable, which importlib moves from version to version
    """A static file by its plain name, or None."""
    return next((file for file in STATIC.iterdir() if file.name == name and file.is_file()), None)
