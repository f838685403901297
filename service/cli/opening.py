"""Opening the parts that commands need, from the settings. The one place where settings become parts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from guard.check import Guard, warm
from guard.digest import Digester
from guard.index import Index
from guard.ingest import PATIENCE, IndexAddress
from guard.ledger import Ledger
from guard.rotation import Rotation
from guard.secret import KEY_FILE, load_index_key
from guard.store import open_store
from service.accounts import Accounts, Quota
from service.documents import Documents
from service.engines.registry import create_engine
from service.errors import SetupError
from service.limit_store import open_limit_store
from service.limits import Limits
from service.released import released_model, served_release
from service.review.reviews import Reviews

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guard.secret import IndexKey
    from guard.store import Store
    from service.engines.protocol import Engine
    from service.released import ServedRelease
    from service.settings import Settings


def prepare_home(settings: Settings) -> None:
    """Make the home directory, for its owner only."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"{settings.home} cannot be made ({error.strerror}): set CLEANROOM_HOME to a directory you may write"
        raise SetupError(message) from error


def index_address(settings: Settings) -> IndexAddress:
    """Where the index is, with its key."""
    return IndexAddress(settings.redis_url, settings.home, _index_key(settings).secret)


@contextmanager
def opened_rotation(settings: Settings, out: Path | None) -> Iterator[tuple[Rotation, Store]]:
    """A change of the index key, with the store; `out` is for the new key where the settings give the old one."""
    key = _index_key(settings) if index_key_given(settings) else None
    rotation = Rotation(settings.home, key, out)
    with open_store(settings.redis_url, settings.home, check_timeout=PATIENCE) as store:
        yield rotation, store


def index_key_given(settings: Settings) -> bool:
    """Whether the settings hold the index key themselves; else it is in a file of the home."""
    return settings.index_key is not None and bool(settings.index_key.get_secret_value().strip())


@contextmanager
def opened_guard(settings: Settings) -> Iterator[Guard]:
    """A guard over the index of the settings, which must be there, ready to answer at once."""
    key = _index_key(settings)
    warm()
    with open_store(settings.redis_url, settings.home, check_timeout=settings.check_timeout) as store:
        yield Guard(Index(store, key, settings.home), Digester(key), prefix_characters=settings.prefix_characters)


@contextmanager
def opened_documents(settings: Settings) -> Iterator[Documents]:
    """Organizations' own documents in the index of the settings, which must be there."""
    key, url = _index_key(settings), settings.indexer_url or settings.redis_url
    with open_store(url, settings.home, check_timeout=PATIENCE) as store:
        yield Documents(Index(store, key, settings.home))


def shared_index_key(settings: Settings) -> IndexKey:
    """The index key of a consortium, which must be there already: one made here would open nothing elsewhere."""
    if settings.index_key is None and not (settings.home / KEY_FILE).exists():
        message = (
            f"there is no index key: set CLEANROOM_INDEX_KEY to the consortium's, or put it into "
            f"{settings.home / KEY_FILE} (mode 0600); its operator has it"
        )
        raise SetupError(message)
    return _index_key(settings)


@contextmanager
def opened_accounts(settings: Settings) -> Iterator[Accounts]:
    """Organizations and keys."""
    prepare_home(settings)
    with Accounts(settings.database_url) as accounts:
        yield accounts


@contextmanager
def opened_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger."""
    prepare_home(settings)
    with Ledger(settings.database_url) as ledger:
        yield ledger


@contextmanager
def opened_reviews(settings: Settings, ledger: Ledger) -> Iterator[Reviews]:
    """What security teams see and say of the leaks in the ledger."""
    with Reviews(ledger, settings.database_url) as reviews:
        yield reviews


def limits_of(settings: Settings) -> Limits:
    """The quotas of the settings, counted in their store."""
    prepare_home(settings)
    store = open_limit_store(settings.limits_url or settings.redis_url, settings.home, timeout=settings.check_timeout)
    quota = Quota(settings.requests_per_minute, settings.tokens_per_day)
    return Limits(store, quota, settings.leaks_per_day)


def engine_of(settings: Settings, release: ServedRelease | None = None) -> Engine:
    """The engine that the settings name, not yet started; `release` is what `served_release` found, if anything."""
    release = release or served_release(settings)
    return create_engine(
        settings.engine,
        settings.model,
        released=released_model(settings, release.release) if release is not None else None,
        home=settings.home,
        base_url=settings.engine_url,
        api_key=settings.engine_api_key.get_secret_value() if settings.engine_api_key else None,
        threads=settings.engine_threads,
        context=settings.context,
        native_suffix=settings.fill_in_the_middle == "native",
        fill_in_the_middle=None if settings.fill_in_the_middle == "native" else settings.fill_in_the_middle,
        vllm_command=settings.vllm_command,
        vllm_arguments=settings.vllm_arguments or "",
        adapters=settings.adapters,
        start_timeout=settings.engine_start_timeout,
        read_timeout=settings.engine_read_timeout,
        seeds=settings.engine_seeds,
    )


def _index_key(settings: Settings) -> IndexKey:
    prepare_home(settings)
    value = settings.index_key.get_secret_value() if settings.index_key else None
    return load_index_key(settings.home, value)
