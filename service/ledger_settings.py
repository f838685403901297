"""Settings of the ledger: where it is, and where its heads are exported to."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings


class LedgerSettings(BaseSettings):
    """What the ledger and `service.heads` are told."""

    ledger_heads: str | None = Field(
        None,
        repr=False,
        description="Where signed heads of the ledger are exported to, with commas between: `file:///PATH`, "
        "`syslog:///dev/log`, `syslog://HOST:PORT`, `syslog+tcp://HOST:PORT`, `https://...`. Unset: nowhere, so that "
        "whoever can write the database can rewrite it unseen.",
    )
    ledger_head_entries: int = Field(
        100, ge=1, le=1_000_000, description="Entries after which a head is signed and exported."
    )
    ledger_head_seconds: float = Field(
        60.0, gt=0, le=3600, allow_inf_nan=False, description="Seconds after which it is, with fewer entries too."
    )
    ledger_key: Path | None = Field(
        None,
        description="File of the key that signs heads (Ed25519, PEM, mode 600). Unset: `ledger-key.pem` in `home`, "
        "made at its first use.",
    )
