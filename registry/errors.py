"""Everything that the registry raises. Imports nothing of the package."""


class RegistryError(Exception):
    """Base of all errors of the registry. The message names the value and the remedy."""


class SigningKeyError(RegistryError):
    """A key that cannot be made, read or taken for one."""


class ReleaseNotFoundError(RegistryError):
    """There is no such release."""


class ReleaseExistsError(RegistryError):
    """What would be published is there already."""


class UnverifiedError(RegistryError):
    """A release, or a list of withdrawn ones, is not what a trusted key has signed."""


class RevokedError(UnverifiedError):
    """A trusted key has withdrawn the release."""
