"""Every setting of Cleanroom, read from `CLEANROOM_*` variables and `cleanroom.toml`.

Knows nothing of what the settings are for: the parts get plain values.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError, TomlConfigSettingsSource

from service.console_settings import ConsoleSettings
from service.engine_settings import EngineSettings, Seconds
from service.errors import SetupError
from service.ledger_settings import LedgerSettings
from service.review_settings import ReviewSettings

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

PREFIX = "CLEANROOM_"
CONFIG_VARIABLE = "CLEANROOM_CONFIG"
CONFIG_FILE = "cleanroom.toml"
OTHERS = frozenset({CONFIG_VARIABLE, "CLEANROOM_API_KEY", "CLEANROOM_SIGNING_KEY"})
"""Variables of this prefix that are no settings: commands and editors read them."""
# Of the tests, and those that Kubernetes sets for every service whose name begins like Cleanroom's.
NOT_OURS = re.compile(r"CLEANROOM_(TEST_.*|REQUIRE_.*|WRITE_IMAGES|(.*_)?SERVICE_(HOST|PORT.*)|(.*_)?PORT_\d+_.*)")


class Settings(EngineSettings, ReviewSettings, LedgerSettings, ConsoleSettings):
    """One value a setting; a variable wins over the file, the file over the default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    home: Path = Field(
        default_factory=lambda: user_data_path("cleanroom"),
        description="Directory of everything that Cleanroom keeps: index key, embedded store, ledger, models.",
    )
    redis_url: str | None = Field(
        None,
        repr=False,
        description="Redis or Valkey that holds the index: `redis://`, `rediss://` or `unix://` for one server, "
        "`redis+cluster://HOST:PORT,HOST:PORT` for a cluster, `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE[/DB]` for "
        "one behind Sentinel. Unset: an embedded Valkey under `home`.",
    )
    indexer_url: str | None = Field(
        None,
        repr=False,
        description="The same store for a user that may write, for code that organizations send. Unset: `redis_url`.",
    )
    limits_url: str | None = Field(
        None,
        repr=False,
        description="Redis or Valkey that counts what keys use, for a user that may write `crl:*`; `memory://` counts "
        "in this process alone. Unset: `redis_url`, or the embedded Valkey.",
    )
    index_key: SecretStr | None = Field(
        None,
        description="Secret that keys every fingerprint, as 64 or 128 hexadecimal digits. Unset: a file under `home`.",
    )
    ledger_url: str | None = Field(
        None,
        repr=False,
        description="SQLAlchemy URL of the database of accounts and ledger. Unset: SQLite, `cleanroom.db` in `home`.",
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address that the server listens on.")
    port: int = Field(8080, ge=0, le=65535, description="Port that the server listens on; 0 takes any free one.")
    metrics_host: str = Field("127.0.0.1", min_length=1, description="Address on which metrics are read.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on which Prometheus reads `/metrics`; 0 takes any free one. Unset: none.",
    )
    metrics_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Bearer token that readers of metrics must send, 16 characters or more. Needed where others reach "
        "`metrics_host`.",
    )
    otlp_endpoint: str | None = Field(
        None,
        repr=False,
        pattern=r"^https?://",
        description="OpenTelemetry collector that traces are sent to, by OTLP over HTTP, such as "
        "`http://127.0.0.1:4318` (extra `otel`). Unset: no traces.",
    )

    check_timeout: Seconds = Field(
        0.2, description="Seconds that the store may take to answer the guard, or a question about quotas."
    )
    request_timeout: Seconds = Field(
        60.0,
        description="Seconds that a generation may take, the wait for the engine included. A client may ask for less "
        "with the header `X-Request-Timeout`.",
    )
    body_timeout: Seconds = Field(
        30.0, description="Seconds that a client may take to send a request's head, and as many for its body."
    )
    write_timeout: Seconds = Field(
        30.0, description="Seconds for which a client may leave what was sent to it unread, with more to come."
    )
    max_concurrent_generations: int | None = Field(
        None, ge=1, le=100_000, description="Generations at once, n=2 counts twice. Unset: what suits the engine."
    )
    max_waiting_generations: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Generations that may wait for a place. Unset: four times those at once, at least 16.",
    )
    requests_per_minute: int = Field(
        240, ge=0, le=100_000, description="Requests that a key may make in any minute; 0: any number."
    )
    tokens_per_day: int = Field(
        2_000_000, ge=0, le=10**12, description="Tokens, as `usage` counts them, that a key may use a day; 0: any."
    )
    leaks_per_day: int = Field(
        200,
        ge=0,
        le=10**9,
        description="Generations blocked for other organizations' code after which a key is refused for the day; "
        "0: any number.",
    )
    stream_release: Literal["early", "late", "whole"] = Field(
        "late",
        description="When text of a stream may leave: `early`, at once unless it begins to look like a copy; `late`, "
        "some 30 tokens behind, so that of a copy nothing leaves; `whole`, when all of it has been checked.",
    )
    even_times: bool = Field(
        default=False,
        description="Whether every answer takes as long as all tokens that were asked for would, so that time does not "
        "tell that something was kept back. Needs `stream_release` `whole`.",
    )
    prefix_characters: int = Field(
        8000, ge=1000, le=1_000_000, description="Characters of the prompt's tail that the guard joins to a generation."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Bytes that a request's body may have.")
    max_index_bytes: int = Field(
        4_194_304, ge=65_536, description="Bytes that a batch of fingerprints sent to the index may have."
    )
    max_prompt_characters: int = Field(
        200_000, ge=1, description="Characters that prompt, suffix and other files together may have."
    )
    max_tokens_default: int = Field(64, ge=1, description="Tokens generated when a request names no `max_tokens`.")
    max_tokens_limit: int = Field(2048, ge=1, description="Tokens that a request may ask for.")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged: `debug`, `info`, `warning` or `error`."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Form of the log: `console` for people, `json` for machines."
    )

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the accounts and the ledger."""
        return self.ledger_url or f"sqlite:///{self.home / 'cleanroom.db'}"

    @model_validator(mode="after")
    def _bounds_agree(self) -> Settings:
        if self.max_tokens_default > self.max_tokens_limit:
            message = f"max_tokens_default {self.max_tokens_default} exceeds max_tokens_limit {self.max_tokens_limit}"
            raise ValueError(message)
        if self.metrics_port is not None and self.metrics_key is None and not is_loopback(self.metrics_host):
            message = (
                f"metrics_host {self.metrics_host} is reached by other machines, and metrics tell what the guard "
                "blocks: set metrics_key to a secret (openssl rand -hex 32), or metrics_host to 127.0.0.1"
            )
            raise ValueError(message)
        if self.oidc_issuer is not None and self.oidc_client_id is None:
            message = f"oidc_issuer {self.oidc_issuer} is set without oidc_client_id: set what it calls this Cleanroom"
            raise ValueError(message)
        if self.even_times and self.stream_release != "whole":
            message = (
                f"even_times is set and stream_release is {self.stream_release!r}: the pieces of a stream tell by "
                "their times what the end of it hides, so set stream_release to 'whole'"
            )
            raise ValueError(message)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then `cleanroom.toml`."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=configuration_file())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def configuration_file() -> Path | None:
    """The file that `CLEANROOM_CONFIG` names, else `cleanroom.toml` of the working directory, if there is one.

    Raises SetupError when the named file is missing.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            message = f"{CONFIG_VARIABLE} names {named!r}, which is no file: create it or unset the variable"
            raise SetupError(message)
        return path
    path = Path(CONFIG_FILE)
    return path if path.is_file() else None


def load_settings(**overrides: object) -> Settings:
    """Read the settings; `overrides` (from a command line) win over all, and those that are None count as unset.

    Raises SetupError that names each wrong setting, its value unless that is secret, and where to look it up.
    """
    given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    _require_known_variables()
    source = configuration_file()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        complaints = "; ".join(_complaint(dict(detail)) for detail in error.errors())
        message = f"{complaints} (docs/configuration.md lists every setting)"
        raise SetupError(message) from None
    except (SettingsError, OSError, ValueError) as error:
        message = f"{source or 'the environment'} cannot be read as settings: {error}"
        raise SetupError(message) from None
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def _require_known_variables() -> None:
    """A misspelt name of the index's store would have the guard look into an empty one. Raises SetupError."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    ours = {name.upper() for name in os.environ if name.upper().startswith(PREFIX)}  # case does not matter
    unknown = sorted(name for name in ours - known - OTHERS if not NOT_OURS.fullmatch(name))
    if unknown:
        near = get_close_matches(unknown[0], known, 1, cutoff=0.8)
        meant = f"; do you mean {near[0]}?" if near else ""
        message = f"no setting is called {', '.join(unknown)}{meant} (docs/configuration.md lists every setting)"
        raise SetupError(message)


def _complaint(detail: dict[str, Any]) -> str:
    """One wrong setting in words, without the value where that could hold a password."""
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"unknown setting {name!r}"
    if not name:  # a rule over several settings names them itself
        return str(detail["msg"]).removeprefix("Value error, ")
    field = Settings.model_fields.get(name)
    secret = field is None or not field.repr or "Secret" in str(field.annotation)
    value = "" if secret else f" {detail['input']!r}"
    return f"{PREFIX}{name.upper()}{value}: {detail['msg']}"
