"""The service is slow, over quota or not to be trusted: what the status says, and when it is over."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from samples.self_signed import self_signed
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import SimpleNamespace

    Run = Callable[..., object]

SOURCE = "def grow(n):\n    "


def test_a_late_answer_is_said_and_comes(run: Run, editor: SimpleNamespace, service: SimpleNamespace) -> None:
    async def scenario() -> None:
        service.hang = threading.Event()
        editor.open(SOURCE)
        answer = editor.ask(1, 4)
        await editor.told(busy=True, kind="Normal", message=f"waiting for {service.url}")
        service.hang.set()
        assert len((await _result(answer)).items) == 1
        await editor.told(busy=False, kind="Normal", message="")

    run(scenario())


def test_a_service_that_hangs_is_told_from_a_slow_model(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        service.hang, service.ready = threading.Event(), False
        editor.open(SOURCE)
        answer = editor.ask(1, 4)
        assert "does not answer" in (await editor.told(busy=True, kind="Warning"))["message"]
        service.hang.set()
        assert len((await _result(answer)).items) == 1
        await editor.told(busy=False, kind="Normal", message="")

    run(scenario())


def test_who_is_over_quota_is_asked_for_no_more_until_it_is_over(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        error = {"error": {"message": "no tokens left", "code": "quota_exceeded"}}
        service.response = JSONResponse(error, status_code=429, headers={"Retry-After": "1"})
        editor.open(SOURCE)
        assert await editor.ghost(1, 4) == []
        await editor.told(busy=False, kind="Warning", message="no tokens left")
        asked = len(service.asked)
        assert await editor.ghost(1, 4) == []
        assert len(service.asked) == asked
        assert await editor.ghost(1, 4, invoked=True) == []
        assert len(service.asked) == asked + 1
        service.response = None
        await editor.told(busy=False, kind="Normal", message="")
        assert await editor.ghost(1, 4)

    run(scenario())


def test_an_overloaded_service_is_back_without_a_request(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        service.response = JSONResponse({"error": {"message": "later", "code": "guard_unavailable"}}, status_code=503)
        service.ready = False
        editor.open(SOURCE)
        assert await editor.ghost(1, 4) == []
        await editor.told(busy=False, kind="Warning", message="later")
        service.ready = True
        await editor.told(busy=False, kind="Normal", message="")

    run(scenario())


def test_who_got_no_answer_is_told_when_there_would_be_one(
    run: Run, edit: Callable[..., Any], service: SimpleNamespace
) -> None:
    # A server of its own: what another test's would still get may be told after that test has ended.
    async def scenario() -> None:
        away = JSONResponse({"error": {"message": "later", "code": "guard_unavailable"}}, status_code=503)
        async with edit("--url", service.url) as editor:
            editor.open(SOURCE)
            editor.open(SOURCE, "file:///project/closed.py")
            for uri, told in {"file:///project/a.py": True, "file:///project/closed.py": False}.items():
                service.response = away
                assert await editor.ghost(1, 4, uri=uri) == []
                await editor.told(busy=False, kind="Warning")
                if not told:
                    editor.close(uri)
                service.response = None
                await editor.told(busy=False, kind="Normal")
                # What the server says goes in order.
                await editor.command("cleanroom/rejected")
                assert editor.retries == [uri] * told
                editor.retries.clear()
            assert await editor.ghost(1, 4)

    run(scenario())


def test_a_connection_that_takes_long_costs_no_key(
    run: Run, edit: Callable[..., Any], secured: SimpleNamespace
) -> None:
    # The first to come waits at the door, as at a machine that has too much to do for a handshake of TLS.
    async def scenario() -> None:
        async with slow_door(secured.port, 1.0) as port:
            options = {"url": f"https://127.0.0.1:{port}", "apiKey": "cr_test", "unsafeAcceptAnyCertificate": True}
            async with edit(options=options, key=None) as editor:
                editor.open(SOURCE)
                assert await editor.ghost(1, 4) == []
                assert "does not answer in time" in editor.statuses[-1]["message"]
                await editor.until(lambda: editor.retries)
                assert await editor.ghost(1, 4)
                assert "unsafeAcceptAnyCertificate" in (await editor.told(busy=False, kind="Warning"))["message"]

    run(scenario())


@asynccontextmanager
async def slow_door(port: int, seconds: float) -> AsyncIterator[int]:
    """The port of a way to `port`, on which whoever comes first waits for `seconds`."""
    waits = [seconds]
    ends: set[asyncio.Task[None]] = set()

    async def passes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def enters(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(waits.pop() if waits else 0)
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        ways = [(reader, behind_writer), (behind_reader, writer)]
        ends.update(asyncio.create_task(passes(*way)) for way in ways)

    server = await asyncio.start_server(enters, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*ends)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A self-signed certificate of this machine's loopback, as uvicorn takes it."""
    made = self_signed(tmp_path_factory.mktemp("tls"))
    return {"ssl_certfile": str(made.certificate), "ssl_keyfile": str(made.key)}


@pytest.fixture
def secured(make_service: type, certificate: dict[str, str]) -> Iterator[Any]:
    service = make_service(certificate)
    service.start()
    yield service
    service.stop()


def test_a_self_signed_certificate_takes_a_setting(
    run: Run, edit: Callable[..., Any], secured: SimpleNamespace, certificate: dict[str, str]
) -> None:
    async def scenario() -> None:
        options = {"url": secured.url, "apiKey": "cr_test"}
        async with edit(options=options, key=None) as editor:
            editor.open(SOURCE)
            assert await editor.ghost(1, 4) == []
            assert "is not trusted" in (await editor.told(busy=False, kind="Error"))["message"]
            editor.configure({"cleanroom": {"caFile": certificate["ssl_certfile"]}})
            assert await editor.ghost(1, 4)
            await editor.told(busy=False, kind="Normal", message="")
            editor.configure({"cleanroom": {"unsafeAcceptAnyCertificate": True}})
            assert await editor.ghost(1, 4)
            status = await editor.told(busy=False, kind="Warning")
            assert "unsafeAcceptAnyCertificate" in status["message"]
            editor.configure({"cleanroom": {"caFile": certificate["ssl_keyfile"]}})
            assert "caFile" in (await editor.told(kind="Error"))["message"]
            assert await editor.ghost(1, 4) == []

    run(scenario())


async def _result(answer: Any) -> Any:  # noqa: ANN401 - a future of pygls
    return await asyncio.wrap_future(answer)
