"""A server that answers as the service does, and an editor that drives the real language server on stdio."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi import FastAPI
from lsprotocol import types
from pygls.lsp.client import LanguageClient
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import JSONResponse, Response

from service.completion_schemas import ChoiceBody, CompletionReply
from service.routes.connection import while_connected
from service.routes.failures import failure
from service.schemas import Citation, ContentFilterResults, ErrorDetail, ProtectedMaterial
from service.server import claim_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Future

KEY = "cr_test"
URI = "file:///project/a.py"
PATIENCE = 20.0
STATUS = "cleanroom/didChangeStatus"
CITATION = "cleanroom/citation"
CITATIONS = "cleanroom/citations"
RETRY = "cleanroom/retry"
COMMAND = (sys.executable, "-P", "-c", "from lsp.cli import app; app()")


class Service:
    """Answers `text`, or `response` where that is set, once `hang` is over."""

    def __init__(self, tls: dict[str, str] | None = None) -> None:
        self.port = 0
        self._tls = tls or {}
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.reset()

    def reset(self) -> None:
        """Be as new, on the same port."""
        self.text = "return n + 1\n"
        self.citation: Citation | None = None
        self.filtered = False
        self.response: Response | None = None
        self.ready = True
        self.limit = 10**6
        self.hang: threading.Event | None = None
        self.asked: list[dict[str, Any]] = []
        self.arrived = threading.Semaphore(0)
        self.left = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; again on the port of the first time."""
        app = FastAPI()
        app.add_api_route("/v1/completions", self.complete, methods=["POST"], response_model=None)
        app.add_api_route("/readyz", self.say_ready, methods=["GET"], response_model=None)
        listener = claim_port("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, **self._tls))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._server = None

    async def say_ready(self) -> Response:
        return Response(status_code=200 if self.ready else 503)

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.arrived.release()
        if self.hang is not None:
            waiting = asyncio.to_thread(self.hang.wait, PATIENCE)
            if await while_connected(request, waiting) is None:
                self.left.release()
                return Response(status_code=499)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _refusal(401, "invalid_api_key", "this key was revoked")
        if len(body["prompt"]) > self.limit:
            return _refusal(400, "context_length_exceeded", "too long for the model")
        return self.response or self._completion()

    def _completion(self) -> Response:
        results = None
        if self.citation is not None:
            material = ProtectedMaterial(filtered=self.filtered, citation=self.citation)
            results = ContentFilterResults(protected_material_code=material)
        choice = ChoiceBody(
            index=0,
            text=self.text,
            finish_reason="content_filter" if self.filtered else "stop",
            decision="dec_1",
            content_filter_results=results,
        )
        reply = CompletionReply(id="cmpl-1", created=1, model="scripted", choices=[choice])
        return JSONResponse(reply.model_dump(), headers={"X-Cleanroom-Decision": "dec_1"})


def _refusal(status: int, code: str, message: str) -> Response:
    return failure(status, ErrorDetail(message=message, type="invalid_request_error", code=code))


class Editor:
    """A client of a language server that runs in a process of its own; its document is URI."""

    def __init__(self) -> None:
        self.client = LanguageClient("editor", "1")
        self.statuses: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.citations: list[dict[str, Any]] = []
        self.standing: list[dict[str, Any]] = []
        self.retries: list[str] = []
        self.capabilities = types.ServerCapabilities()
        self._news = asyncio.Event()
        # pygls marks what it registers, which methods do not allow.
        self.client.feature(STATUS)(lambda params: self._hear(params._asdict()))
        self.client.feature(CITATION)(lambda params: self.citations.append(params._asdict()))
        self.client.feature(CITATIONS)(lambda params: self.standing.append(params._asdict()))
        self.client.feature(RETRY)(lambda params: self._hear_retry(params.uri))
        self.client.feature(types.WINDOW_SHOW_MESSAGE)(lambda params: self.complaints.append(params.message))

    def _hear(self, status: dict[str, Any]) -> None:
        self.statuses.append(status)
        self._news.set()

    def _hear_retry(self, uri: str) -> None:
        self.retries.append(uri)
        self._news.set()

    async def start(self, arguments: tuple[str, ...], key: str | None) -> None:
        """Start the server."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}
        if key is not None:
            environment["CLEANROOM_API_KEY"] = key
        await self.client.start_io(*COMMAND, *arguments, env=environment)

    async def initialize(
        self,
        options: object = None,
        encodings: tuple[types.PositionEncodingKind, ...] = (),
        *,
        ghost: bool = True,
        folder: str | None = None,
    ) -> None:
        """Agree with the server, and wait for its first status."""
        inline = types.InlineCompletionClientCapabilities() if ghost else None
        capabilities = types.ClientCapabilities(
            text_document=types.TextDocumentClientCapabilities(inline_completion=inline),
            general=types.GeneralClientCapabilities(position_encodings=encodings or None),
        )
        params = types.InitializeParams(
            capabilities=capabilities,
            initialization_options=options,
            workspace_folders=[types.WorkspaceFolder(folder, "w")] if folder else None,
        )
        async with asyncio.timeout(PATIENCE):
            self.capabilities = (await self.client.initialize_async(params)).capabilities
        self.client.initialized(types.InitializedParams())
        await self.told(busy=False)

    async def stop(self) -> None:
        """End the server, which must have had nothing to complain of."""
        async with asyncio.timeout(PATIENCE):
            await self.client.shutdown_async(None)
            self.client.exit(None)
            await self.client.stop()  # type: ignore[no-untyped-call] # pygls has no type for it
        process = self.client._server
        assert process is not None
        assert process.stderr is not None
        assert (process.returncode, await process.stderr.read(), self.complaints) == (0, b"", [])

    async def told(self, **expected: object) -> dict[str, Any]:
        """The first status yet to come, or the one that stands, that has these values."""
        await self.until(lambda: self.statuses and expected.items() <= self.statuses[-1].items())
        return self.statuses[-1]

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for a status or a retry by which it holds."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def open(self, text: str, uri: str = URI, language: str = "python") -> None:
        item = types.TextDocumentItem(uri, language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def close(self, uri: str = URI) -> None:
        document = types.TextDocumentIdentifier(uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(document))

    def configure(self, settings: object) -> None:
        self.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings))

    async def command(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401 - whatever JSON a server answers
        """What `workspace/executeCommand` answers."""
        params = types.ExecuteCommandParams(name, list(arguments))
        async with asyncio.timeout(PATIENCE):
            return await self.client.workspace_execute_command_async(params)

    def change(self, text: str, at: types.Range | None = None, uri: str = URI) -> None:
        change: types.TextDocumentContentChangeEvent = types.TextDocumentContentChangeWholeDocument(text)
        if at is not None:
            change = types.TextDocumentContentChangePartial(at, text)
        document = types.VersionedTextDocumentIdentifier(2, uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def ask(
        self,
        line: int,
        character: int,
        selected: types.SelectedCompletionInfo | None = None,
        uri: str = URI,
        *,
        invoked: bool = False,
    ) -> Future[Any]:
        """The raw request for ghost text."""
        kinds = types.InlineCompletionTriggerKind
        context = types.InlineCompletionContext(kinds.Invoked if invoked else kinds.Automatic, selected)
        params = types.InlineCompletionParams(
            context, types.TextDocumentIdentifier(uri), types.Position(line, character)
        )
        return self.client.text_document_inline_completion(params)

    async def ghost(
        self,
        line: int,
        character: int,
        selected: types.SelectedCompletionInfo | None = None,
        uri: str = URI,
        *,
        invoked: bool = False,
    ) -> list[types.InlineCompletionItem]:
        """Ghost text at a position."""
        async with asyncio.timeout(PATIENCE):
            answer = await asyncio.wrap_future(self.ask(line, character, selected, uri, invoked=invoked))
        return list(answer.items)

    async def menu(self, line: int, character: int) -> list[types.CompletionItem]:
        """Menu items at a position."""
        params = types.CompletionParams(types.TextDocumentIdentifier(URI), types.Position(line, character))
        async with asyncio.timeout(PATIENCE):
            answer = await self.client.text_document_completion_async(params)
        assert isinstance(answer, types.CompletionList)
        return list(answer.items)


@asynccontextmanager
async def _edit(
    *arguments: str,
    options: object = None,
    encodings: tuple[types.PositionEncodingKind, ...] = (),
    ghost: bool = True,
    key: str | None = KEY,
    folder: str | None = None,
) -> AsyncIterator[Editor]:
    """An editor whose server was started with `arguments` and initialized with `options`."""
    editor = Editor()
    await editor.start(arguments, key)
    await editor.initialize(options, encodings, ghost=ghost, folder=folder)
    try:
        yield editor
    finally:
        await editor.stop()


@pytest.fixture
def edit() -> Callable[..., Any]:
    """Starts an editor with a server of its own, for an `async with`."""
    return _edit


@pytest.fixture(scope="session")
def _service() -> Iterator[Service]:
    service = Service()
    service.start()
    yield service
    service.stop()


@pytest.fixture
def service(_service: Service) -> Iterator[Service]:
    """A running service, as if new."""
    _service.reset()
    yield _service
    if _service.hang is not None:
        _service.hang.set()


@pytest.fixture
def make_service() -> type[Service]:
    """For services of a test's own."""
    return Service


@pytest.fixture(scope="session")
def _runner() -> Iterator[asyncio.Runner]:
    """One event loop for all tests: starting a language server takes longer than most of them."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def run(_runner: asyncio.Runner) -> Callable[..., object]:
    """Runs a coroutine."""
    return _runner.run


@pytest.fixture(scope="session")
def _editor(_runner: asyncio.Runner, _service: Service) -> Iterator[Editor]:
    async def started() -> Editor:
        editor = Editor()
        await editor.start(("--url", _service.url), KEY)
        await editor.initialize()
        return editor

    editor = _runner.run(started())
    yield editor
    _runner.run(editor.stop())


@pytest.fixture
def editor(_runner: asyncio.Runner, _editor: Editor, service: Service) -> Editor:
    """An editor whose server asks `service`, and which has been told nothing yet."""
    del service
    # What the server had to say of another test has come when this is answered.
    _runner.run(_editor.command("cleanroom/rejected"))
    _editor.statuses.clear()
    _editor.retries.clear()
    return _editor


@pytest.fixture
def citation() -> Citation:
    return Citation(URL="pkg:generic/pylint#src/a.py", license="GPL-2.0-or-later")
