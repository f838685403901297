"""A client of plain Node with vscode-languageserver-protocol: an editor without a screen, driven line by line."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20.0
PROGRAM = Path(__file__).parent / "node" / "client.mjs"
STATUS, CITATION, ENDED = "cleanroom/didChangeStatus", "cleanroom/citation", "ended"


class Client:
    """One client and, once it is started, its language server. Leaving the context ends both."""

    def __init__(self, tools: Path, environment: dict[str, str] | None = None) -> None:
        self.told: list[tuple[str, Any]] = []
        self.pid = 0
        self._news = threading.Condition()
        self._answers: dict[int, Future[Any]] = {}
        self._numbers = itertools.count()
        self._process = subprocess.Popen(
            ["node", PROGRAM, tools / "node"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ if environment is None else environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            if self.pid:
                self.call("stop").result(PATIENCE)
            stdin.close()
            self._process.wait(PATIENCE)
        finally:
            # Nothing happens to one that has ended.
            self._process.kill()
            self._reader.join(PATIENCE)
            stdin.close()
            stdout.close()

    def start(self, command: list[str], settings: dict[str, object]) -> dict[str, Any]:
        """Start the language server, again if it has ended; what it says that it can."""
        answer = self.call("start", command=command, settings=settings).result(PATIENCE)
        self.pid = answer["pid"]
        return dict(answer["capabilities"])

    def open(self, path: Path | str, text: str, language: str = "python") -> None:
        uri = path.as_uri() if isinstance(path, Path) else path
        self.call("open", uri=uri, language=language, text=text).result(PATIENCE)

    def type(self, text: str) -> float:
        """Type at the cursor; when, by the monotonic clock."""
        return float(self.call("type", text=text).result(PATIENCE))

    def ghost(self, *, invoked: bool = False) -> dict[str, Any] | None:
        """The item at the cursor, or None."""
        items = self.ask(invoked=invoked).result(PATIENCE)["items"]
        assert len(items) <= 1
        return items[0] if items else None

    def ask(self, *, invoked: bool = False) -> Future[Any]:
        return self.call("ask", invoked=invoked)

    def cancel(self) -> float:
        """Cancel the newest request; when, by the monotonic clock."""
        return float(self.call("cancel").result(PATIENCE))

    def accept(self, item: dict[str, Any]) -> str:
        """Put an item in; the document's text behind it."""
        return str(self.call("accept", item=item).result(PATIENCE)["text"])

    @property
    def status(self) -> dict[str, Any]:
        return next((params for told, params in reversed(self.told) if told == STATUS), {})

    @property
    def citations(self) -> list[dict[str, Any]]:
        return [params for told, params in self.told if told == CITATION]

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while not holds():
                assert self._news.wait(deadline - time.monotonic()), f"{what} has not come: {self.told}"

    def reported(self, **expected: object) -> dict[str, Any]:
        self.until(lambda: expected.items() <= self.status.items(), f"the status {expected}")
        return self.status

    def call(self, name: str, **parameters: object) -> Future[Any]:
        number = next(self._numbers)
        answer = self._answers[number] = Future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "call": name, "with": parameters}).encode() + b"\n")
        self._process.stdin.flush()
        return answer

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            with self._news:
                if "told" in message:
                    self.told.append((message["told"], message["params"]))
                elif "error" in message:
                    self._answers.pop(message["id"]).set_exception(RuntimeError(message["error"]))
                else:
                    self._answers.pop(message["id"]).set_result(message["result"])
                self._news.notify_all()
