from __future__ import annotations

import hashlib
import io
import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import background
from guard.background import (
    COUNTS,
    FORMAT,
    ORDERS,
    STEP,
    Background,
    _read,
    backgrounds_for,
    gram_keys,
    shipped,
    shipped_languages,
)
from guard.errors import BackgroundError, RefusalError
from guard.kernels import kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

symbols = st.lists(st.integers(1, 40) | st.integers(0x10000, 0x10FFFF), max_size=60)


def keys(row: list[int], order: int) -> NDArray[np.uint64]:
    found: NDArray[np.uint64] = gram_keys(np.array(row, dtype=np.int32), order)
    return found


@kernel
def levels_of(slots: NDArray[np.uint16], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    found = np.empty(len(wanted), dtype=np.int64)
    for i in range(len(wanted)):
        found[i] = background.level_of(slots, wanted[i])
    return found


def counts_in(model: Background, wanted: NDArray[np.uint64]) -> NDArray[np.float64]:
    return COUNTS[levels_of(model.slots, wanted)]


@pytest.fixture
def model() -> Background:
    random = np.random.default_rng(1)
    grams = np.unique(random.integers(0, 2**64, 20_000, dtype=np.uint64))
    return Background.of_counts(grams, random.integers(1, 10_000, len(grams)), "python")


@given(symbols, st.integers(1, ORDERS))
def test_equal_runs_of_symbols_have_equal_keys_and_others_do_not(row: list[int], order: int) -> None:
    found = keys(row, order)
    runs = [tuple(row[i : i + order]) for i in range(len(row) - order + 1)]
    assert len(found) == len(runs)
    assert len(set(zip(found.tolist(), runs, strict=True))) == len(set(found.tolist())) == len(set(runs))


@given(symbols.filter(lambda row: len(row) > ORDERS))
def test_runs_of_one_length_are_none_of_another(row: list[int]) -> None:
    found = [set(keys(row, order).tolist()) for order in range(1, ORDERS + 1)]
    assert sum(map(len, found)) == len(set().union(*found))


@settings(max_examples=50)
@given(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 10**6), min_size=1, max_size=40))
def test_counts_are_kept_within_rounding(table: dict[int, int]) -> None:
    grams, counts = np.array([*table], dtype=np.uint64), np.array([*table.values()], dtype=np.int64)
    found = counts_in(Background.of_counts(grams, counts, "python"), grams)
    # Of two that cannot be told apart, the commoner one's count counts for both: never a smaller one.
    told_apart = Counter(gram % 2048 for gram in table)
    alone = np.array([told_apart[gram % 2048] == 1 for gram in table])
    off = np.abs(np.log2(found) - np.log2(counts)) > STEP / 2 + 1e-9
    assert not (off & alone).any()
    assert (found >= counts * 2 ** (-STEP / 2 - 1e-9)).all()


def test_counts_without_end_stay_within_what_is_told_apart() -> None:
    found = counts_in(Background.of_counts(np.array([5], np.uint64), np.array([2**40]), ""), np.array([5], np.uint64))
    assert found[0] == COUNTS[-1]


def test_what_was_never_seen_is_rarely_found(model: Background) -> None:
    unseen = np.random.default_rng(2).integers(0, 2**64, 50_000, dtype=np.uint64)
    assert np.mean(counts_in(model, unseen) > 0) < 1 / 200
    assert not counts_in(Background.untrained(), unseen).any()


def test_a_full_table_is_searched_round_its_end() -> None:
    # Keys whose place is the last slot: all but the first go on from the beginning.
    grams = np.array([2**64 - 1 - i for i in range(40)], dtype=np.uint64)
    model = Background.of_counts(grams, np.arange(1, 41), "python")
    assert (counts_in(model, grams) >= np.arange(1, 41) * 2 ** (-STEP)).all()
    assert model.slots[0] != 0


def test_a_model_survives_its_bytes(model: Background) -> None:
    again = Background.from_bytes(model.to_bytes())
    assert again.slots.tolist() == model.slots.tolist()
    assert (again.tokens, again.language, again.version, again.sources) == (0, "python", model.version, {})
    assert again.to_bytes() == model.to_bytes()


def test_models_of_other_counts_have_other_versions(model: Background) -> None:
    grams = np.arange(1, 100, dtype=np.uint64)
    versions = Counter(
        Background.of_counts(grams, np.full(99, count, dtype=np.int64), "python").version for count in (1, 9, 99)
    )
    assert len({*versions, model.version}) == 4


@given(st.binary(max_size=60))
def test_anything_else_is_no_model(data: bytes) -> None:
    with pytest.raises(BackgroundError, match="no background model"):
        Background.from_bytes(data)


def test_a_damaged_model_is_refused(model: Background) -> None:
    data = model.to_bytes()
    middle = len(data) // 2
    for damaged in (data[:-9], data[:middle], b"\x00" + data[1:], data[:middle] + b"\xff" * 50 + data[middle + 50 :]):
        with pytest.raises(BackgroundError):
            Background.from_bytes(damaged)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"format": FORMAT + 1},
        {"version": "0" * 12},
        {"tokens": "many"},
        {"tokens": -1},
        {"language": None},
        {"sources": ["a list"]},
        {"language": None, "version": None},
        {"slots": np.zeros((0,), dtype=np.uint16)},
        {"slots": np.zeros((4, 4), dtype=np.uint16)},
        {"slots": np.zeros(9, dtype=np.float64)},
        {"about": None},
    ],
)
def test_a_model_that_is_not_what_it_says_is_refused(model: Background, change: dict[str, Any]) -> None:
    about = {"format": FORMAT, "language": "python", "tokens": 1, "version": model.version, "sources": {}} | change
    slots = about.pop("slots", model.slots if change else np.full(9, 33, dtype=np.uint16))
    if not change:  # every slot is taken: a search would not end
        about["version"] = hashlib.sha256(slots.tobytes()).hexdigest()[:12]
    arrays = {"slots": slots}
    if about.pop("about", "there"):
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    with pytest.raises(BackgroundError):
        Background.from_bytes(buffer.getvalue())


@settings(max_examples=200)
@given(st.data())
def test_a_model_with_other_bytes_is_the_same_or_refused(data: st.DataObject) -> None:
    model = Background.of_counts(np.arange(9, 400, dtype=np.uint64), np.arange(391) + 1, "python")
    stored = bytearray(model.to_bytes())
    for place in data.draw(st.lists(st.integers(0, len(stored) - 1), min_size=1, max_size=4)):
        stored[place] = data.draw(st.integers(0, 255))
    try:
        again = Background.from_bytes(bytes(stored))
    except BackgroundError:
        return
    assert (again.slots.tolist(), again.version, again.tokens) == (model.slots.tolist(), model.version, 0)


def test_objects_are_never_read() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, slots=np.array([{"a": 1}], dtype=object), about=np.zeros(1, dtype=np.uint8))
    with pytest.raises(BackgroundError):
        Background.from_bytes(buffer.getvalue())


def test_models_that_ship_are_whole_and_know_their_language() -> None:
    assert "python" in shipped_languages()
    for language in shipped_languages():
        model = shipped(language)
        assert model.language == language
        assert model.tokens > 1_000_000
        assert model.slots.dtype == np.uint16
        assert math.isclose(np.mean(model.slots > 0), background.LOAD, abs_tol=0.01)


def test_every_language_has_models() -> None:
    for language in (None, "", "ruby", "klingon", "hash"):
        assert backgrounds_for(language, "hash") == backgrounds_for("python", "slash") == (shipped("python"),)
    # Whichever language it is, what is ordinary in it is ordinary.
    slash = backgrounds_for(None, "slash")
    for language in shipped_languages() - {"python"}:
        assert {id(model) for model in backgrounds_for(language, "slash")} <= {id(model) for model in slash}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of models of a test's own."""
    monkeypatch.setattr(background, "FOLDER", tmp_path)
    _read.cache_clear()
    shipped_languages.cache_clear()
    yield tmp_path
    _read.cache_clear()
    shipped_languages.cache_clear()


def test_languages_without_a_model_take_those_of_others(folder: Path, model: Background) -> None:
    for language in background._OF_SYNTAX["slash"]:
        (folder / f"{language}.npz").write_bytes(model.to_bytes())
    web = (shipped("javascript"), shipped("typescript"))
    for language, others in (("kotlin", (shipped("java"),)), ("c", (shipped("cpp"),)), ("javascript", web)):
        assert [*map(id, backgrounds_for(language, "slash"))] == [*map(id, others)]
    assert len(backgrounds_for("zig", "slash")) == len(background._OF_SYNTAX["slash"])


def test_a_missing_model_is_a_refusal(folder: Path, model: Background) -> None:
    with pytest.raises(RefusalError, match="install Cleanroom again"):
        backgrounds_for("python", "hash")
    (folder / "python.npz").write_bytes(model.to_bytes()[:-20])
    with pytest.raises(BackgroundError, match="cleanroom background build"):
        backgrounds_for("python", "hash")
    (folder / "python.npz").write_bytes(model.to_bytes())
    assert backgrounds_for("python", "hash")[0].version == model.version
