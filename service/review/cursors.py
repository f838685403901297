"""Cursors: where a list of leaks goes on, sealed so that nobody reads, makes or moves one to another list.

A place in the ledger tells how much everybody asks. So a cursor is encrypted (AES-GCM), and bound to its viewer and its
filter. Knows no list.
"""

from __future__ import annotations

import base64
import re
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.errors import InvalidRequestError

KEY_BYTES = 32
_NONCE = 12
_SHAPE = re.compile(r"[A-Za-z0-9_-]{48}")
"""Nonce, eight bytes of a place and a tag of 16, in base64 without padding: each cursor has one spelling."""


class Cursors:
    """Seals and opens places under one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, place: int, bound_to: bytes) -> str:
        """The cursor of a place, good for the list that `bound_to` stands for."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, place.to_bytes(8, "big"), bound_to)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, cursor: str, bound_to: bytes) -> int:
        """The place of a cursor. Raises InvalidRequestError for one of another list, or made up."""
        message = (
            "the cursor is not one of this list: repeat the filters and the key that it came with, or leave it out "
            "to begin anew"
        )
        if _SHAPE.fullmatch(cursor) is None:
            raise InvalidRequestError(message, param="cursor")
        sealed = base64.urlsafe_b64decode(cursor)
        try:
            return int.from_bytes(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to), "big")
        except InvalidTag:
            raise InvalidRequestError(message, param="cursor") from None
