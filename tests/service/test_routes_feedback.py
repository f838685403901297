"""Counts of what became of completions: own ones, once, and nothing but counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.accounts import Scope
from service.feedback import POSTS_PER_MINUTE
from service.feedback_schemas import EVENTS_LIMIT

if TYPE_CHECKING:
    from types import SimpleNamespace


@pytest.fixture
def decision(world: SimpleNamespace) -> str:
    named: str = world.client.post("/v1/completions", json={"prompt": "x"}).headers["X-Cleanroom-Decision"]
    return named


def event(decision: str, outcome: str = "shown", language: str = "python") -> dict[str, str]:
    return {"decision": decision, "outcome": outcome, "language": language}


def report(world: SimpleNamespace, *events: dict[str, str]) -> Any:  # noqa: ANN401 - JSON either way
    return world.client.post("/v1/feedback", json={"events": list(events)})


def counted(world: SimpleNamespace, language: str, outcome: str) -> float:
    labels = {"model": "scripted-1", "language": language, "outcome": outcome}
    value = world.metrics.get_sample_value("cleanroom_suggestions_total", labels)
    return float(value or 0)


@pytest.fixture
def world(world: SimpleNamespace, _shared: tuple[str, Any]) -> SimpleNamespace:
    world.metrics = _shared[1].metrics.registry
    return world


def test_each_outcome_counts_once(world: SimpleNamespace, decision: str) -> None:
    before = counted(world, "python", "shown"), counted(world, "typescript", "accepted")
    first = report(world, event(decision), event(decision), event(decision, "accepted", "typescriptreact"))
    assert first.json() == {"counted": 2}
    assert report(world, event(decision)).json() == {"counted": 0}
    after = counted(world, "python", "shown"), counted(world, "typescript", "accepted")
    assert after == (before[0] + 1, before[1] + 1)


def test_a_made_up_language_is_another(world: SimpleNamespace, decision: str) -> None:
    before = counted(world, "other", "rejected")
    assert report(world, event(decision, "rejected", "klingon")).json() == {"counted": 1}
    assert counted(world, "other", "rejected") == before + 1


def test_others_decisions_and_unknown_ones_do_not_count(world: SimpleNamespace, decision: str) -> None:
    if "rival" not in {found.slug for found in world.accounts.organizations()}:
        world.accounts.add_organization("rival")
    key = world.accounts.create_key("rival", frozenset({Scope.COMPLETE}))[1]
    body = {"events": [event(decision), event("dec_00ff")]}
    reply = world.client.post("/v1/feedback", json=body, headers={"Authorization": f"Bearer {key}"})
    assert reply.json() == {"counted": 0}
    assert report(world, event(decision)).json() == {"counted": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"events": []},
        {"events": [event("dec_1", "loved")]},
        {"events": [event("../x")]},
        {"events": [{**event("dec_1"), "text": "secret"}]},
        {"events": [event("dec_1", language="x" * 65)]},
        {"events": [event("dec_1")] * (EVENTS_LIMIT + 1)},
    ],
)
def test_what_is_no_report_is_refused(world: SimpleNamespace, body: dict[str, Any]) -> None:
    reply = world.client.post("/v1/feedback", json=body)
    assert reply.status_code == 400
    assert "secret" not in reply.text


def test_reports_have_a_rate(world: SimpleNamespace, decision: str) -> None:
    replies = [report(world, event(decision)) for _ in range(POSTS_PER_MINUTE + 1)]
    assert [reply.status_code for reply in replies] == [200] * POSTS_PER_MINUTE + [429]
    assert replies[-1].headers["Retry-After"] == "60"
