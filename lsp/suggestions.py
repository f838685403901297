"""From a place in a document to what could stand there: one request to the service at a time for each document.

Knows neither protocol messages nor how a status is shown.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lsp.client import CompletionClient, Question
from lsp.documents import Budget
from lsp.errors import NotAskedError, PromptTooLongError, StatusKind
from lsp.kept import Answer, Kept, Spot
from lsp.pace import Pace
from lsp.repair import fitted
from lsp.syntax import in_comment_or_string, in_word, opens_block

if TYPE_CHECKING:
    from lsprotocol.types import Position, Range, SelectedCompletionInfo

    from lsp.client import Finding
    from lsp.documents import Document, Surroundings
    from lsp.neighbours import Neighbours
    from lsp.places import Place, Workspace
    from lsp.settings import Settings
    from lsp.standing import Standing

HALVINGS = 4
"""Times that what is sent is halved, at most, for a model whose window it does not fit."""
SLOW = 0.8
"""Seconds after which a request that is not answered shows."""
BINARY = re.compile("[\x00-\x08\x0e-\x1a]")
BINARY_CHARACTERS = 10_000
"""At the beginning of a file that are looked through for what no text has."""
_SNIPPET = re.compile(r"(?<!\\)\$(?:\d|\{\d)")


@dataclass(frozen=True, slots=True)
class Request:
    """Where a completion is wanted. `invoked`: somebody asked for it, rather than the editor by itself."""

    uri: str
    document: Document
    position: Position
    selected: SelectedCompletionInfo | None = None
    invoked: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to put in place of `range`; `text` is empty where there is nothing to propose. `spot` is around `range`."""

    text: str
    range: Range
    spot: Spot
    decision: str = ""
    finding: Finding | None = None

    @property
    def remark(self) -> str:
        """What the developer should know of it: the licence that it matches, or did before it was cut."""
        if self.finding is None:
            return ""
        what = "a suggestion was held back: it matches" if self.finding.withheld else "the suggestion matches"
        return f"{what} code under {self.finding.license} ({self.finding.source}), decision {self.decision}"


class Suggester:
    """Proposals by one service. Use it in one event loop."""

    def __init__(self, settings: Settings, workspace: Workspace, neighbours: Neighbours, standing: Standing) -> None:
        self._settings = settings
        self._workspace = workspace
        self._neighbours = neighbours
        self._standing = standing
        self.client = CompletionClient(settings.connection)
        self.kept = Kept()
        self._pace = Pace(*settings.debounce)
        self._budget = Budget()
        self._pending: dict[str, asyncio.Task[Proposal | None]] = {}

    async def aclose(self) -> None:
        """Stop what is under way and close the connection to the service."""
        for task in self._pending.values():
            task.cancel()
        self.kept.clear()
        await self.client.aclose()

    def changed(self, uri: str) -> None:
        """A document was edited: what was asked for its older text is of no use."""
        self._pace.typed(asyncio.get_running_loop().time())
        if earlier := self._pending.pop(uri, None):
            earlier.cancel()

    def closed(self, uri: str) -> None:
        """A document was closed."""
        if earlier := self._pending.pop(uri, None):
            earlier.cancel()
        self.kept.close(uri)

    async def propose(self, request: Request) -> Proposal | None:
        """What could stand there; None if a newer request for the same document or an edit of it came in between.

        Not every editor cancels a request that it has lost interest in. Being cancelled closes the request to the
        service. Raises LanguageServerError.
        """
        if earlier := self._pending.pop(request.uri, None):
            earlier.cancel()
        task = self._pending[request.uri] = asyncio.create_task(self._propose(request))
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            if self._pending.get(request.uri) is task:
                del self._pending[request.uri]
        return None if task.cancelled() else task.result()

    async def _propose(self, request: Request) -> Proposal | None:
        """Where something is to be proposed: of what is kept and holds, else by the service once typing pauses."""
        place = self._require_wanted(request)
        around = request.document.around(request.position, self._budget, request.selected)
        if not self._is_wanted(request, around):
            return None
        text = request.document.text
        spot = Spot(text[: around.start] + around.kept, text[around.end :])
        answer = await self._kept(request, place, around, spot)
        if answer is None:
            if not request.invoked:
                if self._standing.held:
                    return None
                await asyncio.sleep(self._pace.wait(asyncio.get_running_loop().time()))
            answer = await self._asked(request, place, spot)
            around = request.document.around(request.position, self._budget, request.selected)
        shown = around.kept + answer.text if answer.text.strip() else ""
        outer = Spot(text[: around.start], text[around.end :])
        return Proposal(shown, around.range, outer, answer.decision, answer.finding)

    def _require_wanted(self, request: Request) -> Place:
        """Where the document stands. Raises NotAskedError, with the reason, where nothing is asked for it at all."""
        document, settings = request.document, self._settings
        place = self._workspace.place(request.uri)
        name = place.path.rpartition("/")[2] or "this document"
        if not settings.enabled:
            reason = "completions are switched off (enabled)"
        elif document.language in settings.disabled_languages:
            reason = f"completions are switched off for {document.language} (disabledLanguages)"
        elif ignored := self._workspace.ignored(place):
            reason = f"{name} is ignored ({ignored})"
        elif len(document) > settings.size_limit:
            reason = f"{name} has {len(document)} characters, more than sizeLimit {settings.size_limit}"
        elif BINARY.search(document.text[:BINARY_CHARACTERS]):
            reason = f"{name} is binary"
        else:
            return place
        raise NotAskedError(reason)

    def _is_wanted(self, request: Request, around: Surroundings) -> bool:
        """Whether a completion makes sense at this place."""
        if not (around.prefix + around.suffix).strip() or _SNIPPET.search(around.kept):
            return False
        if request.invoked:
            return True
        if in_word(around.line, around.rest):
            return False
        if self._settings.comments:
            return True
        text = request.document.text[: around.start] + around.kept
        return not in_comment_or_string(text, len(text), request.document.language)

    async def _kept(self, request: Request, place: Place, around: Surroundings, spot: Spot) -> Answer | None:
        """What is known for this place already, if the service would give it again just now."""
        question = self._question(request, place, around)
        answer = self.kept.along(request.uri, spot, several=request.invoked and around.alone)
        if answer is not None and around.rest.strip():
            answer = replace(answer, text=fitted(answer.text, "", around.rest, around.suffix))
        answer = answer if answer is not None and answer.text else self.kept.again(question)
        if answer is None:
            return None
        if answer.index != await self.client.freshness():
            self.kept.drop(request.uri, question)
            return None
        return answer

    async def _asked(self, request: Request, place: Place, spot: Spot) -> Answer:
        """Ask the service. Where that is too much for the model's window, ask for less, from now on."""
        for halvings in range(HALVINGS + 1):
            around = request.document.around(request.position, self._budget, request.selected)
            question = self._question(request, place, around)
            try:
                return await self._fetched(request, question, around, spot)
            except PromptTooLongError:
                if halvings == HALVINGS:
                    raise
                self._budget = self._budget.halved()
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def _fetched(self, request: Request, question: Question, around: Surroundings, spot: Spot) -> Answer:
        looking: asyncio.Task[None] | None = None
        with self._standing.busy():
            task = asyncio.create_task(self.client.complete(question))
            try:
                await asyncio.wait({task}, timeout=SLOW)
                if not task.done():
                    looking = asyncio.create_task(self._look())
                found = await task
            finally:
                task.cancel()
                if looking is not None:
                    looking.cancel()
        text = found.text
        if not found.whole and "\n" in text.strip():
            # The last line is cut off anywhere.
            text = text[: text.rstrip().rindex("\n")]
        answer = Answer(
            fitted(text, around.prefix, around.rest, around.suffix), found.decision, found.finding, found.index
        )
        self.kept.put(request.uri, spot, question, answer)
        return answer

    async def _look(self) -> None:
        """Say that the answer is late, and whether that is the model or the whole service."""
        url = self._settings.connection.url
        self._standing.say(f"waiting for {url}")
        if not await self.client.ready():
            self._standing.say(f"{url} does not answer: it is stopped, overloaded or far away", StatusKind.WARNING)

    def _question(self, request: Request, place: Place, around: Surroundings) -> Question:
        # In the middle of a line, what is more than the rest of that line is in the way; so is, behind half a
        # statement, what is more than the statement.
        several = around.alone and (request.invoked or opens_block(around.line))
        others: tuple[tuple[str, str], ...] = ()
        if self._settings.context and place.folder is not None:
            found = self._neighbours.of(request.uri, place.folder, around.prefix, self._budget.others)
            others = tuple((one.path, one.text) for one in found)
        return Question(
            around.prefix,
            around.suffix,
            self._settings.max_tokens,
            () if several else ("\n",),
            place.path,
            others,
        )
