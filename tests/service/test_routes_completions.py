from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guard.errors import StoreUnavailableError
from service.errors import EngineError, EngineUnavailableError

if TYPE_CHECKING:
    from types import SimpleNamespace

CITATION = {
    "protected_material_code": {
        "detected": True,
        "filtered": False,
        "citation": {"URL": "pkg:generic/attrs#src/a%20b.py", "license": "MIT"},
    }
}

JSON = {"Content-Type": "application/json"}


def post(world: SimpleNamespace, **body: object) -> httpx.Response:
    # The client's own encoder cannot write half a character.
    content = json.dumps({"prompt": "def f():\n", **body})
    reply: httpx.Response = world.client.post("/v1/completions", content=content, headers=JSON)
    return reply


def chunks(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = reply.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def test_completion(world: SimpleNamespace) -> None:
    reply = post(world, model="scripted-1", max_tokens=5, temperature=0.5, top_p=0.9, stop=["a", "b"], seed=3)
    assert reply.status_code == 200
    body = reply.json()
    (choice,) = body["choices"]
    decision = choice.pop("decision")
    assert choice == {"index": 0, "text": "return 1\n", "logprobs": None, "finish_reason": "length"}
    assert (body["object"], body["model"]) == ("text_completion", "scripted-1")
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert reply.headers["X-Cleanroom-Decision"] == decision
    assert world.ledger.get(decision).record.org == "acme"
    _, sampling = world.engine.asked[0]
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (5, 0.5, 0.9)
    assert (sampling.stop, sampling.seed) == (("a", "b"), 3)


def test_nulls_and_unknown_fields_are_what_clients_send(world: SimpleNamespace) -> None:
    nothing = dict.fromkeys(
        ["suffix", "max_tokens", "temperature", "top_p", "n", "stop", "seed", "stream", "stream_options", "echo"]
    )
    reply = post(world, **nothing, logprobs=None, best_of=1, user="someone", logit_bias={}, frob=[1])
    assert reply.status_code == 200
    _, sampling = world.engine.asked[0]
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.stop) == (64, 0.0, 1.0, ())


def text_of(bodies: list[dict[str, Any]], index: int = 0) -> str:
    choices = [choice for body in bodies for choice in body["choices"] if choice["index"] == index]
    return "".join(choice["text"] for choice in choices)


def test_stream(world: SimpleNamespace) -> None:
    world.engine.texts = ["a = 1\n\n  b\u2028c = 'é'"]
    reply = post(world, stream=True, stream_options={"include_usage": True})
    *texts, last, usage = chunks(reply)
    assert text_of(texts) == "a = 1\n\n  b\u2028c = 'é'"
    assert len(texts) > 1
    assert all(chunk["choices"][0]["finish_reason"] is None and chunk["usage"] is None for chunk in texts)
    assert (last["choices"][0]["text"], last["choices"][0]["finish_reason"]) == ("", "length")
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 5)
    assert len({chunk["id"] for chunk in [*texts, last, usage]}) == 1
    assert reply.headers["X-Cleanroom-Decision"] == last["choices"][0]["decision"]
    entry = world.ledger.get(last["choices"][0]["decision"])
    assert entry.record.surface == "stream"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("text", "left"), [("a\nPRIVATE\n", "a"), ("x PRIVATE", "")])
def test_private_code_is_kept_back_without_a_word(
    world: SimpleNamespace, text: str, left: str, *, stream: bool
) -> None:
    world.engine.texts = [text]
    withheld = post(world, stream=stream)
    world.engine.texts, world.engine.finish_reason = [left], "stop"
    shorter = post(world, stream=stream)
    assert "PRIVATE" not in withheld.text

    def seen(reply: httpx.Response) -> object:
        """Everything but the ids and the time, which differ between any two replies."""
        bodies = chunks(reply) if stream else [reply.json()]
        for body in bodies:
            del body["id"], body["created"]
            for choice in body["choices"]:
                choice.pop("decision", None)
        if stream:  # how a text is cut into pieces is chance
            bodies = [text_of(bodies), bodies[-1]]
        varying = {"date", "x-request-id", "x-cleanroom-decision", "content-length"}
        return bodies, [(name, value) for name, value in reply.headers.items() if name not in varying]

    assert seen(withheld) == seen(shorter)


@pytest.mark.parametrize("stream", [False, True])
def test_denied_licence_is_disclosed(world: SimpleNamespace, *, stream: bool) -> None:
    world.engine.texts = ["a\nDENIED\n"]
    reply = post(world, stream=stream)
    choice = chunks(reply)[-1]["choices"][0] if stream else reply.json()["choices"][0]
    assert "DENIED" not in reply.text
    assert choice["finish_reason"] == "content_filter"
    finding = choice["content_filter_results"]["protected_material_code"]
    assert (finding["detected"], finding["filtered"]) == (True, True)
    assert finding["citation"] == {"URL": "pkg:generic/pylint#src/a%20b.py", "license": "GPL-2.0-or-later"}


@pytest.mark.parametrize("stream", [False, True])
def test_citation_comes_with_the_text(world: SimpleNamespace, *, stream: bool) -> None:
    world.engine.texts = ["a\nCITED\n"]
    reply = post(world, stream=stream)
    choice = chunks(reply)[-1]["choices"][0] if stream else reply.json()["choices"][0]
    assert (choice["finish_reason"], choice["content_filter_results"]) == ("length", CITATION)
    assert text_of(chunks(reply) if stream else [reply.json()]) == "a\nCITED\n"


@pytest.mark.parametrize("stream", [False, True])
def test_every_choice_has_its_decision(world: SimpleNamespace, *, stream: bool) -> None:
    world.engine.texts = ["a\n", "PRIVATE", "CITED"]
    reply = post(world, n=3, stream=stream)
    decisions = reply.headers["X-Cleanroom-Decision"].split(", ")
    bodies = chunks(reply) if stream else [reply.json()]
    choices = [choice for body in bodies for choice in body["choices"] if "decision" in choice]
    assert {choice["index"]: choice["decision"] for choice in choices} == dict(enumerate(decisions))
    assert [text_of(bodies, index) for index in range(3)] == ["a\n", "", "CITED"]
    assert len(set(decisions)) == 3


def test_prompt_list_and_echo(world: SimpleNamespace) -> None:
    world.engine.texts = ["1", "2"]
    body = post(world, prompt=["a = ", "b = "], echo=True).json()
    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [(0, "a = 1"), (1, "b = 2")]


def test_suffix_reaches_the_engine(world: SimpleNamespace) -> None:
    post(world, suffix="\nreturn x")
    assert world.engine.asked[0][0].suffix == "\nreturn x"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"prompt": None}, "prompt", "a string or a list"),
        ({"prompt": [1, 2]}, "prompt", "a string or a list"),
        ({"prompt": []}, "prompt", "0 choices"),
        ({"prompt": ["a", "b", "c"], "n": 4}, "prompt", "12 choices"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"max_tokens": 2049}, "max_tokens", "at most 2048"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"n": 9}, "n", "less than or equal to 8"),
        ({"stop": ["a"] * 5}, "stop", "4 items"),
        ({"stop": ""}, "stop", "1 character"),
        ({"stop": ["a", 1]}, "stop", "a string or a list"),
        ({"seed": "x"}, "seed", "integer"),
        ({"seed": 2**64}, "seed", ""),
        ({"logprobs": 6}, "logprobs", "less than or equal to 5"),
        ({"logprobs": -1}, "logprobs", "greater than or equal to 0"),
        ({"logprobs": 0, "echo": True}, "logprobs", "trained on it"),
        ({"best_of": 2}, "best_of", "is not n"),
        ({"n": 10**30}, "n", "less than or equal to 8"),
        ({"suffix": "\ud800"}, "suffix", "surrogate"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "stream"),
    ],
)
def test_bad_field_is_named(world: SimpleNamespace, body: dict[str, Any], param: str, words: str) -> None:
    reply = post(world, **body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].split(".")[0] == param
    assert words in error["message"]
    assert world.engine.asked == []


def test_unknown_model(world: SimpleNamespace) -> None:
    reply = post(world, model="gpt-9")
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "'scripted-1'" in error["message"]


def test_prompt_over_the_limit(world: SimpleNamespace) -> None:
    reply = post(world, prompt="x" * 200_000, suffix="y")
    assert reply.status_code == 400
    assert "200001 characters" in reply.json()["error"]["message"]


def test_faulty_value_is_not_repeated(world: SimpleNamespace) -> None:
    reply = post(world, prompt={"text": "MARKER"}, stop={"MARKER": 1})
    assert reply.status_code == 400
    assert "MARKER" not in reply.text


FAILURES = pytest.mark.parametrize(
    ("part", "error", "status", "code"),
    [
        ("guard", StoreUnavailableError("redis://10.0.0.7 is down"), 503, "guard_unavailable"),
        ("engine", EngineError("broken"), 502, "engine_failed"),
        ("engine", EngineUnavailableError("http://10.0.0.7 is down"), 503, "engine_unavailable"),
        ("engine", KeyError("MARKER"), 500, "internal_error"),
        ("guard", ZeroDivisionError("MARKER"), 500, "internal_error"),
    ],
)


@pytest.mark.parametrize("stream", [False, True])
@FAILURES
def test_failure_has_its_status_streamed_or_not(
    world: SimpleNamespace, part: str, error: Exception, status: int, code: str, *, stream: bool
) -> None:
    world.engine.texts = [""]
    getattr(world, part).error = error
    reply = post(world, stream=stream)
    assert reply.status_code == status
    assert reply.json()["error"]["code"] == code
    assert "MARKER" not in reply.text
    assert "10.0.0.7" not in reply.text
    getattr(world, part).error = None
    assert post(world, stream=stream).status_code == 200


@FAILURES
def test_failure_in_the_middle_of_a_stream_is_its_last_event(
    world: SimpleNamespace, part: str, error: Exception, status: int, code: str
) -> None:
    del status
    world.engine.texts, world.engine.stuck = ["return 1\n" * 40], True
    body = {"prompt": "def f():\n", "stream": True}
    events = []
    with world.client.stream("POST", "/v1/completions", json=body) as reply:
        assert reply.status_code == 200
        for line in reply.iter_lines():
            events += [line] if line else []
            getattr(world, part).error = error
            world.engine.go_on.set()
    arrived = "".join(json.loads(event[6:])["choices"][0]["text"] for event in events[:-1])
    assert ("return 1\n" * 40).startswith(arrived)
    assert arrived
    assert json.loads(events[-1][6:])["error"]["code"] == code
    assert "MARKER" not in events[-1]
    assert "10.0.0.7" not in events[-1]
    entry = world.ledger.get(reply.headers["X-Cleanroom-Decision"])
    assert (entry.record.disposition, entry.record.released_characters) == ("interrupted", len(arrived))


def test_client_that_leaves_stops_the_engine(world: SimpleNamespace) -> None:
    world.engine.stuck = True
    before = world.ledger.heads()
    with pytest.raises(httpx.ReadTimeout):
        world.client.post("/v1/completions", json={"prompt": "x"}, timeout=0.3)
    world.client.close()
    assert world.engine.cancelled.wait(10)
    assert world.ledger.heads() == before


def test_client_that_leaves_a_stream_stops_the_engine_and_what_had_left_is_on_record(world: SimpleNamespace) -> None:
    world.engine.stuck = True
    with world.client.stream("POST", "/v1/completions", json={"prompt": "x", "stream": True}) as reply:
        arrived = json.loads(next(line for line in reply.iter_lines())[6:])["choices"][0]["text"]
    assert world.engine.cancelled.wait(10)
    decision = reply.headers["X-Cleanroom-Decision"]
    deadline = time.monotonic() + 10
    while (entry := world.ledger.get(decision)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert entry.record.disposition == "interrupted"
    assert entry.record.released_characters >= len(arrived) > 0
