from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.code import PYTHON, SAMPLES, reindented, renamed
from samples.streams import stream_of, text_in

from guard.fingerprint import GUARANTEE, MIN_DISTINCT, NAME_BITS, Fingerprinter, Fingerprints, K, W
from guard.names import Names
from guard.pattern import pattern_of
from guard.secret import IndexKey
from guard.siphash import siphash
from guard.stream import IDENTIFIER, NUMBER, STRING, TokenStream
from guard.tokens import lex
from guard.vocabulary import NEAR, REPEATED

KEY = IndexKey(b"k" * 32)
OTHER = IndexKey(b"o" * 32)
VOCABULARY = ["name", '"text', "1", "(", ")", ".", ",", "=", "if", "return", ":", "+"]
WORDS = [*VOCABULARY, "other", "third", "fourth", '"more', "22", "@"]
tokens = st.lists(st.sampled_from(VOCABULARY), max_size=80)
words = st.lists(st.sampled_from(WORDS), max_size=80)


def is_rich(run: list[str]) -> bool:
    return all(len(set(run[i : i + K])) >= MIN_DISTINCT for i in range(len(run) - K + 1))


# A run of so many tokens in which every K are at least MIN_DISTINCT different ones.
rich = st.lists(st.sampled_from(VOCABULARY), min_size=GUARANTEE, max_size=GUARANTEE + 20).filter(is_rich)
FINGERPRINTER = Fingerprinter(KEY)


def of(words: list[str], key: IndexKey | None = None) -> Fingerprints:
    return (Fingerprinter(key) if key else FINGERPRINTER).fingerprints(stream_of(words))


def rows(prints: Fingerprints) -> list[tuple[int, int, int]]:
    """Name, position and agreement of each fingerprint."""
    columns = (prints.names.tolist(), prints.positions.tolist(), prints.agreement.tolist())
    return [*zip(*columns, strict=True)]


def names(prints: Fingerprints) -> dict[int, set[int]]:
    """Name to positions."""
    found: dict[int, set[int]] = {}
    for name, position, _ in rows(prints):
        found.setdefault(name, set()).add(position)
    return found


def classes(words: list[str]) -> list[int]:
    symbols: list[int] = stream_of(words).symbols.tolist()
    return symbols


@settings(max_examples=60)
@given(tokens, rich, tokens, tokens, tokens)
def test_a_shared_run_of_the_guaranteed_length_shares_a_fingerprint(
    before: list[str], run: list[str], after: list[str], above: list[str], below: list[str]
) -> None:
    one, other = of(before + run + after), of(above + run + below)
    agreements = {(name, position): agreement for name, position, agreement in rows(other)}
    inside = 0
    for name, position, agreement in rows(one):
        place = position - len(before)
        if 0 <= place <= len(run) - K and (name, place + len(above)) in agreements:
            assert agreements[name, place + len(above)] == agreement
            inside += place <= W - 1
    assert inside


@settings(max_examples=60)
@given(words, rich, words, st.permutations(["a", "b", "c", "d"]))
def test_a_renamed_run_shares_a_fingerprint_as_well(
    before: list[str], run: list[str], after: list[str], fresh: list[str]
) -> None:
    other = [{"name": fresh[0], '"text': '"' + fresh[1], "1": "77"}.get(word, word) for word in run]
    one, two = names(of(run)), names(of(before + other + after))
    if all(len(set(classes(run)[i : i + K])) >= MIN_DISTINCT for i in range(len(run) - K + 1)):
        assert any(one[name] & {at - len(before) for at in two[name]} for name in one.keys() & two.keys())


@settings(max_examples=60)
@given(words)
def test_fingerprints_name_runs_where_they_stand(words: list[str]) -> None:
    prints = of(words)
    assert prints.names.dtype == np.uint64
    assert prints.positions.dtype == np.int32
    assert prints.agreement.dtype == np.uint8
    assert prints.names.shape == prints.positions.shape == prints.agreement.shape
    runs: dict[int, tuple[object, ...]] = {}
    agreements: dict[tuple[str, ...], int] = {}
    for name, position, agreement in rows(prints):
        run = words[position : position + K]
        assert len(run) == K
        assert name < 2**NAME_BITS
        assert len(set(run)) >= MIN_DISTINCT
        symbols = classes(words)[position : position + K]
        said: tuple[object, ...] = tuple(symbols) if len(set(symbols)) >= MIN_DISTINCT else tuple(run)
        assert runs.setdefault(name, said) == said
        assert agreements.setdefault(tuple(run), agreement) == agreement
    assert prints.positions.tolist() == sorted(set(prints.positions.tolist()))


@settings(max_examples=60)
@given(st.lists(st.sampled_from(WORDS), min_size=GUARANTEE, max_size=120))
def test_no_rich_window_goes_without_a_fingerprint(words: list[str]) -> None:
    positions = set(of(words).positions.tolist())
    for start in range(len(words) - GUARANTEE + 1):
        if is_rich(words[start : start + GUARANTEE]):
            assert not positions.isdisjoint(range(start, start + W))


def test_winnowing_keeps_about_two_of_every_eight_runs() -> None:
    rng = np.random.default_rng(1)
    words = [chr(0x4000 + number) + "x" for number in rng.integers(0, 1000, 20_000)]
    density = len(of(words)) / len(words)
    assert density == pytest.approx(2 / (W + 1), rel=0.05)


def test_a_table_is_found_by_its_exact_values() -> None:
    table = [word for number in range(200) for word in (str(number * number % 97), ",")]
    prints = of(table)
    assert len(prints) > len(table) / (W + 1)
    assert names(of(table[40:80])).keys() <= names(prints).keys()
    other = [str(int(word) + 1000) if word != "," else word for word in table]
    assert not names(of(other)).keys() & names(prints).keys()


@given(st.lists(st.sampled_from(VOCABULARY), max_size=K - 1))
def test_fewer_tokens_than_a_run_have_no_fingerprint(words: list[str]) -> None:
    assert len(of(words)) == 0


@pytest.mark.parametrize("idiom", [["0", ","], ["x", "(", ")"], ['"text']])
def test_a_run_of_few_distinct_tokens_is_not_kept(idiom: list[str]) -> None:
    assert len(of(idiom * 50)) == 0


def test_other_keys_name_everything_otherwise() -> None:
    lexed = lex(PYTHON, "python").code
    one, other = Fingerprinter(KEY).fingerprints(lexed), Fingerprinter(OTHER).fingerprints(lexed)
    assert len(one) > 50
    assert not set(one.names.tolist()) & set(other.names.tolist())
    assert one.agreement.tolist() != other.agreement.tolist()
    assert rows(Fingerprinter(IndexKey(b"k" * 32)).fingerprints(lexed)) == rows(one)


def test_a_name_is_the_sealed_hash_of_its_run() -> None:
    lexed = lex(PYTHON, "python").code
    run_key, pattern = KEY.derive(b"runs")[:16], pattern_of(lexed).tolist()
    for name, position, _ in rows(FINGERPRINTER.fingerprints(lexed)):
        run = pattern[position : position + K]
        for place, symbol in enumerate(run):
            if REPEATED + place < symbol <= REPEATED + NEAR:  # it stands again, but for the first time in this run
                run[place] = IDENTIFIER
        message = np.array(run, dtype="<i4").tobytes()
        if (
            len({IDENTIFIER if symbol in range(REPEATED + 1, REPEATED + NEAR + 1) else symbol for symbol in run})
            < MIN_DISTINCT
        ):
            message = b"".join(exact_hash(lexed, at).to_bytes(8, "little") for at in range(position, position + K))
        base = np.array([siphash(run_key, message) >> (64 - NAME_BITS)], dtype=np.uint64)
        assert name == Names(KEY).seal(base)[0]


def exact_hash(stream: TokenStream, at: int) -> int:
    symbol = int(stream.symbols[at])
    value = text_in(stream)[stream.value_starts[at] : stream.value_ends[at]].replace("\r", "")
    message = symbol.to_bytes(4, "little")
    if symbol in (IDENTIFIER, STRING, NUMBER):
        message += value.encode("utf-32-le", "surrogatepass")
    return siphash(KEY.derive(b"tokens")[:16], message)


@pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)
def test_renaming_changes_the_agreement_alone(language: str, text: str) -> None:
    stream = lex(text, language).code
    one = FINGERPRINTER.fingerprints(stream)
    other = FINGERPRINTER.fingerprints(lex(renamed(text), language).code)
    # What few kinds of tokens make is known by its exact ones, and what is kept around it depends on those.
    rich = np.array([len(set(stream.symbols[i : i + K].tolist())) >= MIN_DISTINCT for i in range(len(stream) - K + 1)])
    sure = [bool(rich[max(0, at - W + 1) : at + W].all()) for at in one.positions.tolist()]
    assert sum(sure) > len(sure) / 2
    there = dict(
        zip(other.positions.tolist(), zip(other.names.tolist(), other.agreement.tolist(), strict=True), strict=True)
    )
    found = [there.get(at, (None, None)) for at in one.positions[sure].tolist()]
    assert [name for name, _ in found] == one.names[sure].tolist()
    # One in 256 agrees by chance, and some runs have no names.
    assert (
        np.mean([agreed == byte for (_, agreed), byte in zip(found, one.agreement[sure].tolist(), strict=True)]) < 0.1
    )


@pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)
def test_layout_changes_nothing(language: str, text: str) -> None:
    one = rows(FINGERPRINTER.fingerprints(lex(text, language).code))
    for other in (reindented(text), text.replace("\n", "\r\n"), text.replace("\n", "\r")):
        assert rows(FINGERPRINTER.fingerprints(lex(other, language).code)) == one


def test_any_text_can_be_a_token() -> None:
    strange = ["\ud800", "\x00", "ÿ" * 9, "\u202e", "x" * 10_000, "😀", "0", ",", "é", '"', '"\ud800\x00'] * 3
    assert len(of(strange)) > 0
    assert len(of([])) == 0


def test_a_text_that_may_be_written_is_read_alike() -> None:
    stream = stream_of(WORDS * 4)
    writable = TokenStream(
        stream.text.copy(), stream.symbols, stream.starts, stream.ends, stream.value_starts, stream.value_ends
    )
    assert rows(FINGERPRINTER.fingerprints(writable)) == rows(FINGERPRINTER.fingerprints(stream))
    assert writable.text.flags.writeable
