"""Opens what signs and exports heads, from the settings."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog

from service.heads.keeper import HeadKeeper, kept
from service.heads.outlets import outlets_of
from service.heads.statement import KEY_FILE, signing_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.ledger import Ledger
    from registry.keys import SigningKey
    from service.settings import Settings

log = structlog.get_logger(__name__)


def ledger_key(settings: Settings) -> SigningKey:
    """The key that signs this home's heads. Raises SetupError."""
    return signing_key(settings.ledger_key or settings.home / KEY_FILE)


@contextmanager
def exported_heads(settings: Settings, ledger: Ledger) -> Iterator[HeadKeeper | None]:
    """Sign and export heads of `ledger` meanwhile; None where the settings name no place for them.

    Raises SetupError on a place that cannot be one.
    """
    outlets = outlets_of(settings.ledger_heads)
    if not outlets:
        log.warning("heads of the ledger are not exported: whoever can write it can rewrite it unseen")
    with ExitStack() as stack:
        for outlet in outlets:
            stack.callback(outlet.close)
        keeper = HeadKeeper(
            ledger,
            ledger_key(settings),
            outlets,
            entries=settings.ledger_head_entries,
            seconds=settings.ledger_head_seconds,
        )
        stack.enter_context(kept(keeper))
        yield keeper if outlets else None
