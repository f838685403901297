from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.transcripts import taken

from service.engines.protocol import Chunk, Sampling
from service.engines.vllm_stream import Transcript
from service.errors import EngineError


def event(text: str, *numbers: int, finish: str | None = None, **choice: object) -> dict[str, Any]:
    return {"choices": [{"text": text, "token_ids": list(numbers), "finish_reason": finish, **choice}]}


def logprobs(*tokens: str) -> dict[str, object]:
    return {
        "tokens": list(tokens),
        "token_logprobs": [-1.0] * len(tokens),
        "top_logprobs": [{"other": -2.0, token: -1.0} for token in tokens],
    }


def take(events: list[dict[str, Any]], excluded: frozenset[int] = frozenset(), **sampling: Any) -> list[Chunk]:  # noqa: ANN401
    return taken(Transcript(Sampling(**sampling), 5, excluded), events)


def test_a_token_is_a_chunk_that_can_be_taken_up_behind() -> None:
    assert take([event("a", 1), event("b", 2, finish="length")]) == [
        Chunk("a", 1, None, 5, (1,)),
        Chunk("b", 1, "length", 5),
    ]


def test_parts_of_a_character_count_when_it_is_whole() -> None:
    assert take([event("", 1), event("", 2), event("é", 3), event("", 0, finish="stop")]) == [
        Chunk("é", 3, None, 5, (1, 2, 3)),
        Chunk("", 1, "stop", 5),
    ]


def test_behind_several_tokens_at_once_a_character_may_be_open() -> None:
    assert take([event("ab", 1, 2), event("c", 3), event("", finish="stop")]) == [
        Chunk("ab", 2, None, 5),
        Chunk("c", 1, None, 5, (1, 2, 3)),
        Chunk("", 0, "stop", 5),
    ]


def test_a_text_ends_before_a_stop_string_and_may_not_be_taken_up_where_one_could_begin() -> None:
    chunks = take([event("a\n", 1), event("b\n", 2), event("\nc", 3)], stop=("\n\n",))
    assert chunks == [Chunk("a", 1, None, 5), Chunk("\nb", 1, None, 5), Chunk("", 1, "stop", 5)]


@given(st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1), st.lists(st.text("ab\n", min_size=1), max_size=2))
def test_chunks_are_the_text_up_to_the_first_stop_string(texts: list[str], stops: list[str]) -> None:
    transcript = Transcript(Sampling(stop=tuple(stops)), 5, frozenset())
    chunks: list[Chunk] = []
    for number, text in enumerate(texts):
        chunk = transcript.take(event(text, number, finish="length" if number == len(texts) - 1 else None))
        chunks += [chunk] if chunk is not None else []
        if transcript.finished:
            break
    whole = "".join(texts)
    # Whichever stop string is whole first, as the tokens come, ends the text.
    ends = [whole.find(stop) for stop in stops if stop in whole]
    joined = "".join(chunk.text for chunk in chunks)
    assert whole.startswith(joined)
    assert not any(stop in joined for stop in stops)
    assert joined == whole if not ends else len(joined) >= min(ends)
    resumable = [token for chunk in chunks for token in chunk.drawn or ()]
    assert resumable == list(range(len(resumable)))


def test_log_probabilities_come_with_the_text_of_their_tokens() -> None:
    chunks = take(
        [
            event("a\n", 1, logprobs=logprobs("a\n")),
            event("b", 2, logprobs=logprobs("b")),
            event("\n", 3, logprobs=logprobs("\n")),
            event("\nc", 4, logprobs=logprobs("\nc")),
        ],
        stop=("\n\n",),
        logprobs=1,
    )
    assert [(chunk.text, [token.text for token in chunk.logprobs]) for chunk in chunks] == [
        ("a\nb", ["a\n", "b"]),
        ("", []),
    ]
    assert chunks[0].logprobs[0].likeliest == (("a\n", -1.0),)


def test_an_end_of_text_has_no_log_probability_of_its_own() -> None:
    chunks = take(
        [event("a", 1, logprobs=logprobs("a")), event("", 0, finish="stop", logprobs=logprobs("<eos>"))], logprobs=0
    )
    assert [token.text for chunk in chunks for token in chunk.logprobs] == ["a"]
    assert chunks[0].logprobs[0].likeliest == ()


def test_a_ruled_token_does_not_tell_what_was_ruled_out() -> None:
    events = [event("a", 1, logprobs=logprobs("a")), event("b", 2, logprobs=logprobs("b"), finish="length")]
    chunks = take(events, frozenset({7}), logprobs=2)
    assert [len(token.likeliest) for chunk in chunks for token in chunk.logprobs] == [0, 2]


def test_an_excluded_token_is_a_failure_of_the_server() -> None:
    with pytest.raises(EngineError, match="ruled out"):
        take([event("a", 7)], frozenset({7}))
    assert len(take([event("a", 1), event("b", 7, finish="length")], frozenset({7}))) == 2


def test_only_the_last_request_ends_by_its_number_of_tokens() -> None:
    transcript = Transcript(Sampling(), 5, frozenset())
    assert transcript.take(event("", 1, finish="length"), last_request=False) is None
    assert (transcript.finished, transcript.whole, transcript.drawn) == (False, False, [1])
    assert transcript.take(event("é", 2)) == Chunk("é", 2, None, 5, (1, 2))
    assert transcript.finish("length") == Chunk("", 0, "length", 5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"hello": 1}, "without choices"),
        ({"choices": [{"text": "a", "token_ids": "x"}]}, "no list"),
        ({"choices": [{"text": "a", "token_ids": [1], "logprobs": {"tokens": [1]}}]}, "another form"),
    ],
)
def test_what_is_no_event_of_vllm_is_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        Transcript(Sampling(logprobs=1), 5, frozenset()).take(bad)
