"""Settings of where generations come from: engine, model, release, adapters. Knows no engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class EngineSettings(BaseSettings):
    """One value a setting; `service.settings.Settings` inherits them."""

    engine: Literal["llamacpp", "transformers", "vllm", "openai"] = Field(
        "llamacpp",
        description="Where generations come from: `llamacpp`, `transformers`, `vllm` or `openai` (another server over "
        "HTTP).",
    )
    model: str | None = Field(
        None,
        min_length=1,
        description="Model: a path, a hub name, a name on the server, or "
        "`release:NAME`, a signed release (docs/releases.md). Unset: the packaged one.",
    )
    release_keys: str | None = Field(
        None,
        description="Public keys whose releases are served (`release:NAME` as `model`), with commas between. Unset: "
        "the file `release-keys` under `home`, one a line; without it, nobody's.",
    )
    release_base: str | None = Field(
        None,
        min_length=1,
        description="Where the base of a released adapter is, a folder or a hub name (for `llamacpp` a GGUF file); its "
        "weights must be those that the release names. Unset: where the release says.",
    )
    unsafe_unsigned_releases: bool = Field(
        default=False,
        description="Serve releases that no trusted key has signed. Whoever can write `home` then "
        "chooses the model, and a leak is traced to nobody.",
    )
    engine_url: str | None = Field(
        None,
        repr=False,
        description="Base URL of the OpenAI-compatible server that the engine `openai` asks. For `vllm` one or "
        "several, with commas between; unset, Cleanroom runs `vllm serve` itself.",
    )
    engine_api_key: SecretStr | None = Field(None, description="Key that the engine sends to the servers at that URL.")
    engine_start_timeout: Seconds = Field(600.0, description="Seconds that a server of the engine `vllm` may load.")
    engine_read_timeout: Seconds = Field(
        30.0,
        description="Seconds that a server of the engines `vllm` and `openai` may send nothing, before its first token "
        "and between two, until it counts as failed. Servers that queue for longer want more, and "
        "`request_timeout` as well.",
    )
    engine_seeds: bool | None = Field(
        None,
        description="Whether the engine `vllm` passes seeds on; builds for CPUs die of them. Unset: unless Cleanroom "
        "runs such a build.",
    )
    engine_threads: int | None = Field(
        None, ge=1, le=1024, description="Threads that an embedded engine computes on. Unset: one a physical core."
    )
    context: int | None = Field(
        None, ge=64, description="Window of an embedded engine or of `vllm`, in tokens. Unset: what suits the model."
    )
    vllm_command: Path | None = Field(
        None, description="Executable `vllm` to run. Unset: the one beside Cleanroom's Python, else on the PATH."
    )
    vllm_arguments: str | None = Field(
        None, description="More arguments for `vllm serve`, as in a shell, such as `--tensor-parallel-size 2`."
    )
    adapters: dict[str, str] = Field(
        {}, description="LoRA adapters for `vllm serve`: folder or hub name by model name. As a variable: JSON."
    )
    model_orgs: dict[str, list[str]] = Field(
        {},
        description="Organizations that alone may ask for a model or adapter, by its name: "
        '`{"acme-style": ["acme"]}`. What is not named is for all. As a variable: JSON.',
    )

    fill_in_the_middle: str | None = Field(
        None,
        description="How the model takes a suffix: a family such as `qwen2.5-coder` (docs/models.md), `none`, or, for "
        "the engine `openai`, `native` (the server does it). Unset: found from the model's vocabulary, or "
        "`none` for `openai`.",
    )
