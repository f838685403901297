"""Where code under a licence that must be named stands in the documents of an editor, while they are edited.

A citation goes with its code. It goes away once next to nothing of the code is left, and comes back with it: undone,
pasted elsewhere in the document, or in a document that is opened again. What was taken over is kept in memory alone.
Knows neither protocol messages nor the service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol.types import Range, TextDocumentContentChangePartial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lsprotocol.types import TextDocumentContentChangeEvent

    from lsp.documents import Document

STANDING_SHARE = 1 / 3
"""Of the words of the code that must still be there: who edits it has taken it over nevertheless."""
COMES_BACK = 4
"""Characters that an edit puts in before code that was gone is looked for; a key has one."""
LIMIT = 1000
"""Citations of one editor; the oldest go."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Citation:
    """What must be named: a licence, where its code is from, and the decision that released it."""

    license: str
    url: str
    decision: str


@dataclass(slots=True)
class _Taken:
    """Code that was taken over: as it was then, and as it was when it went. `place` is None where it is gone."""

    uri: str
    citation: Citation
    text: str
    place: tuple[int, int] | None = None
    latest: str = ""

    def keep(self, document: Document) -> None:
        """Remember the code as it is: it may be about to go."""
        if self.place is not None:
            self.latest = document.text[slice(*self.place)]

    def follow(self, start: int, end: int, growth: int, document: Document) -> None:
        """Go with an edit that replaced `start` to `end`; let go where it left too little of the code."""
        if self.place is None:
            return
        touched = max(start, self.place[0]) < min(end, self.place[1])
        self.place = _moved(self.place, start, end, growth)
        if touched and self.place is not None and not self._stands(document.text[slice(*self.place)]):
            self.place = None

    def find(self, text: str, taken: set[tuple[int, int] | None], start: int = 0) -> tuple[int, int] | None:
        """Where in the text the code stands, however it is indented, at none of the places that are `taken`."""
        for code in filter(str.strip, (self.latest, self.text)):
            # Lines of code differ in their indentation and in how they end.
            pattern = re.compile(r"\s+".join(map(re.escape, code.split())))
            for match in pattern.finditer(text, start):
                if match.span() not in taken:
                    return match.span()
        return None

    def _stands(self, text: str) -> bool:
        words = set(_WORD.findall(self.text))
        if not words:
            return self.text.strip() in text
        return len(words.intersection(_WORD.findall(text))) >= STANDING_SHARE * len(words)


class Citations:
    """The citations of one editor's documents. `tell` gets all that stand in one, whenever they are not as they were.

    Places are indices into the text; `tell` gets ranges.
    """

    def __init__(self, tell: Callable[[str, list[tuple[Citation, Range]]], None]) -> None:
        self._tell = tell
        self._taken: list[_Taken] = []
        self._told: dict[str, list[tuple[Citation, Range]]] = {}

    def note(self, uri: str, document: Document, start: int, text: str, citation: Citation) -> Range:
        """`text` was taken over at index `start`; where it stands, or will. Tell of it by `say`.

        An editor may say so before it sends the change: then the code is found when that comes.
        """
        taken = _Taken(uri, citation, text)
        found = taken.find(document.text, set(), start)
        if found and not document.text[start : found[0]].strip():
            taken.place = found
        self._taken = [*self._taken, taken][-LIMIT:]
        return _range(document, taken.place or (start, min(start + len(text), len(document))))

    def change(self, uri: str, document: Document, changes: Iterable[TextDocumentContentChangeEvent]) -> None:
        """Apply `changes` to the document, and see what they do to its citations."""
        of_document = self._of(uri)
        if not of_document:
            document.change(changes)
            return
        for change in changes:
            start, end = 0, len(document)
            if isinstance(change, TextDocumentContentChangePartial):
                start = document.offset(change.range.start)
                end = max(start, document.offset(change.range.end))
            before = len(document)
            for taken in of_document:
                if taken.place and start <= taken.place[0] and end >= taken.place[1]:
                    taken.keep(document)
            document.change([change])
            for taken in of_document:
                taken.follow(start, end, len(document) - before, document)
            if len(change.text) >= COMES_BACK:
                _look_for_lost(of_document, document)
        self.say(uri, document)

    def opened(self, uri: str, document: Document) -> None:
        """Look for what was taken over before the document was closed."""
        _look_for_lost(self._of(uri), document)
        self.say(uri, document)

    def closed(self, uri: str, document: Document) -> None:
        """Remember the code as it is now."""
        for taken in self._of(uri):
            taken.keep(document)
            taken.place = None
        self._told.pop(uri, None)

    def clear(self, uri: str) -> None:
        """Somebody has seen to them."""
        self._taken = [taken for taken in self._taken if taken.uri != uri]
        if self._told.pop(uri, None):
            self._tell(uri, [])

    def say(self, uri: str, document: Document) -> None:
        """Tell which citations stand, unless that is known."""
        standing = [(taken.citation, _range(document, taken.place)) for taken in self._of(uri) if taken.place]
        if standing != self._told.get(uri, []):
            self._told[uri] = standing
            self._tell(uri, standing)

    def _of(self, uri: str) -> list[_Taken]:
        return [taken for taken in self._taken if taken.uri == uri]


def _look_for_lost(of_document: list[_Taken], document: Document) -> None:
    for taken in of_document:
        if taken.place is None:
            taken.place = taken.find(document.text, {other.place for other in of_document})


def _moved(place: tuple[int, int], start: int, end: int, growth: int) -> tuple[int, int] | None:
    """Where a place is once `start` to `end` were replaced and the text grew; None where nothing of it is left."""
    first, last = place
    if end <= first:
        return first + growth, last + growth
    if start >= last:
        return place
    if start <= first and end >= last:
        return None
    # What is put over the place's beginning or end is none of it.
    return first if start >= first else end + growth, last + growth if end <= last else start


def _range(document: Document, place: tuple[int, int]) -> Range:
    return Range(document.position(place[0]), document.position(place[1]))
