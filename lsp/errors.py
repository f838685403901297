"""Everything the language server raises, with the kind of status that an editor shows for it. Imports nothing of ours.

None of these ever becomes an LSP error: an editor would report each as a failure of its own.
"""

from __future__ import annotations

from enum import StrEnum


class StatusKind(StrEnum):
    """What an editor's status bar shows; the words are those of GitHub's Copilot language server."""

    NORMAL = "Normal"
    WARNING = "Warning"
    ERROR = "Error"
    INACTIVE = "Inactive"


class LanguageServerError(Exception):
    """Base of all errors of the language server. Its message is shown to the developer."""

    kind = StatusKind.ERROR


class ConfigurationError(LanguageServerError):
    """The URL, the key file or an initialization option cannot be used."""


class KeyRefusedError(LanguageServerError):
    """The service does not accept the key: unknown, revoked, or without the scope."""


class KeyMissingError(KeyRefusedError):
    """No key was given, so nothing is asked."""

    kind = StatusKind.INACTIVE


class ServiceUnavailableError(LanguageServerError):
    """The service is down, slow, or refuses because its guard or model cannot answer. Passes by itself."""

    kind = StatusKind.WARNING


class OverQuotaError(ServiceUnavailableError):
    """The key has used what it may; `retry_after`: seconds until it may go on."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CertificateError(LanguageServerError):
    """The certificate of the service is not trusted."""


class NotAskedError(LanguageServerError):
    """By its owner's wish, or by its nature, nothing is asked for this file."""

    kind = StatusKind.INACTIVE


class RequestRefusedError(LanguageServerError):
    """The service refused this one request."""

    kind = StatusKind.WARNING


class PromptTooLongError(RequestRefusedError):
    """Prefix and suffix do not fit the model's window: less of the file would."""


class AnswerError(LanguageServerError):
    """What answers at the URL is not Cleanroom, or answers nonsense."""
