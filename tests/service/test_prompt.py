from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.counting import CountingEngine, tokens_in

from published.infilling import FAMILIES
from service.engines.families import family_named
from service.errors import ContextLengthError
from service.prompt import ALL_THAT_FITS, Tally, build_prompt
from service.rendering import render
from service.surroundings import ContextFile, Surroundings

if TYPE_CHECKING:
    from published.infilling import FillInTheMiddle
    from service.engines.protocol import EnginePrompt

WORDS = "word\n" * 10  # two tokens each, and one at the end of a line that is merged with none
QWEN = family_named("qwen2.5-coder")


def build(engine: CountingEngine, prompt: str, suffix: str | None, max_tokens: int, **more: Any) -> EnginePrompt:  # noqa: ANN401 - as build_prompt
    return asyncio.run(build_prompt(engine, prompt, suffix, max_tokens, **more))


def count(engine: CountingEngine, prompt: EnginePrompt) -> int:
    """All tokens of the prompt, counted independently of the code under test."""
    own = sum(1 if segment.token else tokens_in(segment.text) for segment in prompt.segments)
    return engine.opening_tokens + own + tokens_in(prompt.suffix or "")


class TestWithoutSuffix:
    def test_what_just_fits_the_window_passes(self) -> None:
        engine = CountingEngine(context_window=tokens_in(WORDS) + 1 + 6)
        assert build(engine, WORDS, None, 6).text == WORDS

    def test_what_exceeds_the_window_is_refused_with_both_numbers(self) -> None:
        tokens = tokens_in(WORDS) + 1
        engine = CountingEngine(context_window=tokens + 6)
        message = rf"{tokens} tokens and max_tokens is 7, together {tokens + 7}, .* {tokens + 6}: shorten"
        with pytest.raises(ContextLengthError, match=message) as caught:
            build(engine, WORDS, None, 7)
        assert caught.value.param == "prompt"
        assert caught.value.status == 400

    @pytest.mark.parametrize("engine", [CountingEngine(counts=False), CountingEngine(context_window=0)])
    def test_an_unknown_count_or_window_is_left_to_the_server(self, engine: CountingEngine) -> None:
        assert build(engine, WORDS * 50, None, 50).text == WORDS * 50

    def test_it_is_cut_where_the_request_says_so(self) -> None:
        engine = CountingEngine(context_window=0)
        kept = build(engine, WORDS, None, 8, truncate=10)
        assert WORDS.endswith(kept.text)
        assert kept.text
        assert count(engine, kept) <= 10
        assert build(engine, WORDS, None, 8, truncate=1000).text == WORDS

    def test_it_may_be_cut_to_what_fits(self) -> None:
        engine = CountingEngine(context_window=20)
        kept = build(engine, WORDS, None, 8, truncate=ALL_THAT_FITS)
        assert 8 < count(engine, kept) <= 12
        assert build(CountingEngine(context_window=0), WORDS, None, 8, truncate=ALL_THAT_FITS).text == WORDS

    @pytest.mark.parametrize("truncate", [0, 1])
    def test_a_cut_that_leaves_nothing_is_refused(self, truncate: int) -> None:
        with pytest.raises(ContextLengthError, match=rf"may keep {truncate}, which is too little.*truncate_prompt_tok"):
            build(CountingEngine(context_window=0), WORDS, None, 8, truncate=truncate)


class TestWithSuffix:
    @given(
        prefix=st.text(alphabet="abx\n ()", max_size=300),
        suffix=st.text(alphabet="abx\n ()", min_size=1, max_size=300),
        window=st.integers(20, 200),
        family=st.sampled_from([None, *FAMILIES]),
        path=st.sampled_from(["", "pkg/module.py"]),
    )
    def test_it_fits_exactly_after_rendering(
        self, prefix: str, suffix: str, window: int, family: FillInTheMiddle | None, path: str
    ) -> None:
        engine = CountingEngine(context_window=window, fill_in_the_middle=family)
        around = Surroundings(path)
        whole = render(engine, prefix, suffix, around)
        try:
            prompt = build(engine, prefix, suffix, 8, around=around)
        except ContextLengthError:
            assert count(engine, whole) > window - 8
            assert count(engine, render(engine, prefix[-1:], "", around)) >= window - 8
            return
        assert count(engine, prompt) <= window - 8
        if count(engine, whole) <= window - 8:
            assert prompt == whole

    def test_the_control_tokens_and_what_the_engine_writes_itself_count(self) -> None:
        tokens = 2 * tokens_in(WORDS)
        engine = CountingEngine(context_window=tokens + 4 + 8, fill_in_the_middle=FAMILIES[0])
        assert build(engine, WORDS, WORDS, 8) == render(engine, WORDS, WORDS)
        engine.context_window -= 1
        assert build(engine, WORDS, WORDS, 8) != render(engine, WORDS, WORDS)
        engine.context_window, engine.opening_tokens = engine.context_window, 0
        assert build(engine, WORDS, WORDS, 8) == render(engine, WORDS, WORDS)

    def test_the_form_stays_when_nothing_of_the_suffix_is_left(self) -> None:
        engine = CountingEngine(context_window=24, fill_in_the_middle=QWEN)
        prompt = build(engine, WORDS, "x" * 500, 8)
        assert [segment.token for segment in prompt.segments if segment.token] == [
            "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
        ]  # fmt: skip

    def test_a_server_with_a_suffix_of_its_own_gets_both_cut(self) -> None:
        engine = CountingEngine(context_window=60, native_suffix=True)
        prompt = build(engine, WORDS * 9, WORDS * 9, 8)
        assert prompt.suffix
        assert WORDS.startswith(prompt.suffix)
        assert 45 < count(engine, prompt) <= 52

    def test_an_engine_that_cannot_count_gets_what_its_length_lets_expect(self) -> None:
        engine = CountingEngine(context_window=100, counts=False, fill_in_the_middle=QWEN)
        prompt = build(engine, WORDS * 9, WORDS * 9, 10)
        texts = sum(len(segment.text) for segment in prompt.segments if not segment.token)
        assert 3 * 70 < texts <= 3 * 86

    def test_no_room_at_all_is_refused(self) -> None:
        engine = CountingEngine(context_window=12, fill_in_the_middle=QWEN)
        with pytest.raises(ContextLengthError, match=r"may keep 4, .* lower max_tokens \(8; counting-1 holds 12\)"):
            build(engine, WORDS, WORDS, 8)
        with pytest.raises(ContextLengthError, match="may keep 0"):
            build(engine, WORDS, WORDS, 20)

    def test_truncation_holds_the_whole_prompt(self) -> None:
        engine = CountingEngine(context_window=0, fill_in_the_middle=QWEN)
        assert count(engine, build(engine, WORDS, WORDS, 8, truncate=20)) <= 20

    def test_each_text_is_counted_once(self) -> None:
        engine = CountingEngine(context_window=200, fill_in_the_middle=QWEN)
        build(engine, WORDS * 50, WORDS * 50, 8)
        assert len(engine.asked) == len(set(engine.asked))


class TestOtherFiles:
    FILES = tuple(ContextFile(f"{name}.py", f"{name} = 1\n" * 4) for name in "abc")

    def around(self) -> Surroundings:
        return Surroundings("m.py", "r", self.FILES)

    def test_all_come_where_there_is_room(self) -> None:
        engine = CountingEngine(context_window=1000, fill_in_the_middle=QWEN)
        assert build(engine, "x", "y", 8, around=self.around()) == render(engine, "x", "y", self.around())

    @pytest.mark.parametrize("suffix", [None, "y"])
    @pytest.mark.parametrize("family", [None, QWEN])
    def test_the_last_ones_come_first_and_none_in_parts(
        self, suffix: str | None, family: FillInTheMiddle | None
    ) -> None:
        engine = CountingEngine(context_window=1000, fill_in_the_middle=family)
        for kept in range(4):
            fitting = Surroundings("m.py", "r", self.FILES[3 - kept :])
            wanted = render(engine, "x", suffix, fitting)
            engine.context_window = count(engine, wanted) + 8
            assert build(engine, "x", suffix, 8, around=self.around()) == wanted

    def test_they_never_take_room_from_the_file_itself(self) -> None:
        engine = CountingEngine(context_window=60, fill_in_the_middle=QWEN)
        alone = build(engine, WORDS * 9, WORDS, 8, around=Surroundings("m.py", "r"))
        assert build(engine, WORDS * 9, WORDS, 8, around=self.around()) == alone

    def test_without_a_suffix_a_prompt_that_does_not_fit_is_refused_all_the_same(self) -> None:
        with pytest.raises(ContextLengthError):
            build(CountingEngine(context_window=20), WORDS, None, 8, around=self.around())


def test_the_tally_knows_what_it_has_estimated() -> None:
    for counts in (True, False):
        engine = CountingEngine(counts=counts, opening_tokens=0)
        tally = Tally(engine)
        counted = asyncio.run(tally.of(render(engine, WORDS, None)))
        assert tally.exact == counts
        assert counted == (tokens_in(WORDS) if counts else -(-len(WORDS) // 3))
