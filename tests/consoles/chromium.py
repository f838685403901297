"""A real browser for tests: Debian's Chromium, or the one that CLEANROOM_TEST_CHROMIUM names, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CLEANROOM_TEST_CHROMIUM") or shutil.which("chromium")
REQUIRED = "CLEANROOM_REQUIRE_TOOLS" in os.environ
SIZE = {"width": 1280, "height": 800}

needs_browser = pytest.mark.skipif(CHROMIUM is None and not REQUIRED, reason="needs Debian's package chromium")


@contextmanager
def started() -> Iterator[Browser]:
    """A browser that fetches nothing by itself."""
    assert CHROMIUM is not None, "chromium is not installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: Page, url: str, key: str) -> None:
    """Sign in as a person does."""
    page.goto(f"{url}/console/sign-in")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/console")
