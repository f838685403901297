"""Makes engines by name. The one module that knows them all; it loads none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.releases import names_release
from service.engines.connection import READ_TIMEOUT
from service.engines.families import family_named
from service.engines.llamacpp import LlamaCppEngine
from service.engines.openai import OpenAIEngine
from service.engines.transformers import TransformersEngine
from service.engines.vllm import VllmEngine
from service.engines.vllm_command import VllmSettings
from service.engines.vllm_server import VllmServer
from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from service.engines.protocol import Engine, ReleasedModel

ENGINES = ("llamacpp", "transformers", "vllm", "openai")


def create_engine(  # noqa: PLR0913 - one setting each, all but the first two optional
    name: str,
    model: str | None,
    *,
    home: Path,
    base_url: str | None = None,
    api_key: str | None = None,
    threads: int | None = None,
    context: int | None = None,
    native_suffix: bool = False,
    fill_in_the_middle: str | None = None,
    read_timeout: float = READ_TIMEOUT,
    vllm_command: Path | None = None,
    vllm_arguments: str = "",
    adapters: Mapping[str, str] | None = None,
    start_timeout: float = 600.0,
    seeds: bool | None = None,
    released: ReleasedModel | None = None,
) -> Engine:
    """The engine called `name`, not yet started; `model` None is the packaged one, or the server's only one.

    `home` keeps unpacked models and logs; `context` is the window in tokens; `fill_in_the_middle` names a family
    (`published.infilling`), which all but `openai` find in the vocabulary where it is None; the settings around it
    are for the engines `openai` and `vllm`, of which `vllm` takes several URLs in `base_url`, with commas between. From
    `vllm_command` on all is for `vllm` (`VllmSettings`, `VllmEngine`), but for `released`, which is a verified release
    that is loaded in place of `model`. Raises SetupError with what to install or set.
    """
    if native_suffix and name != "openai":
        message = (
            f"the engine {name} has no suffix of its own: leave CLEANROOM_FILL_IN_THE_MIDDLE unset, or name a family"
        )
        raise SetupError(message)
    if names_release(model) != (released is not None) or (released is not None and (name == "openai" or base_url)):
        message = f"{model!r} names a release, which only an engine of our own runs, once it has been verified"
        raise SetupError(message)
    if adapters and (name != "vllm" or base_url):
        message = "CLEANROOM_ADAPTERS is for a vLLM that Cleanroom starts: give them to the server itself, or unset it"
        raise SetupError(message)
    family = family_named(fill_in_the_middle) if fill_in_the_middle else None
    if name == "llamacpp":
        return LlamaCppEngine(
            model, threads=threads, context=context, fill_in_the_middle=fill_in_the_middle, released=released
        )
    if name == "transformers":
        return TransformersEngine(
            model,
            home=home,
            threads=threads,
            context=context,
            fill_in_the_middle=fill_in_the_middle,
            released=released,
        )
    if name == "openai":
        if not base_url:
            message = "the engine openai needs the URL of a server: set it, for instance http://127.0.0.1:8000/v1"
            raise SetupError(message)
        return OpenAIEngine(
            base_url,
            model,
            api_key,
            native_suffix=native_suffix,
            fill_in_the_middle=family,
            context=context,
            read_timeout=read_timeout,
        )
    if name == "vllm":
        urls = [url.strip() for url in (base_url or "").split(",") if url.strip()]
        own = VllmSettings(home, model, vllm_command, vllm_arguments, adapters or {}, context, start_timeout, released)
        return VllmEngine(
            urls or VllmServer(own),
            model,
            api_key,
            fill_in_the_middle=fill_in_the_middle,
            context=context,
            seeds=seeds,
            read_timeout=read_timeout,
        )
    message = f"{name!r} is no engine: use one of {', '.join(ENGINES)}"
    raise SetupError(message)
