from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.engines.protocol import TokenLogprobs
from service.engines.stops import StopFilter
from service.engines.telling import Telling

TOKENS = st.lists(st.tuples(st.text("abc", max_size=3), st.floats(-9, 0)), max_size=12)


def test_a_token_is_told_with_the_piece_in_which_its_text_begins() -> None:
    telling = Telling(asked=True)
    telling.feed("one", -1.0)
    telling.feed("two", -2.0)
    assert telling.take("o") == (TokenLogprobs("one", -1.0),)
    assert telling.take("ne") == ()
    assert telling.take("t") == (TokenLogprobs("two", -2.0),)


def test_halves_of_a_character_are_told_as_one() -> None:
    telling = Telling(asked=True)
    telling.feed("", -1.0)
    telling.feed("\N{SNOWMAN}", -2.0)
    assert telling.take("\N{SNOWMAN}") == (TokenLogprobs("\N{SNOWMAN}", -3.0),)


def test_nobody_asked() -> None:
    telling = Telling(asked=False)
    assert telling.feed("one", -1.0) == "one"
    assert telling.take("one") == ()


@given(TOKENS, st.lists(st.text("abc", min_size=1, max_size=3), max_size=2))
def test_what_is_told_tiles_the_text(tokens: list[tuple[str, float]], stops: list[str]) -> None:
    """However much of it a stop string holds back: every piece of text has its tokens, in order, and no other."""
    telling, stopping = Telling(asked=True), StopFilter(tuple(stops))
    text, told = "", ""
    for token, logprob in [*tokens, ("", 0.0)]:
        piece = stopping.feed(telling.feed(token, logprob))
        text += piece
        told += "".join(each.text for each in telling.take(piece))
        assert told.startswith(text)
    everything = "".join(token for token, _ in tokens)
    assert everything.startswith(told)
    if not stopping.stopped:
        rest = stopping.flush()
        assert told + "".join(each.text for each in telling.take(rest)) == text + rest == everything
