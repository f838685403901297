"""A month of leaks between three organizations, and clients of the console that shows them."""

from __future__ import annotations

import random
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guard.ledger import Ledger, LedgerRecord
from guard.types import Action, Decision, Match, MatchKind, Owner, new_decision_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.accounts import Accounts
    from service.parts import Services

ORGS = ("azure-core", "google-auth", "s3transfer")
DOCUMENTS = {
    "azure-core": ("azure/core/polling/_poller.py", "azure/core/pipeline/_base.py", "azure/core/rest/_helpers.py"),
    "google-auth": ("google/auth/_helpers.py", "google/oauth2/credentials.py", "google/auth/crypt/es256.py"),
    "s3transfer": ("s3transfer/bandwidth.py", "s3transfer/futures.py", "s3transfer/copies.py"),
}
RESTRICTED = Owner.licensed("pylint", "GPL-2.0-or-later")
RELEASES = (
    "joint-coder@3 sha256:5f0c9a4be3d1c27a6d54c0f2f9a1e0b3",
    "joint-coder@4 sha256:b81e6f30a97c44d2c0e5d7713f26a8d9",
)
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


def leak(  # noqa: PLR0913 - what a leak is
    org: str,
    owner: Owner,
    document: str,
    *,
    key: str = "a1b2c3d4e5f6",
    kind: MatchKind = MatchKind.EXACT,
    tokens: int = 120,
    similarity: float = 1.0,
    release: str | None = RELEASES[1],
) -> LedgerRecord:
    """A generation for `org` that held code of `owner`."""
    reason = f"private code of {owner.name}" if owner.license is None else f"{owner.license} is denied"
    match = Match(kind, 40, 40 + 5 * tokens, tokens, similarity, owner, document, owner.license, Action.BLOCK, reason)
    decision = Decision(new_decision_id(), Action.BLOCK, (match,), tokens + 31, 4.2, 7)
    return LedgerRecord(
        decision, org, key, "joint-coder", "/v1/completions", "trimmed", 40, 5 * tokens + 90, release=release
    )


@contextmanager
def moment(at: datetime) -> Iterator[None]:
    """The ledger's clock stands at `at`."""

    class Standing(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Standing:  # noqa: ANN401 - as datetime has it
            return cls.fromtimestamp(at.timestamp(), tz)

    modules = [module for name, module in sys.modules.items() if name.startswith("guard.ledger")]
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            if hasattr(module, "datetime"):
                patch.setattr(module, "datetime", Standing)
        yield


def month_of_leaks(ledger: Ledger, keys: dict[str, str]) -> None:
    """Some two hundred leaks, more of them of late, and a key that probes; the same every time."""
    draw = random.Random(7)  # noqa: S311 - no secret
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    at = sorted(now - timedelta(days=30 * draw.random() ** 1.5, minutes=5) for _ in range(180))
    for when in at:
        org = draw.choices(ORGS, (5, 3, 2))[0]
        owner = draw.choice([one for one in ORGS if one != org])
        whose, document = Owner.organization(owner), draw.choice(DOCUMENTS[owner])
        if draw.random() < 0.18:
            whose, document = RESTRICTED, "pylint/checkers/symilar.py"
        kind = draw.choices(list(MatchKind), (5, 3, 4))[0]
        record = leak(
            org,
            whose,
            document,
            key=keys[org],
            kind=kind,
            tokens=draw.randint(28, 260),
            similarity=1.0 if kind is MatchKind.EXACT else 0.8 + 0.19 * draw.random(),
            release=RELEASES[when > now - timedelta(days=11)],
        )
        with moment(when):
            ledger.append(record)
    for back in range(13):
        with moment(now + timedelta(seconds=back)):
            record = leak(
                "s3transfer", Owner.organization("google-auth"), DOCUMENTS["google-auth"][0], key=keys["s3transfer"]
            )
            ledger.append(record)


@dataclass(frozen=True)
class Console:
    """A served console, and what is behind it."""

    url: str
    services: Services
    keys: dict[str, str]
    """Secrets: `admin`, and of each organization's reviewer."""

    @property
    def accounts(self) -> Accounts:
        return self.services.accounts

    @property
    def ledger(self) -> Ledger:
        assert isinstance(self.services.ledger, Ledger)
        return self.services.ledger

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)

    @contextmanager
    def signed_in(self, who: str) -> Iterator[httpx.Client]:
        """A client with a session."""
        with self.client() as client:
            token = token_of(client.get("/console/sign-in"))
            reply = client.post("/console/sign-in", data={"form_token": token, "key": self.keys[who]})
            assert reply.status_code == 303, reply.text
            yield client


def token_of(page: httpx.Response) -> str:
    """The token of a page's forms."""
    found = TOKEN.search(page.text)
    assert found is not None, page.text
    return found[1]
