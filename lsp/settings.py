"""What the language server is told: by its command line, by the editor's initialization options, by the environment.

The first of the three that names a value wins. Knows neither protocol nor HTTP.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsp.client import Connection
from lsp.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8080"
KEY_VARIABLE = "CLEANROOM_API_KEY"
MAX_TOKENS = 64
_TOKENS_LIMIT = 2048
_KEY_FILE_BYTES = 4096
# Options of `initialize`, with the type of each. bool is an int to Python, but not to whoever writes JSON.
_OPTIONS = {"url": str, "apiKey": str, "maxTokens": int}


@dataclass(frozen=True, slots=True)
class Settings:
    """Where completions come from, and how long each may be, in tokens."""

    connection: Connection
    max_tokens: int = MAX_TOKENS


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the command line says; None where it says nothing."""

    url: str | None = None
    key_file: Path | None = None

    def settings(self, options: object, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings, once the editor has sent its initialization `options` (any JSON).

        Raises ConfigurationError that names the wrong value, unless that is a key.
        """
        named = _named(options)
        key = self.key() or named.get("apiKey") or environment.get(KEY_VARIABLE) or ""
        connection = Connection(self.url or named.get("url") or DEFAULT_URL, key.strip() or None)
        tokens = named.get("maxTokens", MAX_TOKENS)
        if not 1 <= tokens <= _TOKENS_LIMIT:
            message = f"maxTokens is {tokens}: give 1 to {_TOKENS_LIMIT}"
            raise ConfigurationError(message)
        return Settings(connection, tokens)

    def key(self) -> str | None:
        """The key in the key file, if one was named. Raises ConfigurationError where it cannot be used."""
        if self.key_file is None:
            return None
        try:
            with self.key_file.open(encoding="ascii") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    message = f"{self.key_file} can be read or written by other users: chmod 600 {self.key_file}"
                    raise ConfigurationError(message)
                key = file.read(_KEY_FILE_BYTES).strip()
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self.key_file} cannot be read as a key file ({error}): correct --key-file"
            raise ConfigurationError(message) from None
        if not key:
            message = f"{self.key_file} is empty: write the key into it that `cleanroom key create` showed"
            raise ConfigurationError(message)
        return key


def _named(options: object) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, dict):
        message = f"the initialization options are no JSON object but {type(options).__name__}: give {_forms()}"
        raise ConfigurationError(message)
    named = {name: value for name, value in options.items() if value is not None}
    for name, value in named.items():
        # Other names are left alone: editors send options of their own along.
        if name in _OPTIONS and type(value) is not _OPTIONS[name]:
            message = f"the initialization option {name} is of type {type(value).__name__}: give {_forms()}"
            raise ConfigurationError(message)
    return named


def _forms() -> str:
    return ", ".join(f"{name} ({kind.__name__})" for name, kind in _OPTIONS.items())
