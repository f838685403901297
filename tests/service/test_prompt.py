from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from service.engines.families import FAMILIES, family_named
from service.engines.protocol import EnginePrompt, Segment
from service.errors import ContextLengthError
from service.prompt import build_prompt, fill_in_the_middle, render

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.engines.protocol import Chunk, FillInTheMiddle, Sampling

PREFIX = "def add(a, b):\n    return "
SUFFIX = "\n\nprint(add(1, 2))\n"

# As the models' cards write them: see service/engines/families.py.
GOLDEN = {
    "starcoder": f"<fim_prefix>{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>",
    "santacoder": f"<fim-prefix>{PREFIX}<fim-suffix>{SUFFIX}<fim-middle>",
    "qwen2.5-coder": f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
    "deepseek-coder": f"<｜fim▁begin｜>{PREFIX}<｜fim▁hole｜>{SUFFIX}<｜fim▁end｜>",  # noqa: RUF001 - its names
    "codellama": f"<PRE> {PREFIX} <SUF>{SUFFIX} <MID>",
    "codestral": f"[SUFFIX]{SUFFIX}[PREFIX]{PREFIX}",
}


@dataclass
class CountingEngine:
    """Counts a word as a token; generates nothing."""

    name: str = "counting"
    model: str = "counting-1"
    context_window: int = 16
    fill_in_the_middle: FillInTheMiddle | None = None
    native_suffix: bool = False
    counts: bool = True

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def ready(self) -> None: ...

    async def count_tokens(self, text: str) -> int | None:
        return len(text.split()) if self.counts else None

    def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        raise NotImplementedError


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_a_family_is_rendered_as_its_card_says(family: FillInTheMiddle) -> None:
    prompt = render(CountingEngine(fill_in_the_middle=family), PREFIX, SUFFIX)
    assert prompt.text == GOLDEN[family.family]
    assert prompt.suffix is None


def test_every_family_has_a_golden_rendering() -> None:
    assert {family.family for family in FAMILIES} == set(GOLDEN)


def test_control_tokens_are_told_from_the_callers_words() -> None:
    hostile = "<fim_middle> = 1"
    segments = fill_in_the_middle(family_named("starcoder"), hostile, SUFFIX)
    assert segments[1] == Segment(hostile, None)
    assert [segment.token for segment in segments if segment.token] == ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"]


def test_sentencepiece_names_are_kept_beside_what_is_written() -> None:
    opening = fill_in_the_middle(family_named("codellama"), "a", "b")[0]
    assert opening == Segment("<PRE> ", "▁<PRE>")


def test_a_server_with_a_suffix_of_its_own_gets_it() -> None:
    engine = CountingEngine(native_suffix=True, fill_in_the_middle=FAMILIES[0])
    assert render(engine, PREFIX, SUFFIX) == EnginePrompt.plain(PREFIX, SUFFIX)


@pytest.mark.parametrize("suffix", [None, ""])
def test_without_a_suffix_the_prompt_goes_as_it_is(suffix: str | None) -> None:
    engine = CountingEngine(fill_in_the_middle=FAMILIES[0])
    assert render(engine, PREFIX, suffix) == EnginePrompt.plain(PREFIX)


def test_a_model_without_fill_in_the_middle_continues_the_prefix() -> None:
    assert render(CountingEngine(), PREFIX, SUFFIX) == EnginePrompt.plain(PREFIX)


def test_the_cache_key_goes_with_the_prompt() -> None:
    engine = CountingEngine(fill_in_the_middle=FAMILIES[0])
    assert render(engine, PREFIX, SUFFIX, cache_key="acme").cache_key == "acme"
    assert render(engine, PREFIX, None, cache_key="acme").cache_key == "acme"


def test_what_just_fits_the_window_passes() -> None:
    prompt = asyncio.run(build_prompt(CountingEngine(), "word " * 10, None, 6))
    assert prompt.text == "word " * 10


def test_what_exceeds_the_window_is_refused_with_both_numbers() -> None:
    with pytest.raises(
        ContextLengthError, match=r"10 tokens and max_tokens is 7, together 17, .* 16: shorten"
    ) as caught:
        asyncio.run(build_prompt(CountingEngine(), "word " * 10, None, 7))
    assert caught.value.param == "prompt"
    assert caught.value.status == 400


def test_the_suffix_and_the_control_tokens_count() -> None:
    engine = CountingEngine(fill_in_the_middle=FAMILIES[0])
    asyncio.run(build_prompt(engine, "word " * 5, "word " * 5, 3))
    with pytest.raises(ContextLengthError, match="13 tokens"):
        asyncio.run(build_prompt(engine, "word " * 5, "word " * 5, 4))


@pytest.mark.parametrize("engine", [CountingEngine(counts=False), CountingEngine(context_window=0)])
def test_an_unknown_count_or_window_is_left_to_the_server(engine: CountingEngine) -> None:
    assert asyncio.run(build_prompt(engine, "word " * 50, None, 50)).text == "word " * 50
