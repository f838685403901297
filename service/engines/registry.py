"""Makes engines by name. The one module that knows them all; it loads none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.engines.families import family_named
from service.engines.llamacpp import LlamaCppEngine
from service.engines.openai import READ_TIMEOUT, OpenAIEngine
from service.engines.transformers import TransformersEngine
from service.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from service.engines.protocol import Engine

ENGINES = ("llamacpp", "transformers", "openai")


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
    cache_salt: bool = False,
    read_timeout: float = READ_TIMEOUT,
) -> Engine:
    """The engine called `name`, not yet started; `model` None is the packaged one, or the server's only one.

    `home` keeps unpacked models; `context` is the window in tokens; `fill_in_the_middle` names a family
    (`service.engines.families`), which embedded engines find in the vocabulary where it is None; the settings around
    it are for the engine `openai` alone. Raises SetupError with what to install or set.
    """
    if native_suffix and name != "openai":
        message = (
            f"the engine {name} has no suffix of its own: leave CLEANROOM_FILL_IN_THE_MIDDLE unset, or name a family"
        )
        raise SetupError(message)
    family = family_named(fill_in_the_middle) if fill_in_the_middle else None
    if name == "llamacpp":
        return LlamaCppEngine(model, threads=threads, context=context, fill_in_the_middle=fill_in_the_middle)
    if name == "transformers":
        return TransformersEngine(
            model, home=home, threads=threads, context=context, fill_in_the_middle=fill_in_the_middle
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
            cache_salt=cache_salt,
            read_timeout=read_timeout,
        )
    if name == "vllm":
        message = (
            f"vLLM runs beside Cleanroom: run `vllm serve {model or 'MODEL'}` and use "
            "`--engine openai --base-url http://127.0.0.1:8000/v1`"
        )
        raise SetupError(message)
    message = f"{name!r} is no engine: use one of {', '.join(ENGINES)}"
    raise SetupError(message)
