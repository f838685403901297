from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from samples.code import SETTLEMENT as CODE

from benchmarks.clones import Function
from benchmarks.guarded_service import OWNER, STRANGER, over_http, serving
from service.completion import CompletionRequest
from service.engines.protocol import Chunk, EnginePrompt, Sampling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PROMPT = "def settle(ledger, rates, tolerance):\n"
REST = CODE.removeprefix(PROMPT)


class Reciting:
    """An engine that knows one thing."""

    name = model = "reciting"
    models = ("reciting",)
    context_window = opening_tokens = 0
    fill_in_the_middle = None
    native_suffix = steers = tells_logprobs = False
    capacity = 4

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def ready(self) -> None: ...

    async def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        del prompt, sampling
        yield Chunk(REST, 100, "stop", 1)


@pytest.mark.parametrize("stream", [False, True])
def test_over_http_and_in_process_strangers_get_none_of_it_and_the_owner_all(*, stream: bool) -> None:
    async def asked() -> None:
        async with serving(Reciting(), [Function("p", "a.py", "settle", CODE)]) as served:
            for caller in (STRANGER, OWNER):
                request = CompletionRequest(caller, (PROMPT,), Sampling(max_tokens=200))
                inside = (await served.pipeline.complete(request)).choices[0].text
                body = {"prompt": PROMPT, "max_tokens": 200, "stream": stream}
                headers = {"Authorization": f"Bearer {served.keys[caller.org]}"}
                async with over_http(served) as client:
                    answer = await client.post("/v1/completions", json=body, headers=headers)
                assert answer.status_code == 200
                assert ("surplus.setdefault" in answer.text) is (caller is OWNER)
                assert inside == (REST if caller is OWNER else inside)
                assert "surplus.setdefault" not in inside or caller is OWNER
            assert len(list(served.ledger.entries(limit=10))) == 4

    asyncio.run(asked())
