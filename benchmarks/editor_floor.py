"""The least language server with ghost text that pygls makes: the floor of an editor for `editor.py`.

It knows no service. Behind an equals sign and a blank it proposes ANSWER at once, and its status is always well.
"""

from __future__ import annotations

from editor_server import ANSWER
from lsprotocol import types
from pygls.lsp.server import LanguageServer

server = LanguageServer("floor", "1")


@server.feature(types.INITIALIZED)
def initialized(_: types.InitializedParams) -> None:
    """Say that all is well, for clients that wait for it."""
    server.protocol.notify("cleanroom/didChangeStatus", {"busy": False, "kind": "Normal", "message": ""})


@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
def complete(params: types.InlineCompletionParams) -> types.InlineCompletionList:
    """ANSWER, where it fits."""
    document = server.workspace.get_text_document(params.text_document.uri)
    line = document.lines[params.position.line] if params.position.line < len(document.lines) else ""
    here = types.Range(params.position, params.position)
    wanted = line[: params.position.character].endswith("= ")
    return types.InlineCompletionList([types.InlineCompletionItem(ANSWER, range=here)] if wanted else [])


if __name__ == "__main__":
    server.start_io()
