from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import Report, broken_bars

CHECK = Path(__file__).parents[2] / "benchmarks" / "check.py"


def report() -> Report:
    answer = Report("demo", {"recall": 0.9876543, "alarms": 0.002, "files": 12})
    answer.at_least("recall", 0.99)
    answer.at_most("alarms", 0.002)
    answer.table("What was found", ["", "recall"], [["guard", "0.988"]])
    answer.notes.append("on 12 files [seed 1]")
    return answer


def test_the_line_has_figures_and_bars() -> None:
    assert json.loads(report().line()) == {
        "benchmark": "demo",
        "figures": {"recall": 0.98765, "alarms": 0.002, "files": 12.0},
        "bars": [
            {"name": "recall", "value": 0.98765, "limit": 0.99, "holds": False},
            {"name": "alarms", "value": 0.002, "limit": 0.002, "holds": True},
        ],
    }


def test_the_line_comes_last_after_tables_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    report().show(json_only=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == report().line()
    text = "\n".join(lines)
    assert "What was found" in text
    assert "on 12 files [seed 1]" in text
    assert ">= 0.99" in text
    assert "NO" in text


def test_without_bars_there_is_no_table_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    Report("demo", {"recall": 1}).show(json_only=False)
    assert "Bars" not in capsys.readouterr().out


def test_alone_the_line_is_all(capsys: pytest.CaptureFixture[str]) -> None:
    report().show(json_only=True)
    assert capsys.readouterr() == (report().line() + "\n", "")


def test_what_was_not_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="demo: recall is not a number"):
        Report("demo", {"recall": math.nan}).line()


def test_broken_bars_are_named() -> None:
    assert broken_bars(["a table\n", report().line() + "\n", "\n"]) == ["demo: recall is 0.98765, the limit is 0.99"]


@pytest.mark.parametrize(
    "output", ["", "a table\n", "[]\n", '{"benchmark": "demo"}\n', '{"benchmark": 1, "bars": [2]}']
)
def test_an_output_without_the_line_is_an_error(output: str) -> None:
    with pytest.raises(ValueError, match="does not end with a benchmark's JSON line"):
        broken_bars(output.splitlines())


def check(*outputs: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHECK), *map(str, outputs)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_check_exits_with_1_when_a_bar_does_not_hold(tmp_path: Path) -> None:
    good, bad, cut = tmp_path / "good.out", tmp_path / "bad.out", tmp_path / "cut.out"
    bad.write_text(report().line() + "\n")
    good.write_text(Report("fine", {"recall": 1.0}).line() + "\n")
    cut.write_text("Traceback\n")
    assert check(good).returncode == 0
    run = check(good, bad)
    assert (run.returncode, run.stderr) == (1, "demo: recall is 0.98765, the limit is 0.99\n")
    assert check(good, cut).returncode == 1
    missing = check(tmp_path / "missing.out")
    assert missing.returncode == 1
    assert "missing.out" in missing.stderr
