"""The parts of a running service, gathered once at start. Knows of each part only what the service needs of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from service.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.check import GuardQuery
    from guard.ledger import LedgerEntry, LedgerRecord
    from guard.types import Decision
    from guard.watch import Caution, Hold, Watch
    from service.accounts import Accounts
    from service.documents import Documents
    from service.engines.protocol import Engine
    from service.limits import Limits
    from service.review.reviews import Reviews
    from service.settings import Settings


class Checker(Protocol):
    """Whatever decides over a text: the guard."""

    def check(self, query: GuardQuery) -> Decision:
        """Decide; raises RefusalError when it cannot."""

    def watch(self, query: GuardQuery, caution: Caution) -> Watch:
        """Follow a generation that is being written; see `look`."""

    def look(self, growing: Sequence[tuple[Watch, str]]) -> list[Hold]:
        """One look at each of several texts by its watch; raises RefusalError for all of them."""

    def ready(self) -> None:
        """Raise RefusalError unless a check could be answered now."""

    def state(self) -> bytes:
        """What stays the same while checks would be answered the same; raises RefusalError where it is unknown."""


class Released(Protocol):
    """The signed release that is served."""

    @property
    def label(self) -> str:
        """Name, version and digest, for the ledger."""

    def require_standing(self) -> None:
        """Raise ReleaseWithdrawnError once the release has been withdrawn."""


class Recorder(Protocol):
    """Whatever keeps decisions: the ledger."""

    def append_all(self, records: Sequence[LedgerRecord]) -> Sequence[object]:
        """Write all of them durably before returning; raises LedgerError when that fails, and has written none."""

    def ready(self) -> None:
        """Raise LedgerError unless a record could be written now."""

    def get(self, decision_id: str) -> LedgerEntry | None:
        """The entry of a decision, or None."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the service works with.

    Whoever opened the parts closes them, but for the engine and the limits, which live in the app's event loop.
    """

    settings: Settings
    accounts: Accounts
    engine: Engine
    guard: Checker
    ledger: Recorder
    documents: Documents | None = None
    """What organizations may do with their own documents over HTTP; without it, nothing."""
    limits: Limits | None = None
    """What keys may use; without it, any number of requests and tokens."""
    metrics: Metrics = field(default_factory=Metrics)
    reviews: Reviews | None = None
    """What security teams see and say of leaks; without it, nothing."""
    release: Released | None = None
    """The release that the engine runs; without it, a model that is none."""
