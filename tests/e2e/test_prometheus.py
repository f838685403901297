"""A real Prometheus reads the metrics of a service at work, and answers what the dashboard asks."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from e2e.served import Home, Upstream, package_root, serving
from samples.tools import required

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
KEY = "a key of sixteen"
PATIENCE_SECONDS = 60
# What a service that has answered two requests must show by now.
MOVED = (
    'cleanroom_generations_total{action="allow"}',
    'cleanroom_generations_total{action="block"}',
    'cleanroom_requests_total{route="/v1/completions",status="200"}',
    "cleanroom_guard_seconds_count",
    "cleanroom_ledger_append_seconds_count",
    "process_resident_memory_bytes",
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def prometheus(folder: Path, metrics: int) -> Iterator[httpx.Client]:
    """Prometheus with the configuration that is shipped, but for addresses and the pace."""
    (folder / "metrics.key").write_text(KEY)
    (folder / "alerts.yaml").write_text((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    shipped = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    places = {
        "service:9464": f"127.0.0.1:{metrics}",
        "/run/secrets/metrics.key": str(folder / "metrics.key"),
        "scrape_interval: 15s": "scrape_interval: 200ms",
    }
    for there, here in places.items():
        assert there in shipped
        shipped = shipped.replace(there, here)
    (folder / "prometheus.yml").write_text(shipped)
    port = free_port()
    command = [required("prometheus", "prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as client:
                yield client
        finally:
            process.terminate()


def answer(client: httpx.Client, query: str) -> list[object]:
    reply = client.get("/query", params={"query": query})
    if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return []  # it has not read its own log yet
    assert reply.status_code == httpx.codes.OK, (query, reply.text)
    return list(reply.json()["data"]["result"])


def eventually(client: httpx.Client, query: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if answer(client, query):
                return
        except httpx.HTTPError:
            pass  # it is about to start
        assert time.monotonic() < deadline, query
        time.sleep(0.2)


def test_metrics_are_read_alerts_watched_and_the_dashboards_questions_answered(
    home: Home, upstream: Upstream, tmp_path: Path
) -> None:
    required("prometheus", "prometheus")
    port = free_port()
    arguments = ("--engine", "openai", "--base-url", upstream.url)
    headers = {"Authorization": f"Bearer {home.keys['birch']}"}
    with (
        serving(home, *arguments, metrics_port=str(port), metrics_key=KEY) as url,
        prometheus(tmp_path, port) as asked,
    ):
        for text in ("x = 1\n", (package_root("httpx") / "_urls.py").read_text()[:3000]):
            upstream.text = text
            reply = httpx.post(f"{url}/v1/completions", headers=headers, json={"prompt": "", "max_tokens": 900})
            assert reply.status_code == 200
        eventually(asked, 'up{job="cleanroom"} == 1')
        for query in MOVED:
            eventually(asked, f"{query} > 0")
        board = json.loads((DEPLOY / "grafana" / "cleanroom.json").read_text(encoding="utf-8"))
        queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        assert queries
        for query in queries:
            answer(asked, query.replace("$__rate_interval", "1m"))
        rules = asked.get("/rules").json()["data"]["groups"][0]["rules"]
        assert rules
        assert all(rule["health"] in {"ok", "unknown"} for rule in rules)
        assert not [rule["name"] for rule in rules if rule["state"] == "firing"]
