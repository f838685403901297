"""The service's own reference: complete, true, and without anything from elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter

from service import (
    completion_schemas,
    exception_schemas,
    feedback_schemas,
    fim_schemas,
    hook_schemas,
    index_schemas,
    infill_schemas,
    leak_schemas,
    schemas,
)
from service.reference import render
from service.routes.examples import NAME

if TYPE_CHECKING:
    from types import SimpleNamespace

MODULES = (
    completion_schemas,
    exception_schemas,
    feedback_schemas,
    fim_schemas,
    hook_schemas,
    infill_schemas,
    index_schemas,
    leak_schemas,
    schemas,
)
GENERATING = ("/v1/completions", "/v1/fim/completions", "/infill")


@pytest.fixture
def schema(world: SimpleNamespace) -> dict[str, Any]:
    reply = httpx.get(f"{world.url}/openapi.json")
    assert reply.status_code == 200
    found: dict[str, Any] = reply.json()
    return found


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def model_of(content: dict[str, Any]) -> TypeAdapter[Any]:
    """What an answer's schema was written from."""
    schema = content["schema"]
    name = schema.get("anyOf", [schema])[0].get("$ref", "").rpartition("/")[2]
    models = {
        each.__name__: each
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, BaseModel)
    }
    return TypeAdapter(models[name]) if name else TypeAdapter(dict[str, str])


def test_every_answer_has_a_schema_and_examples_that_fit_it(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        assert operation["description"], path
        for status, response in operation["responses"].items():
            if (path, status) == ("/v1/leaks/export", "200"):
                assert all(one["examples"] for one in response["content"].values())
                continue
            content = response["content"]["application/json"]
            assert content["examples"], (method, path, status)
            for example in content["examples"].values():
                model_of(content).validate_python(example["value"], extra="forbid")
        assert "422" not in operation["responses"]


def test_completions_show_a_clean_a_cited_and_a_blocked_answer_and_an_error(schema: dict[str, Any]) -> None:
    for path in GENERATING:
        responses = schema["paths"][path]["post"]["responses"]
        assert set(responses["200"]["content"]["application/json"]["examples"]) == {"clean", "cited", "blocked"}
        assert set(responses["200"]["content"]) == {"application/json", "text/event-stream"}
        assert responses["200"]["headers"]["X-Cleanroom-Decision"]
        assert responses["400"]["content"]["application/json"]["examples"]["error"]


def test_examples_of_requests_are_answered(schema: dict[str, Any], world: SimpleNamespace) -> None:
    world.engine.model = NAME
    for path in GENERATING:
        examples = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        for name, example in examples.items():
            reply = world.client.post(path, json=example["value"])
            assert reply.status_code == 200, (path, name, reply.text)


def test_the_key_is_asked_for_where_the_schema_says_so(schema: dict[str, Any], world: SimpleNamespace) -> None:
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for method, path, operation in operations(schema):
        content = {"application/json": {"prompt": "x", "prefix": "", "ttl": 1}}
        reply = httpx.request(method, world.url + path, json=content["application/json"])
        assert (reply.status_code == 401) == ("security" in operation), (method, path)


class Page(HTMLParser):
    """The elements and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        self.names |= {value or "" for name, value in attrs if name == "id"}


def test_the_page_has_all_operations_and_nothing_from_elsewhere(world: SimpleNamespace, schema: dict[str, Any]) -> None:
    reply = httpx.get(f"{world.url}/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.text == render(schema)
    page = Page(reply.text)
    assert not page.tags & {"script", "iframe", "object", "img", "link", "form"}
    assert page.attributes <= {"href", "id", "lang", "charset"}
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.names
    for _, path, _ in operations(schema):
        assert path in reply.text


def test_the_page_may_have_its_style_and_nothing_else(world: SimpleNamespace) -> None:
    policy = httpx.get(f"{world.url}/docs").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    other = httpx.get(f"{world.url}/openapi.json").headers["Content-Security-Policy"]
    assert "style-src" not in other


def test_what_a_schema_says_is_text() -> None:
    bad = "<script>alert(1)</script>"
    document = {
        "info": {"title": bad, "version": bad, "description": bad},
        "paths": {
            f"/{bad}": {
                "get": {
                    "description": bad,
                    "parameters": [{"name": bad, "required": True, "schema": {"type": bad, "description": bad}}],
                    "responses": {"200": {"description": bad, "content": {bad: {"examples": {bad: {"value": bad}}}}}},
                }
            }
        },
        "components": {
            "schemas": {bad: {"description": bad, "properties": {bad: {"enum": [bad]}, "b": {"const": bad}}}}
        },
    }
    assert "script" not in Page(render(document)).tags
