"""What a client may tell of the file around prompt and suffix, and how it asks for a cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.request_fields import FILES_LIMIT

if TYPE_CHECKING:
    from types import SimpleNamespace

CONTEXT = {
    "path": "pkg/sums.py",
    "repository": "acme/sums",
    "files": [{"path": "pkg/a.py", "text": "A = 1\n"}],
}


def post(world: SimpleNamespace, **body: Any) -> Any:  # noqa: ANN401 - JSON either way
    return world.client.post("/v1/completions", json={"prompt": "x = ", **body})


def test_context_reaches_the_engine_and_the_guard_sees_the_callers_prefix_alone(world: SimpleNamespace) -> None:
    reply = post(world, suffix="\nreturn x", context=CONTEXT)
    assert reply.status_code == 200
    prompt, _ = world.engine.asked[0]
    assert prompt.text == "# pkg/a.py\nA = 1\n\n# pkg/sums.py\nx = "
    assert prompt.suffix == "\nreturn x"
    assert world.guard.queries[0].prefix == "x = "


def test_the_guard_sees_the_whole_prefix_though_the_engine_gets_its_end(world: SimpleNamespace) -> None:
    reply = post(world, prompt="abcd" * 50, truncate_prompt_tokens=3)
    assert reply.status_code == 200
    # The scripted engine has four characters a token.
    assert world.engine.asked[0][0].text == "abcd" * 3
    assert world.guard.queries[0].prefix == "abcd" * 50


def test_null_is_no_context(world: SimpleNamespace) -> None:
    assert post(world, context=None, truncate_prompt_tokens=None).status_code == 200
    assert world.engine.asked[0][0].text == "x = "


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"context": {"files": [{"path": "a.py", "text": ""}]}}, "context.path"),
        ({"context": {"path": "a\nb"}}, "context.path"),
        ({"context": {"path": "a" * 501}}, "context.path"),
        ({"context": {"path": "a", "files": [{"path": "", "text": ""}]}}, "context.files"),
        ({"context": {"path": "a", "files": [{"path": "b", "text": ""}] * (FILES_LIMIT + 1)}}, "context.files"),
        ({"context": "a.py"}, "context"),
        ({"truncate_prompt_tokens": -2}, "truncate_prompt_tokens"),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(world: SimpleNamespace, body: dict[str, Any], word: str) -> None:
    reply = post(world, **body)
    assert reply.status_code == 400
    assert word in reply.text
    assert world.engine.asked == []


def test_half_a_character_in_a_file_is_refused(world: SimpleNamespace) -> None:
    body = b'{"prompt": "x", "context": {"path": "a", "files": [{"path": "b", "text": "\\ud800"}]}}'
    reply = world.client.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400
    assert "surrogate" in reply.text


def test_files_count_towards_the_limit_of_a_prompt(world: SimpleNamespace) -> None:
    context = {"path": "a", "files": [{"path": "b", "text": "x" * 200_000}]}
    reply = post(world, context=context)
    assert reply.status_code == 400
    assert "200004 characters" in reply.text
