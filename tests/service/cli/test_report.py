"""`cleanroom report`: one page with nothing from elsewhere, and the same as JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from samples.leaks import Leaks, match_in
from typer.testing import CliRunner

from guard.ledger import Ledger
from service.accounts import Accounts
from service.cli.root import app
from service.review.report import render
from service.review.summary import summarize
from service.review.tallies import Counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture
def leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leaks]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path))
    database = f"sqlite:///{tmp_path / 'cleanroom.db'}"
    with Accounts(database) as accounts:
        accounts.add_organization("acme")
    with Ledger(database) as ledger:
        leaks = Leaks(ledger)
        leaks.write("org:globex", to="acme")
        leaks.write("org:globex", "license:pylint:GPL-2.0-only", to="acme")
        leaks.write("org:acme", to="globex")
        yield leaks


class Page(HTMLParser):
    """What stands in a page, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "xlink:href", "action"}]


def test_a_period_is_one_page(leaks: Leaks, tmp_path: Path) -> None:
    assert leaks.count == 3
    out = tmp_path / "period.html"
    result = CliRunner().invoke(app, ["report", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert out.stat().st_mode & 0o777 == 0o600
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert page.links == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.tags.count("rect") == 2 * 31
    assert "<strong>3</strong>" in text
    assert re.search(r'scope="row">acme</th><td class="heat" style="--share: 1.0">2</td>', text)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_as_json_and_as_an_organization_sees_it(leaks: Leaks) -> None:
    result = CliRunner().invoke(app, ["report", "--from", TODAY, "--json"])
    whole = json.loads(result.stdout)
    assert whole["leaks"] == sum(day["leaks"] for day in whole["days"]) == leaks.count
    assert whole["days"][0]["name"] == TODAY
    assert {"caller": "acme", "owner": "org:globex", "leaks": 2} in whole["pairs"]
    assert whole["licenses"] == [{"name": "GPL-2.0-only", "leaks": 1, "severe": 0}]
    seen = CliRunner().invoke(app, ["report", "--from", TODAY, "--org", "acme", "--json"])
    assert json.loads(seen.stdout)["leaks"] == 3
    assert "globex" not in seen.stdout


def test_a_period_without_leaks_is_a_page_too(leaks: Leaks) -> None:
    assert leaks.count
    result = CliRunner().invoke(app, ["report", "--from", "2020-01-01", "--to", "2020-01-03"])
    assert result.exit_code == 0
    assert "<strong>0</strong>" in result.stdout
    assert result.stdout.count("<rect") == 4


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--from", "yesterday"], "'yesterday' is no time"),
        (["--from", "2026-02-01", "--to", "2026-01-01"], "not before"),
        (["--org", "nobody"], "no organization 'nobody'"),
        (["--out", "missing/folder/page.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_named(leaks: Leaks, options: list[str], complaint: str) -> None:
    assert leaks.count
    result = CliRunner().invoke(app, ["report", *options])
    assert result.exit_code != 0
    assert complaint in f"{result.output} {result.exception}"


def test_names_are_text(leaks: Leaks) -> None:
    bad = "<script>alert(1)</script>"
    leaks.write(match_in("org:globex", document=bad), to="acme", model=bad, release=None, key_id=bad)
    result = CliRunner().invoke(app, ["report"])
    assert bad not in result.stdout
    assert "&lt;script&gt;" in result.stdout
    assert "script" not in Page(result.stdout).tags


def test_every_day_of_a_period_is_there() -> None:
    since, until = datetime(2026, 2, 27, 12, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    summary = summarize(Counted(), since, until)
    assert [day.name for day in summary.days] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert render(summary, whose="nobody", made=until, heads=["w:0:0"]).count("<rect") == 6
