from __future__ import annotations

import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.code import SAMPLES
from samples.indexed import KEY

from guard.digest import Digest, Digester
from guard.errors import GuardError, WireError
from guard.fingerprint import NAME_BITS, Fingerprints
from guard.literals import Literals
from guard.minhash import BANDS, Fragments
from guard.stamp import Stamp
from guard.wire import DOCUMENTS_LIMIT, PATH_LIMIT, decode, decode_batch, encode, encode_batch

MADE_WITH = Stamp(2, "lexer1 winnow9/7", KEY.check, "")
PATHS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)


@st.composite
def digests(draw: st.DrawFn) -> Digest:
    """Whatever a digest can be."""
    tokens = draw(st.integers(1, 2**31 - 1))
    positions = sorted(draw(st.sets(st.integers(0, tokens - 1), max_size=12)))
    names = st.integers(0, 2**NAME_BITS - 1)
    starts = sorted(draw(st.sets(st.integers(0, tokens - 1), max_size=4)))
    spans = [(start, draw(st.integers(1, 200))) for start in starts]
    return Digest(
        path=draw(PATHS),
        language=draw(st.sampled_from(["python", "c", "objective-c"])),
        content=draw(st.binary(min_size=8, max_size=8)),
        tokens=tokens,
        fingerprints=Fingerprints(
            np.array([draw(names) for _ in positions], dtype=np.uint64),
            np.array(positions, dtype=np.int32),
            np.array([draw(st.integers(0, 255)) for _ in positions], dtype=np.uint8),
        ),
        fragments=Fragments(
            np.array([start for start, _ in spans], dtype=np.int32),
            np.array([min(tokens, start + size) for start, size in spans], dtype=np.int32),
            np.array([[draw(names) for _ in range(BANDS)] for _ in spans], dtype=np.uint64).reshape(-1, BANDS),
        ),
        literals=replace(
            Literals.none(),
            names=np.array([draw(names) for _ in spans], dtype=np.uint64),
            agreement=np.array([draw(st.integers(0, 255)) for _ in spans], dtype=np.uint8),
        ),
    )


def assert_equal(left: Digest, right: Digest) -> None:
    scalars = ("path", "language", "content", "tokens")
    assert [getattr(left, name) for name in scalars] == [getattr(right, name) for name in scalars]
    for part in ("fingerprints", "fragments", "literals"):
        ours, theirs = getattr(left, part), getattr(right, part)
        for name in ours.__slots__:
            one, other = getattr(ours, name), getattr(theirs, name)
            assert (one.dtype, one.shape, one.tolist()) == (other.dtype, other.shape, other.tolist()), name


@given(digests())
def test_a_digest_comes_back_as_it_went(digest: Digest) -> None:
    assert_equal(decode(encode(digest)), digest)


@given(st.lists(digests(), max_size=3, unique_by=lambda digest: digest.path))
def test_a_batch_comes_back_as_it_went(sent: list[Digest]) -> None:
    made_with, received = decode_batch(encode_batch(MADE_WITH, [encode(digest) for digest in sent]))
    assert made_with == MADE_WITH
    for left, right in zip(received, sent, strict=True):
        assert_equal(left, right)


@pytest.mark.parametrize("language", SAMPLES)
def test_real_code_takes_less_room_than_its_text_and_is_not_in_it(language: str) -> None:
    text = SAMPLES[language] * 8
    sent = encode(Digester(KEY).digest("a", text, language))
    assert len(sent) < len(text)
    assert not any(word in sent for word in text.encode().split() if len(word) > len("python"))


@given(digests(), st.data())
def test_what_is_cut_off_is_refused(digest: Digest, data: st.DataObject) -> None:
    whole = encode_batch(MADE_WITH, [encode(digest)])
    with pytest.raises(WireError):
        decode_batch(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(WireError):
        decode_batch(whole + b"\0")


def _read(data: bytes) -> Digest | None:
    try:
        return decode(data)
    except GuardError:
        return None


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_read_as_what_they_are(data: bytes) -> None:
    for read in (decode, decode_batch):
        try:
            read(data)
        except WireError:
            continue
    digest = _read(data)
    if digest is not None:
        assert_equal(decode(encode(digest)), digest)


@given(digests(), st.data())
def test_damage_is_refused_or_gives_a_digest_within_its_bounds(digest: Digest, data: st.DataObject) -> None:
    damaged = bytearray(encode(digest))
    for at in data.draw(st.sets(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    read = _read(bytes(damaged))
    if read is not None:
        assert (np.diff(read.fingerprints.positions) > 0).all()
        assert (read.fingerprints.positions < read.tokens).all()
        assert (np.diff(read.fragments.starts) > 0).all()
        assert (read.fragments.ends <= read.tokens).all()
        assert int(max(read.fingerprints.names, default=0)) < 2**NAME_BITS
        assert_equal(decode(encode(read)), read)


@pytest.mark.parametrize("place", [14, 18], ids=["fingerprints", "fragments"])
def test_nothing_is_allocated_for_what_is_only_announced(place: int) -> None:
    head = bytearray(encode(Digester(KEY).digest("a", SAMPLES["c"], "c")))
    struct.pack_into("<I", head, 8, 2**31 - 1)
    struct.pack_into("<I", head, place + 2, 2**30)
    tracemalloc.start()
    with pytest.raises(WireError, match="announces"):
        decode(bytes(head))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "change",
    [
        {"path": ""},
        {"path": "x" * (PATH_LIMIT + 1)},
        {"path": "a\0b"},
        {"path": "a\udc80b"},
        {"language": ""},
        {"language": "no language"},
    ],
)
def test_a_digest_of_no_such_form_is_not_sent(change: dict[str, str]) -> None:
    digest = Digester(KEY).digest("a.c", SAMPLES["c"], "c")
    with pytest.raises(WireError):
        encode(replace(digest, **change))  # type: ignore[arg-type]


def test_a_batch_names_each_path_once_and_has_an_end() -> None:
    one = encode(Digester(KEY).digest("a.c", SAMPLES["c"], "c"))
    with pytest.raises(WireError, match="twice"):
        decode_batch(encode_batch(MADE_WITH, [one, one]))
    with pytest.raises(WireError, match="more than"):
        encode_batch(MADE_WITH, [b""] * (DOCUMENTS_LIMIT + 1))


def test_a_batch_that_announces_more_digests_than_it_may_hold_is_refused() -> None:
    batch = encode_batch(MADE_WITH, [])
    with pytest.raises(WireError, match="1025 digests"):
        decode_batch(batch[:-4] + struct.pack("<I", DOCUMENTS_LIMIT + 1))


def test_positions_beyond_the_document_are_refused() -> None:
    digest = Digester(KEY).digest("a.py", SAMPLES["python"], "python")
    with pytest.raises(WireError, match="positions that do not rise"):
        decode(encode(replace(digest, tokens=int(digest.fingerprints.positions[-1]))))
