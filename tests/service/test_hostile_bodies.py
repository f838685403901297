"""Bodies that are no requests, sent to every route that generates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import SimpleNamespace

PATHS = pytest.mark.parametrize("path", ["/v1/completions", "/v1/fim/completions", "/infill"])


@PATHS
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"n": ' + b"9" * 5000 + b"}", "application/json"),
        (b'["prompt"]', "application/json"),
        (b'{"prompt": "\\ud800"}', "application/json"),
        (b'{"prompt": "x", "model": "\\ud800"}', "application/json"),
        (b'{"prompt": "x", "temperature": NaN}', "application/json"),
        (b'{"prompt": "x"}', "application/x-www-form-urlencoded"),
        (b'{"prompt": "x"}', ""),
    ],
)
def test_body_that_is_no_request(world: SimpleNamespace, path: str, content: bytes, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    reply = world.client.post(path, content=content, headers=headers)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_request")
    if "json" not in kind:
        assert "Content-Type: application/json" in error["message"]


@PATHS
def test_ten_megabytes(world: SimpleNamespace, path: str) -> None:
    reply = world.client.post(path, json={"prompt": "x" * 10_000_000})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")
    assert world.engine.asked == []


@PATHS
@pytest.mark.parametrize(
    "field",
    [
        {"max_tokens": -1, "n_predict": -5},
        {"max_tokens": 10**30, "n_predict": 10**30},
        {"temperature": -0.1},
        {"temperature": 1e308},
        {"top_p": -1},
        {"stop": [""]},
        {"stop": [[]]},
        {"stream": "perhaps"},
        {"model": ["a"]},
    ],
)
def test_numbers_and_types_that_nothing_can_be_made_of(
    world: SimpleNamespace, path: str, field: dict[str, object]
) -> None:
    reply = world.client.post(path, json={"prompt": "x", **field})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_request")
    assert world.engine.asked == []
