from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from samples.leaks import Leaks, match_in

from guard.errors import LedgerError
from service.accounts import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guard.ledger import Ledger
    from service.accounts import Accounts
    from service.parts import Services

MISSING = "dec_" + "f" * 24


@pytest.fixture
def desk(
    make_services: Callable[..., Services], running: Callable[..., Any], accounts: Accounts, ledger: Ledger
) -> Iterator[SimpleNamespace]:
    """A server with leaks, and clients of every organization and scope."""
    accounts.add_organization("initech")
    services = make_services()
    clients: list[httpx.Client] = []

    def client(org: str, *scopes: Scope) -> httpx.Client:
        secret = accounts.create_key(org, frozenset(scopes))[1]
        clients.append(httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=30))
        return clients[-1]

    with running(services) as url:
        yield SimpleNamespace(url=url, client=client, leaks=Leaks(ledger), services=services)
        for one in clients:
            one.close()


def asked(leak: str) -> dict[str, tuple[str, str, dict[str, Any] | None]]:
    """A request to every route."""
    return {
        "list": ("GET", "/v1/leaks", None),
        "alerts": ("GET", "/v1/alerts", None),
        "export": ("GET", "/v1/leaks/export", None),
        "show": ("GET", f"/v1/leaks/{leak}", None),
        "judge": ("POST", f"/v1/leaks/{leak}/disposition", {"disposition": "confirmed"}),
        "exceptions": ("GET", "/v1/exceptions", None),
        "except": ("POST", "/v1/exceptions", {"leak": leak, "days": 30}),
        "revoke": ("DELETE", f"/v1/exceptions/{leak}", None),
    }


@pytest.mark.parametrize("route", list(asked("")))
@pytest.mark.parametrize("scopes", [[Scope.COMPLETE], [Scope.INDEX], [Scope.COMPLETE, Scope.INDEX]])
@pytest.mark.parametrize("org", ["acme", "globex", "initech"])
def test_no_other_scope_opens_a_route(desk: SimpleNamespace, route: str, scopes: list[Scope], org: str) -> None:
    """Whoever asks and whether or not there is such a leak, the answer is the same."""
    leak = desk.leaks.write("org:globex", to="acme")
    client = desk.client(org, *scopes)
    answers = []
    for name in (leak, MISSING):
        method, path, body = asked(name)[route]
        reply = client.request(method, path, json=body)
        assert reply.status_code == 403
        assert reply.json()["error"]["code"] == "missing_scope"
        answers.append(reply.text)
    assert answers[0] == answers[1]
    assert desk.services.reviews is not None


@pytest.mark.parametrize("route", ["show", "judge", "except", "revoke"])
def test_of_others_leaks_nothing_is_learned(desk: SimpleNamespace, route: str) -> None:
    """A leak between two others is as good as none."""
    leak = desk.leaks.write("org:globex", to="acme")
    client = desk.client("initech", Scope.REVIEW)
    answers = []
    for name in (leak, MISSING):
        method, path, body = asked(name)[route]
        reply = client.request(method, path, json=body)
        assert reply.status_code == 404
        answers.append(reply.text.replace(name, ""))
    assert answers[0] == answers[1]
    assert client.get("/v1/leaks").json() == {"object": "list", "data": [], "next": None}
    assert client.get("/v1/leaks/export").text == ""


@pytest.mark.parametrize("route", list(asked("")))
def test_a_key_is_asked_for(desk: SimpleNamespace, route: str) -> None:
    method, path, body = asked(desk.leaks.write("org:globex"))[route]
    assert httpx.request(method, desk.url + path, json=body).status_code == 401


def test_both_sides_and_the_administrator(desk: SimpleNamespace) -> None:
    leak = desk.leaks.write("org:globex", "org:initech", to="acme")
    seen = {
        org: desk.client(org, Scope.REVIEW).get(f"/v1/leaks/{leak}").json() for org in ("acme", "globex", "initech")
    }
    assert seen["acme"]["role"] == "caller"
    assert [match["owner"] for match in seen["acme"]["matches"]] == [None, None]
    assert seen["globex"]["role"] == "owner"
    assert seen["globex"]["org"] is seen["globex"]["key"] is seen["globex"]["entry"] is None
    assert [match["owner"] for match in seen["globex"]["matches"]] == ["org:globex"]
    assert [match["owner"] for match in seen["initech"]["matches"]] == ["org:initech"]
    admin = desk.client("initech", Scope.ADMIN).get(f"/v1/leaks/{leak}").json()
    assert (admin["role"], admin["org"], admin["entry"]) == ("admin", "acme", 1)


def test_a_leak_is_judged(desk: SimpleNamespace) -> None:
    leak = desk.leaks.write("org:globex", to="acme")
    client = desk.client("globex", Scope.REVIEW)
    note = "<script>alert(1)</script>"
    first = client.post(f"/v1/leaks/{leak}/disposition", json={"disposition": "confirmed", "note": note})
    assert first.status_code == 200
    client.post(f"/v1/leaks/{leak}/disposition", json={"disposition": "open"})
    detail = client.get(f"/v1/leaks/{leak}").json()
    assert detail["disposition"] == "open"
    assert [one["note"] for one in detail["history"]] == [note, ""]
    assert desk.client("acme", Scope.REVIEW).get(f"/v1/leaks/{leak}").json()["history"] == []
    assert [one["id"] for one in client.get("/v1/leaks", params={"disposition": "open"}).json()["data"]] == [leak]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"disposition": "confirmed", "note": "x" * 4_001}, 400),
        ({"disposition": "confirmed", "note": "x" * 10_000_000}, 413),
        ({"disposition": "confirmed", "note": "a\0b"}, 400),
        ({"disposition": "confirmed", "reviewer": "somebody else"}, 400),
        ({"disposition": "deleted"}, 400),
        ({}, 400),
        ([], 400),
    ],
    ids=range(7),
)
def test_a_judgement_that_is_none_changes_nothing(desk: SimpleNamespace, body: object, status: int) -> None:
    leak = desk.leaks.write("org:globex", to="acme")
    client = desk.client("acme", Scope.REVIEW)
    reply = client.post(f"/v1/leaks/{leak}/disposition", json=body)
    assert reply.status_code == status
    assert "xxxxxxxxxx" not in reply.text
    assert client.get(f"/v1/leaks/{leak}").json()["history"] == []


@pytest.mark.parametrize(
    "query",
    [
        "cursor=forged",
        "cursor=" + "A" * 48,
        "limit=0",
        "limit=501",
        "sevrity=high",
        "severity=worst",
        "since=2026-01-01T00:00:00",
        "since=0001-01-01T00:00:00%2B09:00",
        "since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z",
        "org=",
        "model=%00",
        "owner=" + "x" * 600,
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(desk: SimpleNamespace, query: str) -> None:
    reply = desk.client("acme", Scope.REVIEW).get(f"/v1/leaks?{query}")
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == query.partition("=")[0]


def test_a_cursor_of_another_filter_is_refused(desk: SimpleNamespace) -> None:
    for _ in range(3):
        desk.leaks.write("org:globex", to="acme")
    client = desk.client("acme", Scope.REVIEW)
    page = client.get("/v1/leaks", params={"limit": 2}).json()
    assert len(client.get("/v1/leaks", params={"cursor": page["next"]}).json()["data"]) == 1
    for params, asking in (({"kind": "exact"}, client), ({}, desk.client("globex", Scope.REVIEW))):
        reply = asking.get("/v1/leaks", params={"cursor": page["next"], **params})
        assert reply.status_code == 400
        assert "not one of this list" in reply.json()["error"]["message"]


def test_cells_are_no_formulas(desk: SimpleNamespace) -> None:
    bad = ["=1+1", "+1", "-1", "@SUM(1)", '=HYPERLINK("x")', "\t=1", "\r=1", "\n=1", 'a","b']
    desk.leaks.write(*(match_in("org:globex", document=path) for path in bad), model="=cmd()", to="acme")
    reply = desk.client("globex", Scope.REVIEW).get("/v1/leaks/export", params={"format": "csv"})
    assert reply.headers["content-type"].startswith("text/csv")
    assert "attachment" in reply.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.text, newline="")))
    assert [row["document"] for row in rows] == [f"'{path}" for path in bad[:-1]] + [bad[-1]]
    for row in rows:
        assert row["model"] == "'=cmd()"
        assert not any(str(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row.values())


@pytest.mark.parametrize("form", ["jsonl", "ocsf", "ecs"])
def test_every_leak_is_exported(desk: SimpleNamespace, form: str) -> None:
    written = [desk.leaks.write("org:globex", "license:pylint:GPL-2.0-only", to="acme") for _ in range(3)]
    for org, hidden in (("acme", "globex"), ("globex", "acme")):
        reply = desk.client(org, Scope.REVIEW).get("/v1/leaks/export", params={"format": form})
        assert reply.headers["content-type"] == "application/x-ndjson"
        events = [json.loads(line) for line in reply.text.splitlines()]
        ids = {"jsonl": lambda one: one["id"], "ocsf": lambda one: one["metadata"]["uid"]}
        assert [ids.get(form, lambda one: one["event"]["id"])(one) for one in events] == written[::-1]
        assert hidden not in reply.text


def test_a_siem_finds_its_fields(desk: SimpleNamespace) -> None:
    desk.leaks.write(match_in("org:globex", tokens=80), to="acme")
    client = desk.client("initech", Scope.ADMIN)
    ocsf = client.get("/v1/leaks/export", params={"format": "ocsf"}).json()
    assert (ocsf["class_uid"], ocsf["category_uid"], ocsf["type_uid"]) == (2006, 2, 200601)
    assert ocsf["type_uid"] == ocsf["class_uid"] * 100 + ocsf["activity_id"]
    assert (ocsf["severity"], ocsf["status"], ocsf["disposition"]) == ("High", "New", "Blocked")
    assert ocsf["actor"]["user"] == {"uid": "key-of-acme", "org": {"name": "acme"}}
    assert ocsf["resources"] == [
        {"name": "src/globex.py", "type": "source code", "owner": {"name": "org:globex"}},
    ]
    ecs = client.get("/v1/leaks/export", params={"format": "ecs"}).json()
    assert ecs["@timestamp"] == ocsf["unmapped"]["at"]
    assert (ecs["event"]["severity"], ecs["event"]["type"]) == (73, ["denied"])
    assert (ecs["organization"]["name"], ecs["user"]["id"], ecs["file"]["path"]) == (
        "acme",
        "key-of-acme",
        "src/globex.py",
    )


def test_a_ledger_that_cannot_be_read_says_so(desk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    leak = desk.leaks.write("org:globex", to="acme")
    client = desk.client("acme", Scope.REVIEW)

    def broken(*_: object, **__: object) -> None:
        message = "the ledger postgresql://db.internal cannot be read"
        raise LedgerError(message)

    monkeypatch.setattr("service.review.source.LeakSource.before", broken)
    monkeypatch.setattr("service.review.source.LeakSource.get", broken)
    monkeypatch.setattr("service.review.alerts.Alerts.listed", broken)
    monkeypatch.setattr("service.review.exceptions.Exceptions.listed", broken)
    monkeypatch.setattr("service.review.exceptions.Exceptions.get", broken)
    for method, path, body in asked(leak).values():
        reply = client.request(method, path, json=body)
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "review_unavailable"
        assert "db.internal" not in reply.text


def test_completions_that_are_blocked_are_leaks_at_once(desk: SimpleNamespace, secret: str) -> None:
    engine: Any = desk.services.engine
    engine.texts = ["x = 1\nPRIVATE\n"]
    headers = {"Authorization": f"Bearer {secret}"}
    reply = httpx.post(f"{desk.url}/v1/completions", json={"prompt": "x"}, headers=headers)
    (leak,) = desk.client("globex", Scope.REVIEW).get("/v1/leaks").json()["data"]
    assert leak["id"] == reply.headers["X-Cleanroom-Decision"]
    assert leak["matches"][0]["document"] == "src/a b.py"
