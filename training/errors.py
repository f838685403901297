"""Everything that training raises. Imports nothing of the package."""


class TrainingError(Exception):
    """Base of all errors of training. The message names the value and the remedy."""


class PlanError(TrainingError):
    """What was asked for cannot be done as it stands."""


class EmptyCorpusError(TrainingError):
    """Nothing is left to train on."""


class DestinationError(TrainingError):
    """The folder to write into cannot be used."""


class PublicCodeError(TrainingError):
    """A package of public code could not be had, or is not the one that was chosen."""
