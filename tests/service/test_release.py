from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.check import GuardQuery
from guard.errors import StoreUnavailableError
from guard.types import Action, Decision, Match, MatchKind, Owner
from service.release import TRIM_TRIES, Disposition, Finding, release

if TYPE_CHECKING:
    from types import SimpleNamespace

    from service.parts import Checker

CITATION = Finding(filtered=False, license="MIT", source="pkg:generic/attrs#src/a%20b.py")
BLOCKED = Finding(filtered=True, license="GPL-2.0-or-later", source="pkg:generic/pylint#src/a%20b.py")


def query(text: str) -> GuardQuery:
    return GuardQuery(text=text, caller="acme")


@pytest.mark.parametrize(
    ("text", "disposition", "left", "finding"),
    [
        ("a\nb\n", Disposition.RELEASED, "a\nb\n", None),
        ("", Disposition.RELEASED, "", None),
        ("  \n", Disposition.RELEASED, "  \n", None),
        ("a\nCITED\n", Disposition.CITED, "a\nCITED\n", CITATION),
        ("a\n  b\n  x PRIVATE\nc\n", Disposition.TRIMMED, "a\n  b", None),
        ("a\r\nPRIVATE\r\n", Disposition.TRIMMED, "a", None),
        ("a PRIVATE\nb\n", Disposition.WITHHELD, "", None),
        ("\n   \n\tPRIVATE", Disposition.WITHHELD, "", None),
        ("a\nDENIED\n", Disposition.TRIMMED, "a", BLOCKED),
        ("DENIED", Disposition.WITHHELD, "", BLOCKED),
        # Private code anywhere among the blocks: nothing is said of any.
        ("a\nDENIED\nb\nPRIVATE\n", Disposition.TRIMMED, "a", None),
        ("a\nPRIVATE\nb\nDENIED\n", Disposition.TRIMMED, "a", None),
        # A citation of text that does leave is told; one of text that does not, is not.
        ("a\nCITED\nPRIVATE\n", Disposition.TRIMMED, "a\nCITED", CITATION),
        ("a\nPRIVATE\nCITED\n", Disposition.TRIMMED, "a", None),
        ("a\nCITED\nDENIED\n", Disposition.TRIMMED, "a\nCITED", BLOCKED),
    ],
)
def test_what_leaves(
    parts: SimpleNamespace, text: str, disposition: Disposition, left: str, finding: Finding | None
) -> None:
    released = release(query(text), parts.guard)
    assert (released.disposition, released.text, released.finding) == (disposition, left, finding)


def test_recorded_decision_is_the_one_on_the_whole_generation(parts: SimpleNamespace) -> None:
    released = release(query("a\nCITED\nPRIVATE\n"), parts.guard)
    assert released.decision.action is Action.BLOCK
    assert [each.text for each in parts.guard.queries] == ["a\nCITED\nPRIVATE\n", "a\nCITED"]


@given(st.lists(st.sampled_from(["x = 1", "  PRIVATE", "y", "", "DENIED z", "CITED", "\t"]), max_size=12))
def test_no_leak_leaves(make_guard: type[Checker], lines: list[str]) -> None:
    text = "\n".join(lines)
    released = release(query(text), make_guard())
    assert text.startswith(released.text)
    assert "PRIVATE" not in released.text
    assert "DENIED" not in released.text
    if released.text != text:
        # Whole lines only, and not one of those that follow the first leak.
        assert lines[: released.text.count("\n") + 1] == released.text.split("\n") or not released.text
    if "PRIVATE" in text:
        assert released.finding is None or not released.filtered


class Stubborn:
    """Finds a leak only when nothing follows it but what hid it: each cut uncovers the one before."""

    def ready(self) -> None:
        """Never asked."""

    def check(self, query: GuardQuery) -> Decision:
        words = [word for word in ("PRIVATE", "DENIED") if word in query.text]
        start = max((query.text.rindex(word) for word in words), default=0)
        owner = Owner.organization("globex")
        match = Match(MatchKind.NEAR, start, start + 1, 9, 0.9, owner, "x.py", None, Action.BLOCK, "test")
        return Decision("dec_1", Action.BLOCK if words else Action.ALLOW, (match,) if words else ())


def test_trimming_goes_on_until_the_guard_allows() -> None:
    released = release(query("a\nPRIVATE 1\nb\nPRIVATE 2\nc"), Stubborn())
    assert (released.disposition, released.text) == (Disposition.TRIMMED, "a")


def test_trimming_gives_up_and_withholds() -> None:
    released = release(query("a\n" + "PRIVATE\n" * (TRIM_TRIES + 1)), Stubborn())
    assert (released.disposition, released.text) == (Disposition.WITHHELD, "")


def test_block_without_a_match_is_withheld_undisclosed() -> None:
    class Terse(Stubborn):
        def check(self, query: GuardQuery) -> Decision:
            del query
            return Decision("dec_1", Action.BLOCK)

    released = release(query("a\nb\n"), Terse())
    assert (released.disposition, released.text, released.finding) == (Disposition.WITHHELD, "", None)


def test_refusal_of_the_second_check_releases_nothing(parts: SimpleNamespace) -> None:
    class Failing:
        def ready(self) -> None:
            """Never asked."""

        def check(self, query: GuardQuery) -> Decision:
            if parts.guard.queries:
                message = "down"
                raise StoreUnavailableError(message)
            decision: Decision = parts.guard.check(query)
            return decision

    with pytest.raises(StoreUnavailableError):
        release(query("a\nPRIVATE\n"), Failing())
