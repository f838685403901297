"""What the language server does for a client: completions, settings and commands, in the shapes of LSP 3.18.

docs/language-server.md is the contract. Knows what to answer only from lsp.server.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp.server import STATUS, CleanroomServer
from lsp.syntax import word_before

if TYPE_CHECKING:
    from lsp.documents import Document
    from lsp.outcomes import Offer
    from lsp.settings import CommandLine
    from lsp.suggestions import Proposal

ACCEPTED = "cleanroom/accepted"
LABEL_CHARACTERS = 60


def create_server(command_line: CommandLine) -> CleanroomServer:
    """A server with its features, ready for `start_io()`."""
    server = CleanroomServer(command_line)
    server.feature(types.INITIALIZE)(_initialize)
    server.feature(types.INITIALIZED)(_initialized)
    server.feature(types.SHUTDOWN)(_shutdown)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(_configure)
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(_inline_completion)
    for name, command in {
        ACCEPTED: _accepted,
        "cleanroom/acceptedPart": _accepted_part,
        "cleanroom/rejected": _rejected,
        "cleanroom/showDecision": _show_decision,
        "cleanroom/clearCitations": _clear_citations,
        "cleanroom/signIn": _sign_in,
        "cleanroom/signOut": _sign_out,
    }.items():
        server.command(name)(command)
    return server


# pygls hands the server to a first parameter of this name.
def _initialize(ls: CleanroomServer, params: types.InitializeParams) -> None:
    folders = [folder.uri for folder in params.workspace_folders or ()]
    ls.initialize(_plain(params.initialization_options), folders or ([params.root_uri] if params.root_uri else []))
    document = params.capabilities.text_document
    if document is None or document.inline_completion is None:
        # An editor that has ghost text would ask for both at every key.
        options = types.CompletionOptions(trigger_characters=ls.trigger_characters)
        ls.feature(types.TEXT_DOCUMENT_COMPLETION, options)(_completion)


def _initialized(ls: CleanroomServer, _: types.InitializedParams) -> None:
    ls.talking = True
    ls.protocol.notify(STATUS, asdict(ls.standing.status))


async def _shutdown(ls: CleanroomServer, _: None) -> None:
    await ls.close()


async def _configure(ls: CleanroomServer, params: types.DidChangeConfigurationParams) -> None:
    ls.configure(_plain(params.settings))


async def _inline_completion(ls: CleanroomServer, params: types.InlineCompletionParams) -> types.InlineCompletionList:
    context = params.context
    invoked = context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    found = await ls.suggest(
        params.text_document.uri, params.position, context.selected_completion_info, invoked=invoked
    )
    if found is None:
        return types.InlineCompletionList([])
    proposal, offer = found
    item = types.InlineCompletionItem(proposal.text, range=proposal.range, command=_command(offer))
    return types.InlineCompletionList([item])


async def _completion(ls: CleanroomServer, params: types.CompletionParams) -> types.CompletionList:
    found = await ls.suggest(params.text_document.uri, params.position)
    items = [_menu_item(ls.documents[params.text_document.uri], *found)] if found else []
    # Incomplete: what fits here changes with every key.
    return types.CompletionList(is_incomplete=True, items=items)


def _accepted(ls: CleanroomServer, *arguments: Any) -> None:  # noqa: ANN401 - whatever JSON an editor sends
    if arguments:
        ls.outcomes.accepted(str(arguments[0]))


def _accepted_part(ls: CleanroomServer, *arguments: Any) -> None:  # noqa: ANN401 - as above
    if arguments:
        ls.outcomes.accepted_part(str(arguments[0]))


def _rejected(ls: CleanroomServer, *arguments: Any) -> None:  # noqa: ANN401 - as above
    if arguments:
        ls.outcomes.rejected(str(arguments[0]))


def _show_decision(ls: CleanroomServer, *_: Any) -> dict[str, object] | None:  # noqa: ANN401 - as above
    last = ls.last
    if last is None:
        return None
    finding = last.finding
    message = last.remark or f"decision {last.decision}: {'a suggestion' if last.text else 'nothing was suggested'}"
    ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, message))
    return {
        "decision": last.decision,
        "license": finding.license if finding else None,
        "url": finding.source if finding else None,
        "withheld": bool(finding and finding.withheld),
        "message": message,
    }


def _clear_citations(ls: CleanroomServer, *arguments: Any) -> None:  # noqa: ANN401 - as above
    if arguments:
        ls.citations.clear(str(arguments[0]))


async def _sign_in(ls: CleanroomServer, *arguments: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    status = await ls.sign_in(arguments[0] if len(arguments) == 1 else None)
    return {"kind": status.kind, "message": status.message}


def _sign_out(ls: CleanroomServer, *_: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    status = ls.sign_out()
    return {"kind": status.kind, "message": status.message}


def _command(offer: Offer) -> types.Command:
    return types.Command("Completion taken over", ACCEPTED, arguments=[offer.id])


def _menu_item(document: Document, proposal: Proposal, offer: Offer) -> types.CompletionItem:
    # Menus show only what begins with the word in front of the cursor: that word is part of the item.
    word = word_before(proposal.spot.before)
    text = word + proposal.text
    place = types.Range(document.position(len(proposal.spot.before) - len(word)), proposal.range.end)
    label = next(line.strip() for line in text.splitlines() if line.strip())
    return types.CompletionItem(
        label=label[:LABEL_CHARACTERS],
        kind=types.CompletionItemKind.Text,
        detail="Cleanroom",
        documentation=text,
        text_edit=types.TextEdit(place, text),
        command=_command(offer),
    )


def _plain(value: object) -> object:
    """Settings as JSON has them: pygls makes named tuples of objects that it does not know."""
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
