"""What the real guard stops comes up in a browser that looks on: nothing between the model and the page is scripted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from consoles.chromium import needs_browser, sign_in, started
from samples.code import PYTHON
from samples.reciting_service import RecitingService

from service.accounts import Scope

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.browser, needs_browser]


def test_a_generation_that_the_guard_blocks_comes_up_in_the_console(tmp_path: Path) -> None:
    begun, rest = PYTHON[: PYTHON.index("    def book(")], PYTHON[PYTHON.index("    def book(") :]
    with RecitingService(tmp_path, reviewed=True) as service, started() as browser:
        service.engine.texts = [PYTHON]
        service.learn("books/ledger.py", PYTHON)
        reviewer = service.accounts.create_key("acme", frozenset({Scope.ADMIN}))[1]
        page = browser.new_context().new_page()
        sign_in(page, service.url, reviewer)
        page.goto(f"{service.url}/console/leaks")
        page.get_by_text("Nothing was stopped yet").wait_for()
        reply = httpx.post(
            f"{service.url}/v1/completions",
            json={"prompt": begun, "max_tokens": 400},
            headers={"Authorization": f"Bearer {service.key}"},
            timeout=60,
        )
        leak = reply.headers["X-Cleanroom-Decision"]
        assert rest[:200] not in reply.json()["choices"][0]["text"]
        row = page.locator(f"#row-{leak}")
        row.wait_for()
        assert {"acme", "victim", "books/ledger.py"} <= set(row.inner_text().replace("\n", "\t").split("\t"))
        row.get_by_role("link").click()
        page.get_by_role("heading", name="copy of private code").wait_for()
        shown = page.inner_text("main")
        assert "books/ledger.py" in shown
        assert service.key_id in shown
        # Spans and counts, and not a line of it.
        assert not [line for line in PYTHON.splitlines() if len(line.strip()) > 12 and line.strip() in page.content()]
