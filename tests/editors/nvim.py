"""A real Neovim with a screen: keys go in by its RPC interface, and what a user would see is read off its grid."""

from __future__ import annotations

import html
import itertools
import os
import subprocess
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgpack
from editors.conftest import ROOT, SERVER, as_lua, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 40.0
PLUGIN = ROOT / "lsp" / "editors" / "neovim"
COLUMNS, ROWS = 96, 24
_REQUEST, _RESPONSE, _NOTIFICATION = 0, 1, 2


@dataclass
class Screen:
    """The grid as Neovim draws it: a character and the number of its highlighting in each cell."""

    cells: list[list[tuple[str, int]]] = field(default_factory=list)
    styles: dict[int, dict[str, Any]] = field(default_factory=dict)
    colours: tuple[int, int] = (0xD0D0D0, 0x202020)
    cursor: tuple[int, int] = (0, 0)

    def draw(self, name: str, arguments: list[Any]) -> None:
        if draw := getattr(self, f"_{name}", None):
            for one in arguments:
                draw(*one)

    def text(self) -> str:
        return "\n".join("".join(character for character, _ in row).rstrip() for row in self.cells)

    def page(self) -> str:
        """The grid as HTML, for a picture."""
        rows = []
        for number, row in enumerate(self.cells):
            spans = []
            cells = [(*cell, (number, column) == self.cursor) for column, cell in enumerate(row)]
            for (style, here), group in itertools.groupby(cells, lambda cell: (cell[1], cell[2])):
                shown = html.escape("".join(character for character, _, _ in group))
                spans.append(f'<span style="{self._css(style, here=here)}">{shown}</span>')
            rows.append("".join(spans))
        foreground, background = self.colours
        style = f"margin:0;padding:12px;color:#{foreground:06x};background:#{background:06x};font:15px/1.3 monospace"
        return f'<body style="margin:0;display:inline-block"><pre style="{style}">' + "\n".join(rows) + "</pre>"

    def _css(self, number: int, *, here: bool) -> str:
        style = self.styles.get(number, {})
        colours = style.get("foreground", self.colours[0]), style.get("background", self.colours[1])
        foreground, background = reversed(colours) if style.get("reverse", False) != here else colours
        weight = ";font-weight:bold" * bool(style.get("bold")) + ";font-style:italic" * bool(style.get("italic"))
        return f"color:#{foreground:06x};background:#{background:06x}{weight}"

    def _grid_resize(self, _: int, columns: int, rows: int) -> None:
        self.cells = [[(" ", 0)] * columns for _ in range(rows)]

    def _grid_clear(self, _: int) -> None:
        self.cells = [[(" ", 0)] * len(row) for row in self.cells]

    def _grid_cursor_goto(self, _: int, row: int, column: int) -> None:
        self.cursor = (row, column)

    def _default_colors_set(self, foreground: int, background: int, *_: int) -> None:
        self.colours = (foreground, background)

    def _hl_attr_define(self, number: int, style: dict[str, Any], *_: object) -> None:
        self.styles[number] = style

    def _grid_line(self, _: int, row: int, column: int, cells: list[list[Any]], *__: object) -> None:
        style = 0
        for character, *rest in cells:
            style = rest[0] if rest else style
            for _ in range(rest[1] if len(rest) > 1 else 1):
                self.cells[row][column] = (character, style)
                column += 1

    def _grid_scroll(self, _: int, top: int, bottom: int, left: int, right: int, rows: int, __: int) -> None:
        numbers = range(top, bottom - rows) if rows > 0 else range(bottom - 1, top - rows - 1, -1)
        for row in numbers:
            self.cells[row][left:right] = self.cells[row + rows][left:right]


class Neovim:
    """One Neovim, started with `arguments`. Leaving the context ends it."""

    def __init__(self, program: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.screen = Screen()
        self._news = threading.Condition()
        self._answers: dict[int, Future[Any]] = {}
        self._numbers = itertools.count()
        self._process = subprocess.Popen(
            [program, "--embed", "-n", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**(os.environ if environment is None else environment), "TERM": "xterm-256color"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        self._reader.start()
        self.call("nvim_ui_attach", COLUMNS, ROWS, {"rgb": True, "ext_linegrid": True})
        return self

    def __exit__(self, *_: object) -> None:
        self._send(_NOTIFICATION, "nvim_command", ["qall!"])
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever Neovim answers
        number = next(self._numbers)
        answer = self._answers[number] = Future()
        self._send(_REQUEST, number, method, list(arguments))
        try:
            return answer.result(PATIENCE)
        except TimeoutError:
            message = f"no answer to {method}; the screen:\n{self.screen.text()}"
            raise AssertionError(message) from None

    def lua(self, code: str, *arguments: object) -> Any:  # noqa: ANN401
        return self.call("nvim_exec_lua", code, list(arguments))

    def keys(self, keys: str) -> None:
        self.call("nvim_input", keys)

    def edit(self, path: Path) -> None:
        self.call("nvim_command", f"edit {path}")

    def fill(self, text: str) -> None:
        """Put a text in place of the buffer's."""
        replace = [0, 0, -1, False, text.splitlines()]
        self.call("nvim_buf_set_lines", *replace)

    @property
    def lines(self) -> list[str]:
        every = [0, 0, -1, False]
        return list(self.call("nvim_buf_get_lines", *every))

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.lua("return require('cleanroom').status()"))

    def until(self, holds: Callable[[], object], what: str = "") -> float:
        """Wait until it holds, looking again whenever the screen changes; when that was, by the monotonic clock."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            with self._news:
                self._news.wait(0.02)
            assert time.monotonic() < deadline, f"{what} has not come: {self.status}\n{self.screen.text()}"
        return time.monotonic()

    def shows(self, text: str) -> float:
        return self.until(lambda: text in self.screen.text(), f"{text!r} on the screen")

    def hides(self, text: str) -> float:
        return self.until(lambda: text not in self.screen.text(), f"a screen without {text!r}")

    def told(self, **expected: object) -> dict[str, Any]:
        self.until(lambda: expected.items() <= self.status.items(), f"the status {expected}")
        return self.status

    def _send(self, *message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgpack.packb(list(message)))
        self._process.stdin.flush()

    def _read(self) -> None:
        # Buffers and windows arrive as extension types, which nothing here needs.
        unpacker = msgpack.Unpacker(strict_map_key=False, unicode_errors="replace", max_buffer_size=0)
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 65536):
            unpacker.feed(data)
            for message in unpacker:
                self._take(message)

    def _take(self, message: list[Any]) -> None:
        if message[0] == _RESPONSE:
            _, number, error, result = message
            future = self._answers.pop(number)
            if error:
                future.set_exception(RuntimeError(str(error)))
            else:
                future.set_result(result)
        elif message[0] == _NOTIFICATION and message[1] == "redraw":
            with self._news:
                for name, *arguments in message[2]:
                    self.screen.draw(name, arguments)
                self._news.notify_all()


@contextmanager
def started(program: Path, home: Path, url: str, key: str | None, **options: object) -> Iterator[Neovim]:
    """A Neovim of a user who has nothing but this plugin."""
    home.mkdir(exist_ok=True)
    options = {"cmd": SERVER, **options}
    options["settings"] = {"url": url, **options.get("settings", {})}  # type: ignore[dict-item]
    (home / "init.lua").write_text(
        f"vim.opt.runtimepath:prepend('{PLUGIN}')\n"
        "vim.opt.laststatus = 2\n"
        "vim.opt.statusline = \"%f %= %{v:lua.require'cleanroom'.statusline()} \"\n"
        f"require('cleanroom').setup({as_lua(options)})\n"
    )
    variables = environment(home) | ({"CLEANROOM_API_KEY": key} if key else {})
    with Neovim(program, "-u", str(home / "init.lua"), environment=variables) as nvim:
        yield nvim
