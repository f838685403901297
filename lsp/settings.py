"""What the language server is told: by its command line, by the editor, by the environment.

The first of the three that names a value wins; of an editor, what it said last. Knows neither protocol nor HTTP.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsp.connection import Connection
from lsp.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8080"
KEY_VARIABLE = "CLEANROOM_API_KEY"
SECTION = "cleanroom"
MAX_TOKENS = 64
SIZE_LIMIT = 1_000_000
_KEY_FILE_BYTES = 4096
# What an editor may set, with the type of each. bool is an int to Python, but not to whoever writes JSON.
_OPTIONS: dict[str, type] = {
    "url": str,
    "apiKey": str,
    "maxTokens": int,
    "enabled": bool,
    "comments": bool,
    "ignore": list,
    "disabledLanguages": list,
    "sizeLimit": int,
    "context": bool,
    "debounceMin": int,
    "debounceMax": int,
    "feedback": bool,
    "triggerCharacters": list,
    "caFile": str,
    "unsafeAcceptAnyCertificate": bool,
}
_BOUNDS = {
    "maxTokens": (1, 2048),
    "sizeLimit": (1, 10_000_000),
    "debounceMin": (0, 5000),
    "debounceMax": (0, 5000),
}
_WORDS = {str: "string", int: "integer", bool: "boolean", list: "list of strings"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Where completions come from, when they are asked for, and what is told of them; docs/language-server.md.

    `max_tokens` in tokens, `size_limit` in characters, `debounce` in seconds.
    """

    connection: Connection
    max_tokens: int = MAX_TOKENS
    enabled: bool = True
    comments: bool = False
    ignore: tuple[str, ...] = ()
    disabled_languages: frozenset[str] = frozenset()
    size_limit: int = SIZE_LIMIT
    context: bool = True
    debounce: tuple[float, float] = (0.1, 1.0)
    feedback: bool = True
    trigger_characters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the command line says; None where it says nothing."""

    url: str | None = None
    key_file: Path | None = None

    def settings(
        self, options: object, environment: Mapping[str, str] = os.environ, changed: object = None
    ) -> Settings:
        """The settings, once the editor has sent its initialization `options` and what it `changed` since (any JSON).

        Raises ConfigurationError that names the wrong value, unless that is a key.
        """
        named = {**_named(options), **_named(_section(changed))}
        key = self.key() or named.get("apiKey") or environment.get(KEY_VARIABLE) or ""
        connection = Connection(
            self.url or named.get("url") or DEFAULT_URL,
            key.strip() or None,
            authority=named.get("caFile"),
            unsafe_any_certificate=named.get("unsafeAcceptAnyCertificate", False),
        )
        least, most = named.get("debounceMin", 100), named.get("debounceMax", 1000)
        return Settings(
            connection,
            max_tokens=named.get("maxTokens", MAX_TOKENS),
            enabled=named.get("enabled", True),
            comments=named.get("comments", False),
            ignore=tuple(named.get("ignore", ())),
            disabled_languages=frozenset(named.get("disabledLanguages", ())),
            size_limit=named.get("sizeLimit", SIZE_LIMIT),
            context=named.get("context", True),
            debounce=(least / 1000, max(least, most) / 1000),
            feedback=named.get("feedback", True),
            trigger_characters=tuple(named.get("triggerCharacters", ())),
        )

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


def _section(changed: object) -> object:
    """What is ours of changed settings: editors send them under the name of their section, or bare."""
    return changed.get(SECTION) if isinstance(changed, dict) and SECTION in changed else changed


def _named(options: object) -> dict[str, Any]:
    """The options that are named, each of its type and within its bounds."""
    if options is None:
        return {}
    if not isinstance(options, dict):
        message = f"the initialization options are no JSON object but {type(options).__name__}: give {_forms()}"
        raise ConfigurationError(message)
    # Other names are left alone: editors send options of their own along.
    named: dict[str, Any] = {
        name: value for name, value in options.items() if name in _OPTIONS and value is not None and value != ""
    }
    for name, value in named.items():
        if type(value) is not _OPTIONS[name] or (type(value) is list and not all(type(one) is str for one in value)):
            message = f"the initialization option {name} is of type {type(value).__name__}: give {_form(name)}"
            raise ConfigurationError(message)
    for name in sorted(_BOUNDS.keys() & named.keys()):
        _require_bounds(name, named[name])
    return named


def _require_bounds(name: str, value: int) -> None:
    least, most = _BOUNDS[name]
    if not least <= value <= most:
        message = f"{name} is {value}: give {least} to {most}"
        raise ConfigurationError(message)


def _form(name: str) -> str:
    return f"{name} ({_WORDS[_OPTIONS[name]]})"


def _forms() -> str:
    return ", ".join(map(_form, _OPTIONS))
