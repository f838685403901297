from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from training.errors import DestinationError
from training.memorization.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

RUN = {"stage": "samples", "seed": 1}


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "new" / "samples.jsonl"
    Journal(path, RUN).append([{"number": 1}, {"number": 2}])
    again = Journal(path, RUN)
    again.append([{"number": 3}])
    assert Journal(path, RUN).rows == again.rows == [{"number": number} for number in (1, 2, 3)]


def test_a_line_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    Journal(path, RUN).append([{"number": 1}, {"number": 2}])
    path.write_bytes(path.read_bytes()[:-5])
    journal = Journal(path, RUN)
    assert journal.rows == [{"number": 1}]
    journal.append([{"number": 2}])
    assert len(Journal(path, RUN).rows) == 2


def test_a_first_line_that_was_cut_off_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b'{"stage": "sam')
    assert Journal(path, RUN).rows == []
    assert Journal(path, RUN).rows == []


def test_only_its_user_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.touch(mode=0o644)
    Journal(path, RUN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_run_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    Journal(path, RUN).append([{"number": 1}])
    before = path.read_bytes()
    with pytest.raises(DestinationError, match="differs in seed"):
        Journal(path, {**RUN, "seed": 2})
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"[1]\n", b"no json\n"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(content)
    with pytest.raises(DestinationError, match="is no measurement's"):
        Journal(path, RUN)
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").mkdir()
    with pytest.raises(DestinationError, match="cannot be written"):
        Journal(tmp_path / "samples.jsonl", RUN)
