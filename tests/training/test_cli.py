from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("transformers", reason="needs the extra training")

from training.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.training


def test_a_plan_is_trained_and_its_losses_are_told(
    plan: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app(["train", str(plan()), "--out", str(tmp_path / "run")], standalone_mode=False)
    told = capsys.readouterr().out
    assert "org-a" in told
    assert f"written to {tmp_path / 'run'}" in told


def test_what_is_wrong_with_a_plan_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.toml").write_text('nmae = "x"\n', encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        app(["train", str(tmp_path / "plan.toml")], standalone_mode=False)
    assert ended.value.code == 1
    assert "nmae is unknown: did you mean 'name'?" in capsys.readouterr().err
