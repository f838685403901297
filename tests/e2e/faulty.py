"""`cleanroom`, with a guard that fails over a certain word in a way that nobody foresaw, and quotes the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.check import Guard
from service.cli import main

if TYPE_CHECKING:
    from guard.check import GuardQuery
    from guard.types import Decision

UNFORESEEN = "unforeseen_word"

if __name__ == "__main__":
    check = Guard.check

    def failing(self: Guard, query: GuardQuery) -> Decision:
        if UNFORESEEN in query.prefix:
            raise ValueError(query.prefix + query.text)
        return check(self, query)

    Guard.check = failing  # type: ignore[method-assign]
    main()
