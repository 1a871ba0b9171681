"""What can go wrong with a model. Each text says what was expected, what was found and what to do."""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors of this package that are the user's to solve."""


class UnknownModel(ModelError):
    """No card has that name, or it has another role than was asked for."""


class BadCard(ModelError):
    """A card file is not valid: names the file and the field."""


class MissingModel(ModelError):
    """The card is known, its file is not here yet."""


class WrongBytes(ModelError):
    """A file is here but is not the one that the card pins (sha256, size)."""


class NotObtained(ModelError):
    """The package registry could not be reached or refused, or its client is missing. Holds the end of what it said."""


class NotConverted(ModelError):
    """The original is right but could not be turned into the pinned ONNX file."""


class UnmeasuredModel(ModelError):
    """The card has no measured thresholds where some are needed."""


class NotAdded(ModelError):
    """A file of the operator's own cannot become a model: says what of it does not fit."""


class NotWritable(ModelError):
    """The cache folder cannot be made or written."""


class BadSession(ModelError):
    """ONNX Runtime cannot run the model as its card says: the graph is another one."""


class InactiveProvider(BadSession):
    """The execution provider that was asked for does not run the model; nothing falls back to the CPU in silence."""
