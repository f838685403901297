"""Digests as bytes, for the way from an organization's machine to the index. Knows neither HTTP nor the store.

A batch is the magic b"CRD" and VERSION (1 byte); what its digests were made with: schema (2), key check (16), length
of the scheme (1), the scheme; the number of digests (4); and each digest behind its length (4). A digest is _HEAD; path
and language in UTF-8; names (6 bytes each); positions, each as what it exceeds the one before by (of as many bytes as
_HEAD says; the first as it is); agreement (1 each); starts and ends of fragments (4 each); names of bands (6 each);
names (6 each) and agreement (1 each) of literals.
Numbers are little-endian. No source text stands in it, and none can be made from it without the index key.

Whatever was sent is checked before it is believed: every length against what is there, every number against its range.
Nothing is allocated for what was only announced.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from guard.digest import CONTENT_HASH_BYTES, Digest
from guard.errors import WireError
from guard.fingerprint import NAME_BITS, Fingerprints
from guard.literals import LITERALS_A_DOCUMENT, Literals
from guard.minhash import BANDS, Fragments
from guard.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VERSION = 2
PATH_LIMIT = 4096
"""Bytes of a document's path, as most systems limit it."""
DOCUMENTS_LIMIT = 1024
"""Digests of one batch."""
LANGUAGE = re.compile(r"[a-z0-9][a-z0-9+#._-]{0,31}", re.ASCII)

_MAGIC = b"CRD" + bytes([VERSION])
_MADE_WITH = struct.Struct("<H16sB")
_COUNT = struct.Struct("<I")
# content, tokens, length of the path, of the language, bytes of a gap, fingerprints, fragments, literals
_HEAD = struct.Struct(f"<{CONTENT_HASH_BYTES}sIHBBIIH")
_NAME_BYTES = 6
_GAPS = {1: "<u1", 2: "<u2", 4: "<u4"}
_TOKENS_LIMIT = 2**31
_FRAGMENT_BYTES = 4 + 4 + BANDS * _NAME_BYTES


def encode(digest: Digest) -> bytes:
    """One digest as bytes.

    Raises:
        WireError: its path is empty or longer than PATH_LIMIT, or something else of it has no such form.
    """
    prints, fragments, literals = digest.fingerprints, digest.fragments, digest.literals
    path, language = _encoded_path(digest.path), digest.language.encode()
    _require_language(digest.language)
    gaps = np.diff(prints.positions.astype(np.int64), prepend=0)
    width = next(width for width in _GAPS if int(gaps.max(initial=0)) < 1 << 8 * width)
    head = (digest.content, digest.tokens, len(path), len(language), width, len(prints), len(fragments), len(literals))
    return b"".join(
        (
            _HEAD.pack(*head),
            path,
            language,
            _name_bytes(prints.names),
            gaps.astype(_GAPS[width]).tobytes(),
            prints.agreement.astype(np.uint8).tobytes(),
            fragments.starts.astype("<u4").tobytes(),
            fragments.ends.astype("<u4").tobytes(),
            _name_bytes(fragments.bands.reshape(-1)),
            _name_bytes(literals.names),
            literals.agreement.astype(np.uint8).tobytes(),
        )
    )


def decode(data: bytes | memoryview) -> Digest:
    """Read what `encode` wrote.

    Raises:
        WireError: it is cut off, has something behind it, or holds what no digest can hold.
    """
    reader = _Reader(memoryview(data))
    content, tokens, path_size, language_size, width, prints, fragments, literals = reader.unpack(_HEAD)
    if (
        width not in _GAPS
        or tokens >= _TOKENS_LIMIT
        or max(prints, fragments) > tokens
        or literals > LITERALS_A_DOCUMENT
    ):
        _refuse("a digest whose head contradicts itself")
    body = path_size + language_size + prints * (_NAME_BYTES + width + 1) + fragments * _FRAGMENT_BYTES
    body += literals * (_NAME_BYTES + 1)
    if reader.left != body:
        _refuse(f"a digest of {reader.left} bytes behind its head, which announces {body}")
    path, language = reader.text(path_size), reader.text(language_size)
    _encoded_path(path)
    _require_language(language)
    columns = reader.prints(prints, width, tokens), reader.fragments(fragments, tokens), reader.literals(literals)
    return Digest(path, language, content, tokens, *columns)


def encode_batch(made_with: Stamp, digests: Sequence[bytes]) -> bytes:
    """A batch of what `encode` wrote. Of the stamp, only schema, scheme and key check are said.

    Raises:
        WireError: these are more digests than DOCUMENTS_LIMIT.
    """
    if len(digests) > DOCUMENTS_LIMIT:
        _refuse(f"{len(digests)} digests, more than the {DOCUMENTS_LIMIT} of a batch")
    scheme = made_with.scheme.encode()
    head = _MADE_WITH.pack(made_with.schema, bytes.fromhex(made_with.key_check), len(scheme))
    sized = (part for digest in digests for part in (_COUNT.pack(len(digest)), digest))
    return b"".join((_MAGIC, head, scheme, _COUNT.pack(len(digests)), *sized))


def decode_batch(data: bytes) -> tuple[Stamp, list[Digest]]:
    """What the digests were made with, and the digests. Takes about twice the memory of `data`.

    Raises:
        WireError: these bytes are no batch, or one path is in it twice.
    """
    reader = _Reader(memoryview(data))
    if bytes(reader.take(min(len(_MAGIC), reader.left))) != _MAGIC:
        _refuse(f"bytes that are no batch of digests in version {VERSION}")
    schema, check, size = reader.unpack(_MADE_WITH)
    made_with = Stamp(schema, reader.text(size), check.hex(), "")
    (count,) = reader.unpack(_COUNT)
    if count > DOCUMENTS_LIMIT:
        _refuse(f"{count} digests, more than the {DOCUMENTS_LIMIT} of a batch")
    digests = [decode(reader.take(*reader.unpack(_COUNT))) for _ in range(count)]
    if reader.left:
        _refuse(f"{reader.left} bytes behind the last digest")
    if len({digest.path for digest in digests}) < count:
        _refuse("one path twice in a batch")
    return made_with, digests


@dataclass(slots=True)
class _Reader:
    """Reads bytes from the front, never beyond their end."""

    data: memoryview
    at: int = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> memoryview:
        if size > self.left:
            _refuse(f"bytes that end {size - self.left} too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self.take(form.size))

    def text(self, size: int) -> str:
        try:
            return str(self.take(size), "utf-8")
        except UnicodeDecodeError:
            _refuse("a name that is not UTF-8")

    def numbers(self, count: int, form: str) -> NDArray[np.int64]:
        size = np.dtype(form).itemsize
        return np.frombuffer(self.take(count * size), dtype=form).astype(np.int64)

    def names(self, count: int) -> NDArray[np.uint64]:
        padded = np.zeros((count, 8), dtype=np.uint8)
        raw = np.frombuffer(self.take(count * _NAME_BYTES), dtype=np.uint8)
        padded[:, :_NAME_BYTES] = raw.reshape(-1, _NAME_BYTES)
        names = padded.view("<u8").reshape(-1).astype(np.uint64)
        if count and int(names.max()) >> NAME_BITS:
            _refuse(f"a name of more than {NAME_BITS} bits")
        return names

    def prints(self, count: int, width: int, tokens: int) -> Fingerprints:
        names = self.names(count)
        gaps = self.numbers(count, _GAPS[width])
        positions = np.cumsum(gaps)
        if count and ((gaps[1:] == 0).any() or int(positions[-1]) >= tokens):
            _refuse("positions that do not rise within the document")
        agreement = np.frombuffer(self.take(count), dtype=np.uint8).copy()
        return Fingerprints(names, positions.astype(np.int32), agreement)

    def fragments(self, count: int, tokens: int) -> Fragments:
        starts, ends = self.numbers(count, "<u4"), self.numbers(count, "<u4")
        if (starts >= ends).any() or (ends > tokens).any() or (np.diff(starts) <= 0).any():
            _refuse("fragments that do not follow each other within the document")
        bands = self.names(count * BANDS).reshape(count, BANDS)
        return Fragments(starts.astype(np.int32), ends.astype(np.int32), bands)

    def literals(self, count: int) -> Literals:
        names, agreement = self.names(count), np.frombuffer(self.take(count), dtype=np.uint8).copy()
        return replace(Literals.none(), names=names, agreement=agreement)


def _name_bytes(names: NDArray[np.uint64]) -> bytes:
    raw = np.ascontiguousarray(names, dtype="<u8").view(np.uint8).reshape(-1, 8)
    return raw[:, :_NAME_BYTES].tobytes()


def _encoded_path(path: str) -> bytes:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        _refuse("a path that is not UTF-8")
    if not 1 <= len(encoded) <= PATH_LIMIT or b"\0" in encoded:
        _refuse(f"a path of {len(encoded)} bytes: it may have 1 to {PATH_LIMIT}, and no zero byte")
    return encoded


def _require_language(language: str) -> None:
    if LANGUAGE.fullmatch(language) is None:
        _refuse(f"a language of {len(language)} characters that is no language's name")


def _refuse(what: str) -> NoReturn:
    message = f"{what}: send what `cleanroom index add --server` of the same version sends"
    raise WireError(message)
