"""Where the registry's commands find home and trusted keys: the settings of the service that they share.

`service.settings` reads the same; it is not imported, so that a release can be made where no service is installed.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from registry.errors import RegistryError
from registry.keys import trusted_keys

if TYPE_CHECKING:
    from registry.keys import PublicKey

HOME = "CLEANROOM_HOME"
KEYS = "CLEANROOM_RELEASE_KEYS"
CONFIG = "CLEANROOM_CONFIG"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The home, and the keys that the settings give; None: those in its file are meant."""

    home: Path
    keys: str | None

    def trusted(self) -> frozenset[PublicKey]:
        """The keys whose releases are trusted here. Raises SigningKeyError for what is none."""
        return trusted_keys(self.home, self.keys)


def surroundings() -> Surroundings:
    """Read CLEANROOM_HOME and CLEANROOM_RELEASE_KEYS, else `home` and `release_keys` of `cleanroom.toml`.

    Raises:
        RegistryError: the file cannot be read, or holds something else there.
    """
    path = Path(os.environ.get(CONFIG) or "cleanroom.toml").expanduser()
    told: dict[str, object] = {}
    if path.is_file() or os.environ.get(CONFIG):
        try:
            told = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"{path} cannot be read as settings ({error}): mend it, or unset {CONFIG}"
            raise RegistryError(message) from error
    home = os.environ.get(HOME) or told.get("home")
    keys = os.environ.get(KEYS) or told.get("release_keys")
    if not isinstance(home, str | None) or not isinstance(keys, str | None):
        message = f"home and release_keys in {path} must be texts"
        raise RegistryError(message)
    place = Path(home).expanduser() if home else user_data_path("cleanroom")
    return Surroundings(place.absolute(), keys)
