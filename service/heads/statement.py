"""What is signed of a chain's head, and how it is written as one line of JSON. Knows no database and no destination."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from guard.errors import LedgerError
from guard.ledger_chain import written_now
from guard.ledger_entry import Head
from guard.ledger_form import canonical
from guard.ledger_heads import SignedHead
from registry.errors import RegistryError
from registry.keys import PublicKey, load_key, make_key
from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from registry.keys import SigningKey

PURPOSE = "ledger head"
KEY_FILE = "ledger-key.pem"
"""The signing key under the home, mode 600."""
LONGEST_LINE = 4096


def signing_key(path: Path) -> SigningKey:
    """The key in `path`, made there at its first use. Raises SetupError."""
    try:
        return load_key(path) if path.exists() else make_key(path)
    except RegistryError as error:
        message = f"the ledger's heads cannot be signed: {error}"
        raise SetupError(message) from error


def signed_head(head: Head, key: SigningKey) -> SignedHead:
    """`head`, signed now."""
    at = written_now()
    return SignedHead(head, at, str(key.public), key.sign(PURPOSE, _statement(head, at)))


def line_of(signed: SignedHead) -> str:
    """`{"at":...,"entries":N,"hash":H,"key":K,"signature":S,"writer":W}`: S is over the line without key and itself."""
    named = {"at": signed.at, **_named(signed.head), "key": signed.key, "signature": signed.signature}
    return canonical(named)


def read_heads(lines: Iterable[str], trusted: Collection[PublicKey]) -> list[Head]:
    """The heads in lines that `line_of` wrote, which may stand behind other words, as in a log. Blank ones are skipped.

    Raises LedgerError where one is not what a trusted key has signed: who forges heads has something to hide.
    """
    return [_read(line, number, trusted) for number, line in enumerate(lines, 1) if line.strip()]


def _read(line: str, number: int, trusted: Collection[PublicKey]) -> Head:
    if len(line) > LONGEST_LINE:
        message = (
            f"line {number} of the heads has {len(line)} characters, more than a head has: it is forged or damaged"
        )
        raise LedgerError(message)
    try:
        told = json.loads(line[line.index("{") :])
        head = Head(str(told["writer"]), int(told["entries"]), str(told["hash"]))
        key, signature, at = PublicKey(str(told["key"])), str(told["signature"]), str(told["at"])
    except (ValueError, OverflowError, KeyError, TypeError, RecursionError, RegistryError) as error:
        message = f"line {number} of the heads is no signed head: it is forged or damaged ({line.strip()[:80]!r})"
        raise LedgerError(message) from error
    if key not in trusted:
        message = (
            f"line {number} of the heads is signed by {key}, which is not trusted: name it with --key if it is the key "
            "of one of your services (`cleanroom ledger key` prints it there)"
        )
        raise LedgerError(message)
    if not key.signed(PURPOSE, _statement(head, at), signature):
        message = f"line {number} of the heads was not signed by {key}: it is forged, and so may others be"
        raise LedgerError(message)
    return head


def _named(head: Head) -> dict[str, object]:
    return {"writer": head.writer, "entries": head.entries, "hash": head.hash}


def _statement(head: Head, at: str) -> bytes:
    return canonical({**_named(head), "at": at}).encode()
