"""Everything the guard raises. Imports nothing of the package.

Every message says what was wrong, with which value, and what to do about it.
"""


class GuardError(Exception):
    """Base of all errors of the guard."""


class RefusalError(GuardError):
    """The guard cannot answer, so nothing may be released. Fail closed."""


class StoreUnavailableError(RefusalError):
    """The store does not answer: down, slow, read-only, out of memory or a broken reply."""


class StoreEmptyError(RefusalError):
    """The store answers but holds no index. An empty store is a store that is down."""


class StoreMismatchError(RefusalError):
    """The store holds an index of another key, schema or fingerprint scheme."""


class LedgerError(RefusalError):
    """The ledger cannot be written or read, so a decision cannot be recorded."""


class EmbeddedStoreError(StoreUnavailableError):
    """The embedded Valkey server is missing or did not start."""


class BackgroundError(RefusalError):
    """A background model is missing or damaged: nothing says how ordinary a run of tokens is."""


class SecretError(GuardError):
    """The index key is missing, malformed or readable by others."""


class CorpusError(GuardError):
    """A source tree cannot be read."""


class IngestError(GuardError):
    """Indexing stopped half-way; what was indexed stays, and the next run goes on from there."""


class LicenseError(GuardError):
    """A licence expression is not valid SPDX."""


class OwnerError(GuardError):
    """An owner (organization, licensed corpus or commons) is unknown or badly named."""


class WireError(GuardError):
    """Bytes that should be digests are none."""
