from __future__ import annotations

import sys
from pathlib import Path

import pytest

from service.engines.registry import ENGINES, create_engine
from service.errors import SetupError


@pytest.mark.model
@pytest.mark.parametrize("name", ENGINES)
def test_engines_are_made_by_name_and_load_nothing(name: str, tmp_path: Path) -> None:
    engine = create_engine(name, None, home=tmp_path, base_url="http://127.0.0.1:1/v1")
    assert engine.name == name
    assert list(tmp_path.iterdir()) == []
    assert "torch" not in sys.modules or name != "llamacpp"


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("gpt", None, "'gpt' is no engine: use one of llamacpp, transformers, vllm, openai"),
        ("llamacpp", "/absent/model.gguf", "'/absent/model.gguf' does not exist"),
        ("transformers", "/absent/folder", "'/absent/folder' does not exist"),
        ("transformers", __file__, "is a file, which transformers cannot run"),
        ("openai", None, "needs the URL of a server"),
        ("vllm", "/absent/folder", "'/absent/folder' does not exist"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_remedy(
    name: str, model: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=message):
        create_engine(name, model, home=tmp_path, vllm_command=Path("/bin/true"))


def test_without_vllm_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SetupError, match=r"vllm is not installed: pip install .*CLEANROOM_VLLM_COMMAND.*ENGINE_URL"):
        create_engine("vllm", "Qwen/Q", home=tmp_path)
    with pytest.raises(SetupError, match="CLEANROOM_VLLM_COMMAND '/absent/vllm' cannot be run"):
        create_engine("vllm", "Qwen/Q", home=tmp_path, vllm_command=Path("/absent/vllm"))


def test_vllm_takes_no_suffix_itself(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="vllm has no suffix of its own"):
        create_engine("vllm", "Qwen/Q", home=tmp_path, base_url="http://127.0.0.1:1/v1", native_suffix=True)


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/v1", "127.0.0.1:8000", "http://", "http://a b:x/"])
def test_a_url_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="URL"):
        create_engine("openai", None, home=tmp_path, base_url=url)


def test_a_fill_in_the_middle_family_can_be_named_for_a_server(tmp_path: Path) -> None:
    engine = create_engine(
        "openai", "Qwen/Q", home=tmp_path, base_url="http://127.0.0.1:1/v1", fill_in_the_middle="qwen2.5-coder"
    )
    assert engine.fill_in_the_middle is not None
    assert engine.fill_in_the_middle.prefix == "<|fim_prefix|>"
    engine = create_engine(
        "openai", "Qwen/Q", home=tmp_path, base_url="http://127.0.0.1:1/v1", fill_in_the_middle="none"
    )
    assert engine.fill_in_the_middle is None


@pytest.mark.model
@pytest.mark.parametrize("name", ENGINES)
def test_a_family_that_there_is_not_is_refused_before_anything_is_loaded(name: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="'starcoder3' is no fill-in-the-middle family"):
        create_engine(name, None, home=tmp_path, base_url="http://127.0.0.1:1/v1", fill_in_the_middle="starcoder3")


@pytest.mark.parametrize("name", ["llamacpp", "transformers"])
def test_an_embedded_engine_has_no_suffix_of_its_own(name: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="has no suffix of its own: leave CLEANROOM_FILL_IN_THE_MIDDLE unset"):
        create_engine(name, None, home=tmp_path, native_suffix=True)


@pytest.mark.parametrize(
    ("name", "url"), [("llamacpp", None), ("openai", "http://127.0.0.1:1/v1"), ("vllm", "http://127.0.0.1:1/v1")]
)
def test_adapters_that_nobody_would_load_are_refused(name: str, url: str | None, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="CLEANROOM_ADAPTERS is for a vLLM that Cleanroom starts"):
        create_engine(name, None, home=tmp_path, base_url=url, adapters={"acme-style": "/models/acme-style"})
