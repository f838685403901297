from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from service.engines import processors

if TYPE_CHECKING:
    from pathlib import Path

linux = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="affinity is Linux's")


def lay_out(folder: Path, siblings: dict[int, str]) -> Path:
    for processor, text in siblings.items():
        topology = folder / f"cpu{processor}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{text}\n")
    return folder


@linux
@pytest.mark.parametrize(
    ("affinity", "quota", "cores"),
    [
        ({0, 1, 2, 3}, "max 100000", 2),
        ({0, 2}, "max 100000", 1),
        ({0, 1, 2, 3}, "100000 100000", 1),
        ({0, 1, 2, 3}, "150000 100000", 2),
        ({0, 1, 2, 3}, "nonsense", 2),
        ({0, 9}, "10 100000", 1),
    ],
)
def test_cores_are_counted_by_affinity_siblings_and_quota(
    affinity: set[int], quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: affinity)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(processors, "TOPOLOGY", lay_out(tmp_path, {0: "0,2", 2: "0,2", 1: "1,3", 3: "1,3"}))
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    assert processors.physical_cores() == cores


def test_there_is_at_least_one_core() -> None:
    assert 1 <= processors.physical_cores() <= (os.cpu_count() or 1)
