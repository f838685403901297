"""The command line `llm` against the running service (`make test-clients`)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from types import SimpleNamespace

# Plugins are other models, some of which are installed for other tests.
os.environ.setdefault("LLM_LOAD_PLUGINS", "")
command: Any = pytest.importorskip("llm.cli")
testing: Any = pytest.importorskip("click.testing")

pytestmark = pytest.mark.filterwarnings("default")
STREAMED = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture(autouse=True)
def _settings(world: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder with the service as a model, and its key."""
    model = {"model_id": "cleanroom", "model_name": "scripted-1", "completion": True, "api_key_name": "cleanroom"}
    # YAML can be written as JSON.
    settings = json.dumps([{**model, "api_base": f"{world.url}/v1"}])
    (tmp_path / "extra-openai-models.yaml").write_text(settings, encoding="utf-8")
    (tmp_path / "keys.json").write_text(json.dumps({"cleanroom": world.secret}), encoding="utf-8")
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))


def ask(*options: str) -> Any:  # noqa: ANN401 - may be missing
    """What `llm` makes of the answer to a prompt."""
    return testing.CliRunner().invoke(command.cli, ["prompt", "-m", "cleanroom", "--no-log", *options, "x"])


@STREAMED
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a = 1\nb = 2\n", "a = 1\nb = 2\n"),
        ("a\nCITED\n", "a\nCITED\n"),
        ("a\nDENIED\n", "a"),
        ("a\nPRIVATE\n", "a"),
    ],
    ids=["clean", "cited", "denied", "private"],
)
def test_what_is_printed(world: SimpleNamespace, text: str, left: str, *, stream: bool) -> None:
    world.engine.texts = [text]
    answer = ask(*([] if stream else ["--no-stream"]))
    assert (answer.exit_code, answer.stdout.rstrip("\n")) == (0, left.rstrip("\n")), answer.output


def test_log_probabilities(world: SimpleNamespace) -> None:
    assert ask("--no-stream", "-o", "logprobs", "2").exit_code == 0
    assert world.engine.asked[0][1].logprobs == 0


def test_error() -> None:
    answer = ask("-o", "max_tokens", "9999")
    assert answer.exit_code != 0
    assert "above the limit of this server" in answer.output
