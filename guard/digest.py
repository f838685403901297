"""Digests: all that is ever known of a document or a query outside its owner's hands. Knows no store.

A digest holds keyed hashes, positions and sizes, and no text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from guard.fingerprint import GUARANTEE, Fingerprinter, Fingerprints
from guard.literals import LiteralNames, Literals
from guard.minhash import MIN_FRAGMENT, QUERY_STRIDE, Fragments, Signer
from guard.names import Names
from guard.secret import KEY_BYTES, IndexKey
from guard.tokens import Syntax, lex

if TYPE_CHECKING:
    from guard.stream import TokenStream

CONTENT_HASH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Digest:
    """A document as the index knows it. `content` is a keyed hash of its text, to tell whether it has changed."""

    path: str
    language: str
    content: bytes
    tokens: int
    fingerprints: Fingerprints
    fragments: Fragments
    literals: Literals = field(default_factory=Literals.none)


@dataclass(frozen=True, slots=True)
class Probe:
    """One stream of a query, made ready for the index. `prose`: the words of comments, among which code may be."""

    stream: TokenStream
    syntax: Syntax
    fingerprints: Fingerprints
    fragments: Fragments
    prose: bool


class Digester:
    """Makes digests under one index key. Safe to share between threads."""

    def __init__(self, key: IndexKey) -> None:
        # Of both parts: with one alone nobody can test whether a file is in the index.
        self._content_key = hashlib.blake2b(key.derive(b"content"), key=key.store).digest()
        self._fingerprinter = Fingerprinter(key)
        self._signer = Signer(key, self._fingerprinter)
        self._literals = LiteralNames(key, self._fingerprinter.names)

    def content(self, text: str) -> bytes:
        """Keyed hash of a document's text, CONTENT_HASH_BYTES long."""
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=CONTENT_HASH_BYTES, key=self._content_key).digest()

    def digest(self, path: str, text: str, language: str) -> Digest:
        """Digest a whole document."""
        stream = lex(text, language, fragment=False).code
        return Digest(
            path=path,
            language=language,
            content=self.content(text),
            tokens=len(stream),
            fingerprints=self._fingerprinter.fingerprints(stream),
            fragments=self._signer.fragments(stream),
            literals=self._literals.indexed(text),
        )

    def literals(self, text: str, start: int, end: int) -> Literals:
        """What of a fragment looks random and has a character from `start` to `end` in it."""
        return self._literals.asked(text, start, end)

    def probes(self, text: str, language: str | None, *, every: bool = False) -> tuple[Probe, ...]:
        """Digest a fragment: its code and, where there are any, the words in its comments.

        `every`: with the fingerprints of all runs instead of the winnowed ones.
        """
        lexed = lex(text, language)
        streams = [(lexed.code, False)] if len(lexed.code) else []
        if len(lexed.comments) >= GUARANTEE:
            streams.append((lexed.comments, True))
        prints = self._fingerprinter.fingerprints
        return tuple(
            Probe(stream, lexed.syntax, prints(stream, every=every), Fragments.none(), prose)
            for stream, prose in streams
        )

    def closer(self, probe: Probe) -> Probe:
        """The probe with the fingerprints of every run instead of the winnowed ones, and the bands of its fragments."""
        every = self._fingerprinter.fingerprints(probe.stream, every=True)
        if probe.prose:
            return replace(probe, fingerprints=every)
        return replace(probe, fingerprints=every, fragments=self._signer.fragments(probe.stream, QUERY_STRIDE))


def warm() -> None:
    """Compile, or read from disk, what digests and postings need, so that the first check does not wait for it."""
    key = IndexKey(bytes(KEY_BYTES))
    Names(key).veil(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64))
    digester = Digester(key)
    for probe in digester.probes("def f(x):\r\n    return x\n" * MIN_FRAGMENT, "python"):
        digester.closer(probe)
    digester.digest("warm", "x = 1", "python")
    digester.literals("x = 1", 0, 5)
