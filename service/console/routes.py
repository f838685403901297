"""The routes of the console, together. Knows no more of them than their order."""

from __future__ import annotations

from fastapi import APIRouter

from service.console import judging, oidc, pages, signing_in, static_files

router = APIRouter()
for part in (signing_in, oidc, static_files, judging, pages):
    router.include_router(part.router)
