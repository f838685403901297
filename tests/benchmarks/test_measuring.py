from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from samples.code import SETTLEMENT as CODE

from benchmarks.meanwhile import Checks, checking
from benchmarks.updating import update_times
from benchmarks.weighing import Weighing
from guard.digest import Digester
from guard.ingest import IndexAddress, ingest
from guard.secret import KEY_BYTES, IndexKey
from guard.tree import Tree
from guard.types import Owner
from guard.withdrawal import withdraw

if TYPE_CHECKING:
    from pathlib import Path

ACME = Owner.organization("acme")
OTHER = (
    '"""Words of a module."""\n\nimport os\n\n\ndef main():\n    for name in os.listdir("."):\n        print(name)\n'
)


@pytest.fixture
def address(tmp_path: Path) -> IndexAddress:
    """An index of two files of one organization."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.py").write_text(CODE)
    (tree / "b.py").write_text(OTHER)
    address = IndexAddress(None, tmp_path / "home", bytes(KEY_BYTES))
    ingest(address, Tree(tree, ACME), jobs=1)
    return address


def test_a_copy_is_worth_a_match_and_other_code_is_not(address: IndexAddress) -> None:
    with address.opened() as (index, _):
        weighing = Weighing(index, Digester(IndexKey(address.key)), "stranger")
        (copy,) = weighing.searches(CODE, "python", copy=True)
        (own,) = Weighing(index, Digester(IndexKey(address.key)), ACME.name).searches(CODE, "python", copy=False)
        (other,) = weighing.searches("def f(x):\n    return x + 1\n", "python", copy=False)
    assert copy.copy
    assert copy.best < 1e-6
    assert copy.most > 1
    assert own.best > own.most  # its owner may see it
    assert other.best > other.most


def test_of_a_copy_the_comments_are_not_weighed(address: IndexAddress) -> None:
    text = CODE + "# " + " ".join(f"word{number}" for number in range(60)) + "\n"
    with address.opened() as (index, digester):
        weighing = Weighing(index, digester, "stranger")
        assert len(list(weighing.searches(text, "python", copy=False))) == 2
        assert len(list(weighing.searches(text, "python", copy=True))) == 1


def test_checks_go_on_while_something_is_taken_back(address: IndexAddress) -> None:
    with address.opened() as (index, _), checking(address, [CODE, OTHER]) as checks:
        withdraw(index, ACME)
    assert not checks.refused
    figures = checks.figures("removal")
    assert figures["checks_during_removal"] == len(checks.times)
    assert figures["p50_during_removal_ms"] <= figures["slowest_during_removal_ms"]


def test_without_a_check_there_are_no_times() -> None:
    assert Checks().figures("x") == {
        "checks_during_x": 0,
        "refused_during_x": 0,
        "p50_during_x_ms": 0.0,
        "p99_during_x_ms": 0.0,
        "slowest_during_x_ms": 0.0,
    }


def test_every_changed_file_is_written(address: IndexAddress, tmp_path: Path) -> None:
    figures = update_times(address, ACME, tmp_path)
    assert 0 < figures["update_p50_ms"] <= figures["update_p99_ms"]
    with pytest.raises(AssertionError, match="it was no change"):
        update_times(address, ACME, tmp_path)
