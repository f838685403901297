from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from lsprotocol import types
from lsprotocol.types import Position, PositionEncodingKind, Range
from pygls.exceptions import JsonRpcException
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from service.schemas import Citation

    Run = Callable[..., object]

SOURCE = "def grow(n):\n    "
SERVER = [sys.executable, "-P", "-c", "from lsp.cli import app; app()"]


def at(line: int, character: int, end: int | None = None) -> Range:
    return Range(Position(line, character), Position(line, character if end is None else end))


def test_ghost_text_stands_at_the_cursor(run: Run, editor: SimpleNamespace, service: SimpleNamespace) -> None:
    async def scenario() -> None:
        assert editor.capabilities.inline_completion_provider
        assert editor.capabilities.completion_provider is None
        editor.open(SOURCE + "\n\nprint(grow(1))\n")
        (item,) = await editor.ghost(1, 4)
        assert (item.insert_text, item.range) == ("return n + 1", at(1, 4))
        await editor.told(busy=False, kind="Normal", message="")
        assert [status["busy"] for status in editor.statuses] == [True, False]
        (asked,) = service.asked
        assert (asked["prompt"], asked["suffix"]) == (SOURCE, "\n\nprint(grow(1))\n")
        assert asked["stop"] == []

    run(scenario())


def test_in_the_middle_of_a_line_only_the_rest_of_it_is_asked_for(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        editor.open("print(grow())\n")
        assert await editor.ghost(0, 11)
        assert service.asked[0]["stop"] == ["\n"]

    run(scenario())


def test_what_the_menu_has_selected_is_kept(run: Run, editor: SimpleNamespace, service: SimpleNamespace) -> None:
    async def scenario() -> None:
        service.text = "(n)"
        editor.open("x = gr")
        (item,) = await editor.ghost(0, 6, types.SelectedCompletionInfo(at(0, 4, 6), "grow"))
        assert (item.insert_text, item.range) == ("grow(n)", at(0, 4, 6))
        assert service.asked[0]["prompt"] == "x = grow"

    run(scenario())


def test_an_editor_without_ghost_text_has_menu_items(
    run: Run, edit: Callable[..., Any], service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        service.text = "\n    return n + 1\n"
        options = {"triggerCharacters": [" ", "("]}
        async with edit("--url", service.url, options=options, ghost=False) as editor:
            assert editor.capabilities.completion_provider.trigger_characters == (" ", "(")
            editor.open("def grow(n):")
            (item,) = await editor.menu(0, 12)
            assert item.label == "return n + 1"
            assert item.text_edit == types.TextEdit(at(0, 12), service.text.rstrip())

    run(scenario())


def test_an_editor_that_says_null_of_ghost_text_has_both() -> None:
    # Emacs' lsp-mode does, and asks for ghost text all the same.
    can = {"textDocument": {"inlineCompletion": None}, "general": {"positionEncodings": ["utf-32"]}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": None, "capabilities": can}}
    body = json.dumps(message).encode()
    asked = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    done = subprocess.run(SERVER, input=asked, capture_output=True, timeout=60, check=False)
    answered = json.loads(done.stdout.partition(b"\r\n\r\n")[2])["result"]["capabilities"]
    assert {"completionProvider", "inlineCompletionProvider"} <= answered.keys()


def test_a_menu_item_begins_with_the_word_that_is_being_typed(
    run: Run, edit: Callable[..., Any], service: SimpleNamespace
) -> None:
    # Menus show no others. Positions count UTF-16 code units.
    async def scenario() -> None:
        service.text = "urn n + 1"
        async with edit("--url", service.url, ghost=False) as editor:
            editor.open("'\N{GRINNING FACE}'; ret")
            (item,) = await editor.menu(0, 9)
            assert item.label == "return n + 1"
            assert item.text_edit == types.TextEdit(at(0, 6, 9), "return n + 1")

    run(scenario())


@pytest.mark.parametrize(
    ("encoding", "character"),
    [(PositionEncodingKind.Utf8, 11), (PositionEncodingKind.Utf16, 6), (PositionEncodingKind.Utf32, 5)],
)
def test_positions_are_in_the_editors_encoding(
    run: Run, edit: Callable[..., Any], service: SimpleNamespace, encoding: PositionEncodingKind, character: int
) -> None:
    # One sign outside the basic plane, one of two bytes, one of three; and a form feed, which ends no line.
    async def scenario() -> None:
        async with edit("--url", service.url, encodings=(encoding,)) as editor:
            assert editor.capabilities.position_encoding == encoding
            editor.open("a\fb\r\n\t\U0001f600\u00e4\u20ac=\r\n")
            editor.change("x", at(1, character - 1, character))
            (item,) = await editor.ghost(1, character)
            assert item.range == at(1, character)
        assert service.asked[0]["prompt"] == "a\fb\r\n\t\U0001f600\u00e4\u20acx"
        assert service.asked[0]["suffix"] == "\r\n"

    run(scenario())


def test_an_undisclosed_block_is_an_empty_list_and_nothing_more(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        service.text = ""
        editor.open(SOURCE)
        assert await editor.ghost(1, 4) == []
        await editor.told(busy=False, kind="Normal", message="")

    run(scenario())


def test_a_disclosed_block_is_an_empty_list_and_a_status(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace, citation: Citation
) -> None:
    async def scenario() -> None:
        service.text, service.citation, service.filtered = "", citation, True
        editor.open(SOURCE)
        assert await editor.ghost(1, 4) == []
        status = await editor.told(busy=False, kind="Normal")
        for part in ("held back", "GPL-2.0-or-later", "pkg:generic/pylint#src/a.py", "dec_1"):
            assert part in status["message"]

    run(scenario())


def test_a_licence_that_must_be_named_is_named(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace, citation: Citation
) -> None:
    async def scenario() -> None:
        service.citation = citation
        editor.open(SOURCE)
        assert len(await editor.ghost(1, 4)) == 1
        status = await editor.told(busy=False)
        assert status["message"].startswith("the suggestion matches code under GPL-2.0-or-later")

    run(scenario())


def test_the_service_goes_and_comes_back(run: Run, editor: SimpleNamespace, service: SimpleNamespace) -> None:
    async def scenario() -> None:
        editor.open(SOURCE)
        assert await editor.ghost(1, 4)
        await asyncio.to_thread(service.stop)
        assert await editor.ghost(1, 4) == []
        status = await editor.told(busy=False, kind="Warning")
        assert "cannot be reached" in status["message"]
        await asyncio.to_thread(service.start)
        assert await editor.ghost(1, 4)
        await editor.told(busy=False, kind="Normal", message="")

    run(scenario())


def test_a_cancelled_request_is_closed_at_the_service(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        service.hang = threading.Event()
        editor.open(SOURCE)
        answer = editor.ask(1, 4)
        assert await asyncio.to_thread(service.arrived.acquire, timeout=20)
        (identity,) = (key for key, future in editor.client.protocol._request_futures.items() if future is answer)
        editor.client.cancel_request(types.CancelParams(identity))
        with pytest.raises(JsonRpcException) as cancelled:
            await asyncio.wrap_future(answer)
        assert cancelled.value.code == types.LSPErrorCodes.RequestCancelled
        assert await asyncio.to_thread(service.left.acquire, timeout=20)
        service.hang.set()
        service.hang = None
        assert await editor.ghost(1, 4)
        await editor.told(busy=False, kind="Normal", message="")

    run(scenario())


def test_a_newer_request_ends_the_older_one(run: Run, editor: SimpleNamespace, service: SimpleNamespace) -> None:
    async def scenario() -> None:
        service.hang = threading.Event()
        editor.open(SOURCE)
        older = editor.ask(1, 4)
        assert await asyncio.to_thread(service.arrived.acquire, timeout=20)
        newer = editor.ask(1, 4)
        assert (await asyncio.wrap_future(older)).items == ()
        assert await asyncio.to_thread(service.left.acquire, timeout=20)
        service.hang.set()
        assert len((await asyncio.wrap_future(newer)).items) == 1
        await editor.told(busy=False)

    run(scenario())


def test_an_answer_for_an_older_text_is_dropped(run: Run, editor: SimpleNamespace, service: SimpleNamespace) -> None:
    async def scenario() -> None:
        service.hang = threading.Event()
        editor.open(SOURCE)
        answer = editor.ask(1, 4)
        assert await asyncio.to_thread(service.arrived.acquire, timeout=20)
        editor.change("p", at(1, 4))
        # An answered request shows that the change before it has arrived.
        assert await editor.ghost(0, 0, uri="file:///never/opened.py") == []
        service.hang.set()
        assert (await asyncio.wrap_future(answer)).items == ()

    run(scenario())


def test_a_document_that_was_empty_is_followed(run: Run, editor: SimpleNamespace, service: SimpleNamespace) -> None:
    async def scenario() -> None:
        editor.open("")
        editor.change(SOURCE, at(0, 0))
        assert await editor.ghost(1, 4)
        editor.change("", Range(Position(0, 0), Position(1, 4)))
        editor.change("x = 7\ny = ", at(0, 0))
        assert await editor.ghost(1, 4)
        assert [asked["prompt"] for asked in service.asked] == [SOURCE, "x = 7\ny = "]

    run(scenario())


def test_a_prompt_too_long_for_the_model_is_shortened(
    run: Run, editor: SimpleNamespace, service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        service.limit = 1500
        editor.open("x = 1\n" * 2000)
        assert await editor.ghost(2000, 0)
        assert await editor.ghost(2000, 0)
        lengths = [len(asked["prompt"]) for asked in service.asked]
        assert lengths[0] > lengths[1] > lengths[2] == lengths[3]
        assert lengths[1] > service.limit >= lengths[2]

    run(scenario())


NONSENSE: list[tuple[Response, str, str]] = [
    (PlainTextResponse("<html>"), "Error", "no Cleanroom service"),
    (PlainTextResponse("[" * 100_000), "Error", "no Cleanroom service"),
    (JSONResponse({"choices": [{"text": "unguarded"}]}), "Error", "decision"),
    (JSONResponse({"choices": [{"text": 7}]}, headers={"X-Cleanroom-Decision": "dec_1"}), "Error", "no completion"),
    (Response(b"\xff" * 5_000_000), "Error", "4000000 bytes"),
    (RedirectResponse("http://127.0.0.1:1/"), "Error", "307"),
    (JSONResponse({"detail": "?"}, status_code=404), "Error", "404"),
    (JSONResponse({"error": {"message": "no", "code": "invalid_request"}}, status_code=400), "Warning", "no"),
    (JSONResponse({"error": {"message": "later", "code": "guard_unavailable"}}, status_code=503), "Warning", "later"),
    (PlainTextResponse("", status_code=502), "Warning", "502"),
]


def test_whatever_the_server_answers_is_a_status(run: Run, editor: SimpleNamespace, service: SimpleNamespace) -> None:
    async def scenario() -> None:
        editor.open(SOURCE)
        for response, kind, message in NONSENSE:
            service.response = response
            assert await editor.ghost(1, 4) == []
            assert message in (await editor.told(busy=False, kind=kind))["message"]
            service.response = None
            assert await editor.ghost(1, 4)
            await editor.told(busy=False, kind="Normal")

    run(scenario())
