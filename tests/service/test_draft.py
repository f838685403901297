from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.draft import Draft
from service.engines.protocol import Chunk, TokenLogprobs


def draft_of(*pieces: str) -> Draft:
    """A draft of these tokens, numbered from 100."""
    draft = Draft()
    for number, text in enumerate(pieces, 100):
        draft.add(Chunk(text, 1, drawn=(number,), logprobs=(TokenLogprobs(text, -0.5),)))
    return draft


def test_a_draft_is_what_came() -> None:
    draft = draft_of("a", " =", " 1")
    draft.add(Chunk("\n", 2, "length", 7))
    assert (draft.text, draft.tokens, draft.finish_reason, draft.prompt_tokens) == ("a = 1\n", 5, "length", 7)
    assert draft.drawn == [100, 101, 102]
    assert [end for end, _ in draft.logprobs] == [1, 3, 5]


def test_tokens_that_reach_beyond_their_chunk_are_placed_where_they_end() -> None:
    draft = Draft()
    draft.add(Chunk("on", logprobs=(TokenLogprobs("one", -1.0),)))
    draft.add(Chunk("e two", logprobs=(TokenLogprobs(" two", -2.0),)))
    assert [end for end, _ in draft.logprobs] == [3, 7]
    assert [[token.text for token in draft.told(characters)] for characters in (0, 3, 4, 7, 8)] == [
        [], [], ["one"], ["one"], ["one", " two"],
    ]  # fmt: skip


def test_a_token_after_text_that_nothing_is_told_of_is_placed_behind_it() -> None:
    draft = Draft()
    draft.add(Chunk("unknown"))
    draft.add(Chunk(" x", logprobs=(TokenLogprobs(" x", -1.0),)))
    assert draft.told(7) == ()
    assert [end for end, _ in draft.logprobs] == [9]


def test_it_is_taken_up_again_before_the_word_that_led_astray() -> None:
    draft = draft_of("a", "\n", "    ", "leak", "ing")
    resumption = draft.resumed(2, 0)
    assert resumption is not None
    assert (resumption.draft.text, resumption.token) == ("a\n    ", 103)
    assert resumption.draft.drawn == [100, 101, 102]
    assert [end for end, _ in resumption.draft.logprobs] == [1, 2, 6]
    # The draft itself stays what it was.
    assert draft.text == "a\n    leaking"
    resumption.draft.add(Chunk(" other", 1, drawn=(7,)))
    again = resumption.draft.resumed(6, 0)
    assert again is not None
    assert (again.draft.text, again.token) == ("a\n    ", 7)


def test_a_token_that_begins_with_the_blank_before_the_word_goes_with_it() -> None:
    resumption = draft_of("x", "\n   ", " leak").resumed(2, 0)
    assert resumption is not None
    assert (resumption.draft.text, resumption.token) == ("x\n   ", 102)


def test_not_before_what_has_left_nor_where_no_token_is_known() -> None:
    draft = draft_of("a", "b", "c")
    assert draft.resumed(1, 2) is None
    assert draft.resumed(2, 2) is not None
    assert draft.resumed(3, 0) is None
    unknown = Draft()
    unknown.add(Chunk("abc", 3))
    assert unknown.resumed(0, 0) is None


def test_the_callers_prompt_is_counted_once() -> None:
    draft = Draft()
    draft.add(Chunk("a", 1, "stop", 5, (1,)))
    draft.add(Chunk("b", 1, "stop", 6, (2,)))
    assert draft.prompt_tokens == 5


@given(st.lists(st.text(st.sampled_from("ab \n"), min_size=1, max_size=4), min_size=1, max_size=12), st.data())
def test_what_is_kept_ends_with_a_token_and_before_the_word(pieces: list[str], data: st.DataObject) -> None:
    draft = draft_of(*pieces)
    start = data.draw(st.integers(0, len(draft.text) - 1))
    word = start + len(draft.text[start:]) - len(draft.text[start:].lstrip())
    resumption = draft.resumed(start, 0)
    if word == len(draft.text):
        assert resumption is None
        return
    assert resumption is not None
    ends = [0, *(sum(map(len, pieces[:count])) for count in range(1, len(pieces) + 1))]
    (at,) = [at for at, (first, last) in enumerate(pairwise(ends)) if first <= word < last]
    assert resumption.draft.text == draft.text[: ends[at]]
    assert resumption.token == 100 + at
