from __future__ import annotations

import pytest

from guard.errors import StoreMismatchError
from guard.stamp import Stamp

STAMP = Stamp(2, "lexer1 winnow9/7", "0f" * 16, "an id", 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        STAMP.to_bytes()[:-1],
        STAMP.to_bytes() + b" ",
        STAMP.to_bytes().replace(b":3,", b":10,"),
        STAMP.to_bytes().replace(b":3,", b':"3",'),
        STAMP.to_bytes().replace(b'"an id"', b"{}"),
    ],
    ids=range(10),
)
def test_anything_else_is_no_stamp(data: bytes) -> None:
    with pytest.raises(StoreMismatchError, match="is not one that this version"):
        Stamp.from_bytes(data)
