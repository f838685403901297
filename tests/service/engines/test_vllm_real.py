"""The engine over the real vLLM, built for CPUs, with the packaged model and an adapter made up here."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.engines.protocol import Chunk, EnginePrompt, Metered, Sampling, Segment
from service.engines.registry import create_engine
from service.engines.vllm import VllmEngine
from service.engines.vllm_command import VllmSettings, find_vllm, model_source
from service.errors import ContextLengthError, EngineError, EngineUnavailableError
from service.prompt import build_prompt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

COMMAND = os.environ.get("CLEANROOM_TEST_VLLM")
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not COMMAND, reason="CLEANROOM_TEST_VLLM names no vllm executable (make test-vllm)"),
]

PROMPT = EnginePrompt.plain("def add(a, b):\n    ")
MARKER = "planted_marker_of_the_test"
MAKE_ADAPTER = """
import json, sys, torch
from pathlib import Path
from safetensors.torch import save_file
folder = Path(sys.argv[1]); folder.mkdir()
torch.manual_seed(0)
layers = [f"base_model.model.model.layers.{n}.self_attn.q_proj" for n in range(30)]
save_file({f"{layer}.lora_{part}.weight": torch.randn(shape) for layer in layers
           for part, shape in (("A", (8, 576)), ("B", (576, 8)))}, folder / "adapter_model.safetensors")
config = {"peft_type": "LORA", "r": 8, "lora_alpha": 8, "target_modules": ["q_proj"], "bias": "none"}
(folder / "adapter_config.json").write_text(json.dumps(config))
"""


@dataclass
class Real:
    """A started engine and the loop that it lives on."""

    engine: VllmEngine
    runner: asyncio.Runner
    home: Path

    def generate(self, prompt: EnginePrompt = PROMPT, sampling: Sampling | None = None) -> list[Chunk]:
        async def collect() -> list[Chunk]:
            return [chunk async for chunk in self.engine.generate(prompt, sampling or Sampling(max_tokens=12))]

        return self.runner.run(collect())

    def metric(self, name: str) -> float:
        (text,) = self.runner.run(self.engine.metrics()).values()
        return sum(float(value) for value in re.findall(rf"^{name}{{.*}} (\S+)$", text, re.MULTILINE))


# The packaged model has no tokens for filling in: these of it, which it hardly knows, stand in for StarCoder's.
RENAMED = {"<gh_stars>": "<fim_prefix>", "<issue_start>": "<fim_suffix>", "<issue_comment>": "<fim_middle>"}


def with_middle_tokens(weights: str, folder: Path) -> Path:
    """A copy of the model whose vocabulary has a fill-in-the-middle family."""
    shutil.copytree(weights, folder)
    for file in folder.glob("*token*.json"):
        text = file.read_text(encoding="utf-8")
        for old, new in RENAMED.items():
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    home = Path(os.environ.get("CLEANROOM_TEST_VLLM_HOME") or tmp_path_factory.mktemp("vllm"))
    adapter = tmp_path_factory.mktemp("adapters") / "loud"
    assert COMMAND is not None
    subprocess.run([Path(COMMAND).with_name("python"), "-c", MAKE_ADAPTER, adapter], check=True)
    packaged = model_source(VllmSettings(home), find_vllm(Path(COMMAND)))
    model = with_middle_tokens(packaged, tmp_path_factory.mktemp("model") / "Filler")
    engine = create_engine(
        "vllm",
        str(model),
        home=home,
        context=1024,
        vllm_command=Path(COMMAND),
        vllm_arguments="--max-num-seqs 4",
        adapters={"loud": str(adapter)},
    )
    assert isinstance(engine, VllmEngine)
    with asyncio.Runner() as runner:
        try:
            runner.run(engine.start())
            yield Real(engine, runner, home)
        finally:
            runner.run(engine.close())


def text(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def drawn(chunks: list[Chunk]) -> tuple[int, ...]:
    return tuple(token for chunk in chunks for token in chunk.drawn or ())


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_a_generation_comes_whole_and_counted(real: Real) -> None:
    chunks = real.generate()
    assert text(chunks).startswith("return a + b\n") or text(chunks).startswith(" return a + b\n")
    assert sum(chunk.tokens for chunk in chunks) == 12
    assert (chunks[-1].finish_reason, chunks[-1].prompt_tokens) == ("length", 8)
    assert (real.engine.model, real.engine.context_window) == ("Filler", 1024)


def test_it_stops_before_a_stop_string_and_at_the_end_of_text(real: Real) -> None:
    chunks = real.generate(sampling=Sampling(max_tokens=30, stop=("+ b",)))
    assert text(chunks).strip() == "return a"
    assert chunks[-1].finish_reason == "stop"


def test_no_tokens_are_an_empty_generation(real: Real) -> None:
    (chunk,) = real.generate(sampling=Sampling(max_tokens=0))
    assert (chunk.text, chunk.tokens, chunk.finish_reason) == ("", 0, "length")


def test_an_empty_prompt_is_continued(real: Real) -> None:
    assert real.generate(EnginePrompt.plain(""), Sampling(max_tokens=2))[-1].finish_reason == "length"


def test_what_is_too_long_says_so(real: Real) -> None:
    with pytest.raises(ContextLengthError, match="1024"):
        real.generate(EnginePrompt.plain("a b " * 1000))


def test_a_generation_is_taken_up_again_where_it_was_left(real: Real) -> None:
    whole = real.generate()
    tokens = drawn(whole)
    assert len(tokens) == 11
    again = real.generate(EnginePrompt(PROMPT.segments, written=tokens[:5]), Sampling(max_tokens=7))
    head = text(whole[:5])
    assert head + text(again) == text(whole)
    assert again[-1].prompt_tokens == 8 + 5


def test_an_excluded_token_does_not_come_first_and_may_come_later(real: Real) -> None:
    first = drawn(real.generate())[0]
    chunks = real.generate(EnginePrompt(PROMPT.segments, excluded=frozenset({first})), Sampling(max_tokens=24))
    assert drawn(chunks)[0] != first
    assert sum(chunk.tokens for chunk in chunks) <= 24
    second = drawn(chunks)[0]
    both = real.generate(EnginePrompt(PROMPT.segments, excluded=frozenset({first, second})), Sampling(max_tokens=1))
    assert text(both) not in {text(real.generate(sampling=Sampling(max_tokens=1))), text(chunks[:1])}
    assert both[-1].finish_reason == "length"


def test_a_character_of_several_tokens_is_whole_also_behind_an_excluded_token(real: Real) -> None:
    prompt = EnginePrompt.plain("Emoji, repeated for ever: 🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊🦊")
    plain = real.generate(prompt, Sampling(max_tokens=16))
    ruled = real.generate(EnginePrompt(prompt.segments, excluded=frozenset({10**4})), Sampling(max_tokens=16))
    assert text(ruled) == text(plain)
    assert "�" not in text(plain)
    if len(drawn(plain)) > 4:
        assert any(len(chunk.drawn or ()) > 1 for chunk in plain)


def test_log_probabilities_agree_with_the_text(real: Real) -> None:
    chunks = real.generate(sampling=Sampling(max_tokens=12, logprobs=3))
    for chunk in chunks:
        assert "".join(token.text for token in chunk.logprobs) == chunk.text
        for token in chunk.logprobs:
            assert token.logprob <= 0
            assert len(token.likeliest) == 3
            assert token.likeliest[0] == (token.text, token.logprob)


def test_the_ruled_token_is_told_without_those_that_were_ruled_out(real: Real) -> None:
    first = drawn(real.generate())[0]
    prompt = EnginePrompt(PROMPT.segments, excluded=frozenset({first}))
    tokens = [token for chunk in real.generate(prompt, Sampling(max_tokens=4, logprobs=3)) for token in chunk.logprobs]
    assert [len(token.likeliest) for token in tokens] == [0, 3, 3, 3]


def test_control_tokens_in_words_are_mere_text(real: Real) -> None:
    count = real.engine.count_tokens
    assert real.runner.run(count("<file_sep>")) > 1
    assert real.runner.run(count("a<file_sep>b<|endoftext|><|im_end|>")) > 8
    words = real.generate(EnginePrompt.plain("x = 1\n<|endoftext|>"), Sampling(max_tokens=4))
    control = real.generate(
        EnginePrompt((Segment("x = 1\n"), Segment("<|endoftext|>", "<|endoftext|>"))), Sampling(max_tokens=4)
    )
    assert control[-1].prompt_tokens is not None
    assert words[-1].prompt_tokens is not None
    assert words[-1].prompt_tokens > control[-1].prompt_tokens


def test_the_middle_is_filled_in_by_the_family_of_the_vocabulary(real: Real) -> None:
    prompt = real.runner.run(build_prompt(real.engine, "x = <fim_middle>", "\n", 4, cache_key="a"))
    assert [segment.token for segment in prompt.segments] == [
        "<fim_prefix>",
        None,
        "<fim_suffix>",
        None,
        "<fim_middle>",
    ]
    words = real.runner.run(real.engine.count_tokens("x = <fim_middle>"))
    assert words > 4
    assert real.generate(prompt, Sampling(max_tokens=4))[-1].prompt_tokens == words + 4


def test_an_adapter_is_served_by_its_name(real: Real) -> None:
    assert real.engine.models == (real.engine.model, "loud")
    plain, adapted = (real.generate(sampling=Sampling(max_tokens=8, model=name)) for name in (None, "loud"))
    assert text(plain) != text(adapted)


def test_organizations_share_no_cached_prompt(real: Real) -> None:
    prompt = "".join(f"value_{number} = {number}\n" for number in range(60))
    hits = []
    for org in ("a", "a", "b"):
        before = real.metric("vllm:prefix_cache_hits_total")
        real.generate(EnginePrompt.plain(prompt, cache_key=org), Sampling(max_tokens=1))
        hits.append(real.metric("vllm:prefix_cache_hits_total") - before)
    assert hits[0] == hits[2] == 0
    assert hits[1] >= 128


def test_leaving_a_generation_ends_it_in_the_engine(real: Real) -> None:
    async def leave() -> None:
        stream: AsyncGenerator[Chunk, None] = real.engine.generate(PROMPT, Sampling(max_tokens=900, temperature=1.0))
        async with aclosing(stream) as chunks:
            async for _ in chunks:
                return

    real.runner.run(leave())
    assert within(5, lambda: real.metric("vllm:num_requests_running") == 0)


def test_seeds_do_not_reach_a_build_that_dies_of_them(real: Real) -> None:
    prompts = [EnginePrompt.plain(f"# {number}\n" * 150) for number in range(4)]

    async def ask(prompt: EnginePrompt) -> list[Chunk]:
        sampling = Sampling(max_tokens=4, temperature=0.8, seed=3)
        return [chunk async for chunk in real.engine.generate(prompt, sampling)]

    async def ask_all() -> list[list[Chunk]]:
        return await asyncio.gather(*map(ask, prompts))

    assert all(chunks[-1].finish_reason for chunks in real.runner.run(ask_all()))


def test_metrics_are_passed_on(real: Real) -> None:
    assert isinstance(real.engine, Metered)
    assert real.metric("vllm:generation_tokens_total") > 0


def test_the_key_is_not_on_the_command_line_and_no_text_in_the_log(real: Real) -> None:
    real.generate(EnginePrompt.plain(f"{MARKER} = 1\n"), Sampling(max_tokens=2))
    assert real.engine._own is not None
    listing = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert real.engine._own._key not in listing
    log = real.home / "engine" / "vllm.log"
    assert MARKER not in log.read_text(encoding="utf-8", errors="replace")
    assert log.stat().st_mode & 0o077 == 0


def engine_core(real: Real) -> int:
    assert real.engine._own is not None
    assert real.engine._own._supervisor is not None
    process = real.engine._own._supervisor._process
    assert process is not None
    listing = subprocess.run(["ps", "-eo", "pid,pgid,args"], check=True, capture_output=True, text=True).stdout
    (core,) = (
        int(line.split()[0])
        for line in listing.splitlines()
        if line.split()[1] == str(process.pid) and "EngineCore" in line
    )
    return core


def test_a_killed_engine_fails_what_runs_and_comes_back(real: Real) -> None:
    core = engine_core(real)

    async def kill_in_the_middle() -> None:
        stream: AsyncGenerator[Chunk, None] = real.engine.generate(
            EnginePrompt.plain(f"{MARKER} = "), Sampling(max_tokens=900, temperature=1.0)
        )
        async with aclosing(stream) as chunks:
            async for _ in chunks:
                os.kill(core, signal.SIGKILL)

    with pytest.raises(EngineError):
        real.runner.run(kill_in_the_middle())

    def ready() -> bool:
        try:
            real.runner.run(real.engine.ready())
        except EngineUnavailableError:
            return False
        return True

    assert within(10, lambda: not ready())
    with pytest.raises(EngineUnavailableError):
        real.generate()
    assert within(240, ready)
    real.runner.run(asyncio.sleep(1))
    assert real.generate()[-1].finish_reason == "length"
    assert MARKER not in (real.home / "engine" / "vllm.log").read_text(encoding="utf-8", errors="replace")
