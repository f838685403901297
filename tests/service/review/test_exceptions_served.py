"""An exception over HTTP, from the leak to the completion that comes after it: a real index, guard and ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from samples.code import METHOD, PYTHON, SETTLEMENT
from samples.reciting_service import RecitingService

from service.accounts import Scope
from service.review.reviews import Reviews

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT, REST = PYTHON[: PYTHON.index("    def book")], METHOD
SETTLED = SETTLEMENT[: SETTLEMENT.index("\n") + 1]


@dataclass
class Desk:
    """A served guard that knows two documents of "victim", and how acme asks and victim's reviewer judges."""

    service: RecitingService
    keys: dict[str, str]

    def asked(self, who: str, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Any:  # noqa: ANN401 - any JSON
        headers["Authorization"] = f"Bearer {self.keys[who]}"
        reply = httpx.request(method, self.service.url + path, json=body, headers=headers, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def completed(self, prompt: str = PROMPT, *, who: str = "acme", stream: bool = False) -> tuple[str, str]:
        """What leaves, and the decision's id."""
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        body = {"prompt": prompt, "max_tokens": 1000, "stream": stream}
        reply = httpx.post(f"{self.service.url}/v1/completions", json=body, headers=headers, timeout=60)
        assert reply.status_code == 200, reply.text
        decision = reply.headers["X-Cleanroom-Decision"]
        if not stream:
            return reply.json()["choices"][0]["text"], decision
        events = [line[6:] for line in reply.text.splitlines() if line.startswith("data: {")]
        pieces = [choice["text"] for event in events for choice in httpx.Response(200, text=event).json()["choices"]]
        return "".join(pieces), decision

    def excepted(self, leak: str, who: str = "victim", **wanted: object) -> dict[str, Any]:
        self.asked(who, "POST", f"/v1/leaks/{leak}/disposition", {"disposition": "false_alarm"})
        made: dict[str, Any] = self.asked(who, "POST", "/v1/exceptions", {"leak": leak, "days": 30, **wanted})
        return made

    def word(self, who: str = "acme") -> str:
        word: str = self.asked(who, "GET", "/v1/freshness")["index"]
        return word


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with RecitingService(tmp_path) as service:
        service.engine.texts = [PYTHON, SETTLEMENT]
        service.learn("ledger.py", PYTHON)
        service.learn("settlement.py", SETTLEMENT)
        service.stop()
        keys = {"acme": service.key, "admin": service.accounts.create_key("acme", frozenset({Scope.ADMIN}))[1]}
        for org, scope in (("victim", Scope.REVIEW), ("globex", Scope.COMPLETE)):
            service.accounts.add_organization(org)
            keys[org] = service.accounts.create_key(org, frozenset({scope}))[1]
        with Reviews(service.ledger, service.services.settings.database_url) as reviews:
            service.services = replace(service.services, reviews=reviews)
            service.start()
            yield Desk(service, keys)
            service.stop()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_false_alarm_is_excepted_used_and_revoked(desk: Desk, *, stream: bool) -> None:
    before = desk.word()
    text, leak = desk.completed(stream=stream)
    assert len(text) < len(REST) // 2

    made = desk.excepted(leak, note="generated")
    assert (made["owner"], made["document"]) == ("org:victim", "ledger.py")
    during = desk.word()
    text, decision = desk.completed(stream=stream)
    assert text == REST
    entry = desk.service.ledger.get(decision)
    assert entry is not None
    assert entry.record.disposition == "released"
    assert {match.exception for match in entry.record.decision.matches} == {made["id"]}

    assert desk.asked("victim", "DELETE", f"/v1/exceptions/{made['id']}")["ended"] == "revoked"
    assert len(desk.completed(stream=stream)[0]) < len(REST) // 2
    assert before == desk.word() != during
    told = [one.event for one in desk.service.ledger.events()]
    assert [one.event for one in told] == ["exception-made", "exception-revoked"]
    assert desk.service.ledger.verify().ok


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_another_document_of_the_owner_stays_blocked(desk: Desk, *, stream: bool) -> None:
    """Whether it stands alone or holds the same code as the one that is exempt."""
    desk.excepted(desk.completed()[1])
    assert len(desk.completed(SETTLED, stream=stream)[0]) < len(SETTLEMENT) // 2
    desk.service.learn("vendored/ledger.py", PYTHON)
    assert len(desk.completed(stream=stream)[0]) < len(REST) // 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_is_commons_passes_whoever_holds_it(desk: Desk, *, stream: bool) -> None:
    desk.excepted(desk.completed()[1], "admin", kind="commons")
    desk.service.learn("vendored/ledger.py", PYTHON)
    assert desk.completed(stream=stream)[0] == REST
    assert len(desk.completed(SETTLED, stream=stream)[0]) < len(SETTLEMENT) // 2


def test_one_for_another_organization_changes_nothing(desk: Desk) -> None:
    before = desk.word(), desk.word("globex")
    desk.excepted(desk.completed()[1], org="globex")
    assert len(desk.completed()[0]) < len(REST) // 2
    assert desk.completed(who="globex")[0] == REST
    assert desk.word() == before[0]
    assert desk.word("globex") != before[1]
