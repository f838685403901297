"""Quotas, counted in a real store and seen through a real server."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
import redis

from guard.licenses import LicensePolicy
from guard.supervisor import ServerFiles
from guard.valkey import find_binary
from service.accounts import Caller, Quota, Scope
from service.errors import LimitsUnavailableError, QuotaError
from service.limit_store import open_limit_store
from service.limits import FRESH, Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from samples.scripted import ScriptedEngine

    from service.accounts import Accounts
    from service.limits import Standing
    from service.parts import Services

PATIENCE = 5.0


@dataclass
class Server:
    """A store of its own, which a test may stop and kill."""

    process: subprocess.Popen[bytes]
    url: str
    client: redis.Redis


@pytest.fixture
def server() -> Iterator[Server]:
    # Not under tmp_path: a unix socket's path is short.
    with tempfile.TemporaryDirectory(prefix="cr-limits-") as folder:
        path = f"{folder}/store.sock"
        command = [str(find_binary()), "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            client = redis.Redis(unix_socket_path=path, protocol=2, driver_info=None)
            while not Path(path).exists():
                time.sleep(0.01)
            yield Server(process, f"unix://{path}", client)
            client.close()
            process.send_signal(signal.SIGCONT)
            process.kill()


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose embedded store runs."""
    home = tmp_path_factory.mktemp("limits")
    store = open_limit_store(None, home, timeout=PATIENCE)
    yield home
    asyncio.run(store.close())


@pytest.fixture
def limited(
    make_services: Callable[..., Services], running: Callable[..., Any], embedded: Path
) -> Callable[[Quota], Any]:
    """A running server with quotas in the embedded store."""

    def serve(defaults: Quota, url: str | None = None, timeout: float = PATIENCE) -> Any:  # noqa: ANN401
        limits = Limits(open_limit_store(url, embedded, timeout=timeout), defaults)
        return running(replace(make_services(), limits=limits))

    return serve


def caller(quota: Quota | None = None) -> Caller:
    """Somebody new."""
    return Caller("acme", secrets.token_hex(6), frozenset(), LicensePolicy.default(), quota or Quota())


def with_limits(
    home: Path, defaults: Quota, work: Callable[[Limits], Awaitable[None]], url: str | None = None, leaks: int = 0
) -> None:
    async def run() -> None:
        limits = Limits(open_limit_store(url, home, timeout=PATIENCE), defaults, leaks)
        try:
            await work(limits)
        finally:
            await limits.close()

    asyncio.run(run())


def post(url: str, key: str, **body: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{url}/v1/completions", json={"prompt": "def f():\n", **body}, headers=headers, timeout=30)


def left(standing: Standing) -> tuple[int | None, int | None]:
    requests, tokens = standing.requests, standing.tokens
    return requests.remaining if requests else None, tokens.remaining if tokens else None


def test_requests_of_a_minute(limited: Callable[..., Any], accounts: Accounts, secret: str) -> None:
    other = accounts.create_key("acme", frozenset({Scope.COMPLETE}))[1]
    with limited(Quota(2, 0)) as url:
        for remaining in ("1", "0"):
            reply = post(url, secret)
            assert reply.status_code == 200
            assert reply.headers["x-ratelimit-limit-requests"] == "2"
            assert reply.headers["x-ratelimit-remaining-requests"] == remaining
            assert "x-ratelimit-limit-tokens" not in reply.headers
        refused = post(url, secret)
        assert refused.status_code == 429
        error = refused.json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("rate_limit_error", "rate_limit_exceeded", None)
        assert "2 requests of the minute" in error["message"]
        assert 50 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert re.fullmatch(r"5\d(\.\d+)?s|1m0s", refused.headers["x-ratelimit-reset-requests"])
        # One key's quota is not another's, be it of the same organization.
        assert post(url, other).status_code == 200


def test_leaks_of_a_day(
    make_services: Callable[..., Services],
    running: Callable[..., Any],
    accounts: Accounts,
    engine: ScriptedEngine,
    secret: str,
    embedded: Path,
) -> None:
    other = accounts.create_key("acme", frozenset({Scope.COMPLETE}))[1]
    limits = Limits(open_limit_store(None, embedded, timeout=PATIENCE), Quota(0, 0), leaks_per_day=3)
    with running(replace(make_services(), limits=limits)) as url:
        engine.texts = ["a\nPRIVATE\n", "b\n", "DENIED\n"]  # of these, the first tells of somebody's private code
        assert [post(url, secret, stream=stream).status_code for stream in (True, False) * 3] == [200] * 6
        assert [post(url, secret).status_code for _ in range(2)] == [200, 429]
        refused = post(url, secret, stream=True)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "insufficient_quota"
        assert "leak" not in refused.text
        assert 86_000 < int(refused.headers["Retry-After"]) <= 86_400
        assert post(url, other).status_code == 200


def test_the_leaks_of_a_key_are_asked_for_anew_when_that_is_old_and_when_one_is_counted(embedded: Path) -> None:
    """Two processes count for one key."""

    async def work(limits: Limits) -> None:
        acme, globex = caller(), caller()
        other = Limits(open_limit_store(None, embedded, timeout=PATIENCE), Quota(0, 0), leaks_per_day=2)
        try:
            assert (await limits.request(acme)).refusal is None
            assert not await other.leaked(acme)
            assert await other.leaked(acme)
            assert (await other.request(acme)).refusal is not None
            await asyncio.sleep(2 * FRESH)
            assert isinstance((await limits.request(acme)).refusal, QuotaError)
            assert (await limits.request(globex)).refusal is None
            assert [await limits.leaked(globex) for _ in range(2)] == [False, True]
            assert isinstance((await limits.request(globex)).refusal, QuotaError)
        finally:
            await other.close()

    with_limits(embedded, Quota(0, 0), work, leaks=2)


def test_tokens_of_a_day(limited: Callable[..., Any], engine: ScriptedEngine, secret: str, embedded: Path) -> None:
    with limited(Quota(0, 10)) as url:
        reply = post(url, secret)
        assert reply.json()["usage"]["total_tokens"] == 6
        assert reply.headers["x-ratelimit-remaining-tokens"] == "10"
        reply = post(url, secret, stream=True)
        assert (reply.status_code, reply.headers["x-ratelimit-remaining-tokens"]) == (200, "4")
        asked = len(engine.asked)
        refused = post(url, secret)
        assert refused.status_code == 429
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "insufficient_quota")
        assert 86_000 < int(refused.headers["Retry-After"]) <= 86_400
        assert refused.headers["x-ratelimit-reset-tokens"].startswith(("23h59m", "24h0m"))
        assert len(engine.asked) == asked
        # The day is over.
        with redis.Redis(unix_socket_path=str(ServerFiles.of(embedded).socket)) as client:
            key = f"crl:tokens/{secret.split('_')[1]}"
            assert client.pexpire(key, 1)
            while client.exists(key):
                time.sleep(0.005)
        assert post(url, secret).headers["x-ratelimit-remaining-tokens"] == "10"


def test_the_window_of_requests_moves(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(limits: Limits) -> None:
        acme, now = caller(), time.time()
        for seconds, expected in ((0, 1), (30, 0), (50, None), (61, 0), (85, None), (91, 0), (200, 1)):
            monkeypatch.setattr(time, "time", lambda seconds=seconds: now + seconds)
            standing = await limits.request(acme)
            assert (standing.refusal is None) == (expected is not None)
            assert left(standing)[0] == (expected or 0)

    with_limits(embedded, Quota(2, 0), work)


def test_a_withheld_generation_counts_as_a_short_one(
    limited: Callable[..., Any], accounts: Accounts, engine: ScriptedEngine
) -> None:
    keys = [accounts.create_key("acme", frozenset({Scope.COMPLETE}))[1] for _ in range(2)]
    with limited(Quota(100, 1000)) as url:
        seen = []
        for key, text in zip(keys, ("a = 1\nPRIVATE and a lot more\n", "a = 1"), strict=True):
            engine.texts, engine.finish_reason = [text], "stop"
            usage = [post(url, key).json()["usage"] for _ in range(2)]
            headers = post(url, key).headers
            seen.append((usage, headers["x-ratelimit-remaining-tokens"], headers["x-ratelimit-remaining-requests"]))
        assert seen[0] == seen[1]


def test_a_key_may_have_quotas_of_its_own(embedded: Path) -> None:
    async def work(limits: Limits) -> None:
        assert left(await limits.request(caller())) == (4, 100)
        assert left(await limits.request(caller(Quota(3, None)))) == (2, 100)
        assert left(await limits.request(caller(Quota(0, 0)))) == (None, None)
        acme = caller(Quota(None, 7))
        await limits.spend(acme, 7)
        standing = await limits.request(acme)
        assert isinstance(standing.refusal, QuotaError)
        # A larger quota counts on from where the smaller one was.
        assert left(await limits.request(replace(acme, quota=Quota(10, 10)))) == (9, 3)

    with_limits(embedded, Quota(5, 100), work)


def test_requests_at_once_are_not_counted_twice(embedded: Path) -> None:
    async def work(limits: Limits) -> None:
        acme = caller()
        standings = await asyncio.gather(*(limits.request(acme) for _ in range(300)))
        assert sum(standing.refusal is None for standing in standings) == 20
        await asyncio.gather(*(limits.spend(acme, 3) for _ in range(100)))
        assert left(await limits.request(replace(acme, quota=Quota(0, None)))) == (None, 700)

    with_limits(embedded, Quota(20, 1000), work)


def test_the_store_names_no_key(limited: Callable[..., Any], server: Server, secret: str) -> None:
    with limited(Quota(5, 100), server.url) as url:
        assert post(url, secret).status_code == 200
        keys = {key.decode() for key in server.client.keys("*") if not key.startswith(b"crl:ready/")}
        key_id, hidden = secret.removeprefix("cr_").split("_", 1)
        assert keys == {f"crl:requests/{key_id}", f"crl:tokens/{key_id}"}
        dump = b"".join(server.client.dump(key) for key in keys)
        assert hidden.encode() not in dump
        assert all(server.client.ttl(key) > 0 for key in keys)


@pytest.mark.parametrize("fault", ["stopped", "killed", "full"])
def test_a_store_that_does_not_answer(
    limited: Callable[..., Any], server: Server, engine: ScriptedEngine, secret: str, fault: str
) -> None:
    with limited(Quota(50, 1000), server.url, timeout=0.3) as url:
        assert post(url, secret).status_code == 200
        asked = len(engine.asked)
        if fault == "full":
            server.client.config_set("maxmemory", 1)
        else:
            os.kill(server.process.pid, signal.SIGSTOP if fault == "stopped" else signal.SIGKILL)
        refused = post(url, secret)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "limits_unavailable")
        assert server.url not in refused.text
        assert "return 1" not in refused.text
        assert len(engine.asked) == asked
        readiness = httpx.get(f"{url}/readyz", timeout=30)
        assert readiness.json()["parts"]["limits"] == {"ready": False, "reason": "LimitsUnavailableError"}
        if fault == "killed":
            return
        if fault == "full":
            server.client.config_set("maxmemory", 0)
        else:
            os.kill(server.process.pid, signal.SIGCONT)
        assert post(url, secret).status_code == 200


def test_what_cannot_be_counted_is_not_given(
    limited: Callable[..., Any], server: Server, engine: ScriptedEngine, secret: str
) -> None:
    """The store goes down between the request and its answer."""
    counted = engine.count_tokens

    async def count_tokens(text: str) -> int | None:
        server.process.send_signal(signal.SIGSTOP)
        return await counted(text)

    engine.count_tokens = count_tokens  # type: ignore[method-assign]
    with limited(Quota(50, 1000), server.url, timeout=0.3) as url:
        refused = post(url, secret)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "limits_unavailable")
        assert len(engine.asked) == 1
        assert "return 1" not in refused.text
        server.process.send_signal(signal.SIGCONT)


def test_the_embedded_store_comes_back(tmp_path: Path) -> None:
    async def work(limits: Limits) -> None:
        acme = caller()
        await limits.request(acme)
        with redis.Redis(unix_socket_path=str(ServerFiles.of(tmp_path).socket)) as client:
            client.shutdown(nosave=True)
        with pytest.raises(LimitsUnavailableError):
            await limits.request(acme)
        for _ in range(500):
            try:
                await limits.ready()
            except LimitsUnavailableError:
                await asyncio.sleep(0.02)
            else:
                return
        pytest.fail("it does not come back")

    with_limits(tmp_path, Quota(5, 100), work)


def test_openai_client(limited: Callable[..., Any], secret: str) -> None:
    with limited(Quota(1, 0)) as url, openai.OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as client:
        raw = client.completions.with_raw_response.create(model="scripted-1", prompt="x")
        assert raw.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as caught:
            client.completions.create(model="scripted-1", prompt="x")
    assert caught.value.code == "rate_limit_exceeded"
