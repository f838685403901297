"""Where the service is, who asks, and whose certificate is believed. Knows no request."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass

import httpx

from lsp.errors import ConfigurationError

UNSAFE = "certificates are not checked (unsafeAcceptAnyCertificate): whoever is on the way can read code and key"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the service is and who asks. `seconds`: how long one completion may take.

    `authority` is a PEM file whose certificates are believed; `unsafe_any_certificate` believes everybody.
    """

    url: str
    key: str | None
    seconds: float = 20.0
    authority: str | None = None
    unsafe_any_certificate: bool = False

    def __post_init__(self) -> None:
        """Hold the forms of all; a wrong one would fail at every key stroke, and less plainly."""
        try:
            url = httpx.URL(self.url)
        except (httpx.InvalidURL, TypeError):
            url = httpx.URL("")
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            message = f"{self.url!r} is not the URL of a service: expected http(s)://HOST[:PORT]"
            raise ConfigurationError(message)
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            message = "the API key has characters that no key has: copy it again as `cleanroom key create` showed it"
            raise ConfigurationError(message)
        if self.authority is not None:
            self.verification()

    @property
    def local(self) -> bool:
        """Whether the service runs on this machine."""
        host = httpx.URL(self.url).host
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def verification(self) -> ssl.SSLContext | bool:
        """What httpx checks certificates with. Raises ConfigurationError for a file that is none."""
        if self.unsafe_any_certificate:
            return False
        if self.authority is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.authority)
        except (OSError, ValueError) as error:
            message = f"caFile {self.authority!r} cannot be read as certificates in PEM form ({error}): correct it"
            raise ConfigurationError(message) from None
