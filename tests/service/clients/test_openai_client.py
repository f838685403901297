"""The `openai` package against the running service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace

STREAMED = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture
def client(world: SimpleNamespace) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{world.url}/v1", api_key=world.secret, max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, *, stream: bool, **how: Any) -> tuple[str, Any]:  # noqa: ANN401 - the client's fields
    """Text and end of the one choice."""
    if not stream:
        (choice,) = client.completions.create(model="scripted-1", prompt="x", **how).choices
        return choice.text, choice
    choices = [
        chunk.choices[0] for chunk in client.completions.create(model="scripted-1", prompt="x", stream=True, **how)
    ]
    return "".join(choice.text for choice in choices), choices[-1]


@STREAMED
def test_clean(world: SimpleNamespace, client: openai.OpenAI, *, stream: bool) -> None:
    world.engine.texts = ["a = 1\nb = 2\n"]
    text, end = ask(client, stream=stream, suffix="y", stop=["z"], seed=3, user="someone")
    assert (text, end.finish_reason) == ("a = 1\nb = 2\n", "length")


@STREAMED
def test_cited(world: SimpleNamespace, client: openai.OpenAI, *, stream: bool) -> None:
    world.engine.texts = ["a\nCITED\n"]
    text, end = ask(client, stream=stream)
    found = end.model_extra["content_filter_results"]["protected_material_code"]
    assert text == "a\nCITED\n"
    assert found["citation"] == {"URL": "pkg:generic/attrs#src/a%20b.py", "license": "MIT"}
    assert found["filtered"] is False


@STREAMED
@pytest.mark.parametrize(("word", "reason"), [("DENIED", "content_filter"), ("PRIVATE", "stop")])
def test_blocked(world: SimpleNamespace, client: openai.OpenAI, word: str, reason: str, *, stream: bool) -> None:
    world.engine.texts = [f"a\n{word}\n"]
    text, end = ask(client, stream=stream)
    assert (text, end.finish_reason) == ("a", reason)


def test_several_with_log_probabilities(world: SimpleNamespace, client: openai.OpenAI) -> None:
    world.engine.texts = ["a = 1\n"]
    completion = client.completions.create(model="scripted-1", prompt="x", n=2, best_of=2, logprobs=2)
    for choice in completion.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.tokens == ["a = ", "1\n"]
        assert choice.logprobs.text_offset == [0, 4]


def test_usage_of_a_stream(client: openai.OpenAI) -> None:
    chunks = list(
        client.completions.create(
            model="scripted-1",
            prompt="x",
            stream=True,
            stream_options={"include_usage": True, "include_obfuscation": False},
        )
    )
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


def test_decision_and_models(client: openai.OpenAI) -> None:
    raw = client.completions.with_raw_response.create(model="scripted-1", prompt="x")
    assert raw.headers["X-Cleanroom-Decision"].startswith("dec_")
    assert [model.id for model in client.models.list()] == ["scripted-1"]
    assert client.models.retrieve("scripted-1").owned_by == "cleanroom"
    with pytest.raises(openai.NotFoundError, match="org/other"):
        client.models.retrieve("org/other")


def test_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="max_tokens") as caught:
        client.completions.create(model="scripted-1", prompt="x", max_tokens=9999)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "max_tokens")
