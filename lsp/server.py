"""The language server: proposals as ghost text, or as menu items where an editor has no ghost text.

Whatever goes wrong is an empty list and a status, never an LSP error. Knows the service only through lsp.suggestions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method

from lsp.client import NO_KEY
from lsp.documents import Document
from lsp.errors import LanguageServerError, StatusKind
from lsp.suggestions import Proposal, Suggester

if TYPE_CHECKING:
    from lsp.settings import CommandLine

STATUS = "cleanroom/didChangeStatus"
LABEL_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Status:
    """Parameters of STATUS: whether a completion is being fetched, and what became of the last one."""

    busy: bool
    message: str
    kind: StatusKind


class DocumentSync(LanguageServerProtocol):
    """pygls's protocol, but for documents: lsp.documents says what its own get wrong."""

    _server: CleanroomServer

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        """A document was opened."""
        item = params.text_document
        encoding = self.server_capabilities.position_encoding or types.PositionEncodingKind.Utf16
        self._server.documents[item.uri] = Document(item.text, encoding)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        """A document was edited; one that was never opened is none of ours."""
        uri = params.text_document.uri
        if document := self._server.documents.get(uri):
            self._server.documents[uri] = document.changed(params.content_changes)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        """A document was closed."""
        self._server.documents.pop(params.text_document.uri, None)


class CleanroomServer(LanguageServer):
    """One editor's server. `documents`: the open ones by URI, each replaced at every change."""

    def __init__(self, command_line: CommandLine) -> None:
        super().__init__("cleanroom", version("cleanroom"), protocol_cls=DocumentSync)
        self.documents: dict[str, Document] = {}
        self._command_line = command_line
        self._suggester: Suggester | None = None
        self._busy = 0
        self.status = Status(busy=False, message="the server is not initialized", kind=StatusKind.INACTIVE)

    async def suggest(
        self, uri: str, position: types.Position, selected: types.SelectedCompletionInfo | None = None
    ) -> Proposal | None:
        """What to propose at `position`; None where there is nothing, or nothing any more."""
        document = self.documents.get(uri)
        if document is None or self._suggester is None:
            return None
        proposal = None
        self._report(busy=1)
        try:
            proposal = await self._suggester.propose(uri, document, position, selected)
            if proposal is not None:
                self._report(StatusKind.NORMAL, _remark(proposal))
        except LanguageServerError as error:
            self._report(error.kind, str(error))
        finally:
            self._report(busy=-1)
        # What was meant for an older text must not be put into a newer one.
        current = self.documents.get(uri) is document
        return proposal if proposal and proposal.text and current else None

    def configure(self, options: object) -> None:
        """Take the editor's initialization options; what is wrong with them becomes the status."""
        try:
            settings = self._command_line.settings(options)
        except LanguageServerError as error:
            self.status = Status(busy=False, message=str(error), kind=error.kind)
            return
        self._suggester = Suggester(settings)
        self.status = Status(busy=False, message="", kind=StatusKind.NORMAL)
        if settings.connection.key is None:
            self.status = Status(busy=False, message=NO_KEY, kind=StatusKind.INACTIVE)

    async def close(self) -> None:
        """Close the connection to the service."""
        if self._suggester is not None:
            await self._suggester.aclose()

    def _report(self, kind: StatusKind | None = None, message: str = "", *, busy: int = 0) -> None:
        """Tell the editor how things stand, if that has changed; `busy`: requests more or less under way."""
        self._busy += busy
        if kind is None:
            kind, message = self.status.kind, self.status.message
        status = Status(self._busy > 0, message, kind)
        if status != self.status:
            self.status = status
            self.protocol.notify(STATUS, asdict(status))


def create_server(command_line: CommandLine) -> CleanroomServer:
    """A server with its features, ready for `start_io()`."""
    server = CleanroomServer(command_line)
    server.feature(types.INITIALIZE)(_initialize)
    server.feature(types.INITIALIZED)(_initialized)
    server.feature(types.SHUTDOWN)(_shutdown)
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(_inline_completion)
    return server


# pygls hands the server to a first parameter of this name.
def _initialize(ls: CleanroomServer, params: types.InitializeParams) -> None:
    document = params.capabilities.text_document
    if document is None or document.inline_completion is None:
        # An editor that has ghost text would ask for both at every key.
        ls.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())(_completion)
    ls.configure(params.initialization_options)


def _initialized(ls: CleanroomServer, _: types.InitializedParams) -> None:
    ls.protocol.notify(STATUS, asdict(ls.status))


async def _shutdown(ls: CleanroomServer, _: None) -> None:
    await ls.close()


async def _inline_completion(ls: CleanroomServer, params: types.InlineCompletionParams) -> types.InlineCompletionList:
    selected = params.context.selected_completion_info
    proposal = await ls.suggest(params.text_document.uri, params.position, selected)
    if proposal is None:
        return types.InlineCompletionList([])
    return types.InlineCompletionList([types.InlineCompletionItem(proposal.text, range=proposal.range)])


async def _completion(ls: CleanroomServer, params: types.CompletionParams) -> types.CompletionList:
    proposal = await ls.suggest(params.text_document.uri, params.position)
    # Incomplete: what fits here changes with every key.
    return types.CompletionList(is_incomplete=True, items=[_menu_item(proposal)] if proposal else [])


def _remark(proposal: Proposal) -> str:
    """What the developer should know of a proposal: the licence that it matches, or did before it was cut."""
    finding = proposal.finding
    if finding is None:
        return ""
    what = "a suggestion was held back: it matches" if finding.withheld else "the suggestion matches"
    return f"{what} code under {finding.license} ({finding.source}), decision {proposal.decision}"


def _menu_item(proposal: Proposal) -> types.CompletionItem:
    text = proposal.text
    label = next(line.strip() for line in text.splitlines() if line.strip())
    return types.CompletionItem(
        label=label[:LABEL_CHARACTERS],
        kind=types.CompletionItemKind.Text,
        detail="Cleanroom",
        documentation=text,
        text_edit=types.TextEdit(proposal.range, text),
    )
