from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.errors import SetupError
from service.settings import PREFIX, Settings, load_settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \| (.+) \|$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.delenv("CLEANROOM_CONFIG", raising=False)


def test_documentation_lists_every_setting_as_it_is() -> None:
    rows = {key: (variable, default, meaning) for variable, key, default, meaning in ROW.findall(PAGE.read_text())}
    assert set(rows) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        shown = "unset" if field.default is None else f"`{field.default}`"
        if field.default_factory is not None:
            shown = "the platform's user data directory"
        assert rows[name] == (f"CLEANROOM_{name.upper()}", shown, field.description)


def test_defaults_are_safe() -> None:
    settings = load_settings()
    assert settings.host == "127.0.0.1"
    assert settings.database_url == f"sqlite:///{settings.home}/cleanroom.db"


def test_command_line_beats_variable_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("cleanroom.toml").write_text('port = 1\nhost = "file"\nmodel = "file"\n')
    monkeypatch.setenv("CLEANROOM_HOST", "variable")
    monkeypatch.setenv("CLEANROOM_MODEL", "variable")
    settings = load_settings(model="option", engine=None, home=tmp_path)
    assert (settings.port, settings.host, settings.model) == (1, "variable", "option")
    assert settings.engine == "llamacpp"


def test_config_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "other.toml"
    file.write_text("port = 7\n")
    monkeypatch.setenv("CLEANROOM_CONFIG", str(file))
    assert load_settings().port == 7
    file.unlink()
    with pytest.raises(SetupError, match=r"other\.toml.*no file"):
        load_settings()


def test_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANROOM_HOME", "~/data")
    assert load_settings().home == Path.home() / "data"
    monkeypatch.setenv("CLEANROOM_HOME", "data")
    assert load_settings().home == Path.cwd() / "data"


def test_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANROOM_REDIS_URL", "")
    assert load_settings().redis_url is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CLEANROOM_REDIS_URI", r"CLEANROOM_REDIS_URI; do you mean CLEANROOM_REDIS_URL\?"),
        ("CLEANROOM_QQQQ", r"called CLEANROOM_QQQQ \(docs"),
        ("cleanroom_redis_uri", "called CLEANROOM_REDIS_URI"),
    ],
)
def test_misspelt_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    """It would be ignored: the guard would look into an empty index of its own, and find nothing."""
    monkeypatch.setenv(name, "redis://10.0.0.7")
    with pytest.raises(SetupError, match=message) as caught:
        load_settings()
    assert "10.0.0.7" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "CLEANROOM_API_KEY",
        "CLEANROOM_SIGNING_KEY",
        "CLEANROOM_TEST_VLLM",
        "CLEANROOM_VALKEY_SERVICE_HOST",
        "CLEANROOM_SERVICE_PORT_HTTP",
        "CLEANROOM_PORT_8080_TCP_ADDR",
    ],
)
def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    assert load_settings().redis_url is None


def test_the_guard_always_reads_some_of_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, code pulled out line by line is never seen whole."""
    monkeypatch.setenv("CLEANROOM_PREFIX_CHARACTERS", "0")
    with pytest.raises(SetupError, match="CLEANROOM_PREFIX_CHARACTERS '0'"):
        load_settings()


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("prot = 1", "unknown setting 'prot'"),
        ('[server]\nhost = "x"', "unknown setting 'server'"),
        ('port = "http"', "CLEANROOM_PORT 'http'"),
        ("port = 70000", "CLEANROOM_PORT 70000"),
        ('engine = "gpt"', "CLEANROOM_ENGINE 'gpt'.*'llamacpp'"),
        ("check_timeout = nan", "CLEANROOM_CHECK_TIMEOUT"),
        ("check_timeout = 0", "CLEANROOM_CHECK_TIMEOUT 0"),
        ("max_tokens_limit = 5", "max_tokens_default 64 exceeds max_tokens_limit 5"),
        ("port =", r"cleanroom\.toml cannot be read"),
    ],
)
def test_bad_file_is_explained(toml: str, message: str) -> None:
    Path("cleanroom.toml").write_text(toml)
    with pytest.raises(SetupError, match=message):
        load_settings()


def test_all_faults_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANROOM_PORT", "x")
    monkeypatch.setenv("CLEANROOM_CONTEXT", "y")
    with pytest.raises(SetupError, match=r"CLEANROOM_CONTEXT.*CLEANROOM_PORT.*docs/configuration\.md"):
        load_settings()


def test_secrets_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INDEX_KEY", "ENGINE_API_KEY", "REDIS_URL", "LEDGER_URL", "ENGINE_URL"):
        monkeypatch.setenv(f"CLEANROOM_{name}", "hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings)
    Path("cleanroom.toml").write_text('index_key = ["hunter2"]\nredis_url = ["hunter2"]\n')
    for name in ("INDEX_KEY", "REDIS_URL"):
        monkeypatch.delenv(f"CLEANROOM_{name}")
    with pytest.raises(SetupError, match="CLEANROOM_REDIS_URL") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
