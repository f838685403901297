"""`/v1/index/...`: an organization's own documents in the index, as fingerprints; no source is ever taken.

The owner is always the organization of the key: nothing here names another. What is answered is about the caller's own
documents, so none of it says what else the index holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import structlog
from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Query
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from service.accounts import Caller, Scope
from service.auth import requires
from service.errors import IndexUnavailableError, InvalidRequestError
from service.index_schemas import (
    DocumentPage,
    ExpiryBody,
    ExpiryReply,
    IndexStamp,
    OwnStatistics,
    PutReply,
    RemovalBody,
    RemovalReply,
)
from service.routes import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.documents import Documents
    from service.parts import Services

DOCUMENTS = "/v1/index/documents"
BATCH_TYPE = "application/octet-stream"
BATCH = {
    "required": True,
    "content": {BATCH_TYPE: {"schema": {"type": "string", "format": "binary"}}},
}
WORKERS = 4
"""Requests that work on the index at a time: checks need threads too, and the store's time more."""

Indexer = Annotated[Caller, Depends(requires(Scope.INDEX))]
Result = TypeVar("Result")

log = structlog.get_logger(__name__)
router = APIRouter(tags=["index"])


@router.get("/v1/index/stamp", responses=examples.of({"stamp": examples.STAMP}))
async def show_stamp(request: Request, caller: Indexer) -> IndexStamp:
    """Whose documents a client may send, and what they must be made with."""
    stamp = await _working(request, caller, lambda documents: documents.stamp())
    limit = cast("Services", request.app.state.services).settings.max_index_bytes
    return IndexStamp(
        org=caller.org,
        schema=stamp.schema,
        scheme=stamp.scheme,
        key_check=stamp.key_check,
        max_batch_bytes=limit,
    )


@router.get("/v1/index/stats", responses=examples.of({"own numbers": examples.STATISTICS}))
async def show_statistics(request: Request, caller: Indexer) -> OwnStatistics:
    """How much the index holds of the caller's organization."""
    numbers = await _working(request, caller, lambda documents: documents.statistics(caller.org))
    return OwnStatistics(
        org=caller.org,
        documents=numbers.documents,
        tokens=numbers.tokens,
        fragments=numbers.fragments,
        expires=numbers.expires,
    )


@router.get(DOCUMENTS, responses=examples.of({"a page": examples.PAGE}))
async def list_documents(
    request: Request, caller: Indexer, cursor: Annotated[int, Query(ge=0, lt=2**64)] = 0
) -> DocumentPage:
    """One page of the caller's paths with their keyed content hashes. `next` is the cursor of the page after it."""
    page, following = await _working(request, caller, lambda documents: documents.page(caller.org, cursor))
    return DocumentPage(documents={path: content.hex() for path, content in page.items()}, next=following or None)


@router.put(DOCUMENTS, responses=examples.of({"written": examples.PUT}), openapi_extra={"requestBody": BATCH})
async def put_documents(request: Request, caller: Indexer) -> PutReply:
    """Add or replace the documents of a batch (guard.wire), each whole or not at all."""
    if request.headers.get("content-type") != BATCH_TYPE:
        message = f"expected a batch of fingerprints with the header 'Content-Type: {BATCH_TYPE}', never source"
        raise InvalidRequestError(message)
    batch = await request.body()
    written, unchanged = await _working(request, caller, lambda documents: documents.put(caller.org, batch))
    log.info("documents put", written=written, unchanged=unchanged)
    return PutReply(written=written, unchanged=unchanged)


@router.delete(DOCUMENTS, responses=examples.of({"removed": examples.REMOVED}))
async def remove_documents(
    request: Request, body: Annotated[RemovalBody, Body(openapi_examples=examples.REMOVALS)], caller: Indexer
) -> RemovalReply:
    """Withdraw documents by path or by what their paths begin with. The guard forgets them at once."""
    paths, prefix = body.paths, body.prefix
    if paths is not None:
        removed = await _working(request, caller, lambda documents: documents.remove(caller.org, paths))
    else:
        removed = await _working(request, caller, lambda documents: documents.withdraw(caller.org, prefix or ""))
    log.info("documents removed", removed=removed)
    return RemovalReply(removed=removed)


@router.put("/v1/index/expiry", responses=examples.of({"expiry": examples.EXPIRY}))
async def set_expiry(
    request: Request, body: Annotated[ExpiryBody, Body(openapi_examples=examples.LIVES)], caller: Indexer
) -> ExpiryReply:
    """Let all of the caller's documents count for so long, and then no more."""
    expires = await _working(request, caller, lambda documents: documents.expire(caller.org, body.ttl))
    log.info("expiry set", expires=expires)
    return ExpiryReply(expires=expires)


async def _working(request: Request, caller: Caller, work: Callable[[Documents], Result]) -> Result:
    """Do `work` in a thread. It is done to its end even if the client goes away."""
    structlog.contextvars.bind_contextvars(org=caller.org, key=caller.key_id)
    documents = cast("Services", request.app.state.services).documents
    if documents is None:
        message = "this service was started without an index that it may write"
        raise IndexUnavailableError(message)
    return await to_thread.run_sync(work, documents, limiter=request.app.state.index_limiter)
