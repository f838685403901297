"""Asking several nodes at once: everything is sent before the first answer is read. Knows no question's meaning.

redis-py's own pipelines would ask node after node of a cluster, and pack every key by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Question(NamedTuple):
    """A transaction that writes nothing, as it is sent, to the node that holds `key`; the last of `replies` counts."""

    key: bytes
    data: bytes
    replies: int


def ask(node_of: Callable[[bytes], Any], questions: Sequence[Question]) -> list[Any]:
    """The answers to `questions`, in their order. `node_of` gives the client of the node that holds a key.

    Raises:
        redis.RedisError: a node does not answer, or answers with an error.
    """
    shares: dict[Any, list[int]] = {}
    for i, question in enumerate(questions):
        shares.setdefault(node_of(question.key), []).append(i)
    answers: list[Any] = [None] * len(questions)
    opened: list[tuple[Any, Any]] = []
    try:
        for node, share in shares.items():
            connection = node.connection_pool.get_connection()
            opened.append((node, connection))
            connection.send_packed_command([b"".join(questions[i].data for i in share)])
        for (_, connection), share in zip(opened, shares.values(), strict=True):
            for i in share:
                answers[i] = _answer(connection, questions[i].replies)
    except BaseException:
        # Answers that nobody has read would be taken for those to the next question.
        for _, connection in opened:
            connection.disconnect()
        raise
    finally:
        for node, connection in opened:
            node.connection_pool.release(connection)
    return answers


def _answer(connection: Any, replies: int) -> Any:  # noqa: ANN401 - redis-py's connections have no common type here
    for _ in range(replies - 1):
        connection.read_response()
    answer = connection.read_response()
    for value in answer:
        if isinstance(value, Exception):
            raise value
    return answer
