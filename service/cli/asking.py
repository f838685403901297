"""Asks the served demonstration over HTTP as its organizations, and prints what left and what the ledger says of it.

All text that it prints came through the guard: what was kept back from one is seen in what its owner got.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import httpx

from guard.errors import GuardError
from guard.types import Action
from service.cli.opening import opened_ledger
from service.cli.output import out, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from guard.ledger import LedgerEntry
    from service.demo import Asked
    from service.settings import Settings

START_SECONDS: Final = 600
"""How long the model may take to load."""
ANSWER_SECONDS: Final = 120
PAUSE: Final = 0.25
"""Seconds between two looks whether it has."""


@contextmanager
def asked_meanwhile(settings: Settings, asked: Sequence[Asked], keys: Mapping[str, Path]) -> Iterator[None]:
    """Ask as soon as the service of these settings is ready, while the body of `with` serves it.

    `keys`: files with the organizations' keys.
    """
    # Daemonic: a service that is told to stop does not wait for it.
    threading.Thread(target=_ask, args=(settings, asked, keys), name="demonstration", daemon=True).start()
    yield


def _ask(settings: Settings, asked: Sequence[Asked], keys: Mapping[str, Path]) -> None:
    url = f"http://{settings.host}:{settings.port}"
    try:
        with httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False) as client:
            if not _ready(client):
                return
            for one in asked:
                out.print(f"\n{one.title}\n", markup=False)
                for org in one.askers:
                    _show(client, settings, one, org, keys[org])
        say("That was the demonstration. The service goes on until Ctrl-C.")
    except (httpx.HTTPError, GuardError, OSError) as error:
        say(f"the demonstration could not ask ({type(error).__name__}: {error}): the commands above still can")


def _ready(client: httpx.Client) -> bool:
    """Wait until the service could answer; False where it never does, of which it tells itself."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass
        time.sleep(PAUSE)
    return False


def _show(client: httpx.Client, settings: Settings, asked: Asked, org: str, key: Path) -> None:
    """Ask for `org` and print what it got, and what the ledger has of it."""
    answer = client.post(
        "/v1/completions",
        headers={"Authorization": f"Bearer {key.read_text(encoding='ascii')}"},
        json={"prompt": asked.prompt, "max_tokens": asked.max_tokens},
    ).raise_for_status()
    with opened_ledger(settings) as ledger:
        entry = ledger.get(answer.headers["X-Cleanroom-Decision"])
    text = answer.json()["choices"][0]["text"]
    out.print(f"  for {org}: {_told(entry)}", markup=False)
    for line in text.strip("\n").splitlines():
        out.print(f"    | {line}".rstrip(), markup=False)


def _told(entry: LedgerEntry | None) -> str:
    """A decision in words."""
    if entry is None:
        return "not in the ledger"
    record = entry.record
    blocked = (match for match in record.decision.matches if match.action is Action.BLOCK)
    because = next((f": {match.kind.value} copy of {match.owner.name}'s {match.document}" for match in blocked), "")
    of = f"{record.released_characters} of {record.generated_characters} characters"
    return f"{record.disposition}, {of}{because} ({record.decision.id})"
