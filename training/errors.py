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


class ModelError(TrainingError):
    """A model cannot be opened, or cannot be trained."""


class StoppedError(TrainingError):
    """A training cannot go on: its weights do not move or are not finite, or it was interrupted."""


class MeasurementError(TrainingError):
    """Measurements or thresholds cannot be read, or are not about this model."""


class RefusedReleaseError(TrainingError):
    """A model does not keep to the thresholds, or they ask for what was not measured."""


class UnsupportedAdapterError(TrainingError):
    """An adapter cannot be written as GGUF."""


class AggregationError(TrainingError):
    """Updates that cannot be joined: they are not of one matrix, or have no weights."""


class FederationError(TrainingError):
    """A federation that cannot go on: too few nodes answered, or their updates were refused."""


class NodeRefusalError(TrainingError):
    """A node that does not take part: another base, another tokenizer, or orders that it does not accept."""
