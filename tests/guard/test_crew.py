from __future__ import annotations

import multiprocessing
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from samples.crews import PATIENCE, Doubler, Doubling, Waiter

from guard.crew import _Crew, _Helper, work_together
from guard.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _nobody_is_left() -> Iterator[None]:
    yield
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_every_piece_is_done_once_and_by_several(tmp_path: Path, helpers: int) -> None:
    worker = (Waiter if helpers else Doubler)(tmp_path)
    pieces = range(100, 400)
    answers = [each for some in work_together(Doubling(tmp_path), worker, pieces, helpers, what="it") for each in some]
    assert sorted(number for _, number in answers) == [2 * piece for piece in pieces]
    workers = {process for process, _ in answers}
    assert os.getpid() in workers
    assert 1 + bool(helpers) <= len(workers) <= 1 + helpers


def test_nobody_waits_for_a_helper_who_has_not_begun(tmp_path: Path) -> None:
    slow = Doubling(tmp_path, seconds=2 * PATIENCE)
    assert len([*work_together(slow, Doubler(tmp_path), range(5), 2, what="it")]) > 0
    assert not (tmp_path / "ready").exists()


def test_what_goes_wrong_elsewhere_is_raised_here(tmp_path: Path) -> None:
    class Idle(Waiter):
        def take(self, piece: int) -> list[tuple[int, int]]:
            return [] if piece == 13 else super().take(piece)

    pieces = [1, 13, 13, 13, *range(100, 10_000)]
    with pytest.raises(ValueError, match="thirteen"):
        list(work_together(Doubling(tmp_path), Idle(tmp_path), pieces, 1, what="it"))


def test_a_helper_who_dies_is_noticed(tmp_path: Path) -> None:
    class Killer(Waiter):
        def take(self, piece: int) -> list[tuple[int, int]]:
            for child in multiprocessing.active_children():
                child.kill()
            return super().take(piece)

    (tmp_path / "ready").touch()
    with pytest.raises(IngestError, match=r"worked on /some/tree died .* fewer --jobs"):
        list(work_together(Doubling(tmp_path), Killer(tmp_path), range(100, 10_000), 2, what="/some/tree"))


def test_closed_early_it_ends_and_what_was_begun_is_finished(tmp_path: Path) -> None:
    work = work_together(Doubling(tmp_path), Waiter(tmp_path), range(100, 100_000), 1, what="it")
    seen: set[int] = set()
    end = time.monotonic() + PATIENCE
    with closing(work):
        for answers in work:
            seen |= {process for process, _ in answers}
            assert time.monotonic() < end
            if seen - {os.getpid()}:
                break
    done = len([*tmp_path.glob("done-*")])
    assert 0 < done < 99_900


def test_a_helper_who_died_cannot_be_given_more(tmp_path: Path) -> None:
    helper: _Helper[int, list[tuple[int, int]]] = _Helper(Doubling(tmp_path))
    crew: _Crew[int, list[tuple[int, int]]] = _Crew([helper], "/some/tree")
    with closing(crew):
        helper.process.kill()
        helper.process.join()
        with pytest.raises(IngestError, match=r"worked on /some/tree died"):
            crew._send(helper, 1)
