"""Asking several nodes of a cluster at once: everything is sent before the first answer is read. Knows no program.

redis-py's own pipelines do not take scripts on a cluster, and would ask node after node.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Question = tuple[str, bytes, bytes, bytes]
"""A program that writes nothing, its key, and its two arguments."""


def ask(node_of: Callable[[bytes], Any], questions: Sequence[Question]) -> list[Any]:
    """The answers to `questions`, in their order. `node_of` gives the client of the node that holds a key.

    Raises:
        redis.RedisError: a node does not answer, or answers with an error.
    """
    answers = _asked(node_of, questions)
    unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        for node, program in {(node_of(questions[i][1]), questions[i][0]) for i in unknown}:
            node.script_load(program)
        again = _asked(node_of, [questions[i] for i in unknown])
        for i, answer in zip(unknown, again, strict=True):
            answers[i] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _asked(node_of: Callable[[bytes], Any], questions: Sequence[Question]) -> list[Any]:
    shares: dict[Any, list[int]] = {}
    for i, (_, key, _, _) in enumerate(questions):
        shares.setdefault(node_of(key), []).append(i)
    answers: list[Any] = [None] * len(questions)
    opened: list[tuple[Any, Any]] = []
    try:
        for node, share in shares.items():
            connection = node.connection_pool.get_connection()
            opened.append((node, connection))
            connection.send_packed_command(connection.pack_commands([_command(*questions[i]) for i in share]))
        for (_, connection), share in zip(opened, shares.values(), strict=True):
            for i in share:
                answers[i] = _answer(connection)
    except BaseException:
        # Answers that nobody has read would be taken for those to the next question.
        for _, connection in opened:
            connection.disconnect()
        raise
    finally:
        for node, connection in opened:
            node.connection_pool.release(connection)
    return answers


def _command(program: str, key: bytes, *args: bytes) -> tuple[Any, ...]:
    digest = hashlib.sha1(program.encode(), usedforsecurity=False).hexdigest()
    return ("EVALSHA_RO", digest, 1, key, *args)


def _answer(connection: Any) -> Any:  # noqa: ANN401 - redis-py's connections have no common type here
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
