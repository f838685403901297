from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from samples.code import PYTHON, SAMPLES
from samples.indexed import ACME, KEY

from guard.index import Index
from guard.store import open_store
from guard.types import Action, Owner
from guard.wire import encode, encode_batch
from service.accounts import Scope
from service.documents import Documents
from service.remote import made_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guard.stamp import Stamp
    from service.parts import Services

    from .conftest import Shelf

MADE_WITH = made_with(KEY)
BINARY = {"Content-Type": "application/octet-stream"}
PATH = "/v1/index/documents"
EXPIRY = "/v1/index/expiry"
ROUTES = [
    ("GET", "/v1/index/stamp"),
    ("GET", "/v1/index/stats"),
    ("GET", PATH),
    ("PUT", PATH),
    ("DELETE", PATH),
    ("PUT", EXPIRY),
]


def batch(shelf: Shelf, made: Stamp = MADE_WITH, **texts: str) -> bytes:
    return encode_batch(made, [encode(shelf.indexed.digester.digest(n, t, "python")) for n, t in texts.items()])


def put(shelf: Shelf, org: str = "acme", **texts: str) -> httpx.Response:
    with shelf.client(org) as client:
        return client.put(PATH, content=batch(shelf, **texts), headers=BINARY)


def removal(shelf: Shelf, body: object, org: str = "acme") -> httpx.Response:
    with shelf.client(org) as client:
        return client.request("DELETE", PATH, content=json.dumps(body), headers={"Content-Type": "application/json"})


def assert_refused(reply: httpx.Response, status: int, code: str, word: str = "") -> None:
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code), reply.text
    assert word in error["message"]
    assert reply.headers["X-Request-Id"]


def test_what_is_put_is_listed_counted_and_guarded(shelf: Shelf) -> None:
    reply = put(shelf, a=PYTHON, b=SAMPLES["go"])
    assert (reply.status_code, reply.json()) == (200, {"written": 2, "unchanged": 0})
    assert put(shelf, a=PYTHON).json() == {"written": 0, "unchanged": 1}
    with shelf.client() as client:
        page = client.get(PATH).json()
        numbers = client.get("/v1/index/stats").json()
    assert page == {
        "documents": {
            "a": shelf.indexed.digester.content(PYTHON).hex(),
            "b": shelf.indexed.digester.content(SAMPLES["go"]).hex(),
        },
        "next": None,
    }
    assert (numbers["org"], numbers["documents"]) == ("acme", 2)
    assert shelf.indexed.check(PYTHON, "globex").action is Action.BLOCK
    assert shelf.indexed.check(PYTHON, "acme").action is Action.ALLOW


def test_the_stamp_says_what_must_agree(shelf: Shelf) -> None:
    standing = shelf.indexed.index.stamp()
    with shelf.client() as client:
        stamp = client.get("/v1/index/stamp").json()
    assert stamp == {
        "org": "acme",
        "schema": standing.schema,
        "scheme": standing.scheme,
        "key_check": KEY.check,
        "max_batch_bytes": 65_536,
    }
    assert KEY.secret.hex() not in str(stamp)


def test_many_documents_are_listed_page_by_page(shelf: Shelf) -> None:
    owner = shelf.indexed.index.owner_id(ACME)
    digest = shelf.indexed.digester.digest("", "", "python")
    paths = {f"{i:05}" + "x" * 60 for i in range(2500)}
    shelf.indexed.index.put_all([(owner, replace(digest, path=path)) for path in sorted(paths)])
    found: set[str] = set()
    cursor, pages = 0, 0
    with shelf.client() as client:
        while cursor is not None:
            page = client.get(PATH, params={"cursor": cursor}).json()
            found |= page["documents"].keys()
            cursor, pages = page["next"], pages + 1
    assert found == paths
    assert pages > 1


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"paths": ["x/a", "x/missing"]}, {"x/b", "y/c"}),
        ({"prefix": "x/"}, {"y/c"}),
        ({"prefix": ""}, set()),
        ({"paths": []}, {"x/a", "x/b", "y/c"}),
    ],
)
def test_withdrawal_by_path_and_by_prefix(shelf: Shelf, body: object, left: set[str]) -> None:
    put(shelf, **{"x/a": PYTHON, "x/b": SAMPLES["c"], "y/c": SAMPLES["go"]})
    put(shelf, "globex", **{"x/a": SAMPLES["rust"]})
    reply = removal(shelf, body)
    assert (reply.status_code, reply.json()) == (200, {"removed": 3 - len(left)})
    assert shelf.indexed.index.paths(ACME).keys() == left
    assert shelf.indexed.index.paths(Owner.organization("globex")).keys() == {"x/a"}


def test_a_key_reaches_its_own_organizations_documents_only(shelf: Shelf) -> None:
    put(shelf, **{"a.py": PYTHON})
    put(shelf, "globex", **{"a.py": SAMPLES["c"]})
    with shelf.client("globex") as client:
        assert client.get(PATH).json()["documents"] == {"a.py": shelf.indexed.digester.content(SAMPLES["c"]).hex()}
        assert client.get("/v1/index/stats").json()["documents"] == 1
    for body in ({"paths": ["a.py"]}, {"prefix": ""}):
        removal(shelf, body, "globex")
        assert shelf.indexed.index.paths(ACME) == {"a.py": shelf.indexed.digester.content(PYTHON)}
    assert shelf.indexed.check(PYTHON, "globex").action is Action.BLOCK


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_a_key_of_scope_index_opens_it(shelf: Shelf, method: str, path: str) -> None:
    ask = {"PUT": {"content": batch(shelf, a=PYTHON), "headers": BINARY}, "DELETE": {"json": {"prefix": ""}}}
    with httpx.Client(base_url=shelf.url) as client:
        assert_refused(client.request(method, path, **ask.get(method, {})), 401, "invalid_api_key")
        for scope in (Scope.COMPLETE, Scope.REVIEW, Scope.ADMIN):
            client.headers["Authorization"] = f"Bearer {shelf.key('acme', scope)}"
            assert_refused(client.request(method, path, **ask.get(method, {})), 403, "missing_scope", "--scope index")
    assert shelf.indexed.index.paths(ACME) == {}


@pytest.mark.parametrize(
    "made",
    [
        replace(made_with(KEY), key_check="ab" * 16),
        replace(made_with(KEY), scheme="lexer0"),
        replace(made_with(KEY), schema=1),
    ],
    ids=["key", "scheme", "schema"],
)
def test_fingerprints_that_no_check_would_find_are_refused(shelf: Shelf, made: Stamp) -> None:
    with shelf.client() as client:
        reply = client.put(PATH, content=batch(shelf, made, a=PYTHON), headers=BINARY)
    assert_refused(reply, 409, "index_mismatch", "index key")
    assert shelf.indexed.index.paths(ACME) == {}


@pytest.mark.parametrize("body", [b"", b"CRD", b"PK\3\4", PYTHON.encode(), b"\0" * 5000], ids=range(5))
def test_what_is_no_batch_is_refused(shelf: Shelf, body: bytes) -> None:
    with shelf.client() as client:
        assert_refused(client.put(PATH, content=body, headers=BINARY), 400, "invalid_request")


def test_a_damaged_batch_writes_nothing(shelf: Shelf) -> None:
    whole = batch(shelf, a=SAMPLES["c"], b=PYTHON)
    with shelf.client() as client:
        assert_refused(client.put(PATH, content=whole[:-1], headers=BINARY), 400, "invalid_request", "too early")
        assert_refused(client.put(PATH, content=whole + b"x", headers=BINARY), 400, "invalid_request", "behind")
    assert shelf.indexed.index.paths(ACME) == {}


def test_source_is_not_taken(shelf: Shelf) -> None:
    with shelf.client() as client:
        for reply in (client.put(PATH, json={"text": PYTHON}), client.put(PATH, content=PYTHON)):
            assert_refused(reply, 400, "invalid_request", "never source")
            assert "Ledger" not in reply.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"paths": ["a"], "prefix": "a"},
        {"paths": "a"},
        {"path": "a"},
        {"prefix": "\ud800"},
        {"paths": ["x"] * 1001},
    ],
    ids=range(7),
)
def test_a_removal_that_says_nothing_clear_removes_nothing(shelf: Shelf, body: object) -> None:
    put(shelf, a=PYTHON)
    assert_refused(removal(shelf, body), 400, "invalid_request")
    with shelf.client() as client:
        assert_refused(client.delete(PATH), 400, "invalid_request")
        assert_refused(client.get(PATH, params={"cursor": "-1"}), 400, "invalid_request")
    assert shelf.indexed.index.paths(ACME).keys() == {"a"}


def test_a_batch_may_have_its_own_limit_and_no_more(shelf: Shelf) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(3):
            yield bytes(32_768)

    with shelf.client() as client:
        for body in (bytes(65_537), parts()):
            assert_refused(client.put(PATH, content=body, headers=BINARY), 413, "body_too_large", "65536")
        assert_refused(client.put(PATH, content=bytes(65_536), headers=BINARY), 400, "invalid_request")


def test_a_store_that_is_down(
    make_services: Callable[..., Services], running: Callable[..., Any], shelf: Shelf, tmp_path: Path
) -> None:
    with open_store("redis://:secret@127.0.0.1:9/0", tmp_path) as store:
        services = replace(make_services(), documents=Documents(Index(store, KEY, tmp_path / "elsewhere")))
        with running(services) as url:
            away = replace(shelf, url=url)
            with away.client() as client:
                for _, path in ROUTES[:3]:
                    assert_refused(client.get(path), 503, "index_unavailable", "retry later")
            for reply in (put(away, a=PYTHON), removal(away, {"prefix": ""}), removal(away, {"paths": ["a"]})):
                assert_refused(reply, 503, "index_unavailable")
                assert "secret" not in reply.text
                assert "127.0.0.1" not in reply.text


def test_a_service_without_an_index_to_write(
    make_services: Callable[..., Services], running: Callable[..., Any], shelf: Shelf
) -> None:
    with running(make_services()) as url, replace(shelf, url=url).client() as client:
        assert_refused(client.get("/v1/index/stats"), 503, "index_unavailable")


def test_a_life_time_is_the_organizations_own(shelf: Shelf) -> None:
    with shelf.client() as client:
        assert client.put(EXPIRY, json={"ttl": 60}).json() == {"expires": None}
        assert shelf.indexed.index.owners() == []
        put(shelf, a=PYTHON)
        put(shelf, "globex", a=PYTHON)
        expires = client.put(EXPIRY, json={"ttl": 60}).json()["expires"]
        assert 0 <= time.time() + 60 - expires < 30
        assert client.get("/v1/index/stats").json()["expires"] == expires
        assert shelf.indexed.index.expiries() == {ACME: expires}
        assert client.put(EXPIRY, json={"ttl": 8_640_000_000}).status_code == 200


@pytest.mark.parametrize("ttl", [0, -5, 1.5, "90d", True, None, 8_640_000_001, 10**30, {}, "x" * 99])
def test_what_is_no_life_time_is_named(shelf: Shelf, ttl: object) -> None:
    put(shelf, a=PYTHON)
    with shelf.client() as client:
        reply = client.put(EXPIRY, json={"ttl": ttl})
    assert_refused(reply, 400, "invalid_request", repr(ttl)[:40])
    assert shelf.indexed.index.expiries() == {}
    with shelf.client() as client:
        assert client.put(EXPIRY, json={}).status_code == 400
        assert client.put(EXPIRY, json={"ttl": 5, "org": "globex"}).status_code == 400
