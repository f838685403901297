"""The command `cleanroom lsp`. Knows how an editor starts the server, and nothing of what it does."""

from __future__ import annotations

import logging
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

from lsp.errors import ConfigurationError
from lsp.features import create_server
from lsp.settings import DEFAULT_URL, KEY_VARIABLE, CommandLine

app = typer.Typer()


@app.command()
def lsp(
    url: Annotated[str | None, typer.Option(help=f"The service; by default {DEFAULT_URL}.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help=f"File with the API key; by default the variable {KEY_VARIABLE}.")
    ] = None,
) -> None:
    """Run the language server on stdin and stdout. Editors start it; the key may also come in their settings."""
    command_line = CommandLine(url, key_file)
    try:
        command_line.settings(None, {})
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None
    # pygls quotes the messages that it could not handle, and messages hold source text.
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    create_server(command_line).start_io()
