from __future__ import annotations

import asyncio
import json
import math
import sys
from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from service.engines.protocol import Chunk, EnginePrompt, Sampling, Segment
from service.engines.transformers import TransformersEngine
from service.errors import ContextLengthError, EngineUnavailableError, SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

needs_torch = [
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("torch", "transformers")), reason="needs the extra transformers"
    ),
    # torch and its tokenizers warn about themselves.
    pytest.mark.filterwarnings("default"),
]
WORDS = ["def", "return", "if", "x", "y", "=", "(", ")", ":", "print", "1", "2"]
FAMILY = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>"]
WINDOW = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama with a vocabulary of words, saved as the hub's models are."""
    torch: Any = pytest.importorskip("torch")
    transformers: Any = pytest.importorskip("transformers")
    tokenizers: Any = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("models") / "tiny-coder"
    vocabulary = {word: number for number, word in enumerate(["<|endoftext|>", "<unk>", *FAMILY, *WORDS])}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<|endoftext|>", unk_token="<unk>", additional_special_tokens=FAMILY
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=WINDOW, eos_token_id=0, bos_token_id=None,
        initializer_range=1.0,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(
    runner: asyncio.Runner, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(str(folder), home=tmp_path_factory.mktemp("home"), threads=1)
    runner.run(engine.start())
    yield engine
    runner.run(engine.close())


async def collect(chunks: AsyncIterator[Chunk]) -> list[Chunk]:
    return [chunk async for chunk in chunks]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


PROMPT = EnginePrompt.plain("def x ( y ) : return")


class TestLoaded:
    pytestmark = needs_torch

    def test_a_generation_streams_and_counts(self, engine: TransformersEngine, runner: asyncio.Runner) -> None:
        chunks = runner.run(collect(engine.generate(PROMPT, Sampling(max_tokens=8, temperature=1.0, seed=1))))
        assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert chunks[-1].prompt_tokens == 7 == runner.run(engine.count_tokens(PROMPT.text))
        tokens = sum(chunk.tokens for chunk in chunks)
        assert tokens == 8 if chunks[-1].finish_reason == "length" else tokens <= 8
        assert (engine.model, engine.context_window) == ("tiny-coder", WINDOW)

    def test_greedy_and_seeded_draws_repeat(self, engine: TransformersEngine, runner: asyncio.Runner) -> None:
        def draw(**how: Any) -> list[Chunk]:  # noqa: ANN401 - fields of Sampling
            return runner.run(collect(engine.generate(PROMPT, Sampling(max_tokens=8, **how))))

        assert text_of(draw()) == text_of(draw())
        assert text_of(draw(temperature=2.0, seed=7)) == text_of(draw(temperature=2.0, seed=7))
        assert len({text_of(draw(temperature=2.0, seed=seed)) for seed in range(6)}) > 1
        assert text_of(draw(temperature=2.0, top_p=1e-6, seed=1)) == text_of(draw())

    def test_log_probabilities_are_of_the_text(self, engine: TransformersEngine, runner: asyncio.Runner) -> None:
        def ask(prompt: EnginePrompt = PROMPT, **how: Any) -> list[Chunk]:  # noqa: ANN401 - fields of Sampling
            return runner.run(collect(engine.generate(prompt, Sampling(max_tokens=6, **how))))

        chunks = ask(logprobs=0)
        told = [token for chunk in chunks for token in chunk.logprobs]
        assert "".join(token.text for token in told) == text_of(chunks)
        assert all(token.logprob <= 0 and not token.likeliest for token in told)
        # The likeliest of a vocabulary has at least an even share of it.
        assert told[0].logprob >= -math.log(len(WORDS) + len(FAMILY) + 2)
        # At another temperature the model's own probabilities are the same.
        assert ask(logprobs=0, temperature=2.0, top_p=1e-6, seed=1)[0].logprobs == chunks[0].logprobs
        # Tokens that are ruled out leave their share to the others: here, to the only one.
        first = chunks[0].drawn
        assert first is not None
        others = frozenset(range(len(WORDS) + len(FAMILY) + 2)).difference(first)
        assert ask(replace(PROMPT, excluded=others), logprobs=0)[0].logprobs[0].logprob == 0
        assert not any(chunk.logprobs for chunk in ask())

    def test_what_is_cached_changes_no_answer(
        self, engine: TransformersEngine, runner: asyncio.Runner, folder: Path, tmp_path: Path
    ) -> None:
        async def fresh(prompt: str) -> str:
            other = TransformersEngine(str(folder), home=tmp_path, threads=1)
            await other.start()
            try:
                return text_of(await collect(other.generate(EnginePrompt.plain(prompt), Sampling(max_tokens=6))))
            finally:
                await other.close()

        keystrokes = ["def x", "def x (", "def x ( y", "def y", "def x ( y ) : return"]
        for prompt in keystrokes:
            cached = text_of(runner.run(collect(engine.generate(EnginePrompt.plain(prompt), Sampling(max_tokens=6)))))
            assert cached == runner.run(fresh(prompt))

    def test_the_text_ends_before_a_stop_string(self, engine: TransformersEngine, runner: asyncio.Runner) -> None:
        sampling = Sampling(max_tokens=12, temperature=2.0, seed=3)
        whole = text_of(runner.run(collect(engine.generate(PROMPT, sampling))))
        stop = whole[3:5]
        sampling = Sampling(max_tokens=12, temperature=2.0, seed=3, stop=(stop,))
        chunks = runner.run(collect(engine.generate(PROMPT, sampling)))
        assert text_of(chunks) == whole[: whole.index(stop)]
        assert chunks[-1].finish_reason == "stop"

    def test_control_tokens_in_the_callers_words_are_mere_text(
        self, engine: TransformersEngine, runner: asyncio.Runner
    ) -> None:
        assert engine.fill_in_the_middle is not None
        assert engine.fill_in_the_middle.family == "starcoder"
        loaded = engine._loaded
        assert loaded is not None
        assert loaded.vocabulary["<file_sep>"] in loaded.ends
        words, control = Segment("<fim_prefix>"), Segment("<fim_prefix>", "<fim_prefix>")

        def first(segment: Segment) -> list[Chunk]:
            return runner.run(collect(engine.generate(EnginePrompt((segment,)), Sampling(max_tokens=1))))

        assert first(words)[-1].prompt_tokens == runner.run(engine.count_tokens("<fim_prefix>"))
        assert first(control)[-1].prompt_tokens == 1

    def test_a_generation_is_taken_up_again_with_tokens_ruled_out(
        self, engine: TransformersEngine, runner: asyncio.Runner
    ) -> None:
        assert engine.steers
        chunks = runner.run(collect(engine.generate(PROMPT, Sampling(max_tokens=8))))
        drawn = [token for chunk in chunks for token in chunk.drawn or ()]
        at = next(at for at, chunk in enumerate(chunks[:-1], 1) if at >= 3 and chunk.drawn is not None)
        count = sum(chunk.tokens for chunk in chunks[:at])

        def again(excluded: frozenset[int]) -> list[Chunk]:
            prompt = replace(PROMPT, written=tuple(drawn[:count]), excluded=excluded)
            return runner.run(collect(engine.generate(prompt, Sampling(max_tokens=8 - count))))

        assert text_of(chunks[:at]) + text_of(again(frozenset())) == text_of(chunks)
        ruled_out = {drawn[count]}
        for _ in range(5):
            other = again(frozenset(ruled_out))
            first = (other[0].drawn or (None,))[0]
            assert first not in ruled_out
            if first is None:
                break
            ruled_out.add(first)

    def test_closing_the_stream_leaves_the_thread_to_others(
        self, engine: TransformersEngine, runner: asyncio.Runner
    ) -> None:
        async def leave() -> None:
            async with aclosing(engine.generate(PROMPT, Sampling(max_tokens=50))) as chunks:
                async for _ in chunks:
                    break
            waiting = asyncio.create_task(collect(engine.generate(PROMPT, Sampling(max_tokens=50))))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            many = [collect(engine.generate(PROMPT, Sampling(max_tokens=3))) for _ in range(3)]
            for chunks_of_one in await asyncio.gather(*many):
                assert chunks_of_one[-1].finish_reason is not None

        runner.run(leave())

    def test_closing_the_engine_ends_running_and_waiting_generations(self, folder: Path, tmp_path: Path) -> None:
        async def close() -> list[list[Chunk] | BaseException]:
            engine = TransformersEngine(str(folder), home=tmp_path, threads=1)
            await engine.start()
            asked = [asyncio.create_task(collect(engine.generate(PROMPT, Sampling(max_tokens=50)))) for _ in range(3)]
            await asyncio.sleep(0)
            await engine.close()
            await engine.close()
            return await asyncio.gather(*asked, return_exceptions=True)

        for ended in asyncio.run(close()):
            finished = isinstance(ended, list) and ended[-1].finish_reason is not None
            assert finished or isinstance(ended, EngineUnavailableError)

    def test_a_prompt_beyond_the_window_is_refused(self, engine: TransformersEngine, runner: asyncio.Runner) -> None:
        with pytest.raises(ContextLengthError, match=f"60 tokens and max_tokens is 5, together 65, .* {WINDOW}"):
            runner.run(collect(engine.generate(EnginePrompt.plain("x " * 60), Sampling(max_tokens=5))))

    def test_an_empty_prompt_is_continued(self, engine: TransformersEngine, runner: asyncio.Runner) -> None:
        prompt = EnginePrompt.plain("")
        assert runner.run(collect(engine.generate(prompt, Sampling(max_tokens=1))))[-1].prompt_tokens == 1

    @pytest.mark.parametrize("kept", [0, 7, 200, -1])
    def test_damaged_weights_are_refused(self, folder: Path, tmp_path: Path, kept: int) -> None:
        for path in folder.iterdir():
            content = path.read_bytes()
            (tmp_path / path.name).write_bytes(content[:kept] if path.suffix == ".safetensors" else content)
        with pytest.raises(SetupError, match="cannot load the model"):
            asyncio.run(TransformersEngine(str(tmp_path), home=tmp_path).start())

    def test_a_folder_that_is_no_model_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
        with pytest.raises(SetupError, match="cannot load the model"):
            asyncio.run(TransformersEngine(str(tmp_path), home=tmp_path).start())


def test_a_missing_extra_names_the_pip_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    engine = TransformersEngine(str(tmp_path), home=tmp_path)
    with pytest.raises(SetupError, match=r"needs torch, .* pip install 'cleanroom\[transformers\]'"):
        asyncio.run(engine.start())


def test_an_engine_that_is_not_started_says_so(tmp_path: Path) -> None:
    engine = TransformersEngine(str(tmp_path), home=tmp_path)
    with pytest.raises(EngineUnavailableError, match="not loaded"):
        asyncio.run(engine.ready())
