"""The console in a real browser, as a person uses it: by mouse, by keyboard alone, and with a screen reader's eyes."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from consoles.chromium import needs_browser, sign_in, started
from consoles.served import DOCUMENTS, leak

from guard.types import Owner
from service.review.leak import Disposition
from service.review.reviews import exceptable
from service.review.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consoles.served import Console
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, needs_browser]
IMAGES = Path(__file__).resolve().parents[3] / "docs" / "images"
FAULTS = {"serious", "critical"}
ADMIN = Viewer("operator", "key", admin=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, demo: Console) -> Iterator[Page]:
    """A page of the administrator; ends with a complaint where the browser had one, as of its security policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if is_complaint(said.type, said.text) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(demo.url) else foreign.append(request.url))
    sign_in(page, demo.url, demo.keys["admin"])
    yield page
    context.close()
    assert complaints == []
    assert foreign == []


def is_complaint(kind: str, text: str) -> bool:
    """Whether a browser says that something of the page is wrong; it also says which answers were refusals."""
    return kind == "error" and not text.startswith("Failed to load resource")


def count(page: Page) -> int:
    return page.locator("#rows input").count()


def test_filter_while_typing_open_and_judge(page: Page, demo: Console) -> None:
    page.get_by_role("link", name="Leaks", exact=True).click()
    assert count(page) >= 50
    page.get_by_label("Search").press_sequentially("poller", delay=20)
    page.wait_for_url("**q=poller**")
    page.wait_for_function(
        "[...document.querySelectorAll('#rows tr')].every((row) => row.innerText.includes('poller'))"
    )
    assert 0 < count(page) < 50
    page.get_by_label("Severity").select_option("high")
    page.wait_for_url("**severity=high**")
    page.locator("#rows a").first.click()
    page.get_by_role("radio", name="False alarm").check()
    page.get_by_label("Note").fill("generated code")
    page.get_by_role("button", name="Judge").click()
    page.get_by_text("Judged: false alarm.").wait_for()
    assert page.locator(".history").inner_text().count("generated code") == 1
    # Back to the list, as it was left.
    page.goto(f"{demo.url}/console/leaks?disposition=false_alarm")
    assert count(page) == 1


def test_judge_several_at_once(page: Page, demo: Console) -> None:
    page.goto(f"{demo.url}/console/leaks?org=s3transfer&owner=org:google-auth&q=_helpers")
    before = count(page)
    assert page.get_by_role("button", name="False alarm").is_hidden()
    page.get_by_label("Mark all that are shown").check()
    assert page.locator("#marked").inner_text() == str(before)
    page.locator("#rows input").first.uncheck()
    page.get_by_label("Note").fill("one and the same prompt")
    page.get_by_role("button", name="Accept risk").click()
    page.locator(".done").get_by_text(f"{before - 1} leaks judged: accepted risk").wait_for()
    assert page.locator("#rows .disposition-accepted_risk").count() == before - 1


def test_export_what_is_shown(page: Page, demo: Console) -> None:
    page.goto(f"{demo.url}/console/leaks?q=bandwidth")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert download.value.suggested_filename == "leaks.csv"
    assert len(rows) == count(page)
    assert {row["document"] for row in rows} == {"s3transfer/bandwidth.py"}


def test_a_new_leak_arrives_by_itself(page: Page, demo: Console) -> None:
    page.goto(f"{demo.url}/console/leaks")
    mark = page.locator("#rows input").nth(3)
    mark.check()
    one = demo.ledger.append(leak("azure-core", Owner.organization("google-auth"), DOCUMENTS["google-auth"][2]))
    page.locator(f"#row-{one.record.decision.id}").wait_for()
    assert page.locator("#rows tr").first.get_attribute("id") == f"row-{one.record.decision.id}"
    assert page.locator("#said").inner_text() == "1 new leak"
    # What was marked meanwhile is marked still, and the next one comes as well.
    assert page.locator("#marked").inner_text() == "1"
    two = demo.ledger.append(leak("azure-core", Owner.organization("google-auth"), DOCUMENTS["google-auth"][1]))
    page.locator(f"#row-{two.record.decision.id}").wait_for()
    assert page.locator(f"#row-{one.record.decision.id}").count() == 1


def test_by_keyboard_alone(browser: Browser, demo: Console) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{demo.url}/console")
    # The sign-in page has the focus where it is needed, some time after it is loaded: what is typed before is lost.
    page.wait_for_function("document.activeElement.name === 'key'")
    page.keyboard.type(demo.keys["google-auth"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.url}/console")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.url}/console/leaks")
    page.locator("#rows input").first.focus()
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.keyboard.press("k")
    assert page.locator("#marked").inner_text() == "2"
    focused = page.evaluate("document.activeElement.value")
    assert focused == page.locator("#rows input").nth(1).get_attribute("value")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/leaks/{focused}")
    page.locator("input[name=disposition]").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("ours")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Judged: confirmed.").wait_for()
    context.close()


def test_own_files_are_compared_in_the_browser_and_sent_nowhere(page: Page, demo: Console, tmp_path: Path) -> None:
    secret = "def the_secret_of_globex(value):"
    body = f"{secret}\n    return value * 42\n"
    generation = "# written by a model, forty characters ..\n" + body + "x = 1\n" * 150
    one = demo.ledger.append(leak("azure-core", Owner.organization("google-auth"), "a.py", tokens=12))
    (tmp_path / "generation.py").write_text(generation)
    (tmp_path / "a.py").write_text("import os\n\n\n" + body + "\nprint(<script>alert(1)</script>)\n")
    page.goto(f"{demo.url}/console/leaks/{one.record.decision.id}")
    sent: list[str] = []
    page.on("request", lambda request: None if "/static/" in request.url else sent.append(request.url))
    page.locator("#generation-file").set_input_files(tmp_path / "generation.py")
    page.locator("#document-file").set_input_files(tmp_path / "a.py")
    page.locator("#document-text mark").first.wait_for()
    marked = page.locator("#document-text mark").all_inner_texts()
    assert [line.strip().split("\n")[0] for line in marked] == [f"4{secret}", "5    return value * 42"]
    assert "<script>alert(1)</script>" in page.locator("#document-text").inner_text()
    assert sent == []


def test_the_theme_is_the_systems_or_ones_own(page: Page, demo: Console) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(ground) == light
    page.goto(f"{demo.url}/console/leaks")
    assert page.evaluate(ground) == light
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(ground) == dark


def test_a_session_that_ended_leads_to_the_sign_in(page: Page, demo: Console) -> None:
    page.goto(f"{demo.url}/console/leaks")
    demo.accounts.revoke_key(demo.keys["admin"].split("_")[1])
    page.wait_for_url("**/console/sign-in")


def excepted(demo: Console) -> str:
    """A false alarm of which there is an exception."""
    one = demo.ledger.entries(newest_first=True, limit=1)[0].record.decision.id
    assert demo.services.reviews is not None
    demo.services.reviews.judge(ADMIN, [one], Disposition.FALSE_ALARM)
    (owner, document), *_ = exceptable(ADMIN, demo.services.reviews.get(ADMIN, one))
    demo.services.reviews.except_document(ADMIN, one, days=30, owner=owner, document=document, note="generated")
    return one


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page: Page, demo: Console, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    one = excepted(demo)
    paths = ("/console", "/console/leaks", f"/console/leaks/{one}", "/console/inventory", "/console/ledger")
    paths += ("/console/exceptions", "/console/exceptions?ended")
    for path in (*paths, "/console/leaks/none", "/console/leaks?q=nothing"):
        page.goto(demo.url + path)
        if path == "/console/leaks":
            page.locator("#rows input").first.check()
        faults = [fault for fault in Axe().run(page).response["violations"] if fault["impact"] in FAULTS]
        assert [(path, fault["id"], fault["nodes"][0]["html"]) for fault in faults] == []
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/console/sign-in")
    assert [fault["id"] for fault in Axe().run(page).response["violations"] if fault["impact"] in FAULTS] == []


def test_pictures_for_the_documentation(page: Page, demo: Console, tmp_path: Path) -> None:
    """CLEANROOM_WRITE_IMAGES=1 writes those that docs/console.md shows."""
    folder = IMAGES if "CLEANROOM_WRITE_IMAGES" in os.environ else tmp_path
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(f"{demo.url}/console")
    page.screenshot(path=folder / "console-overview.png", full_page=True)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.goto(f"{demo.url}/console/leaks")
    for at in (2, 3, 15):
        page.locator("#rows input").nth(at).check()
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=folder / "console-leaks.png")
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.locator("#rows a").nth(20).click()
    page.get_by_role("heading", level=1).wait_for()
    page.screenshot(path=folder / "console-leak.png")
    for name in ("overview", "leaks", "leak"):
        assert (folder / f"console-{name}.png").stat().st_size > 10_000
