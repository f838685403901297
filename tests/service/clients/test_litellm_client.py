"""The `litellm` package against the running service (`make test-clients`)."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import SimpleNamespace

# Without it the package fetches a list of prices when it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    litellm: Any = pytest.importorskip("litellm")

pytestmark = pytest.mark.filterwarnings("default")
STREAMED = pytest.mark.parametrize("stream", [False, True])


def ask(world: SimpleNamespace, *, stream: bool) -> tuple[str, Any]:
    """Text and end of the one choice."""
    answer = litellm.text_completion(
        model="text-completion-openai/scripted-1",
        prompt="x",
        api_base=f"{world.url}/v1",
        api_key=world.secret,
        max_retries=0,
        stream=stream,
    )
    if not stream:
        (choice,) = answer.choices
        return choice.text, choice
    choices = [chunk.choices[0] for chunk in answer]
    return "".join(choice.text or "" for choice in choices), choices[-1]


@STREAMED
def test_clean(world: SimpleNamespace, *, stream: bool) -> None:
    world.engine.texts = ["a = 1\nb = 2\n"]
    text, end = ask(world, stream=stream)
    assert (text, end.finish_reason) == ("a = 1\nb = 2\n", "length")


@STREAMED
def test_cited(world: SimpleNamespace, *, stream: bool) -> None:
    """Of a stream the package drops fields that it does not know, the citation among them."""
    world.engine.texts = ["a\nCITED\n"]
    text, end = ask(world, stream=stream)
    assert text == "a\nCITED\n"
    if not stream:
        assert end.content_filter_results["protected_material_code"]["citation"]["license"] == "MIT"


@STREAMED
@pytest.mark.parametrize(("word", "reason"), [("DENIED", "content_filter"), ("PRIVATE", "stop")])
def test_blocked(world: SimpleNamespace, word: str, reason: str, *, stream: bool) -> None:
    world.engine.texts = [f"a\n{word}\n"]
    text, end = ask(world, stream=stream)
    assert (text, end.finish_reason) == ("a", reason)


def test_error(world: SimpleNamespace) -> None:
    world.secret = "cr_wrong"
    with pytest.raises(litellm.AuthenticationError, match="API key"):
        ask(world, stream=False)
