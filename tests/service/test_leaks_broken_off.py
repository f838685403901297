"""A stream that its client breaks off counts as the leak that it was, whether anything had left or not."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.accounts import Quota
from service.limit_store import open_limit_store
from service.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import SimpleNamespace

    from service.parts import Services

LEAKS = 2


@pytest.mark.parametrize("text", ["a = 1\nb = 2\nPRIVATE\n", "PRIVATE\n"], ids=["some had left", "nothing had left"])
def test_who_breaks_off_uses_the_day_up(
    make_services: Callable[..., Services],
    parts: SimpleNamespace,
    running: Callable[..., Any],
    secret: str,
    tmp_path: Path,
    text: str,
) -> None:
    limits = Limits(open_limit_store("memory://", tmp_path, timeout=5), Quota(0, 0), leaks_per_day=LEAKS)
    engine = parts.engine
    headers = {"Authorization": f"Bearer {secret}"}
    engine.texts, engine.stuck = [text], True
    body = {"prompt": "x", "stream": True}
    with running(replace(make_services(), limits=limits)) as url:
        for _ in range(LEAKS):
            engine.cancelled.clear()
            with pytest.raises(httpx.ReadTimeout), httpx.Client(headers=headers, timeout=0.5) as client:
                client.post(f"{url}/v1/completions", json=body)
            # What is blocked of a stuck engine's text ends without it.
        deadline = time.monotonic() + 10
        engine.stuck = False
        while httpx.post(f"{url}/v1/completions", json={"prompt": "x"}, headers=headers).status_code != 429:
            assert time.monotonic() < deadline
            engine.texts = ["b\n"]
            time.sleep(0.05)
