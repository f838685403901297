"""The `mistralai` package against the running service (`make test-clients`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace

mistralai: Any = pytest.importorskip("mistralai.client")

pytestmark = pytest.mark.filterwarnings("default")
STREAMED = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture
def client(world: SimpleNamespace) -> Iterator[Any]:
    with mistralai.Mistral(api_key=world.secret, server_url=world.url) as client:
        yield client


def ask(client: Any, *, stream: bool, **how: Any) -> tuple[str, Any]:  # noqa: ANN401 - the client's fields
    """Text and end of the one choice."""
    question = {"model": "scripted-1", "prompt": "def f():\n", "suffix": "return x", **how}
    if not stream:
        (choice,) = client.fim.complete(**question).choices
        return choice.message.content, choice
    choices = [event.data.choices[0] for event in client.fim.stream(**question)]
    return "".join(choice.delta.content for choice in choices), choices[-1]


@STREAMED
@pytest.mark.parametrize(
    ("text", "left", "reason"),
    [
        ("a = 1\nb = 2\n", "a = 1\nb = 2\n", "length"),
        ("a\nCITED\n", "a\nCITED\n", "length"),
        ("a\nDENIED\n", "a", "content_filter"),
        ("a\nPRIVATE\n", "a", "stop"),
    ],
    ids=["clean", "cited", "denied", "private"],
)
def test_what_comes(
    world: SimpleNamespace,
    client: Any,  # noqa: ANN401 - untyped
    text: str,
    left: str,
    reason: str,
    *,
    stream: bool,
) -> None:
    world.engine.texts = [text]
    got, end = ask(client, stream=stream, temperature=0.2, random_seed=3, stop=["z"])
    assert (got, end.finish_reason) == (left, reason)


def test_error(client: Any) -> None:  # noqa: ANN401 - as above
    with pytest.raises(Exception, match="max_tokens"):
        ask(client, stream=False, max_tokens=9999)
