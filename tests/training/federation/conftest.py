"""Five organizations and plans of theirs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from samples.marked import marked_corpora

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from training.plan import Plan


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    import torch  # noqa: PLC0415 - of an extra

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def orgs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Five small corpora; in every file stands a marker."""
    return marked_corpora(tmp_path_factory.mktemp("federation"), 5)


@pytest.fixture
def plan(tiny_base: Path, orgs: dict[str, Path]) -> Callable[..., Plan]:
    """Makes a plan of the first so many organizations."""
    from samples.federations import small_plan  # noqa: PLC0415 - needs the extra federation

    return partial(small_plan, tiny_base, orgs)
