"""Canonical JSON: one value, one spelling. Knows nothing of what the values say.

What is signed is bytes. A reader that took other spellings of the same value would call signed what nobody signed.
"""

from __future__ import annotations

import json
from typing import Any

from registry.errors import UnverifiedError


def canonical(value: object) -> bytes:
    """The canonical JSON of `value`: sorted keys, no spaces, UTF-8, no NaN. Raises ValueError for what JSON lacks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read_canonical(data: bytes, name: str) -> Any:  # noqa: ANN401 - whatever JSON can say
    """The value that `canonical` spelled as `data`; `name` is for the message.

    Raises:
        UnverifiedError: these bytes are not the canonical spelling of any value.
    """
    try:
        value = json.loads(data)
        if canonical(value) == data:
            return value
    except (ValueError, RecursionError):
        pass
    message = f"{name} is not as it was written: fetch the release again"
    raise UnverifiedError(message)
