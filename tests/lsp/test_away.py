"""The service is slow, over quota or not to be trusted: what the status says, and when it is over."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from samples.self_signed import self_signed
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
