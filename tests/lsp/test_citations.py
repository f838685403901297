"""Citations stand where their code stands, and nowhere else: over edits, undoing, and closing and opening again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import (
    Position,
    PositionEncodingKind,
    Range,
    TextDocumentContentChangePartial,
    TextDocumentContentChangeWholeDocument,
)

from lsp.citations import LIMIT, Citation, Citations
from lsp.documents import Document

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from service.schemas import Citation as Source

    Run = Callable[..., object]

URI = "file:///a.py"
MIT = Citation("MIT", "pkg:generic/attrs#src/a.py", "dec_1")
BEFORE, BEHIND = "import os\n\n\ndef schedule(jobs):\n    ", "\n\nschedule([])\n"
CODE = (
    "slots = {job: [] for job in jobs}\n    for job in jobs:\n        slots[job].append(job.weight)\n    return slots"
)


class Desk:
    """One document in which CODE was taken over, and what was told of it."""

    def __init__(
        self, code: str = CODE, encoding: PositionEncodingKind = PositionEncodingKind.Utf16, *, line_end: str = "\n"
    ) -> None:
        self.told: list[list[tuple[Citation, Range]]] = []
        self.citations = Citations(lambda _, standing: self.told.append(standing))
        before, code, behind = (part.replace("\n", line_end) for part in (BEFORE, code, BEHIND))
        self.document = Document(before + code + behind, encoding)
        self.range = self.citations.note(URI, self.document, len(before), code.replace("\r\n", "\n"), MIT)
        self.citations.say(URI, self.document)

    @property
    def named(self) -> list[str]:
        """The code that citations stand at."""
        standing = self.told[-1]
        places = [(self.document.offset(at.start), self.document.offset(at.end)) for _, at in standing]
        return [self.document.text[start:end] for start, end in places]

    def replace(self, start: int, end: int, new: str) -> None:
        at = Range(self.document.position(start), self.document.position(end))
        self.citations.change(URI, self.document, [TextDocumentContentChangePartial(at, new)])

    def substitute(self, old: str, new: str) -> None:
        start = self.document.text.index(old)
        self.replace(start, start + len(old), new)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_it_stands_at_the_code(line_end: str) -> None:
    desk = Desk(line_end=line_end)
    assert desk.range == Range(Position(4, 4), Position(7, 16))
    assert desk.named == [CODE.replace("\n", line_end)]
    assert desk.told == [[(MIT, desk.range)]]


def test_it_moves_with_lines_above_and_is_told_only_when_it_moves() -> None:
    desk = Desk()
    desk.substitute("import os\n", "import os\nimport sys\n")
    assert desk.told[-1] == [(MIT, Range(Position(5, 4), Position(8, 16)))]
    desk.substitute("([])", "([1, 2])")
    desk.substitute("import os", "import io")
    assert len(desk.told) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (CODE, ""),
        (CODE, "return None"),
        ("    " + CODE + "\n", "    pass\n"),
        (CODE.replace("return slots", ""), ""),
        (BEFORE + CODE, "x = 1\n"),
    ],
    ids=["deleted", "written over", "with its lines", "but for a word", "with what is above"],
)
def test_it_goes_with_the_code_and_comes_back_with_it(old: str, new: str) -> None:
    desk = Desk()
    whole = desk.document.text
    desk.substitute(old, new)
    assert desk.told[-1] == []
    start = whole.index(old)
    desk.replace(start, start + len(new), old)
    assert desk.document.text == whole
    assert desk.told[-1] == [(MIT, desk.range)]


def test_it_goes_line_by_line() -> None:
    desk = Desk()
    for line in CODE.splitlines(keepends=True)[:-1]:
        assert desk.told[-1] != []
        desk.substitute(line.strip(), "")
    assert desk.told[-1] == []


def test_edited_code_is_still_named() -> None:
    desk = Desk()
    desk.substitute("job.weight", "job.size")
    desk.substitute("    return slots", "    log(slots)\n    return slots")
    assert desk.named == [
        CODE.replace("job.weight", "job.size").replace("    return slots", "    log(slots)\n    return slots")
    ]


def test_it_follows_code_that_is_cut_and_pasted_deeper_in() -> None:
    desk = Desk()
    desk.substitute(CODE, "pass")
    deeper = CODE.replace("\n", "\n    ")
    desk.substitute("schedule([])", f"if True:\n        {deeper}")
    assert desk.named == [deeper]


def test_a_formatter_that_replaces_all_keeps_it() -> None:
    desk = Desk()
    desk.substitute("job.weight", "job.size")
    text = desk.document.text.replace("    ", "\t")
    desk.citations.change(URI, desk.document, [TextDocumentContentChangeWholeDocument(text)])
    assert desk.named == [CODE.replace("job.weight", "job.size").replace("    ", "\t")]


def test_a_document_that_is_opened_again_has_its_own() -> None:
    desk = Desk()
    desk.substitute("job.weight", "job.size")
    desk.citations.closed(URI, desk.document)
    told = len(desk.told)
    desk.citations.opened("file:///b.py", Document(desk.document.text))
    assert len(desk.told) == told
    desk.document = Document("# above\n" + desk.document.text)
    desk.citations.opened(URI, desk.document)
    assert desk.named == [CODE.replace("job.weight", "job.size")]
    desk.citations.closed(URI, desk.document)
    told = len(desk.told)
    desk.citations.opened(URI, Document("import os\n"))
    assert len(desk.told) == told


def test_the_same_code_twice_is_named_twice() -> None:
    desk = Desk()
    desk.substitute("schedule([])", CODE)
    desk.citations.note(URI, desk.document, desk.document.text.rindex(CODE), CODE, MIT)
    desk.citations.say(URI, desk.document)
    whole = desk.document.text
    assert desk.named == [CODE, CODE]
    desk.replace(0, len(whole), "")
    assert desk.told[-1] == []
    desk.replace(0, 0, whole)
    assert desk.named == [CODE, CODE]


def test_what_was_cleared_does_not_come_back() -> None:
    desk = Desk()
    desk.citations.clear(URI)
    assert desk.told[-1] == []
    told = len(desk.told)
    desk.substitute("import os\n", "")
    desk.citations.clear(URI)
    assert len(desk.told) == told


def test_the_editor_may_tell_of_it_before_it_sends_the_change() -> None:
    desk = Desk()
    told = len(desk.told)
    desk.citations.note(URI, desk.document, len(desk.document), "weights = [job.weight for job in jobs]", MIT)
    desk.citations.say(URI, desk.document)
    assert len(desk.told) == told
    desk.replace(len(desk.document), len(desk.document), "weights = [job.weight for job in jobs]\n")
    assert desk.named == [CODE, "weights = [job.weight for job in jobs]"]


def test_the_oldest_go() -> None:
    desk = Desk()
    for _ in range(LIMIT):
        desk.citations.note(URI, desk.document, 0, "import os", MIT)
    desk.citations.say(URI, desk.document)
    assert desk.named == ["import os"] * LIMIT


SIGNS = ["\n", "\r\n", "\r", "\t", "a", "\u00e4", "\U0001f600", " ", "word"]
PIECES = st.lists(st.sampled_from(SIGNS), max_size=5).map("".join)


@given(
    st.sampled_from(list(PositionEncodingKind)),
    st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 6), PIECES), max_size=20),
)
def test_edits_beside_the_code_leave_it_named(
    encoding: PositionEncodingKind, edits: list[tuple[bool, int, int, str]]
) -> None:
    # Two documents' worth of text in front, behind, and the code between: whatever happens there, it stands.
    desk = Desk(encoding=encoding)
    before, behind = BEFORE, BEHIND
    for above, place, length, new in edits:
        part = before if above else behind
        start = min(place, len(part))
        end = min(start + length, len(part))
        changed = part[:start] + new + part[end:]
        # Half a line end at the code's edge would join with what the edit leaves there.
        if "\r" in (changed[-1:] if above else changed[:1]) or _splits(part, start) or _splits(part, end):
            continue
        shift = 0 if above else len(before) + len(CODE)
        desk.replace(shift + start, shift + end, new)
        before, behind = (changed, behind) if above else (before, changed)
        assert desk.document.text == before + CODE + behind
        assert desk.named == [CODE]


def _splits(text: str, offset: int) -> bool:
    return text[max(0, offset - 1) : offset + 1] == "\r\n" and offset > 0


def test_the_server_tells_of_them(
    run: Run, edit: Callable[..., Any], service: SimpleNamespace, citation: Source
) -> None:
    uri = "file:///project/cited.py"

    async def scenario() -> None:
        service.text, service.citation = "total = sum(one.weight for one in jobs)", citation
        async with edit("--url", service.url) as editor:
            editor.open("def weigh(jobs):\n    ", uri)
            (item,) = await editor.ghost(1, 4, uri=uri)
            assert editor.standing == []
            editor.change(item.insert_text, item.range, uri)
            await editor.command(item.command.command, *item.command.arguments)
            (stands,) = editor.standing
            assert stands["uri"] == uri
            (named,) = stands["citations"]
            assert (named.license, named.url, named.decision) == ("GPL-2.0-or-later", citation.URL, "dec_1")
            assert (named.range.start.line, named.range.start.character, named.range.end.line) == (1, 4, 1)
            editor.close(uri)
            editor.open(f"# moved\ndef weigh(jobs):\n    {item.insert_text}\n", uri)
            await editor.command("cleanroom/rejected")
            assert [one.range.start.line for one in editor.standing[-1]["citations"]] == [2]
            editor.change("", Range(Position(1, 0), Position(3, 0)), uri)
            await editor.command("cleanroom/rejected")
            assert editor.standing[-1]["citations"] == []
            editor.close(uri)

    run(scenario())
