"""Whether an answer of earlier would be given again: a word for all that a check depends on.

Whoever keeps completions shows one again only while the word is the one that came with it. Knows no HTTP but the name
of a header.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from anyio import to_thread

from guard.errors import RefusalError
from service.errors import GuardUnavailableError

if TYPE_CHECKING:
    from service.accounts import Caller
    from service.parts import Services

INDEX_HEADER = "X-Cleanroom-Index"


async def freshness(services: Services, caller: Caller) -> str:
    """32 hexadecimal digits: index, exceptions, licence policy, organization and models.

    They tell nothing but a change.

    Raises GuardUnavailableError, and ReleaseWithdrawnError where the model may write nothing more.
    """
    if services.release is not None:
        services.release.require_standing()
    try:
        state = await to_thread.run_sync(services.guard.state)
    except RefusalError as error:
        services.metrics.refused(error)
        message = f"{type(error).__name__}: {error}"
        raise GuardUnavailableError(message) from error
    release = services.release.label if services.release is not None else ""
    parts = [state.hex(), caller.org, repr(caller.policy), release, *services.engine.models]
    if services.reviews is not None:
        # Read anew, so that no answer that is made after this word knows less than it.
        exempt = await to_thread.run_sync(services.reviews.exceptions.holding, caller.org)
        parts += sorted(one.id for one in exempt)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
