"""Has a model judge rows of tokens and keeps what it said, so that an interrupted run goes on. Knows no measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.memorization.reciting import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from training.memorization.journal import Journal
    from training.memorization.reciting import Reciter, Row, Scheme

PIECE = 64
"""Rows that are judged before they are written down."""


def judged(
    reciter: Reciter,
    rows: Sequence[Row],
    journal: Journal,
    scheme: Scheme | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Judged]:
    """What the model makes of each row; those that the journal holds already are not judged again."""
    for start in range(len(journal.rows), len(rows), PIECE):
        fresh = reciter.judge(rows[start : start + PIECE], scheme)
        journal.append(
            {"logprobs": np.round(one.logprobs, 5).tolist(), "greedy": one.greedy, "drawn": one.drawn} for one in fresh
        )
        progress(len(journal.rows))
    return [Judged(np.array(row["logprobs"]), row["greedy"], row["drawn"]) for row in journal.rows[: len(rows)]]
