"""Serving of releases: what is refused before anything is loaded, and what stops a running service."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog
from samples.released import FILES, key_in, open_up, released, safetensors

from registry.manifest import ADAPTER_GGUF, Base, Kind
from registry.releases import Releases
from registry.tree import file_digest
from registry.weights import weights_digest
from service.cli.opening import engine_of
from service.engines.protocol import ReleasedModel
from service.engines.registry import create_engine
from service.engines.vllm_command import VllmBuild, VllmSettings, model_source, served_name, vllm_command
from service.errors import ReleaseWithdrawnError, SetupError
from service.released import released_model, served_release
from service.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from registry.keys import SigningKey
    from service.parts import Services

ADAPTER = {
    "card.json": FILES["card.json"],
    "adapter/adapter_model.safetensors": safetensors({"a": b"\1"}),
    "adapter/adapter_config.json": b'{"r":12}',
    "base/config.json": b"{}",
}


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return key_in(tmp_path)


@pytest.fixture
def made(tmp_path: Path, key: SigningKey) -> Callable[..., Settings]:
    """Settings that name the release `small` and trust its key; keywords are settings."""
    released(tmp_path, key)
    (tmp_path / "release-keys").write_text(f"{key.public}\n")

    def make(**settings: object) -> Settings:
        return load_settings(**{"home": tmp_path, "model": "release:small", "engine": "transformers"} | settings)

    return make


def test_a_trusted_release_is_served(made: Callable[..., Settings]) -> None:
    found = served_release(made())
    assert found is not None
    assert found.label.startswith("small@1 sha256:")
    found.require_standing()
    assert released_model(made(), found.release) == ReleasedModel(
        "small", found.release.folder / "model", None, found.release.folder / "model"
    )


@pytest.mark.parametrize("model", [None, "models/small", "Qwen/Qwen2.5-Coder-0.5B"])
def test_other_models_are_no_releases(made: Callable[..., Settings], model: str | None) -> None:
    assert served_release(made().model_copy(update={"model": model})) is None


def test_nobody_is_trusted_by_default(made: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "release-keys").unlink()
    with pytest.raises(SetupError, match="not trusted here"):
        served_release(made())
    with pytest.raises(SetupError, match="not trusted here"):
        served_release(made(release_keys="ed25519:" + "0" * 64))
    with pytest.raises(SetupError, match="no public key"):
        served_release(made(release_keys="x"))


def test_a_changed_release_is_not_served(made: Callable[..., Settings], tmp_path: Path) -> None:
    (folder,) = (tmp_path / "releases" / "small").iterdir()
    (folder / "model" / "config.json").chmod(0o644)
    (folder / "model" / "config.json").write_bytes(b"[]")
    with pytest.raises(SetupError, match="not as it was signed"):
        engine_of(made())


def test_unsafe_serves_what_nobody_signed_and_warns(made: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "release-keys").unlink()
    with structlog.testing.capture_logs() as logs:
        found = served_release(made(unsafe_unsigned_releases=True))
    assert found is not None
    assert [(log["log_level"], log["event"][:7]) for log in logs] == [("warning", "UNSAFE:")]
    found.require_standing()


@pytest.mark.parametrize("model", ["release:other", "release:small@2", "release:", "release:../small"])
def test_what_is_no_release_is_told(made: Callable[..., Settings], model: str) -> None:
    with pytest.raises(SetupError):
        served_release(made(model=model))


@pytest.mark.parametrize(
    "settings",
    [
        {"engine": "openai", "engine_url": "http://127.0.0.1:9/v1"},
        {"engine": "vllm", "engine_url": "http://127.0.0.1:9/v1"},
        {"adapters": {"more": "folder"}},
    ],
)
def test_no_other_server_and_no_other_adapter_stands_in_for_a_release(
    made: Callable[..., Settings], settings: dict[str, Any]
) -> None:
    with pytest.raises(SetupError, match="unset"):
        served_release(made(**settings))


@pytest.mark.parametrize("engine", ["llamacpp", "transformers", "vllm", "openai"])
def test_no_engine_takes_the_name_of_a_release_for_a_model(tmp_path: Path, engine: str) -> None:
    with pytest.raises(SetupError, match="names a release"):
        create_engine(engine, "release:small", home=tmp_path, base_url="http://127.0.0.1:9/v1")
    model = ReleasedModel("small", tmp_path, None, None)
    with pytest.raises(SetupError, match="names a release"):
        create_engine(engine, "small", home=tmp_path, released=model)


def test_llamacpp_says_what_it_cannot_run(made: Callable[..., Settings]) -> None:
    with pytest.raises(SetupError, match="has no GGUF"):
        engine_of(made(engine="llamacpp"))


# --- adapters and their bases


@pytest.fixture
def adapted(tmp_path: Path, key: SigningKey, made: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings that name the release `adapted`, whose base is the folder or the GGUF file `base`."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(safetensors({"w": b"\1\2"}))
    (base / "base.gguf").write_bytes(b"GGUF")
    told = Base("packaged", weights_digest(base), file_digest(base / "base.gguf")[0])
    released(tmp_path, key, "adapted", files={**ADAPTER, ADAPTER_GGUF: b"GGUF"}, kind=Kind.ADAPTER, base=told)
    released(tmp_path, key, "bare", files=ADAPTER, kind=Kind.ADAPTER, base=replace(told, gguf_sha256=None))

    def make(**settings: object) -> Settings:
        return made(**{"model": "release:adapted", "release_base": str(base)} | settings)

    return make


def model_of(settings: Settings) -> ReleasedModel:
    found = served_release(settings)
    assert found is not None
    return released_model(settings, found.release)


def test_an_adapter_is_laid_over_its_base(adapted: Callable[..., Settings], tmp_path: Path) -> None:
    model = model_of(adapted())
    assert model.source == tmp_path / "base"
    assert model.adapter is not None
    assert model.adapter.name == "adapter"
    assert model.trappings == model.adapter.parent / "base"


def test_llamacpp_takes_both_as_gguf(adapted: Callable[..., Settings], tmp_path: Path) -> None:
    settings = adapted(engine="llamacpp", release_base=str(tmp_path / "base" / "base.gguf"))
    model = model_of(settings)
    assert model.source.name == "base.gguf"
    assert model.adapter is not None
    assert model.adapter.name == ADAPTER_GGUF
    assert engine_of(settings).model == "adapted"


@pytest.mark.parametrize(
    ("engine", "file", "base"), [("transformers", "model.safetensors", ""), ("llamacpp", "base.gguf", "base.gguf")]
)
def test_another_base_is_refused(
    adapted: Callable[..., Settings], tmp_path: Path, engine: str, file: str, base: str
) -> None:
    (tmp_path / "base" / file).write_bytes(safetensors({"w": b"\1\3"}))
    with pytest.raises(SetupError, match="other weights"):
        engine_of(adapted(engine=engine, release_base=str(tmp_path / "base" / base)))


def test_an_adapter_without_gguf_is_not_run_by_llamacpp(adapted: Callable[..., Settings]) -> None:
    with pytest.raises(SetupError, match="has no GGUF"):
        model_of(adapted(engine="llamacpp", model="release:bare"))


def test_a_base_that_is_not_there_is_told(adapted: Callable[..., Settings], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        model_of(adapted(engine="llamacpp", release_base=str(tmp_path / "none.gguf")))


# --- vLLM


def test_vllm_serves_the_adapter_under_the_releases_name(adapted: Callable[..., Settings], tmp_path: Path) -> None:
    model = model_of(adapted(engine="vllm"))
    settings = VllmSettings(tmp_path, released=model)
    build = VllmBuild(tmp_path / "vllm", for_cpu=False, nameless=None)
    command = vllm_command(settings, build, model_source(settings, build), tmp_path / "socket")
    assert command[2] == str(tmp_path / "base")
    assert json.loads(command[command.index("--lora-modules") + 1]) == {"name": "adapted", "path": str(model.adapter)}
    assert command[command.index("--max-lora-rank") + 1] == "16"
    assert command[command.index("--tokenizer") + 1] == command[command.index("--hf-config-path") + 1]
    assert served_name(settings) != "adapted"


def test_vllm_serves_a_whole_model_under_the_releases_name(made: Callable[..., Settings], tmp_path: Path) -> None:
    settings = VllmSettings(tmp_path, released=model_of(made(engine="vllm")))
    build = VllmBuild(tmp_path / "vllm", for_cpu=False, nameless=None)
    command = vllm_command(settings, build, model_source(settings, build), tmp_path / "socket")
    assert "--enable-lora" not in command
    assert served_name(settings) == "small"


@pytest.mark.parametrize(
    "argument", ["--tokenizer x", "--hf-overrides={}", "--trust-remote-code", "--hf_config_path x"]
)
def test_arguments_do_not_change_what_was_signed(
    adapted: Callable[..., Settings], tmp_path: Path, argument: str
) -> None:
    settings = VllmSettings(tmp_path, arguments=argument, released=model_of(adapted(engine="vllm")))
    build = VllmBuild(tmp_path / "vllm", for_cpu=False, nameless=None)
    with pytest.raises(SetupError, match="leave it out"):
        vllm_command(settings, build, "model", tmp_path / "socket")


# --- a running service


def test_every_decision_names_the_release(
    services: Services, made: Callable[..., Settings], running: Callable[..., AbstractContextManager[str]], secret: str
) -> None:
    found = served_release(made())
    assert found is not None
    with running(replace(services, release=found)) as url:
        headers = {"Authorization": f"Bearer {secret}"}
        for prompt in ("x = ", "PRIVATE = "):
            assert httpx.post(f"{url}/v1/completions", headers=headers, json={"prompt": prompt}).status_code == 200
    ledger: Any = services.ledger
    assert [entry.record.release for entry in ledger.entries()] == [found.label] * 2
    assert ledger.verify().ok


def test_a_withdrawn_release_stops_at_once(
    services: Services,
    made: Callable[..., Settings],
    running: Callable[..., AbstractContextManager[str]],
    secret: str,
    key: SigningKey,
    tmp_path: Path,
) -> None:
    found = served_release(made())
    assert found is not None
    with running(replace(services, release=found)) as url, httpx.Client(base_url=url) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        assert client.post("/v1/completions", json={"prompt": "x"}).status_code == 200
        assert client.get("/readyz").json()["parts"]["release"]["ready"]
        Releases(tmp_path).revocations.add(key, "small@1", found.release.digest, "recites org-a")
        for stream in (False, True):
            refused = client.post("/v1/completions", json={"prompt": "x", "stream": stream})
            assert "model_withdrawn" in refused.text
            assert "org-a" not in refused.text
            assert stream or refused.status_code == 503
        assert client.get("/readyz").json()["parts"]["release"] == {"ready": False, "reason": "ReleaseWithdrawnError"}
    ledger: Any = services.ledger
    assert len(list(ledger.entries())) == 1


def test_a_list_that_vanishes_or_breaks_stops_it_as_well(
    made: Callable[..., Settings], tmp_path: Path, key: SigningKey
) -> None:
    found = served_release(made())
    assert found is not None
    file = tmp_path / "releases" / ".revoked" / f"{key.public.hex}.json"
    sound = file.read_bytes()
    for damage in (file.unlink, lambda: file.write_bytes(sound[:-1])):
        damage()
        with pytest.raises(ReleaseWithdrawnError, match="uncertain"):
            found.require_standing()
        file.write_bytes(sound)
        found.require_standing()


def test_a_release_can_be_opened_up_and_is_found_out(made: Callable[..., Settings], tmp_path: Path) -> None:
    found = served_release(made())
    assert found is not None
    open_up(found.release)
    (found.release.folder / "more.json").write_bytes(b"{}")
    with pytest.raises(SetupError, match="nobody signed"):
        served_release(made())
    assert tmp_path
