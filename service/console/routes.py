"""The routes of the console, together. Knows no more of them than their order."""

from __future__ import annotations

from fastapi import APIRouter

from service.console import exceptions, judging, oidc, pages, signing_in, static_files

router = APIRouter()
for part in (signing_in, oidc, static_files, judging, exceptions, pages):
    router.include_router(part.router)
