"""What is exempt for a caller when a generation begins: the exceptions of reviews that stand. Knows no leak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread

if TYPE_CHECKING:
    from guard.exemptions import Exempt
    from service.review.reviews import Reviews


async def exempt_for(reviews: Reviews | None, org: str) -> Exempt:
    """The documents whose copies may pass to an organization; none where exceptions cannot be read."""
    if reviews is None:
        return frozenset()
    known = reviews.exceptions.known(org)
    if known is not None:
        return known
    return await to_thread.run_sync(reviews.exceptions.holding, org)
