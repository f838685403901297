"""`/console/static/...`: the style sheet and scripts of the console. Open to everyone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import Response

from service.console.failures import ConsoleRoute
from service.console.rendering import HEADERS, known_static
from service.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}
# Pages name a file with its content's hash.
CACHED: Mapping[str, str] = {"Cache-Control": "public, max-age=31536000, immutable"}

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.get("/console/static/{name}")
def show_static(name: str) -> Response:
    """One file."""
    file = known_static(name)
    kind = TYPES.get(name[name.rfind(".") :])
    if file is None or kind is None:
        message = "there is no such file"
        raise NotFoundError(message)
    return Response(file.read_bytes(), media_type=kind, headers={**HEADERS, **CACHED})
