"""A disk that is full and a database that is damaged: reviews say so, and what was said before stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from samples.leaks import ACME, Leaks

from guard.errors import LedgerError
from guard.ledger import Ledger
from service.review.leak import Disposition
from service.review.reviews import Reviews

if TYPE_CHECKING:
    from pathlib import Path

NOTE = "x" * 4_000


def test_a_full_disk_loses_no_judgement_and_keeps_half_of_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger(url) as ledger, Reviews(ledger, url) as reviews:
        leaks = Leaks(ledger)
        both = [leaks.write("org:globex") for _ in range(2)]
        with reviews._database.reading() as connection:
            size = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {size + 8}")
        said, complaint = 0, ""
        while not complaint and said < 1_000:
            try:
                reviews.judge(ACME, both, Disposition.CONFIRMED, NOTE)
                said += 1
            except LedgerError as error:
                complaint = str(error)
        assert "make room on its disk" in complaint
        assert said
        assert [len(reviews.history(ACME, leak)) for leak in both] == [said, said]
        with reviews._database.reading() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {size + 400}")
        reviews.judge(ACME, both, Disposition.FALSE_ALARM)
        assert {leak.disposition for leak in reviews.page(ACME).leaks} == {"false_alarm"}
        assert ledger.verify().ok


def test_a_damaged_database_is_named_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    url = f"sqlite:///{path}"
    with Ledger(url) as ledger, Reviews(ledger, url):
        leaks = Leaks(ledger)
        ledger.append_all([leaks.record("org:globex") for _ in range(200)])
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : -4096] = bytes(len(content) - 4096 - len(content) // 4)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="restore the file"), Ledger(url) as ledger, Reviews(ledger, url) as reviews:
        list(reviews.all(ACME))
    assert path.read_bytes() == bytes(content)
