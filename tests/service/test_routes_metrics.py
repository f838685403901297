from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from guard.errors import StoreUnavailableError
from service.errors import SetupError
from service.metrics_listener import listening
from service.server import claim_port, claimed_metrics
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import SimpleNamespace

    from service.parts import Services

KEY = "a key of sixteen characters"


@contextmanager
def read_from(services: Services) -> Iterator[str]:
    """A listener for the metrics of `services`, in a loop of its own; yields its address."""
    claimed = claim_port("127.0.0.1", 0)
    begun, end, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def listen() -> None:
        async with listening(services, claimed):
            begun.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(listen(),))
    thread.start()
    begun.wait()
    try:
        yield f"http://127.0.0.1:{claimed.getsockname()[1]}/metrics"
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def up(text: str) -> dict[str, float]:
    return {
        dict(labels)["part"]: number for (name, labels), number in samples(text).items() if name == "cleanroom_part_up"
    }


def test_prometheus_reads_what_is_up(parts: SimpleNamespace) -> None:
    with read_from(parts.services) as url:
        reply = httpx.get(url)
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert up(reply.text) == {"index": 1, "ledger": 1, "accounts": 1, "engine": 1}
        parts.guard.error = StoreUnavailableError("down")
        assert up(httpx.get(url).text)["index"] == 0
        assert httpx.get(url.replace("/metrics", "/v1/models")).status_code == 404


def test_the_api_does_not_show_metrics(world: SimpleNamespace) -> None:
    assert world.client.get("/metrics").status_code == 404


def test_a_key_is_asked_for(make_services: Callable[..., Services]) -> None:
    with read_from(make_services(metrics_port=0, metrics_key=KEY)) as url:
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
            refused = httpx.get(url, headers=header)
            assert refused.status_code == 401
            assert "cleanroom_" not in refused.text
        assert httpx.get(url, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "metrics.example"])  # noqa: S104 - refused
def test_others_may_not_read_without_a_key(host: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="set metrics_key"):
        load_settings(home=tmp_path, metrics_port=9464, metrics_host=host)
    assert load_settings(home=tmp_path, metrics_port=9464, metrics_host=host, metrics_key=KEY).metrics_host == host
    assert load_settings(home=tmp_path, metrics_host=host).metrics_port is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_may_read_without_a_key(host: str, tmp_path: Path) -> None:
    assert load_settings(home=tmp_path, metrics_port=9464, metrics_host=host).metrics_key is None


def test_a_key_that_is_too_short_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="CLEANROOM_METRICS_KEY") as caught:
        load_settings(home=tmp_path, metrics_key="short")
    assert "short'" not in str(caught.value)


def test_a_port_that_is_taken_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = load_settings(home=tmp_path, metrics_port=other.getsockname()[1])
        with pytest.raises(SetupError, match=r"in use.*CLEANROOM_METRICS_PORT"), claimed_metrics(settings):
            pass


def test_metrics_of_the_engines_servers_are_passed_on(parts: SimpleNamespace) -> None:
    engine: Any = parts.engine
    process = "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 7.0\n"
    running = '# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name="m"} %d\n'

    async def metrics() -> dict[str, str]:
        return {"one:8000": process + running % 2, "two:8000": running % 3}

    engine.metrics = metrics
    with read_from(parts.services) as url:
        text = httpx.get(url).text
        found = samples(text)
        for server, number in (("one:8000", 2), ("two:8000", 3)):
            labels = frozenset({("model_name", "m"), ("server", server)})
            assert found[("vllm:num_requests_running", labels)] == number
        assert text.count("# TYPE vllm:num_requests_running") == 1
        # What Python tells of every process is told of ours alone.
        assert [name for name, _ in found].count("process_resident_memory_bytes") == 1
        assert found[("process_resident_memory_bytes", frozenset())] > 7


async def no_metrics() -> dict[str, str]:
    return {"one": "no {metrics"}


async def failing() -> dict[str, str]:
    raise ZeroDivisionError


async def hanging() -> dict[str, str]:
    await asyncio.sleep(60)
    return {}


@pytest.mark.parametrize("metrics", [no_metrics, failing, hanging])
def test_an_engine_without_good_metrics_hides_none_of_ours(parts: SimpleNamespace, metrics: object) -> None:
    parts.engine.metrics = metrics
    with read_from(parts.services) as url:
        reply = httpx.get(url, timeout=10)
        assert reply.status_code == 200
        assert up(reply.text)["index"] == 1
