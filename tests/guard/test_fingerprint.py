from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.code import PYTHON, SAMPLES, renamed

from guard.fingerprint import GUARANTEE, MIN_DISTINCT, Fingerprinter, Fingerprints, K, W
from guard.secret import IndexKey
from guard.stream import TokenStream
from guard.tokens import lex

KEY = IndexKey(b"k" * 32)
OTHER = IndexKey(b"o" * 32)
VOCABULARY = ["I", "S", "N", "(", ")", ".", ",", "=", "if", "return", ":", "+"]
tokens = st.lists(st.sampled_from(VOCABULARY), max_size=80)
# A run of so many tokens in which every K are at least MIN_DISTINCT different ones.
rich = st.lists(st.sampled_from(VOCABULARY), min_size=GUARANTEE, max_size=GUARANTEE + 20).filter(
    lambda run: all(len(set(run[i : i + K])) >= MIN_DISTINCT for i in range(len(run) - K + 1))
)
FINGERPRINTER = Fingerprinter(KEY)


def stream(exact: list[str], renamed_: list[str] | None = None) -> TokenStream:
    places = list(range(len(exact)))
    return TokenStream(exact, renamed_ or exact, places, [place + 1 for place in places])


def of(exact: list[str], key: IndexKey | None = None) -> Fingerprints:
    return (Fingerprinter(key) if key else FINGERPRINTER).fingerprints(stream(exact))


def names(prints: Fingerprints, *, exact: bool = True) -> dict[int, set[int]]:
    """Hash to positions, of one of the two streams."""
    found: dict[int, set[int]] = {}
    for hash_, position, is_exact in zip(prints.hashes, prints.positions, prints.exact, strict=True):
        if bool(is_exact) is exact:
            found.setdefault(int(hash_), set()).add(int(position))
    return found


@settings(max_examples=60)
@given(tokens, rich, tokens, tokens, tokens)
def test_a_shared_run_of_the_guaranteed_length_shares_a_fingerprint(
    before: list[str], run: list[str], after: list[str], above: list[str], below: list[str]
) -> None:
    one, other = of(before + run + after), of(above + run + below)
    for exact in (True, False):
        first, second = names(one, exact=exact), names(other, exact=exact)
        inside = {
            name
            for name in first.keys() & second.keys()
            for here in first[name]
            for there in second[name]
            if here - len(before) == there - len(above) and 0 <= here - len(before) <= W - 1
        }
        assert inside


@settings(max_examples=60)
@given(tokens)
def test_fingerprints_name_runs_where_they_stand(exact: list[str]) -> None:
    prints = of(exact)
    assert prints.hashes.dtype == np.uint64
    assert prints.hashes.shape == prints.positions.shape == prints.exact.shape
    runs: dict[int, tuple[str, ...]] = {}
    for is_exact in (True, False):
        found = names(prints, exact=is_exact)
        for hash_, positions in found.items():
            for position in positions:
                run = tuple(exact[position : position + K])
                assert len(run) == K
                assert len(set(run)) >= MIN_DISTINCT
                assert runs.setdefault(hash_, run) == run
    # In order within each stream, and winnowed alike, as both streams are the same here.
    ordered = [prints.positions[prints.exact].tolist(), prints.positions[~prints.exact].tolist()]
    assert ordered[0] == ordered[1] == sorted(set(ordered[0]))


@settings(max_examples=60)
@given(st.lists(st.sampled_from(VOCABULARY), min_size=GUARANTEE, max_size=120))
def test_no_rich_window_goes_without_a_fingerprint(exact: list[str]) -> None:
    positions = set(of(exact).positions.tolist())
    for start in range(len(exact) - GUARANTEE + 1):
        window = range(start, start + W)
        if all(len(set(exact[at : at + K])) >= MIN_DISTINCT for at in window):
            assert not positions.isdisjoint(window)


def test_winnowing_keeps_about_two_of_every_eight_runs() -> None:
    rng = np.random.default_rng(1)
    exact = [f"name{number}" for number in rng.integers(0, 1000, 20_000)]
    density = len(names(of(exact))) / len(exact)
    assert density == pytest.approx(2 / (W + 1), rel=0.05)


@given(st.lists(st.sampled_from(VOCABULARY), max_size=K - 1))
def test_fewer_tokens_than_a_run_have_no_fingerprint(exact: list[str]) -> None:
    assert len(of(exact)) == 0


@pytest.mark.parametrize("idiom", [["0", ","], ["I", "(", ")"], ["S"]])
def test_a_run_of_few_distinct_tokens_is_not_kept(idiom: list[str]) -> None:
    assert len(of(idiom * 50)) == 0


def test_other_keys_name_everything_otherwise() -> None:
    lexed = lex(PYTHON, "python").code
    one, other = Fingerprinter(KEY).fingerprints(lexed), Fingerprinter(OTHER).fingerprints(lexed)
    assert len(one) > 50
    assert not set(one.hashes.tolist()) & set(other.hashes.tolist())
    assert Fingerprinter(IndexKey(b"k" * 32)).fingerprints(lexed).hashes.tolist() == one.hashes.tolist()


def test_the_two_streams_never_share_a_name() -> None:
    prints = of([*VOCABULARY, *reversed(VOCABULARY)] * 4)
    assert names(prints, exact=True)
    assert not names(prints, exact=True).keys() & names(prints, exact=False).keys()


@pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)
def test_renaming_changes_the_exact_names_alone(language: str, text: str) -> None:
    one = FINGERPRINTER.fingerprints(lex(text, language).code)
    other = FINGERPRINTER.fingerprints(lex(renamed(text), language).code)
    assert names(one, exact=False) == names(other, exact=False)
    shared = names(one, exact=True).keys() & names(other, exact=True).keys()
    assert len(shared) < 0.1 * len(names(one, exact=True))


def test_any_text_can_be_a_token() -> None:
    strange = ["\ud800", "\x00", "", "ÿ" * 9, "\u202e", "x" * 10_000, "😀", "0", ",", "é"] * 3
    assert len(of(strange)) > 0
    assert len(FINGERPRINTER.fingerprints(stream([]))) == 0
