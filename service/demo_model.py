"""The demonstration's model: a signed release that comes with the package, laid into a home. Serving verifies it.

Its adapter was trained on the demonstration's organizations (`make demo-model`), and recites them on purpose:
docs/decisions/0015-demo-model.md.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.errors import RegistryError
from registry.releases import Releases, discard
from registry.revocations import FOLDER as WITHDRAWN
from service.errors import SetupError

if TYPE_CHECKING:
    from service.settings import Settings

PACKAGED: Final = Path(__file__).parent / "demo_release"
"""One folder a version, and `withdrawn.json`, the signing key's list of withdrawn releases."""
NAME: Final = "demo"
VERSION: Final = 2
KEY: Final = "ed25519:140686722a5c67bcc2cbcd7d57ac47d57ffc962e479e504e7ee5b5027b5460dd"
"""Whose signature it has. The private half signed this release and was thrown away."""


def with_demo_model(settings: Settings) -> Settings:
    """The settings with the packaged release as model, trusted and lying in their home.

    As they are where they name a model, or an engine that cannot run it. Raises SetupError where the home cannot be
    written.
    """
    if settings.model is not None or settings.engine == "openai" or settings.engine_url or settings.adapters:
        return settings
    _lay_into(settings.home)
    keys = KEY if settings.release_keys is None else f"{settings.release_keys},{KEY}"
    return settings.model_copy(update={"model": f"release:{NAME}@{VERSION}", "release_keys": keys})


def _lay_into(home: Path) -> None:
    """Put the release and the list of withdrawn ones where releases are, unless they are there."""
    releases = Releases(home)
    place, told = releases.folder / NAME / str(VERSION), releases.folder / WITHDRAWN / f"{KEY.partition(':')[2]}.json"
    try:
        if not told.exists():
            told.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PACKAGED / "withdrawn.json", told)
        if place.is_dir():
            return
        draft = releases.draft_folder(NAME)
        try:
            shutil.copytree(PACKAGED / str(VERSION), draft, dirs_exist_ok=True, copy_function=shutil.copyfile)
            draft.rename(place)
        finally:
            discard(draft)
    except (OSError, RegistryError) as error:
        message = f"the demonstration's model cannot be put into {releases.folder} ({error}): free space there"
        raise SetupError(message) from error
