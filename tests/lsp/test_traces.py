"""Random typing before a model that recites private code: whatever is shown or kept, the guard lets it out just now.

CLEANROOM_TEST_TRACES is their number (10000 take a quarter of an hour).
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from lsprotocol.types import Position, Range, TextDocumentContentChangePartial
from samples.code import JAVASCRIPT, PYTHON
from samples.reciting_service import RecitingService

from lsp.documents import Document
from lsp.features import create_server
from lsp.settings import CommandLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lsp.server import CleanroomServer

TRACES = int(os.environ.get("CLEANROOM_TEST_TRACES", "60"))
KEYS = 6
LINE, FEW = 30, 6
"""Characters of a line that is more than an idiom, and how many of those pass for a short copy."""
URI = "file:///w/a.py"
PRIVATE = PYTHON
# Nobody's secret until the index learns it, in the middle of a trace.
LATER = '''\
def rebalance(holdings, prices, targets, fee=0.0017):
    """Trades that bring every holding to its share of the whole."""
    worth = {name: amount * prices[name] for name, amount in holdings.items()}
    whole = sum(worth.values())
    trades = []
    for name, share in sorted(targets.items(), key=lambda item: item[1], reverse=True):
        wanted = whole * share - worth.get(name, 0.0)
        if abs(wanted) > fee * whole:
            trades.append((name, wanted / prices[name], round(abs(wanted) * fee, 4)))
    return trades
'''
OPEN = "for number in range(10):\n    print(number)\n    total = total + number\nprint(total)\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecitingService]:
    with RecitingService(tmp_path_factory.mktemp("home")) as service:
        service.learn("ledger.py", PRIVATE)
        service.engine.texts = [OPEN, PRIVATE, LATER, JAVASCRIPT]
        yield service


class Typist:
    """Types one document in a server of this process, as an editor would, and looks at what comes back."""

    def __init__(self, service: RecitingService, chance: random.Random) -> None:
        self.service, self.chance, self.shown, self.offered = service, chance, 0, ""
        self.server: CleanroomServer = create_server(CommandLine(service.url))
        self.server.initialize({"apiKey": service.key, "debounceMin": 0, "debounceMax": 0, "maxTokens": 100}, [])
        self.known = False
        self.begin()

    def begin(self) -> None:
        """A new document that begins like one of the texts."""
        self.source = self.chance.choice([PRIVATE, PRIVATE, LATER, LATER, OPEN])
        self.at = self.chance.randrange(len(self.source) // 2)
        self.server.open_document(URI, Document(self.source[max(0, self.at - 300) : self.at], language="python"))
        self.offered = ""

    def key(self) -> None:
        """One stroke: mostly on in the text, sometimes back, elsewhere, or taking what is offered."""
        document = self.server.documents[URI]
        end = len(document)
        stroke = self.chance.random()
        if stroke < 0.6:
            typed = self.source[self.at : self.at + self.chance.choice([1, 1, 1, 3, 12])]
            self.at += len(typed)
            self.edit(end, end, typed)
        elif stroke < 0.75:
            back = self.chance.choice([1, 2, 8])
            self.at = max(0, self.at - back)
            self.edit(max(0, end - back), end, "")
        elif stroke < 0.85 and self.offered:
            taken = self.offered[: self.chance.choice([3, len(self.offered)])]
            self.at += len(taken)
            self.edit(end, end, taken)
        elif stroke < 0.95:
            self.edit(end, end, self.chance.choice(["\n", "x", " ", "# ", "'", "("]))
        else:
            self.turn()

    def edit(self, start: int, end: int, text: str) -> None:
        document = self.server.documents[URI]
        place = Range(document.position(start), document.position(end))
        document.change([TextDocumentContentChangePartial(place, text)])
        self.server.changed_document(URI)

    def turn(self) -> None:
        """The index learns a text, or forgets it again."""
        self.known = not self.known
        if self.known:
            self.service.learn("later.py", LATER)
        else:
            self.service.unlearn("later.py")

    async def ask(self) -> None:
        """See what is shown: the guard must let it out as of now, here or where it was first given."""
        document = self.server.documents[URI]
        end: Position = document.position(len(document))
        found = await self.server.suggest(URI, end, invoked=self.chance.random() < 0.5)
        self.offered = found[0].text if found else ""
        if found is None:
            return
        self.shown += 1
        if not self.service.lets_out(document.text, self.offered):
            # The rest of what was given further up; cut in the middle of a word, a text is worth something else.
            suggester = self.server._suggester
            assert suggester is not None
            spot, _, answer = suggester.kept._last[URI]
            assert document.text.startswith(spot.before)
            assert (spot.before + answer.text).startswith(document.text)
            assert self.service.lets_out(spot.before, answer.text), (document.text, self.offered)
        # And, whatever the guard thinks of them: only so many lines that are not there already.
        here = {line.strip() for line in document.text.splitlines()}
        lines = {line.strip() for line in self.offered.splitlines() if len(line) > LINE} - here
        for private in [PRIVATE, LATER] if self.known else [PRIVATE]:
            assert len(lines & {line.strip() for line in private.splitlines()}) < FEW, (document.text, self.offered)


async def _traces(service: RecitingService, seed: int) -> tuple[int, int]:
    chance = random.Random(seed)  # noqa: S311 - the same in every run
    typist = Typist(service, chance)
    asked = 0
    for _ in range(TRACES):
        typist.begin()
        for _ in range(KEYS):
            typist.key()
            await typist.ask()
            asked += 1
    suggester = typist.server._suggester
    assert suggester is not None
    # Of what is kept nothing is older than the index without saying so.
    kept = suggester.kept._answers.values()
    now = await suggester.client.freshness()
    assert all(service.lets_out("", answer.text) for answer in kept if answer.index == now)
    await typist.server.close()
    return asked, typist.shown


def test_no_blocked_character_is_shown_or_kept(run: Callable[..., tuple[int, int]], service: RecitingService) -> None:
    asked, shown = run(_traces(service, 11))
    written = len(service.engine.prompts)
    blocked = [entry for entry in service.ledger.entries(limit=10_000) if entry.record.decision.action.value == "block"]
    # There was something to block, something to show, and something that was shown without being written anew.
    assert blocked
    assert shown > asked // 20
    assert written < asked
