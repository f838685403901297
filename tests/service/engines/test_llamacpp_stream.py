from __future__ import annotations

from typing import Any

import pytest
from samples.transcripts import taken

from service.engines.llamacpp_stream import Transcript
from service.engines.protocol import Chunk, Sampling, TokenLogprobs
from service.errors import EngineError

END = 9


def event(content: str, count: int, *numbers: int, logprob: float | None = None) -> dict[str, Any]:
    told = {} if logprob is None else {"completion_probabilities": [{"token": content, "logprob": logprob}]}
    return {"content": content, "tokens": list(numbers), "stop": False, "tokens_predicted": count, **told}


def last(count: int, kind: str = "limit") -> dict[str, Any]:
    return {"content": "", "tokens": [], "stop": True, "stop_type": kind, "tokens_predicted": count}


def take(*events: dict[str, Any], excluded: frozenset[int] = frozenset(), **sampling: Any) -> list[Chunk]:  # noqa: ANN401
    return taken(Transcript(Sampling(**sampling), 5, excluded, frozenset({END})), events)


def test_a_token_is_a_chunk_that_can_be_taken_up_behind() -> None:
    assert take({"prompt_progress": {}}, event("a", 1, 1), event("b", 2, 2), last(2)) == [
        Chunk("a", 1, None, 5, (1,)),
        Chunk("b", 1, None, 5, (2,)),
        Chunk("", 0, "length", 5),
    ]


def test_behind_a_token_without_a_number_nothing_is_taken_up() -> None:
    assert take(event("a", 1, 1), event("é", 3, 3), event("b", 4, 4), last(4)) == [
        Chunk("a", 1, None, 5, (1,)),
        Chunk("é", 2, None, 5),
        Chunk("b", 1, None, 5),
        Chunk("", 0, "length", 5),
    ]


def test_a_text_may_not_be_taken_up_where_a_stop_string_could_begin() -> None:
    assert take(event("a\n", 1, 1), event("b\n", 2, 2), event("\nc", 3, 3), stop=("\n\n",)) == [
        Chunk("a", 1, None, 5),
        Chunk("\nb", 1, None, 5),
        Chunk("", 1, "stop", 5),
    ]


@pytest.mark.parametrize("end", [event("", 2, END), last(2, "eos")])
def test_a_text_ends_where_the_model_or_its_vocabulary_ends_it(end: dict[str, Any]) -> None:
    assert take(event("a", 1, 1), end)[-1].finish_reason == "stop"


def test_log_probabilities_are_of_the_tokens_in_the_text() -> None:
    chunks = take(event("a\n", 1, 1, logprob=-1.0), event("\nb", 2, 2, logprob=-2.0), stop=("\n\n",), logprobs=0)
    assert [chunk.logprobs for chunk in chunks] == [(TokenLogprobs("a\n", -1.0),), ()]


def test_an_excluded_token_is_a_failure_of_the_server() -> None:
    with pytest.raises(EngineError, match="ruled out"):
        take(event("a", 1, 7), excluded=frozenset({7}))
    assert len(take(event("a", 1, 1), event("b", 2, 7), last(2), excluded=frozenset({7}))) == 3


def test_a_first_request_ends_without_the_generation_and_the_next_counts_anew() -> None:
    transcript = Transcript(Sampling(), 5, frozenset(), frozenset())
    assert transcript.take(event("a", 1, 1), last_request=False) == Chunk("a", 1, None, 5, (1,))
    assert transcript.take(last(1), last_request=False) is None
    transcript.again()
    assert (transcript.finished, transcript.known) == (False, True)
    assert transcript.take(event("b", 1, 2)) == Chunk("b", 1, None, 5, (2,))


def test_a_request_that_ends_within_a_character_has_lost_a_number() -> None:
    transcript = Transcript(Sampling(), 5, frozenset(), frozenset())
    assert transcript.take(last(1), last_request=False) is None
    assert not transcript.known


def test_an_error_in_the_stream_is_told_by_its_words() -> None:
    with pytest.raises(EngineError, match="out of memory"):
        take({"error": {"message": "out of memory"}})
