"""What goes wrong with published code. Imports nothing of the package."""


class PublishedCodeError(Exception):
    """A release could not be had, is not the one that was pinned, or cannot be unpacked. Names it and the remedy."""
