from __future__ import annotations

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from guard.secret import IndexKey
from training.examples import SHARES, Draws, Example, Kind, Split

KEYS = st.binary(min_size=32, max_size=32).map(IndexKey)
PATHS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
# Machines that run tests are busy.
untimed = settings(deadline=None, max_examples=40)


@untimed
@given(KEYS, st.sets(PATHS, max_size=30), st.sets(PATHS, max_size=30))
def test_a_split_is_stable_under_additions(key: IndexKey, before: set[str], added: set[str]) -> None:
    first = {path: Draws(key).split(path) for path in sorted(before)}
    draws = Draws(key)
    later = {path: draws.split(path) for path in sorted(before | added, reverse=True)}
    assert first.items() <= later.items()


@untimed
@given(KEYS)
def test_splits_have_their_shares_and_differ_by_key(key: IndexKey) -> None:
    count = 4000
    draws, other = Draws(key), Draws(IndexKey(key.derive(b"another")))
    splits = [draws.split(f"src/{number}.py") for number in range(count)]
    found = Counter(splits)
    # Six standard deviations of a binomial count.
    for split, share in SHARES.items():
        assert abs(found[split] - share * count) < 6 * (count * share * (1 - share)) ** 0.5
    assert splits != [other.split(f"src/{number}.py") for number in range(count)]
    assert sum(SHARES.values()) == 1
    assert set(SHARES) == set(Split)


@untimed
@given(KEYS, PATHS, st.text(st.characters(codec="utf-8")), st.floats(0, 1))
def test_the_parts_are_the_text(key: IndexKey, path: str, text: str, rate: float) -> None:
    kind, prefix, suffix, middle = Draws(key).cut(path, text, rate)
    assert prefix + middle + suffix == text
    if kind is Kind.LEFT_TO_RIGHT:
        assert (prefix, suffix) == ("", "")
    example = Example(path, "python", "MIT", kind, prefix, suffix, middle)
    line = example.to_line()
    assert line.index("\n") == len(line) - 1
    assert Example(**json.loads(line)) == example


@untimed
@given(KEYS)
def test_cuts_are_uniform_and_as_frequent_as_asked(key: IndexKey) -> None:
    draws, text, count = Draws(key), "x" * 99, 2000
    cuts = [draws.cut(f"{number}", text, 0.3) for number in range(count)]
    cut = [parts for kind, *parts in cuts if kind is Kind.FILL_IN_THE_MIDDLE]
    assert abs(len(cut) - 0.3 * count) < 6 * (count * 0.21) ** 0.5
    # Two uniform cuts leave a third in each part, on average.
    for part in zip(*cut, strict=True):
        assert abs(sum(map(len, part)) / len(cut) - 33) < 8
    assert all(kind is Kind.FILL_IN_THE_MIDDLE for kind, *_ in (draws.cut(f"{n}", text, 1) for n in range(50)))
    assert all(kind is Kind.LEFT_TO_RIGHT for kind, *_ in (draws.cut(f"{n}", text, 0) for n in range(50)))
