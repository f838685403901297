from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lsp.errors import ServiceUnavailableError
from lsp.outcomes import OFFERS, Offer, Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., object]

URI = "file:///a.py"
BEFORE, TEXT, BEHIND = "def f(n):\n    ", "total = n + 1\n    return total", "\nf(1)\n"
OFFER = Offer("", URI, TEXT, "dec_1", "python", BEFORE, BEHIND)


class Desk:
    """One document, what was reported of it, and what was taken over."""

    def __init__(self) -> None:
        self.texts = {URI: BEFORE + BEHIND}
        self.taken: list[Offer] = []
        self.reports: list[list[dict[str, str]]] = []
        self.outcomes = Outcomes(self.texts.get, self.taken.append)
        self.outcomes.report = self._report
        self.offer = self.outcomes.offer(replace(OFFER))

    async def _report(self, events: list[dict[str, str]]) -> None:
        self.reports.append(events)

    def write(self, written: str) -> None:
        self.texts[URI] = BEFORE + written + BEHIND
        self.outcomes.changed(URI)

    def events(self) -> list[str]:
        return [event["outcome"] for event in self.outcomes.pending()]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([TEXT], ["shown", "accepted"]),
        ([TEXT + "\n"], ["shown", "accepted"]),
        ([TEXT.replace("\n", "\r\n")], ["shown", "accepted"]),
        (["t", "to", TEXT], ["shown", "accepted"]),
        (["total"], ["shown", "partly_accepted"]),
        (["total", "total = n", TEXT], ["shown", "partly_accepted", "accepted"]),
        (["x"], ["shown", "rejected"]),
        (["t", "tx"], ["shown", "rejected"]),
        (["t", ""], ["shown", "rejected"]),
        ([TEXT[:end] for end in range(1, len(TEXT) + 1)], ["shown"]),
    ],
)
def test_what_became_of_it_is_read_off_the_text(run: Run, steps: list[str], expected: list[str]) -> None:
    async def scenario() -> None:
        desk = Desk()
        for written in steps:
            desk.write(written)
        desk.outcomes.closed(URI)
        assert desk.events() == expected
        assert len(desk.taken) == expected.count("accepted")
        await desk.outcomes.close()

    run(scenario())


def test_an_edit_above_it_turns_it_away_until_the_editor_says_otherwise(run: Run) -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.texts[URI] = "# new\n" + desk.texts[URI]
        desk.outcomes.changed(URI)
        desk.outcomes.accepted(desk.offer.id)
        desk.outcomes.accepted(desk.offer.id)
        desk.outcomes.closed(URI)
        assert desk.events() == ["shown", "accepted"]
        await desk.outcomes.close()

    run(scenario())


def test_the_rest_of_one_typed_along_is_the_same(run: Run) -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.write("t")
        desk.write("to")
        assert desk.outcomes.offer(replace(OFFER, before=BEFORE + "to", text=TEXT[2:])) is desk.offer
        other = desk.outcomes.offer(replace(OFFER, decision="dec_2", text="pass"))
        assert other.id != desk.offer.id
        assert desk.events() == ["shown", "rejected", "shown"]
        await desk.outcomes.close()

    run(scenario())


@pytest.mark.parametrize(
    ("left", "kept"),
    [(TEXT, True), ("total = n + 1\n    return 2", True), ("total = n\n    return 2", False), (None, False)],
)
def test_kept_is_what_still_stands_later(run: Run, left: str | None, *, kept: bool) -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.outcomes.kept_after = 0.0
        desk.write(TEXT)
        if left is None:
            del desk.texts[URI]
        else:
            desk.texts[URI] = BEFORE + left + BEHIND
        await asyncio.sleep(0.05)
        assert ("kept" in desk.events()) is kept
        await desk.outcomes.close()

    run(scenario())


def test_reports_have_numbers_and_names_and_no_text(run: Run) -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.write(TEXT)
        await desk.outcomes.close()
        events = [{"decision": "dec_1", "outcome": name, "language": "python"} for name in ("shown", "accepted")]
        assert desk.reports == [events]
        await desk.outcomes.close()
        assert desk.reports == [events]

    run(scenario())


def test_nobody_is_told_without_the_setting_and_a_service_that_is_away_is_no_matter(run: Run) -> None:
    async def away(_: object) -> None:
        raise ServiceUnavailableError

    async def scenario() -> None:
        desk = Desk()
        desk.outcomes.report = away
        await desk.outcomes.close()
        assert desk.events() == []
        desk.outcomes.report = None
        desk.outcomes.offer(replace(OFFER, decision="dec_3"))
        assert desk.events() == []
        await desk.outcomes.close()

    run(scenario())


def test_unknown_ids_are_nothing_and_old_ones_are_forgotten(run: Run) -> None:
    async def scenario() -> None:
        desk = Desk()
        for wrong in ("", "c999", desk.offer.id + "0"):
            desk.outcomes.accepted(wrong)
            desk.outcomes.accepted_part(wrong)
            desk.outcomes.rejected(wrong)
        assert desk.events() == ["shown"]
        desk.outcomes.rejected(desk.offer.id)
        for number in range(OFFERS):
            desk.outcomes.offer(replace(OFFER, uri=f"file:///{number}", decision=f"dec_{number}"))
        desk.outcomes.accepted(desk.offer.id)
        assert desk.taken == []
        await desk.outcomes.close()

    run(scenario())
