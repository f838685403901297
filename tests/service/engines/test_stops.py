from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.engines.stops import StopFilter

TEXT = st.text("ab\n", max_size=20)
STOPS = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3).map(tuple)


def before_stop(text: str, stops: tuple[str, ...]) -> str:
    """What a stop string ends, where each is looked for as soon as its last character is there."""
    for end in range(len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)]
    return text


@given(TEXT, STOPS)
def test_character_by_character_the_text_ends_before_the_first_stop(text: str, stops: tuple[str, ...]) -> None:
    stop_filter = StopFilter(stops)
    passed = "".join(map(stop_filter.feed, text)) + stop_filter.flush()
    assert passed == before_stop(text, stops)
    assert stop_filter.stopped == any(stop in text for stop in stops)


@given(st.lists(TEXT, max_size=6), STOPS)
def test_no_stop_string_passes_however_the_text_is_cut(pieces: list[str], stops: tuple[str, ...]) -> None:
    stop_filter = StopFilter(stops)
    passed = "".join(map(stop_filter.feed, pieces)) + stop_filter.flush()
    assert "".join(pieces).startswith(passed)
    assert not any(stop in passed for stop in stops)
    assert stop_filter.stopped or passed == "".join(pieces)


def test_what_may_become_a_stop_is_held_back_and_nothing_more() -> None:
    stop_filter = StopFilter(("\n\n",))
    assert stop_filter.feed("return a\n") == "return a"
    assert stop_filter.feed("b") == "\nb"
    assert stop_filter.feed("\n") == ""
    assert stop_filter.flush() == "\n"


def test_an_empty_stop_string_stops_nothing() -> None:
    stop_filter = StopFilter(("",))
    assert stop_filter.feed("abc") == "abc"
