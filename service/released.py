"""From `release:NAME` to what an engine loads: verified to the byte before, and held against withdrawals afterwards.

Knows no engine's insides. Everything that steers what a released model says is signed, or pinned by its digest: the
weights, and for an adapter its base's weights by `registry.weights`, its configuration and tokenizer as files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from registry.errors import RegistryError, RevokedError
from registry.keys import trusted_keys
from registry.manifest import ADAPTER_GGUF, PACKAGED, TRAPPINGS, Kind
from registry.releases import Releases, names_release
from registry.tree import file_digest
from registry.weights import weights_digest
from service.engines.optional import optional
from service.engines.packaged import packaged_model
from service.engines.protocol import ReleasedModel
from service.engines.vllm_command import VllmSettings, find_vllm, model_source
from service.engines.weights import packaged_weights
from service.errors import ReleaseWithdrawnError, SetupError

if TYPE_CHECKING:
    from registry.keys import PublicKey
    from registry.manifest import Base
    from registry.releases import Release
    from service.settings import Settings

PURPOSE = "serving this release"

log = structlog.get_logger(__name__)


class ServedRelease:
    """A verified release. It is held against the lists of withdrawn ones whenever one of these has changed."""

    def __init__(
        self, releases: Releases, release: Release, trusted: frozenset[PublicKey], stamp: tuple[object, ...]
    ) -> None:
        """`stamp`: that of the lists, from before `release` was held against them."""
        self._releases = releases
        self._trusted = trusted
        self._stamp = stamp
        self.release = release
        self.label = release.label

    def require_standing(self) -> None:
        """Raise ReleaseWithdrawnError once a trusted key has withdrawn it, or a list is no longer what was signed."""
        stamp = self._releases.revocations.stamp(self._trusted)
        if stamp == self._stamp:
            return
        try:
            self._releases.require_standing(self.release, self._trusted)
        except RegistryError as error:
            kind = "withdrawn" if isinstance(error, RevokedError) else "uncertain"
            message = f"the release {self.label} is {kind}: {error}"
            raise ReleaseWithdrawnError(message) from error
        self._stamp = stamp


def served_release(settings: Settings) -> ServedRelease | None:
    """The release that the settings name as model, verified; None where they name something else.

    Raises SetupError where it is not what a trusted key has signed, or was withdrawn, and where another server, or
    adapters that nobody signed, would be asked in its stead.
    """
    if not names_release(settings.model):
        return None
    if settings.engine == "openai" or settings.engine_url:
        message = f"{settings.model!r} cannot be verified on another server: unset CLEANROOM_ENGINE_URL, or its model"
        raise SetupError(message)
    if settings.adapters:
        message = f"CLEANROOM_ADAPTERS would serve beside {settings.model!r} what nobody signed: unset one of them"
        raise SetupError(message)
    releases = Releases(settings.home)
    try:
        trusted = trusted_keys(settings.home, settings.release_keys)
        stamp = releases.revocations.stamp(trusted)
        unsafe = settings.unsafe_unsigned_releases
        release = releases.verify(releases.find(str(settings.model)), trusted, unsafe_unsigned=unsafe)
    except RegistryError as error:
        raise SetupError(str(error)) from error
    if unsafe:
        log.warning("UNSAFE: signatures of releases are not checked", release=release.label)
    return ServedRelease(releases, release, trusted, stamp)


def released_model(settings: Settings, release: Release) -> ReleasedModel:
    """What the engine of the settings loads of a verified release; finds and verifies the base of an adapter.

    Raises SetupError where the base is not the one that it was trained on, or the engine cannot run this release.
    """
    name = release.name.name
    base = release.manifest.base
    llamacpp = settings.engine == "llamacpp"
    if base is None:
        if llamacpp:
            raise SetupError(_no_gguf(release))
        return ReleasedModel(name, release.weights, None, release.weights)
    if llamacpp and (ADAPTER_GGUF not in release.manifest.files or base.gguf_sha256 is None):
        raise SetupError(_no_gguf(release))
    if f"{Kind.ADAPTER}/adapter_model.safetensors" not in release.manifest.files:
        message = f"the release {release.name} has no adapter_model.safetensors: it cannot be served"
        raise SetupError(message)
    try:
        if llamacpp:
            return ReleasedModel(name, _gguf(settings, base), release.folder / ADAPTER_GGUF, None)
        return ReleasedModel(name, _folder(settings, base), release.weights, release.folder / TRAPPINGS)
    except RegistryError as error:
        raise SetupError(str(error)) from error


def _no_gguf(release: Release) -> str:
    return (
        f"llama.cpp cannot run the release {release.name}, which has no GGUF: use --engine transformers or vllm, or "
        "`cleanroom release export --form merged` and llama.cpp's own converter"
    )


def _gguf(settings: Settings, base: Base) -> Path:
    if settings.release_base is None and base.name != PACKAGED:
        message = f"name the GGUF file of the base {base.name!r} in CLEANROOM_RELEASE_BASE"
        raise SetupError(message)
    path = Path(settings.release_base).expanduser() if settings.release_base else packaged_model()
    # A package's file may be a link; what is loaded is what it leads to.
    if file_digest(path.resolve())[0] != base.gguf_sha256:
        raise SetupError(_other_base(str(path), base))
    return path


def _folder(settings: Settings, base: Base) -> Path:
    source = settings.release_base or base.name
    if settings.release_base is None and base.name == PACKAGED:
        folder = _unpacked(settings)
    elif Path(source).expanduser().is_dir():
        folder = Path(source).expanduser()
    else:
        folder = _fetched(source)
    if weights_digest(folder) != base.weights_sha256:
        raise SetupError(_other_base(source, base))
    return folder


def _other_base(source: str, base: Base) -> str:
    return (
        f"{source!r} has other weights than the base {base.name!r} that the adapter was trained on: name that one in "
        "CLEANROOM_RELEASE_BASE"
    )


def _unpacked(settings: Settings) -> Path:
    """The packaged model's weights, unpacked by whatever libraries the engine has."""
    if settings.engine == "vllm":
        own = VllmSettings(settings.home, command=settings.vllm_command)
        return Path(model_source(own, find_vllm(own.command)))
    return packaged_weights(settings.home, optional("torch", PURPOSE), optional("transformers", PURPOSE))


def _fetched(source: str) -> Path:
    hub = optional("huggingface_hub", PURPOSE)
    try:
        return Path(hub.snapshot_download(source, allow_patterns=["*.safetensors", "*.json"]))
    except Exception as error:  # the library's errors have no common kind
        message = (
            f"the base {source!r} cannot be had from the hub ({type(error).__name__}): name its folder in "
            "CLEANROOM_RELEASE_BASE"
        )
        raise SetupError(message) from error
