"""The language server on stdio, before the real service, guard and index; the model recites."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from lsprotocol import types
from lsprotocol.types import Position, Range
from samples.code import PYTHON
from samples.reciting_service import RecitingService

from guard.types import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., object]

OPEN = """\
def mean(values):
    total = sum(values)
    return total / len(values)


def spread(values):
    return max(values) - min(values)
"""
START = "def mean(values):\n    "
FIRST = (
    "total = sum(values)\n    return total / len(values)\n\n\ndef spread(values):\n    return max(values) - min(values)"
)


def here(line: int, character: int, end: int | None = None) -> Range:
    return Range(Position(line, character), Position(line, character if end is None else end))


@pytest.fixture(scope="module")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecitingService]:
    with RecitingService(tmp_path_factory.mktemp("home")) as service:
        service.learn("ledger.py", PYTHON)
        yield service


@pytest.fixture
def service(_service: RecitingService) -> RecitingService:
    _service.engine.texts, _service.engine.pause = [OPEN, PYTHON], 0.0
    _service.engine.prompts.clear()
    return _service


@pytest.fixture
def editing(edit: Callable[..., Any], service: RecitingService) -> Callable[..., Any]:
    """An editor before the service; keywords are settings."""

    def start(folder: str | None = None, **options: object) -> Any:  # noqa: ANN401 - an async context manager
        named = {"url": service.url, "apiKey": service.key, "debounceMin": 0, "debounceMax": 0, **options}
        return edit(options=named, key=None, folder=folder)

    return start


def test_typing_along_shows_the_rest_without_another_generation(
    run: Run, editing: Callable[..., Any], service: RecitingService
) -> None:
    async def scenario() -> None:
        async with editing() as editor:
            editor.open(START)
            (item,) = await editor.ghost(1, 4)
            assert item.insert_text == FIRST
            for at, sign in enumerate("total"):
                editor.change(sign, here(1, 4 + at))
                (item,) = await editor.ghost(1, 5 + at)
                assert item.insert_text == FIRST[at + 1 :]
                assert item.range == here(1, 5 + at)
            assert len(service.engine.prompts) == 1
            editor.change("X", here(1, 9))
            await editor.ghost(1, 10)
            assert len(service.engine.prompts) == 2

    run(scenario())


def test_what_the_index_has_learned_is_shown_no_more(
    run: Run, editing: Callable[..., Any], service: RecitingService
) -> None:
    secret = (
        "def rebate(order, tier):\n    base = order.net * RATES[tier] - order.vouchers\n"
        "    for line in order.lines:\n        if line.sku in EXCLUDED and line.margin < 0.125:\n"
        "            base -= line.net * PENALTY[tier]\n    return max(base, order.floor)\n"
    )
    service.engine.texts = [secret]

    async def scenario() -> None:
        async with editing() as editor:
            editor.open("def rebate(order, tier):\n    ")
            (item,) = await editor.ghost(1, 4)
            assert "PENALTY" in item.insert_text
            service.learn("rebate.py", secret)
            for kept in await editor.ghost(1, 4):
                assert "PENALTY" not in kept.insert_text
            editor.change("b", here(1, 4))
            for kept in await editor.ghost(1, 5):
                assert "PENALTY" not in kept.insert_text
            service.unlearn("rebate.py")

    run(scenario())


def test_private_code_is_an_empty_list_and_no_remark(
    run: Run, editing: Callable[..., Any], service: RecitingService
) -> None:
    async def scenario() -> None:
        async with editing(maxTokens=200) as editor:
            at = PYTHON.index("        if self.accounts[source]")
            editor.open(PYTHON[:at])
            found = await editor.ghost(PYTHON[:at].count("\n"), 0)
            shown = "".join(item.insert_text for item in found)
            assert "journal.append" not in shown
            await editor.told(busy=False, kind="Normal", message="")
            decision = await editor.command("cleanroom/showDecision")
            assert decision["decision"] == editor_last(service)
            assert decision["license"] is None
            assert len(editor.complaints) == 1
            editor.complaints.clear()

    def editor_last(service: RecitingService) -> str:
        (entry,) = service.ledger.entries(limit=1, newest_first=True)
        assert entry.record.decision.action.value == "block"
        return entry.record.decision.id

    run(scenario())


def test_a_change_ends_the_generation_at_the_engine(
    run: Run, editing: Callable[..., Any], service: RecitingService
) -> None:
    service.engine.pause = 0.2

    async def scenario() -> None:
        async with editing() as editor:
            editor.open(START)
            answer = editor.ask(1, 4)
            assert await asyncio.to_thread(service.engine.began.acquire, timeout=20)
            editor.change("t", here(1, 4))
            assert (await asyncio.wrap_future(answer)).items == ()
            assert await asyncio.to_thread(service.engine.ended.acquire, timeout=20)
            labels = service.services.metrics.registry.get_sample_value("cleanroom_engine_generating")
            assert labels == 0

    service.engine.began.__init__(0)  # type: ignore[misc]
    service.engine.ended.__init__(0)  # type: ignore[misc]
    run(scenario())


def test_comments_strings_and_words_only_when_invoked(
    run: Run, editing: Callable[..., Any], service: RecitingService
) -> None:
    places = [("# sum of ", 9), ("x = 'me", 7), ("def mean", 5)]

    async def scenario() -> None:
        async with editing() as editor:
            for text, character in places:
                editor.open(text)
                assert await editor.ghost(0, character) == []
            assert service.engine.prompts == []
            for text, character in places:
                editor.open(text)
                await editor.ghost(0, character, invoked=True)
            assert len(service.engine.prompts) == len(places)
            editor.configure({"cleanroom": {"comments": True}})
            editor.open("# the sum of ")
            await editor.ghost(0, 13)
            assert len(service.engine.prompts) == len(places) + 1

    run(scenario())


@pytest.mark.usefixtures("service")
def test_several_lines_where_a_block_begins_and_one_behind_half_a_statement(
    run: Run, editing: Callable[..., Any]
) -> None:
    async def scenario() -> None:
        async with editing() as editor:
            editor.open("def mean(values):\n    total = ")
            (item,) = await editor.ghost(1, 12)
            assert item.insert_text == "sum(values)"
            (item,) = await editor.ghost(1, 12, invoked=True)
            assert item.insert_text.startswith("sum(values)\n")

    run(scenario())


def test_neighbours_are_sent_and_ignored_files_are_not(
    run: Run, editing: Callable[..., Any], service: RecitingService, tmp_path: Path
) -> None:
    (tmp_path / ".cleanroomignore").write_text("keys/\n")
    root = tmp_path.as_uri()

    async def scenario() -> None:
        async with editing(folder=root) as editor:
            editor.open("class Shape:\n    def area(self): ...\n", f"{root}/src/shapes.py")
            editor.open("class Vault:\n    def unlock(self): ...\n", f"{root}/keys/vault.py")
            editor.open("class Stranger:\n    def leave(self): ...\n", "file:///elsewhere/stranger.py")
            editor.close(f"{root}/src/shapes.py")
            editor.open(START, f"{root}/src/means.py")
            assert await editor.ghost(1, 4, uri=f"{root}/src/means.py")
            sent = service.engine.prompts[-1].text
            assert "# src/shapes.py\nclass Shape:\n    def area(self): ...\n" in sent
            assert sent.endswith(f"# src/means.py\n{START}")
            assert "Vault" not in sent
            assert "Stranger" not in sent
            editor.open(START, f"{root}/keys/more.py")
            assert await editor.ghost(1, 4, uri=f"{root}/keys/more.py", invoked=True) == []
            assert "more.py is ignored (.cleanroomignore)" in (await editor.told(kind="Inactive"))["message"]
            editor.configure({"cleanroom": {"context": False}})
            editor.change(" ", here(1, 0), f"{root}/src/means.py")
            await editor.ghost(1, 5, uri=f"{root}/src/means.py", invoked=True)
            assert "Shape" not in service.engine.prompts[-1].text
            assert len(service.engine.prompts) == 2

    run(scenario())


UNWANTED: list[tuple[str, dict[str, object], str, str]] = [
    ("x = 1\n" * 100_000, {"sizeLimit": 1000}, "python", "more than sizeLimit 1000"),
    ("\x7fELF\x00\x01\x02", {}, "plaintext", "is binary"),
    (START, {"disabledLanguages": ["python"]}, "python", "switched off for python"),
    (START, {"enabled": False}, "python", "switched off (enabled)"),
    (START, {"ignore": ["*.py"]}, "python", "is ignored (the setting ignore)"),
]


def test_what_is_not_asked_for_is_said(run: Run, editing: Callable[..., Any], service: RecitingService) -> None:
    async def scenario() -> None:
        async with editing() as editor:
            for text, settings, language, message in UNWANTED:
                editor.configure({"cleanroom": settings})
                editor.open(text, language=language)
                assert await editor.ghost(1, 0, invoked=True) == []
                assert message in (await editor.told(kind="Inactive"))["message"]
            assert service.engine.prompts == []
            editor.configure({"cleanroom": {}})
            editor.open(START)
            assert await editor.ghost(1, 4)
            await editor.told(kind="Normal", busy=False)

    run(scenario())


@pytest.mark.usefixtures("service")
def test_files_of_all_kinds_are_borne(run: Run, editing: Callable[..., Any]) -> None:
    uris = {
        "untitled:Untitled-1": START,
        "vscode-notebook-cell:/w/a.ipynb#W0sZmlsZQ%3D%3D": START,
        "no uri": START,
        "file:///w/mixed.py": "a = 1\r\nb = 2\rdef mean(values):\n    ",
        "file:///w/half.py": "x = '\ud83d'\n" + START,
        "file:///w/a.klingon": START,
    }

    async def scenario() -> None:
        async with editing() as editor:
            for uri, text in uris.items():
                editor.open(text, uri, "klingon" if uri.endswith("klingon") else "python")
                line = text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
                (item,) = await editor.ghost(line, 4, uri=uri)
                assert item.insert_text == FIRST
                assert item.range == here(line, 4)
            large = "x = 1\n" * 1_700_000
            editor.open(large, "file:///w/large.py")
            for at in range(20):
                editor.change("y", here(at * 1000, 0), "file:///w/large.py")
            assert await editor.ghost(3, 0, uri="file:///w/large.py") == []
            assert "more than sizeLimit" in (await editor.told(kind="Inactive"))["message"]

    run(scenario())


def test_signing_in_and_out(run: Run, editing: Callable[..., Any], service: RecitingService) -> None:
    async def scenario() -> None:
        async with editing(apiKey="") as editor:
            editor.open(START)
            assert await editor.ghost(1, 4) == []
            await editor.told(kind="Inactive")
            assert (await editor.command("cleanroom/signIn", "cr_wrong"))["kind"] == "Error"
            assert (await editor.command("cleanroom/signIn", 7))["kind"] == "Error"
            assert (await editor.command("cleanroom/signIn", service.key))["kind"] == "Normal"
            assert await editor.ghost(1, 4)
            assert (await editor.command("cleanroom/signOut"))["kind"] == "Inactive"
            assert await editor.ghost(1, 4) == []
            assert await editor.command("cleanroom/showDecision") is None

    run(scenario())


def test_a_revoked_key_and_a_new_one(run: Run, editing: Callable[..., Any], service: RecitingService) -> None:
    async def scenario() -> None:
        async with editing() as editor:
            editor.open(START)
            assert await editor.ghost(1, 4)
            service.revoke()
            # What is kept is not shown either.
            assert await editor.ghost(1, 4) == []
            await editor.told(kind="Error", busy=False)
            editor.configure({"cleanroom": {"apiKey": service.key}})
            await editor.told(kind="Normal")
            assert await editor.ghost(1, 4)

    run(scenario())


def test_the_service_is_back_without_a_request(run: Run, editing: Callable[..., Any], service: RecitingService) -> None:
    async def scenario() -> None:
        async with editing() as editor:
            editor.open(START)
            assert await editor.ghost(1, 4)
            await asyncio.to_thread(service.stop)
            assert await editor.ghost(1, 4) == []
            assert "cannot be reached" in (await editor.told(kind="Warning", busy=False))["message"]
            await asyncio.to_thread(service.start)
            await editor.told(kind="Normal", message="")
            assert await editor.ghost(1, 4)

    run(scenario())


def test_a_citation_comes_with_the_text_and_again_where_it_stands(
    run: Run, editing: Callable[..., Any], service: RecitingService
) -> None:
    owner = service.index.owner_id(Owner.licensed("attrs", "MIT"))
    licensed = (
        "def schedule(jobs, workers, horizon=96):\n    slots = {worker: [] for worker in workers}\n"
        "    for job in sorted(jobs, key=lambda one: (-one.weight, one.due)):\n"
        "        best = min(workers, key=lambda who: sum(s.length for s in slots[who]) + who.delay(job))\n"
        "        if sum(s.length for s in slots[best]) + job.length > horizon:\n"
        "            raise OverflowError(f'{job.name} does not fit before {horizon}')\n"
        "        slots[best].append(job)\n    return slots\n"
    )
    service.index.put(owner, service._digester.digest("src/schedule.py", licensed, "python"))
    service.engine.texts = [licensed]

    async def scenario() -> None:
        async with editing(maxTokens=400) as editor:
            editor.open("def schedule(jobs, workers, horizon=96):\n    ")
            (item,) = await editor.ghost(1, 4)
            assert item.insert_text.startswith("slots = {")
            assert "MIT" in (await editor.told(busy=False, kind="Normal"))["message"]
            (named,) = editor.citations
            assert (named["license"], named["accepted"], named["uri"]) == ("MIT", False, "file:///project/a.py")
            assert named["url"].startswith("pkg:generic/attrs")
            editor.change(item.insert_text, item.range)
            await editor.command(item.command.command, *item.command.arguments)
            assert len(editor.citations) == 2
            taken = editor.citations[1]
            assert taken["accepted"]
            assert (taken["range"].start.line, taken["range"].end.line) == (1, 1 + item.insert_text.count("\n"))

    run(scenario())
    service.index.remove(Owner.licensed("attrs", "MIT"), "src/schedule.py")


@pytest.mark.parametrize("by_command", [False, True])
def test_acceptance_is_counted(
    run: Run, editing: Callable[..., Any], service: RecitingService, *, by_command: bool
) -> None:
    before = [service.counted("python", outcome) for outcome in ("shown", "accepted", "rejected")]

    async def scenario() -> None:
        async with editing() as editor:
            editor.open(START)
            (item,) = await editor.ghost(1, 4)
            if by_command:
                # As an editor that tells changes in its own way.
                editor.change(f"{START}{item.insert_text}\n")
                await editor.command(item.command.command, *item.command.arguments)
            else:
                editor.change(item.insert_text, item.range)
            editor.change("\n", here(8, 0))
            editor.open("def spread(values):\n    ")
            assert await editor.ghost(1, 4)
            editor.change("import os", here(1, 4))

    run(scenario())
    after = [service.counted("python", outcome) for outcome in ("shown", "accepted", "rejected")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 1]


def test_feedback_is_off_by_one_setting(run: Run, editing: Callable[..., Any], service: RecitingService) -> None:
    before = service.counted("python", "shown")

    async def scenario() -> None:
        async with editing(feedback=False) as editor:
            editor.open(START)
            assert await editor.ghost(1, 4)

    run(scenario())
    assert service.counted("python", "shown") == before


def test_snippets_and_selections(run: Run, editing: Callable[..., Any], service: RecitingService) -> None:
    async def scenario() -> None:
        async with editing() as editor:
            editor.open("def me")
            snippet = types.SelectedCompletionInfo(here(0, 4, 6), "mean(${1:values})$0")
            assert await editor.ghost(0, 6, snippet, invoked=True) == []
            (item,) = await editor.ghost(0, 6, types.SelectedCompletionInfo(here(0, 4, 6), "mean(values):"))
            assert item.insert_text.startswith("mean(values):\n    total")
            assert item.range == here(0, 4, 6)

    run(scenario())
    assert service.engine.prompts[-1].text.endswith("def mean(values):")
