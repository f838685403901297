"""What the console's pages show, to whom, over plain HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from consoles.served import leak, token_of

from guard.errors import LedgerError
from guard.types import MatchKind, Owner
from service.review.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from consoles.served import Console

EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>{{7*7}}"
PAGES = ("/console", "/console/leaks", "/console/exceptions", "/console/inventory", "/console/ledger")


@pytest.fixture
def admin(console: Console) -> Iterator[httpx.Client]:
    with console.signed_in("admin") as client:
        yield client


def stopped(console: Console, org: str = "acme", owner: str = "globex", document: str = "src/engine.py") -> str:
    """A leak; returns its id."""
    return console.ledger.append(leak(org, Owner.organization(owner), document)).record.decision.id


def test_every_page_is_held_together_by_its_headers(console: Console, admin: httpx.Client) -> None:
    one = stopped(console)
    for path in (*PAGES, f"/console/leaks/{one}", "/console/leaks/none", "/console/leaks/export", "/console/sign-in"):
        reply = admin.get(path)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cache-control"] == "no-store"
        # What such a policy forbids is not there to begin with.
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", reply.text)


def test_static_files_change_their_address_with_their_content(console: Console) -> None:
    with console.client() as client:
        page = client.get("/console/sign-in").text
        addresses = re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page)
        assert len(set(addresses)) == 5
        for address in addresses:
            reply = client.get(address)
            assert reply.status_code == 200
            assert "immutable" in reply.headers["cache-control"]
            assert reply.headers["x-content-type-options"] == "nosniff"
        for name in ("..%2fpages.py", "%2e%2e", "none.js", "__init__.py"):
            assert client.get(f"/console/static/{name}").status_code == 404


def test_each_side_sees_its_own_and_not_the_other(console: Console) -> None:
    one = stopped(console, "acme", "globex", "globex/secret_engine.py")
    with console.signed_in("acme") as caller, console.signed_in("globex") as owner:
        for path in ("/console", "/console/leaks", f"/console/leaks/{one}", "/console/leaks/export?format=jsonl"):
            assert "globex" not in caller.get(path).text
            assert "secret_engine" not in caller.get(path).text
            assert "acme" not in owner.get(path).text
            assert "a1b2c3d4e5f6" not in owner.get(path).text
        assert "secret_engine" in owner.get(f"/console/leaks/{one}").text


def test_a_leak_of_others_is_not_there(console: Console) -> None:
    console.accounts.add_organization("initech")
    one = stopped(console, "initech", "globex")
    with console.signed_in("acme") as client:
        there, nowhere = client.get(f"/console/leaks/{one}"), client.get("/console/leaks/dec_none")
        assert (there.status_code, nowhere.status_code) == (404, 404)
        assert there.text.replace(one, "") == nowhere.text.replace("dec_none", "")
        token = token_of(client.get("/console"))
        for path in (f"/console/leaks/{one}/disposition", "/console/leaks/dispositions"):
            reply = client.post(path, data={"form_token": token, "id": one, "disposition": "false_alarm"})
            assert reply.status_code == 404
        assert one not in client.get("/console/leaks?q=initech").text
        assert client.get("/console/leaks/export").text == ""


def test_an_owner_is_not_told_callers_by_filtering(console: Console) -> None:
    one = stopped(console, "acme", "globex")
    with console.signed_in("globex") as client:
        assert one in client.get("/console/leaks").text
        for query in ("org=acme", "q=acme", "key=a1b2c3d4e5f6", "q=a1b2c3d4e5f6"):
            assert one not in client.get(f"/console/leaks?{query}").text


def test_what_others_wrote_is_inert(console: Console, admin: httpx.Client) -> None:
    one = stopped(console, document=f"src/{EVIL}.py")
    token = token_of(admin.get("/console"))
    admin.post(
        f"/console/leaks/{one}/disposition", data={"form_token": token, "disposition": "confirmed", "note": EVIL}
    )
    texts = [admin.get(path).text for path in ("/console", "/console/leaks", f"/console/leaks/{one}")]
    texts += [admin.get("/console/leaks", params={"q": EVIL, "model": EVIL, "owner": EVIL}).text]
    texts += [admin.get("/console/leaks/news", params={"newest": EVIL}).text]
    texts += [admin.get("/console/sign-in", params={"next": EVIL}).text, admin.get(f"/console/leaks/{EVIL}").text]
    for text in texts:
        assert "<script>alert" not in text
        assert "<img" not in text.replace('<img src="/console/static/', "")
    assert "&lt;script&gt;" in texts[2]
    assert "{{7*7}}" in texts[2]


def test_judging_one_leak_keeps_its_history(console: Console, admin: httpx.Client) -> None:
    one = stopped(console)
    token = token_of(admin.get(f"/console/leaks/{one}"))
    for disposition, note in (("confirmed", "ours"), ("false_alarm", "generated by protoc")):
        data = {"form_token": token, "disposition": disposition, "note": note}
        reply = admin.post(f"/console/leaks/{one}/disposition", data=data)
        assert reply.status_code == 200
        assert f"Judged: {disposition.replace('_', ' ')}." in reply.text
    page = admin.get(f"/console/leaks/{one}").text
    assert page.index("generated by protoc") < page.index("ours</p>")
    assert one in admin.get("/console/leaks?disposition=false_alarm").text
    assert one not in admin.get("/console/leaks?disposition=open").text


def test_judging_several_is_all_or_none(console: Console, admin: httpx.Client) -> None:
    ids = [stopped(console) for _ in range(3)]
    token = token_of(admin.get("/console/leaks"))
    data = {"form_token": token, "id": ids, "disposition": "accepted_risk", "note": ""}
    assert admin.post("/console/leaks/dispositions", data=data | {"id": [*ids, "dec_none"]}).status_code == 404
    assert admin.get("/console/leaks?disposition=accepted_risk").text.count('name="id"') == 0
    assert admin.post("/console/leaks/dispositions", data=data).status_code == 303
    assert admin.get("/console/leaks?disposition=accepted_risk").text.count('name="id"') == 3
    part = admin.post("/console/leaks/dispositions", data=data | {"id": []}, headers={"HX-Request": "true"})
    assert (part.status_code, "no leak is marked" in part.text.lower()) == (400, True)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("disposition", {"disposition": "guilty"}),
        ("disposition", {}),
        ("disposition", {"disposition": "confirmed", "note": "n" * 100_000}),
    ],
)
def test_a_judgement_that_cannot_be_is_refused(
    console: Console, admin: httpx.Client, path: str, data: dict[str, str]
) -> None:
    one = stopped(console)
    token = token_of(admin.get("/console"))
    assert admin.post(f"/console/leaks/{one}/{path}", data={"form_token": token, **data}).status_code == 400
    assert "Nobody has judged it yet" in admin.get(f"/console/leaks/{one}").text


def test_words_and_choices_find_leaks(console: Console, admin: httpx.Client) -> None:
    poller = stopped(console, document="core/Poller.py")
    near = console.ledger.append(
        leak("globex", Owner.organization("acme"), "lib/router.py", kind=MatchKind.NEAR, tokens=30, similarity=0.83)
    ).record.decision.id
    asked = {"q=poller": {poller}, "q=acme+router": {near}, "q=router+core": set(), "kind=near": {near}}
    asked |= {"severity=high": {poller}, "severity=medium": {near}, "days=1": {poller, near}, "owner=acme": {near}}
    for query, expected in asked.items():
        text = admin.get(f"/console/leaks?{query}").text
        assert {one for one in (poller, near) if f'value="{one}"' in text} == expected, query
    assert admin.get("/console/leaks?severity=grave").status_code == 400
    assert admin.get("/console/leaks?cursor=abc").status_code == 400


def test_a_long_list_goes_on_behind_its_cursor(console: Console, admin: httpx.Client) -> None:
    ids = {stopped(console) for _ in range(120)}
    seen: set[str] = set()
    address, found = "/console/leaks?days=7", 0
    while address:
        text = admin.get(address).text
        page = re.findall(r'name="id" value="([^"]+)"', text)
        found += len(page)
        seen |= set(page)
        more = re.search(r'<a class="button" href="([^"]+)"', text)
        address = more[1].replace("&amp;", "&") if more else ""
    assert (seen, found) == (ids, 120)


def test_news_are_what_came_since(console: Console, admin: httpx.Client) -> None:
    old = stopped(console)
    assert admin.get("/console/leaks/news", params={"newest": old}).status_code == 204
    new = stopped(console)
    text = admin.get("/console/leaks/news", params={"newest": old}).text
    assert new in text
    assert f'value="{old}"' not in text
    assert admin.get("/console/leaks/news", params={"newest": old, "kind": "near"}).status_code == 204


def test_only_an_administrator_verifies_and_sees_where_the_ledger_stands(console: Console, admin: httpx.Client) -> None:
    stopped(console)
    token = token_of(admin.get("/console/ledger"))
    assert "not verified" in admin.get("/console/ledger").text
    assert "sound" in admin.post("/console/ledger/verify", data={"form_token": token}).text
    head = console.ledger.tip.hash[:16]
    assert head in admin.get("/console/ledger").text
    with console.signed_in("globex") as client:
        page = client.get("/console/ledger").text
        assert "sound" in page
        assert head not in page
        assert (
            client.post("/console/ledger/verify", data={"form_token": token_of(client.get("/console"))}).status_code
            == 403
        )


def test_the_overview_counts_what_its_viewer_sees(demo: Console) -> None:
    assert demo.services.reviews is not None
    demo.services.reviews.alerts.notice(datetime.now(UTC))
    with demo.signed_in("admin") as admin, demo.signed_in("google-auth") as reviewer:
        whole, own = admin.get("/console").text, reviewer.get("/console").text
    totals = [int(re.findall(r"<strong>(\d+)</strong> leaks stopped", text)[0]) for text in (whole, own)]
    assert totals[0] == 193
    assert 0 < totals[1] < totals[0]
    assert "another organization" in own
    assert "azure-core" not in own
    # The key that asks for the same document again and again.
    assert "along one document" in whole[whole.index('id="probing"') :]
    assert "s3transfer" in whole[whole.index('id="probing"') :]
    assert "No key was noticed" in own


def test_an_overview_of_nothing_says_so(admin: httpx.Client) -> None:
    assert "Nothing was stopped in this period" in admin.get("/console").text
    assert "Nothing was stopped yet" in admin.get("/console/leaks").text


TOO_MUCH = 10_000_000


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("part", [True, False])
def test_a_form_that_is_too_large_gets_a_page_and_changes_nothing(
    console: Console,
    admin: httpx.Client,
    declared: bool,  # noqa: FBT001 - a parameter of the test
    part: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    one = stopped(console)
    form = f"form_token={token_of(admin.get('/console'))}&disposition=confirmed&note=".encode() + b"x" * TOO_MUCH
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({"HX-Request": "true"} if part else {})
    body = form if declared else (form[at : at + 65_536] for at in range(0, len(form), 65_536))
    reply = admin.post(f"/console/leaks/{one}/disposition", content=body, headers=headers)
    assert reply.status_code == 413
    assert reply.headers["content-type"].startswith("text/html")
    assert "body is larger than 1048576 bytes" in reply.text
    assert ("<html" in reply.text) is not part
    assert console.services.reviews is not None
    assert console.services.reviews.history(Viewer("acme", "", admin=True), one) == ()


def test_what_nobody_foresaw_is_a_page_that_tells_nothing(
    console: Console, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        message = "words that nobody may read"
        raise RuntimeError(message)

    monkeypatch.setattr(console.services.reviews, "counted", broken)
    reply = admin.get("/console")
    assert (reply.status_code, reply.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "did not foresee" in reply.text
    assert "nobody may read" not in reply.text


@pytest.mark.parametrize("parts", [["content"], ["caller", "content"]])
def test_a_leak_that_was_redacted_is_shown_without_what_is_gone(
    console: Console, admin: httpx.Client, parts: list[str]
) -> None:
    one, other = stopped(console), stopped(console, document="src/other.py")
    console.ledger.redact([one], parts, "asked to")
    rows = admin.get("/console/leaks").text
    assert f"row-{one}" in rows
    assert f"row-{other}" in rows
    page = admin.get(f"/console/leaks/{one}").text
    assert "A leak that was redacted" in page
    assert "src/engine.py" not in page
    assert "<strong>2</strong> leaks stopped" in admin.get("/console").text


@pytest.mark.parametrize("path", ["/console", "/console/leaks", "/console/leaks/export", "/console/leaks/dec_1"])
def test_a_ledger_that_cannot_be_read_gets_a_page_without_its_address(
    admin: httpx.Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        message = "the ledger postgresql://db.internal cannot be read"
        raise LedgerError(message)

    for name in ("reviews.count", "source.LeakSource.before", "source.LeakSource.get"):
        monkeypatch.setattr(f"service.review.{name}", broken)
    reply = admin.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "db.internal" not in reply.text
