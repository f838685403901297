"""What is fuzzed, and the laws that hold for any input. Knows no fuzzer.

A text's input is a byte that chooses language and mode, then the text in UTF-8, of which bytes that are none become
lone surrogates.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from samples.streams import exact, spans

from fuzzing.bounds import Bounded
from guard.background import FORMAT, Background
from guard.buckets import decoded, encoded
from guard.digest import Digester
from guard.errors import BackgroundError, WireError
from guard.fingerprint import NAME_BITS, K
from guard.layout import BUCKET_BITS, BUCKETS
from guard.secret import IndexKey
from guard.tokens import lex
from guard.wire import decode, decode_batch, encode, encode_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.digest import Digest
    from guard.fingerprint import Fingerprints
    from guard.minhash import Fragments
    from guard.stream import TokenStream
    from guard.tokens import Lexed

LANGUAGES = (None, "python", "go", "rust", "javascript", "klingon")
KEY = IndexKey(bytes(range(32)))
with np.errstate(over="ignore"):  # hashes overflow on purpose, of which plain numpy warns
    DIGESTER = Digester(KEY)
_NEAR = 90
"""Characters below which no limit of the lexer's (of an indent, of a character literal) lies between two layouts."""
_SHORT, _LONG = 400, 1600
_STEEPEST = 1.5
_STRANGE = (None, -1, 0, 1, 2**70, 1.5, float("inf"), float("nan"), "", "x", "12", [], ["x"], {}, {"x": 1}, True)


def text_of(data: bytes) -> tuple[str, str | None, bool]:
    """Text, language and whether it is a fragment."""
    mode = data[0] if data else 0
    return data[1:].decode("utf-8", "surrogateescape"), LANGUAGES[mode // 2 % len(LANGUAGES)], mode % 2 == 0


def lexer(data: bytes) -> None:
    """Spans are ordered and within the text; layout leaves no trace; no word of a fragment is lost."""
    text, language, fragment = text_of(data)
    lexed = lex(text, language, fragment=fragment)
    for stream in (lexed.code, lexed.comments):
        _require_spans(stream, text, ordered=stream is lexed.code)
    if not fragment:
        assert not len(lexed.comments)
        if language in LANGUAGES[1:-1]:
            _require_layout(text, language, lexed)
    elif not re.search(r":|->|\\", text):
        _require_words(text, lexed)


def _require_spans(stream: TokenStream, text: str, *, ordered: bool) -> None:
    assert len(stream.text) == len(text)
    before = 0
    values = zip(stream.value_starts.tolist(), stream.value_ends.tolist(), strict=True)
    for (start, end), (first, last) in zip(spans(stream), values, strict=True):
        assert 0 <= start <= first <= last <= end <= len(text)
        assert start < end
        assert before <= start or not ordered
        before = end
    if ordered:
        assert len(exact(stream)) == len(stream)


def _require_layout(text: str, language: str | None, lexed: Lexed) -> None:
    if "\r" in text or len(text) > _NEAR:
        return
    words = exact(lexed.code)
    assert exact(lex(text.replace("\n", "\r\n"), language, fragment=False).code) == words
    other, end = [], 0
    for start, stop in [*spans(lexed.code), (len(text), len(text))]:
        gap = text[end:start]
        other += [gap.translate({32: 9, 9: 32}) if gap.isspace() else gap, text[start:stop]]
        end = stop
    assert exact(lex("".join(other), language, fragment=False).code) == words


def _require_words(text: str, lexed: Lexed) -> None:
    seen = [False] * len(text)
    for stream in (lexed.code, lexed.comments):
        for start, end in spans(stream):
            seen[start:end] = [True] * (end - start)
    for word in re.finditer(r"\w{3,}", text):
        assert all(seen[word.start() : word.end()]), word.group()


def growth(data: bytes) -> None:
    """What is read of a text that repeats itself grows no faster than the text."""
    text, language, fragment = text_of(data)
    head, _, rest = text[:48].partition("\0")
    piece, _, tail = rest.partition("\0")
    if not piece:
        return
    counts = []
    for size in (_SHORT, _LONG):
        before = Bounded.reads
        lex(head + piece * (size // len(piece)) + tail, language, fragment=fragment)
        counts.append(Bounded.reads - before)
    assert counts[1] < _STEEPEST * _LONG / _SHORT * counts[0] + _LONG, counts


def digest(data: bytes) -> None:
    """Fingerprints, fragments and their bytes keep to what the index expects."""
    text, language, fragment = text_of(data)
    if fragment:
        for probe in DIGESTER.probes(text, language):
            closer = DIGESTER.closer(probe)
            _require_prints(probe.fingerprints, len(probe.stream))
            _require_prints(closer.fingerprints, len(probe.stream))
            _require_fragments(closer.fragments, len(probe.stream))
            every = {*_rows(closer.fingerprints)}
            assert every.issuperset(_rows(probe.fingerprints))
    else:
        whole = DIGESTER.digest("a", text, language or "unknown")
        _require_digest(whole)
        _require_equal(decode(encode(whole)), whole)


def _rows(prints: Fingerprints) -> list[tuple[int, int, int]]:
    return [*zip(prints.names.tolist(), prints.positions.tolist(), prints.agreement.tolist(), strict=True)]


def _require_prints(prints: Fingerprints, tokens: int) -> None:
    assert len(prints.names) == len(prints.positions) == len(prints.agreement)
    assert (prints.names < 2**NAME_BITS).all()
    assert (np.diff(prints.positions) > 0).all()
    assert not len(prints) or 0 <= prints.positions[0] <= prints.positions[len(prints) - 1] <= tokens - K


def _require_fragments(fragments: Fragments, tokens: int) -> None:
    assert (fragments.starts < fragments.ends).all()
    assert (fragments.starts >= 0).all()
    assert (fragments.ends <= tokens).all()
    assert (np.diff(fragments.starts) > 0).all()
    assert (fragments.bands < 2**NAME_BITS).all()


def _require_digest(read: Digest) -> None:
    _require_prints(read.fingerprints, read.tokens + K - 1)
    _require_fragments(read.fragments, read.tokens)


def _require_equal(one: Digest, other: Digest) -> None:
    assert (one.path, one.language, one.content, one.tokens) == (
        other.path,
        other.language,
        other.content,
        other.tokens,
    )
    assert _rows(one.fingerprints) == _rows(other.fingerprints)
    for name in ("starts", "ends", "bands"):
        assert np.array_equal(getattr(one.fragments, name), getattr(other.fragments, name))


def wire(data: bytes) -> None:
    """An upload is refused, or holds digests within their bounds, which survive their own bytes."""
    with contextlib.suppress(WireError):
        read = decode(data)
        _require_digest(read)
        _require_equal(decode(encode(read)), read)
    with contextlib.suppress(WireError):
        made_with, digests = decode_batch(data)
        again, others = decode_batch(encode_batch(made_with, [encode(one) for one in digests]))
        assert again == made_with
        for one, other in zip(digests, others, strict=True):
            _require_digest(one)
            _require_equal(one, other)


def buckets(data: bytes) -> None:
    """A list of buckets is refused, or sorted, distinct and in range: as it stands, and cut to a length that fits."""
    _read_buckets(data)
    if data[:1] > b"\0":
        count = data[0]
        width = BUCKET_BITS - count.bit_length()
        size = (count * width + 7) // 8 + (count + (BUCKETS >> width) + 7) // 8
        _read_buckets(bytes([count, 0, 0]) + data[1 : 1 + size].ljust(size, b"\0"))


def _read_buckets(data: bytes) -> None:
    try:
        read = decoded(data)
    except ValueError as error:
        assert "list of buckets" in str(error)  # noqa: PT017 - numpy's own would be a defect
        return
    assert (np.diff(read) > 0).all()
    assert not len(read) or (read[0] >= 0 and read[-1] < BUCKETS)
    assert np.array_equal(decoded(encoded(read)), read)


def background(data: bytes) -> None:
    """A background model is refused, or is whole: as it stands, and made of the same parts anew."""
    _read_model(data)
    slots = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2")
    about: Any = {"format": FORMAT, "language": "c", "tokens": 1, "sources": {}}
    about["version"] = hashlib.sha256(slots.tobytes()).hexdigest()[:12]
    for choice in data[:2]:
        value, field = divmod(choice, len(about) + 1)
        if field < len(about) and value < len(_STRANGE):
            about[[*about][field]] = _STRANGE[value]
    buffer = io.BytesIO()
    np.savez(buffer, slots=slots, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8))
    _read_model(buffer.getvalue())


def _read_model(data: bytes) -> None:
    try:
        model = Background.from_bytes(data)
    except BackgroundError:
        return
    assert isinstance(model.language, str)
    assert isinstance(model.version, str)
    assert isinstance(model.sources, dict)
    assert model.tokens >= 0
    assert model.slots.ndim == 1
    assert not model.slots.all()
    assert Background.from_bytes(model.to_bytes()).version == model.version


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (lexer, growth, digest, wire, buckets, background)
}
LENGTHS = {"lexer": 300, "growth": 48, "digest": 400, "wire": 4096, "buckets": 32_800, "background": 2048}
"""Bytes of the longest input of each target."""
