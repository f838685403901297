"""What crosses between server and nodes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("flwr")
pytest.importorskip("peft")
from samples.federations import TERMS, difference, nodes, run
from samples.marked import MARKER

from training.base import open_base
from training.errors import FederationError
from training.federated import federate
from training.grid import LocalGrid
from training.messages import ARRAYS, IDENTITY, IDENTITY_FIELDS, METRICS, UPDATE_METRICS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flwr.app import Message

    from training.plan import Plan

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_a_node_that_fails_is_left_out_and_its_error_tells_nothing(plan: Callable[..., Plan]) -> None:
    one = plan(3)
    broken = nodes(one)
    broken[3][1]["corpus"] = broken[3][1]["corpus"] + "/nowhere"
    outcome = federate(LocalGrid(broken), one, open_base(one.model.base), TERMS)
    assert [(refusal.node, refusal.reason.split("<'")[1]) for refusal in outcome.refusals] == [
        (3, "the node's corpus has no manifest: build it with `cleanroom corpus build`'>")
    ]
    assert difference(outcome, run(plan(2))) == 0


def test_an_error_of_training_does_not_carry_its_text_out(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError(MARKER)

    monkeypatch.setattr("training.node.train_locally", fail)
    with pytest.raises(FederationError) as raised:
        run(plan(2))
    assert MARKER not in str(raised.value)
    assert "the node's own log says why" in str(raised.value)
    assert MARKER in caplog.text


def test_what_leaves_a_node_is_this_and_nothing_else(plan: Callable[..., Plan], orgs: dict[str, Path]) -> None:
    seen: list[Message] = []
    one = plan()
    federate(LocalGrid(nodes(one), seen.append), one, open_base(one.model.base), TERMS)
    answers = [message for message in seen if message.metadata.dst_node_id == 0]
    updates = [message.content for message in answers if message.metadata.message_type == "train"]
    evaluations = [message.content for message in answers if message.metadata.message_type == "evaluate"]
    assert (len(updates), len(evaluations)) == (3, 3)
    for content in updates:
        assert list(content) == [ARRAYS, METRICS, IDENTITY]
        assert {array.dtype for array in content[ARRAYS].values()} == {"float32"}
        assert all(
            name.startswith("model.layers.") and name.endswith(("_proj|up", "_proj|down")) for name in content[ARRAYS]
        )
        assert tuple(sorted(content[METRICS])) == tuple(sorted(UPDATE_METRICS))
    for content in evaluations:
        assert list(content) == [METRICS, IDENTITY]
        assert sorted(content[METRICS]) == ["num-examples", "validation-loss", "validation-tokens"]
    for content in updates + evaluations:
        assert tuple(sorted(content[IDENTITY])) == tuple(sorted(IDENTITY_FIELDS))
        assert all(isinstance(value, int | float) for value in content[METRICS].values())
        assert all(str(folder) not in str(dict(content[IDENTITY])) for folder in orgs.values())


def test_orders_name_no_path_of_the_server(plan: Callable[..., Plan]) -> None:
    seen: list[Message] = []
    one = plan()
    federate(LocalGrid(nodes(one), seen.append), one, open_base(one.model.base), TERMS)
    orders = [message.content for message in seen if message.metadata.dst_node_id != 0]
    for content in orders:
        assert set(content) == {ARRAYS, "config"}
        assert one.model.base not in json.dumps(dict(content["config"]))
        assert str(one.organizations[0].corpus) not in json.dumps(dict(content["config"]))
