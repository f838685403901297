"""Writes an OpenAPI document as one page of HTML, without scripts and with nothing from elsewhere. Knows no route.

Swagger UI and its like are 1.5 MB of script, and want inline styles allowed, at the address that people's keys are for.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #222 }
h2 { margin-top: 3rem; border-top: 1px solid #ccc; padding-top: 1rem; font-family: monospace }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #eee }
pre { background: #f6f6f6; padding: .6rem; overflow-x: auto; white-space: pre-wrap }
summary { cursor: pointer }
"""
STYLE_HASH = f"sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}"
"""What a Content-Security-Policy must allow for the page to have its style."""

Schema = dict[str, Any]


def render(document: Schema) -> str:
    """The page. `document` is one of ours: it has paths, and schemas under `components`."""
    return "".join(_page(document))


def _page(document: Schema) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{STYLE}</style></head><body><h1>{title} {escape(document['info']['version'])}</h1>"
    yield f"<p>{escape(document['info'].get('description', ''))}</p>"
    yield '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    yield (
        "<ul>" + "".join(f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>' for name, _ in operations) + "</ul>"
    )
    for name, operation in operations:
        yield from _operation(name, operation, document["components"]["schemas"])
    yield "<h2>Objects</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f'<section id="{_anchor(name)}"><p>{escape(schema.get("description", ""))}</p>'
        yield from _table(name, schema.get("properties", {}), set(schema.get("required", ())))
        yield "</section>"


def _operation(name: str, operation: Schema, schemas: Schema) -> Iterator[str]:
    yield f'<section id="{_anchor(name)}"><h2>{escape(name)}</h2><p>{escape(operation.get("description", ""))}</p>'
    yield "<p>Asks for a key: <code>Authorization: Bearer cr_...</code></p>" if operation.get("security") else ""
    parameters = operation.get("parameters", [])
    if parameters:
        fields = {parameter["name"]: parameter["schema"] for parameter in parameters}
        yield from _table("Parameters", fields, {each["name"] for each in parameters if each.get("required")})
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from _content(f"Request, {kind}", content, schemas)
    for status, response in operation["responses"].items():
        yield f"<h3>{escape(status)} {escape(response.get('description', ''))}</h3>"
        for kind, content in response.get("content", {}).items():
            yield from _content(kind, content, schemas, fields=status.startswith("2"))
    yield "</section>"


def _content(heading: str, content: Schema, schemas: Schema, *, fields: bool = True) -> Iterator[str]:
    schema = _resolved(content.get("schema", {}), schemas)
    if fields and "properties" in schema:
        yield from _table(heading, schema["properties"], set(schema.get("required", ())))
    for name, example in content.get("examples", {}).items():
        value = example["value"]
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        yield f"<details><summary>{escape(heading)}: {escape(name)}</summary><pre>{escape(text)}</pre></details>"


def _table(heading: str, fields: Mapping[str, Schema], required: set[str]) -> Iterator[str]:
    yield f"<table><caption>{escape(heading)}</caption><tr><th>field</th><th>type</th><th>meaning</th></tr>"
    for name, schema in fields.items():
        needed = ", required" if name in required else ""
        yield f"<tr><td><code>{escape(name)}</code></td><td>{_type(schema)}{needed}</td>"
        yield f"<td>{escape(schema.get('description', ''))}{escape(_bounds(schema))}</td></tr>"
    yield "</table>"


def _type(schema: Schema) -> str:
    """A type in a few words, as HTML."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f'<a href="#{_anchor(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "const" in schema:
        return escape(json.dumps(schema["const"]))
    if "enum" in schema:
        return escape(" or ".join(json.dumps(each) for each in schema["enum"]))
    kind = escape(str(schema.get("type", "any")))
    return f"{kind} of {_type(schema['items'])}" if "items" in schema else kind


def _bounds(schema: Schema) -> str:
    """Bounds and default, where there are any."""
    named = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    plain = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"][:1]
    bounds = [f"{word} {each[key]:g}" for each in plain for key, word in named.items() if key in each]
    default = schema.get("default")
    shown = [*bounds, *([f"default {json.dumps(default)}"] if isinstance(default, (int, float)) else [])]
    return f" ({', '.join(shown)})" if shown else ""


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    """The schema itself, where it only names one; of several the first."""
    if "anyOf" in schema:
        return _resolved(schema["anyOf"][0], schemas)
    found: Schema = schemas.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
    return found


def _anchor(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name.lower())
