from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from guard.nodes import Question, ask

if TYPE_CHECKING:
    from guard.store import Store


def held(*keys: bytes, verb: bytes = b"GET") -> Question:
    """The values of keys, as of one moment."""
    commands = [b"*1\r\n$5\r\nMULTI\r\n"]
    commands += [b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(verb), verb, len(key), key) for key in keys]
    commands.append(b"*1\r\n$4\r\nEXEC\r\n")
    return Question(keys[0], b"".join(commands), len(commands))


@pytest.fixture
def node(embedded_store: Store) -> Any:  # noqa: ANN401
    node: Any = embedded_store.writer
    node.rpush("cr:list", b"1")
    node.set("cr:text", b"2")
    return node


def test_answers_come_in_the_order_of_the_questions(node: Any) -> None:  # noqa: ANN401
    assert ask(lambda _: node, [held(b"cr:text", b"cr:none"), held(b"cr:text")]) == [[b"2", None], [b"2"]]


@pytest.mark.parametrize("wrong", [held(b"cr:text", b"cr:list"), held(b"cr:list"), held(b"cr:text", verb=b"NO")])
def test_an_error_is_raised_and_no_answer_is_left_to_read(node: Any, wrong: Question) -> None:  # noqa: ANN401
    """Whether it comes when the command is queued or when it runs, first or last."""
    for questions in ([wrong, held(b"cr:text")], [held(b"cr:text"), wrong]):
        with pytest.raises(redis.ResponseError, match=r"WRONGTYPE|unknown command"):
            ask(lambda _: node, questions)
        assert ask(lambda _: node, [held(b"cr:text")] * 2) == [[b"2"]] * 2


def test_of_a_node_that_cannot_be_asked_no_other_answers_are_left_to_read(node: Any) -> None:  # noqa: ANN401
    gone = redis.Redis(host="127.0.0.1", port=1, socket_timeout=1)
    with pytest.raises(redis.ConnectionError):
        ask(lambda key: gone if key == b"gone" else node, [held(b"cr:text"), held(b"gone")])
    node.set("cr:text", b"3")
    assert ask(lambda _: node, [held(b"cr:text")]) == [[b"3"]]
