"""What leaves of a checked generation: all of it, its clean prefix, or nothing; and what may be said about that.

Knows the guard only as something that checks a text; knows neither engines, ledger nor HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote

from guard.types import Action, OwnerKind
from service.tracing import spanned

if TYPE_CHECKING:
    from guard.check import GuardQuery
    from guard.types import Decision, Match
    from service.parts import Checker

# Each try cuts at least one line more; a generation with more leaks than this is not worth the checks.
TRIM_TRIES = 4


class Disposition(StrEnum):
    """What became of a generation. Interrupted: some of a stream had left when it broke off."""

    RELEASED = "released"
    CITED = "cited"
    STEERED = "steered"
    TRIMMED = "trimmed"
    WITHHELD = "withheld"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Finding:
    """A licence match that the caller is told of. `filtered`: the matching text was kept back."""

    filtered: bool
    license: str
    source: str


@dataclass(frozen=True, slots=True)
class Release:
    """The text that may leave, always a prefix of the generation.

    `decision` is the guard's on the whole generation. `finding` is all that the caller may learn beyond the text.
    `leak` is the character at which the first leak begins, None where nothing was blocked.
    """

    decision: Decision
    disposition: Disposition
    text: str
    finding: Finding | None = None
    leak: int | None = None

    @property
    def filtered(self) -> bool:
        """Whether the caller is told that text was kept back."""
        return self.finding is not None and self.finding.filtered


@spanned("release")
def release(query: GuardQuery, checker: Checker, sent: int = 0) -> Release:
    """Check the text of `query` and decide what leaves. Raises RefusalError when the guard cannot answer.

    `sent`: so many characters have left already and cannot be taken back.

    What is left of a blocked text is checked again, as if it had been generated so, until the guard lets it pass:
    cutting can join or uncover what stood inside a larger match.
    """
    first = decision = checker.check(query)
    blocked: list[Match] = []
    text = query.text
    for _ in range(TRIM_TRIES):
        leaks = [match for match in decision.matches if match.action is Action.BLOCK]
        if decision.action is not Action.BLOCK and not leaks:
            return _passed(first, decision, text, blocked)
        blocked += leaks
        text = _before(text, _start(leaks))
        if len(text) <= sent:
            break
        decision = checker.check(replace(query, text=text))
    disposition = Disposition.TRIMMED if sent else Disposition.WITHHELD
    return Release(first, disposition, query.text[:sent], _finding(blocked, filtered=True), _start(blocked))


def _start(leaks: list[Match]) -> int:
    """The first character of the first leak; that of the text where a block names none."""
    return min((leak.start for leak in leaks), default=0)


def _passed(first: Decision, last: Decision, text: str, blocked: list[Match]) -> Release:
    """What leaves once the guard has let `text` pass, after the matches `blocked` were cut off."""
    cited = [match for match in last.matches if match.action is Action.CITE]
    # A citation inside the clean prefix is told even when a leak was cut off behind it: the caller holds that text,
    # and would have been told the same had the model stopped there.
    finding = _finding(blocked, filtered=True) or _finding(cited, filtered=False)
    if blocked:
        disposition = Disposition.TRIMMED
    elif last.action is Action.CITE:
        disposition = Disposition.CITED
    else:
        disposition = Disposition.RELEASED
    return Release(first, disposition, text, finding, _start(blocked) if blocked else None)


def _before(text: str, start: int) -> str:
    """The whole lines of `text` before character `start`, or nothing when they are blank.

    The line in which a match starts goes as a whole: a part of a leaking line leaks too.
    """
    lines = text[: text.rfind("\n", 0, max(start, 0)) + 1]
    return lines.rstrip()


def _finding(matches: list[Match], *, filtered: bool) -> Finding | None:
    """What the caller may learn of `matches`: the first licence, unless private code is among them.

    To tell of a block where private code matched too would confirm that the code is in the index.
    """
    if not matches or any(match.owner.kind is not OwnerKind.LICENSED for match in matches):
        return None
    match = min(matches, key=lambda each: each.start)
    return Finding(filtered, match.license or match.owner.license or "unknown", _source(match))


def _source(match: Match) -> str:
    """Where cited code stands, as a package URL (purl): the index knows names and paths, not addresses."""
    return f"pkg:generic/{quote(match.owner.name)}#{quote(match.document)}"
