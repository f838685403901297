"""Ed25519 keys (RFC 8032): made, kept in files, trusted by name. Knows nothing of what they sign.

The arithmetic is the package `cryptography`'s.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from registry.errors import SigningKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_PUBLIC: Final = re.compile(r"ed25519:[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")
KEYS_FILE: Final = "release-keys"
"""Trusted public keys under the home, one a line; what follows `#` is for people."""


@dataclass(frozen=True, slots=True, order=True)
class PublicKey:
    """A public key as `ed25519:` and 64 hexadecimal digits, the one spelling that it has."""

    text: str

    def __post_init__(self) -> None:
        """Hold the spelling."""
        if not _PUBLIC.fullmatch(self.text):
            message = f"{self.text!r} is no public key: `cleanroom release keygen` prints one as ed25519:HEX"
            raise SigningKeyError(message)

    def __str__(self) -> str:
        return self.text

    @property
    def hex(self) -> str:
        """The 32 bytes in hexadecimal."""
        return self.text.removeprefix("ed25519:")

    def signed(self, purpose: str, data: bytes, signature: str) -> bool:
        """Whether `signature` (128 hexadecimal digits in lower case) is this key's over `data`, for this purpose."""
        if not _SIGNATURE.fullmatch(signature):
            return False
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.hex))
            key.verify(bytes.fromhex(signature), _message(purpose, data))
        except (InvalidSignature, ValueError, UnsupportedAlgorithm):
            return False
        return True


class SigningKey:
    """A private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = PublicKey(f"ed25519:{raw.hex()}")

    def sign(self, purpose: str, data: bytes) -> str:
        """The signature over `data`, for this purpose and no other, in hexadecimal."""
        return self._key.sign(_message(purpose, data)).hex()


def _message(purpose: str, data: bytes) -> bytes:
    # A signed manifest must not pass for a signed list of withdrawn releases, nor the other way round.
    return f"cleanroom {purpose}\0".encode() + data


def make_key(path: Path) -> SigningKey:
    """Make a key and write it to `path`, which must not exist, as PEM (PKCS 8, mode 0600, no passphrase).

    Raises:
        SigningKeyError: the file exists or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    except OSError as error:
        told = "exists, and a key is never overwritten" if path.exists() else f"cannot be written ({error.strerror})"
        message = f"{path} {told}: name another file"
        raise SigningKeyError(message) from error
    return SigningKey(key)


def load_key(path: Path) -> SigningKey:
    """The key that `make_key` wrote.

    Raises:
        SigningKeyError: it cannot be read, others may read it, or it is no Ed25519 key.
    """
    try:
        if path.stat().st_mode & 0o077:
            message = f"{path} can be read by others: run chmod 600 {path}, or make a new key if they may have done so"
            raise SigningKeyError(message)
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        message = f"the signing key {path} cannot be read ({error.strerror}): `cleanroom release keygen` makes one"
        raise SigningKeyError(message) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = f"{path} holds no signing key without a passphrase: `cleanroom release keygen` makes one"
        raise SigningKeyError(message) from error
    if not isinstance(key, Ed25519PrivateKey):
        message = f"{path} holds a key of another kind: `cleanroom release keygen` makes one of Ed25519"
        raise SigningKeyError(message)
    return SigningKey(key)


def trusted_keys(home: Path, given: str | None) -> frozenset[PublicKey]:
    """The public keys in `given`, with blanks or commas between, or where that is None in KEYS_FILE under `home`.

    None where there is no file: then nobody is trusted.

    Raises:
        SigningKeyError: something there is no public key, or the file cannot be read.
    """
    if given is not None:
        return _keys([given])
    path = home / KEYS_FILE
    try:
        return _keys(path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        message = f"the trusted keys in {path} cannot be read ({type(error).__name__}): write one public key a line"
        raise SigningKeyError(message) from error


def _keys(lines: Iterable[str]) -> frozenset[PublicKey]:
    words = (word for line in lines for word in re.split(r"[\s,]+", line.partition("#")[0]))
    return frozenset(PublicKey(word) for word in words if word)
