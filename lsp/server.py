"""The language server's state: open documents, settings, and the service behind it.

Whatever goes wrong is an empty list and a status, never an LSP error. Knows the service only through lsp.suggestions,
and of the protocol only what synchronizes documents; lsp.features has the rest.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method

from lsp.citations import Citation, Citations
from lsp.client import NO_KEY
from lsp.connection import UNSAFE
from lsp.documents import Document
from lsp.errors import ConfigurationError, LanguageServerError, StatusKind
from lsp.neighbours import Neighbours
from lsp.outcomes import Offer, Outcomes
from lsp.places import Workspace
from lsp.standing import Standing, Status
from lsp.suggestions import Request, Suggester

if TYPE_CHECKING:
    from lsp.settings import CommandLine, Settings
    from lsp.suggestions import Proposal

STATUS = "cleanroom/didChangeStatus"
CITATION = "cleanroom/citation"
CITATIONS = "cleanroom/citations"
RETRY = "cleanroom/retry"


class DocumentSync(LanguageServerProtocol):
    """pygls's protocol, but for documents: lsp.documents says what its own get wrong."""

    _server: CleanroomServer

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        """A document was opened."""
        item = params.text_document
        encoding = self.server_capabilities.position_encoding or types.PositionEncodingKind.Utf16
        self._server.open_document(item.uri, Document(item.text, encoding, item.language_id))

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        """A document was edited; one that was never opened is none of ours."""
        uri = params.text_document.uri
        # An empty one has no length, but is one.
        if (document := self._server.documents.get(uri)) is not None:
            self._server.citations.change(uri, document, params.content_changes)
            self._server.changed_document(uri)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        """A document was closed."""
        self._server.close_document(params.text_document.uri)

    @lsp_method(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def lsp_workspace__did_change_workspace_folders(self, params: types.DidChangeWorkspaceFoldersParams) -> None:
        """Folders were opened and closed."""
        added, removed = params.event.added, params.event.removed
        self._server.workspace_folders.change([one.uri for one in added], [one.uri for one in removed])


class CleanroomServer(LanguageServer):
    """One editor's server. `documents`: the open ones by URI. `last`: the last proposal with a decision."""

    def __init__(self, command_line: CommandLine) -> None:
        super().__init__("cleanroom", version("cleanroom"), protocol_cls=DocumentSync)
        self.documents: dict[str, Document] = {}
        self.workspace_folders = Workspace()
        self.standing = Standing(self._tell, self._retry)
        self.outcomes = Outcomes(self._text_of, self._taken_over)
        self.citations = Citations(self._tell_citations)
        self.last: Proposal | None = None
        self.talking = False
        self._command_line = command_line
        self._options: object = None
        self._changed: object = None
        self._key: str | None = None
        self._signed_out = False
        self._settings: Settings | None = None
        self._suggester: Suggester | None = None
        self._neighbours = Neighbours()
        self._unread: dict[str, None] = {}
        self._unanswered: str | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def open_document(self, uri: str, document: Document) -> None:
        """A document was opened, or opened anew."""
        self.close_document(uri)
        self.documents[uri] = document
        self._unread[uri] = None
        self.citations.opened(uri, document)

    def changed_document(self, uri: str) -> None:
        """A document is not as it was."""
        self._unread.pop(uri, None)
        self._unread[uri] = None
        if self._suggester is not None:
            self._suggester.changed(uri)
        self.outcomes.changed(uri)

    def close_document(self, uri: str) -> None:
        """A document was closed; its signatures stay known for a while."""
        self.outcomes.closed(uri)
        self._read(uri)
        if (document := self.documents.pop(uri, None)) is not None:
            self.citations.closed(uri, document)
        if self._suggester is not None:
            self._suggester.closed(uri)

    async def suggest(
        self,
        uri: str,
        position: types.Position,
        selected: types.SelectedCompletionInfo | None = None,
        *,
        invoked: bool = False,
    ) -> tuple[Proposal, Offer] | None:
        """What to propose at `position`, with its id; None where there is nothing, or nothing any more."""
        document, suggester = self.documents.get(uri), self._suggester
        if document is None or suggester is None:
            return None
        asked_of = document.version
        for other in [other for other in self._unread if other != uri]:
            self._read(other)
        try:
            proposal = await suggester.propose(Request(uri, document, position, selected, invoked))
        except LanguageServerError as error:
            if suggester is self._suggester:
                self._unanswered = uri
                self.standing.failed(error, suggester.client.ready)
            return None
        # What was meant for an older text, or by another service, must not be shown.
        current = self.documents.get(uri) is document and document.version == asked_of
        if proposal is None or not current or suggester is not self._suggester:
            return None
        if proposal.decision:
            self.last = proposal
            self.standing.well(proposal.remark)
        return (proposal, self._offered(uri, document, proposal)) if proposal.text else None

    def initialize(self, options: object, folders: list[str]) -> None:
        """Take the editor's initialization options and workspace folders."""
        self._options = options
        self.workspace_folders = Workspace(folders)
        self.configure()

    def configure(self, changed: object = None) -> None:
        """Take what the editor has changed of its settings; what is wrong with them becomes the status."""
        self._changed = changed if changed is not None else self._changed
        try:
            settings = self._command_line.settings(self._options, changed=self._changed)
            if self._key is not None or self._signed_out:
                settings = replace(settings, connection=replace(settings.connection, key=self._key))
            self.workspace_folders.ignore(settings.ignore)
        except LanguageServerError as error:
            self._use(None)
            self.standing.rest(error.kind, str(error))
            return
        if settings != self._settings:
            self._use(settings)
            self.standing.rest(*_resting(settings))

    @property
    def trigger_characters(self) -> list[str]:
        """Characters behind which a menu is to open by itself."""
        return list(self._settings.trigger_characters) if self._settings else []

    async def sign_in(self, key: object) -> Status:
        """Use another key from now on, if it is one; the status says whether the service takes it."""
        if not isinstance(key, str) or not key.strip():
            self.standing.failed(ConfigurationError("cleanroom/signIn takes one argument, the API key"), _never)
            return self.standing.status
        self._key, self._signed_out = key.strip(), False
        self.configure()
        if self._suggester is not None:
            try:
                await self._suggester.client.freshness()
            except LanguageServerError as error:
                self.standing.failed(error, self._suggester.client.ready)
            else:
                self.standing.well()
        return self.standing.status

    def sign_out(self) -> Status:
        """Forget the key and all that came by it."""
        self._key, self._signed_out, self.last = None, True, None
        self.configure()
        return self.standing.status

    async def close(self) -> None:
        """Tell what is left to tell, and close the connection to the service."""
        await self.outcomes.close()
        self.standing.close()
        if self._suggester is not None:
            await self._suggester.aclose()

    def _use(self, settings: Settings | None) -> None:
        if self._suggester is not None:
            closing = asyncio.get_running_loop().create_task(self._suggester.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._settings, self._suggester, self.outcomes.report = settings, None, None
        if settings is not None:
            self._suggester = Suggester(settings, self.workspace_folders, self._neighbours, self.standing)
            self.outcomes.report = self._suggester.client.report if settings.feedback else None

    def _offered(self, uri: str, document: Document, proposal: Proposal) -> Offer:
        offer = Offer(
            "",
            uri,
            proposal.text,
            proposal.decision,
            document.language,
            proposal.spot.before,
            proposal.spot.behind,
            proposal.finding,
        )
        standing = self.outcomes.offer(offer)
        if standing is offer:
            self._cite(offer, proposal.range, accepted=False)
        return standing

    def _taken_over(self, offer: Offer) -> None:
        document, cited = self.documents.get(offer.uri), _cited(offer)
        if document is not None and cited is not None:
            place = self.citations.note(offer.uri, document, len(offer.before), offer.text, cited)
            self._cite(offer, place, accepted=True)
            self.citations.say(offer.uri, document)

    def _cite(self, offer: Offer, place: types.Range, *, accepted: bool) -> None:
        """Name the licence of a text that is shown or was taken over."""
        if (cited := _cited(offer)) is not None:
            self.protocol.notify(CITATION, {"uri": offer.uri, "range": place, **asdict(cited), "accepted": accepted})

    def _tell_citations(self, uri: str, standing: list[tuple[Citation, types.Range]]) -> None:
        named = [{"range": place, **asdict(cited)} for cited, place in standing]
        self.protocol.notify(CITATIONS, {"uri": uri, "citations": named})

    def _read(self, uri: str) -> None:
        """Note a document's signatures for the others, if they may know it."""
        if self._unread.pop(uri, "") is not None or (document := self.documents.get(uri)) is None:
            return
        place = self.workspace_folders.place(uri)
        try:
            hidden = self.workspace_folders.ignored(place) is not None
        except ConfigurationError:
            hidden = True
        if hidden or self._settings is None or len(document) > self._settings.size_limit:
            self._neighbours.forget(uri)
        else:
            self._neighbours.note(uri, place.path, place.folder, document.text)

    def _text_of(self, uri: str) -> str | None:
        document = self.documents.get(uri)
        return None if document is None else document.text

    def _retry(self) -> None:
        """Tell the editor that what it asked while there was no answer would get one now: it asks at keys alone."""
        if self._unanswered in self.documents:
            self.protocol.notify(RETRY, {"uri": self._unanswered})
        self._unanswered = None

    def _tell(self, status: Status) -> None:
        if self.talking:
            self.protocol.notify(STATUS, asdict(status))


def _cited(offer: Offer) -> Citation | None:
    """What must be named with a text that is shown, if anything."""
    finding = offer.finding
    return None if finding is None or finding.withheld else Citation(finding.license, finding.source, offer.decision)


def _resting(settings: Settings) -> tuple[StatusKind, str]:
    """How things stand with these settings while nothing is wrong."""
    if settings.connection.key is None:
        return StatusKind.INACTIVE, NO_KEY
    if not settings.enabled:
        return StatusKind.INACTIVE, "completions are switched off (enabled)"
    if settings.connection.unsafe_any_certificate:
        return StatusKind.WARNING, UNSAFE
    return StatusKind.NORMAL, ""


async def _never() -> bool:
    return False
