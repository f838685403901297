from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from guard.nodes import ask

if TYPE_CHECKING:
    from guard.store import Store

HELD = "return redis.call('GET', KEYS[1])"


def test_an_error_of_a_program_is_raised_and_the_connection_goes_on(embedded_store: Store) -> None:
    node: Any = embedded_store.writer
    node.rpush("cr:list", b"1")
    node.set("cr:text", b"2")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        ask(lambda _: node, [(HELD, b"cr:text", b"", b""), (HELD, b"cr:list", b"", b"")])
    assert ask(lambda _: node, [(HELD, b"cr:text", b"", b"")] * 2) == [b"2", b"2"]


def test_of_a_node_that_cannot_be_asked_no_other_answers_are_left_to_read(embedded_store: Store) -> None:
    node: Any = embedded_store.writer
    node.set("cr:text", b"2")
    gone = redis.Redis(host="127.0.0.1", port=1, socket_timeout=1)
    with pytest.raises(redis.ConnectionError):
        ask(lambda key: gone if key == b"gone" else node, [(HELD, b"cr:text", b"", b""), (HELD, b"gone", b"", b"")])
    node.set("cr:text", b"3")
    assert ask(lambda _: node, [(HELD, b"cr:text", b"", b"")]) == [b"3"]
