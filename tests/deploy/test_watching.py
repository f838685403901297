"""Dashboard and alerts ask for metrics that there are, by labels that they have and values that they can take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Histogram

import service.errors
from guard.types import Action
from service.metrics import Metrics
from service.review.alerts import AlertKind

ROOT = Path(__file__).parents[2]
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text(encoding="utf-8")
BOARD = json.loads((ROOT / "deploy" / "grafana" / "cleanroom.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
QUERIES = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
METRIC = re.compile(r"\b((?:cleanroom|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')
# What Prometheus adds.
OF_PROMETHEUS = {"job", "instance"}
PARTS = {"index", "ledger", "accounts", "limits", "engine"}


def documented() -> set[str]:
    return set(re.findall(r"^\| `(cleanroom_\w+)", PAGE, re.MULTILINE))


def collectors() -> dict[str, set[str]]:
    """The labels of every series of ours, by its name."""
    metrics = Metrics()
    owners = [metrics, metrics.engine, metrics.held, metrics.feedback, metrics.heads, metrics.reviews]
    found: dict[str, set[str]] = {}
    for collector in (value for owner in owners for value in vars(owner).values() if hasattr(value, "_labelnames")):
        names, labels = [collector._name], set(collector._labelnames)
        if isinstance(collector, Counter):
            names = [f"{collector._name}_total"]
        if isinstance(collector, Histogram):
            names = [f"{collector._name}_{end}" for end in ("bucket", "sum", "count")]
        found |= {name: labels | ({"le"} if name.endswith("_bucket") else set()) for name in names}
    return found | {"process_resident_memory_bytes": set(), "process_cpu_seconds_total": set()}


def values(label: str) -> set[str] | None:
    """What a label can be; None for anything."""
    errors = {name for name, value in vars(service.errors).items() if isinstance(value, type)}
    alerts = {one.value for one in AlertKind}
    actions = {one.value for one in Action}
    return {"error": errors, "action": actions, "part": PARTS, "alert": alerts}.get(label)


@pytest.mark.parametrize("asked", [ALERTS, *QUERIES], ids=["alerts", *QUERIES])
def test_what_is_asked_for_is_there(asked: str) -> None:
    found = collectors()
    assert METRIC.search(asked)
    for name, matchers in METRIC.findall(asked):
        assert name in found
        for label, pattern in MATCHER.findall(matchers):
            assert label in found[name] | OF_PROMETHEUS
            possible = values(label)
            assert possible is None or set(pattern.split("|")) <= possible


@pytest.mark.parametrize("asked", QUERIES)
def test_what_is_grouped_by_is_a_label(asked: str) -> None:
    labels = set().union(*(collectors()[name] for name, _ in METRIC.findall(asked)))
    for grouped in re.findall(r"by \(([^)]*)\)", asked):
        assert set(grouped.replace(" ", "").split(",")) <= labels | OF_PROMETHEUS


def test_every_metric_is_explained_and_on_the_dashboard() -> None:
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in collectors() if name.startswith("cleanroom_")}
    assert documented() == ours
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for query in QUERIES for name, _ in METRIC.findall(query)}
    assert ours <= shown


def test_every_alert_is_explained() -> None:
    names = re.findall(r"- alert: (\w+)", ALERTS)
    assert len(names) == len(set(names)) == 14
    assert re.findall(r"^\| `(Cleanroom\w+)`", PAGE, re.MULTILINE) == names
    assert len(re.findall(r"severity: (?:page|ticket)", ALERTS)) == len(names) + ALERTS.split("groups:")[0].count(
        "severity: page"
    )


def test_panels_do_not_overlap() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    assert len(places) == len(set(places))
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(places)
