"""What is answered in words: a question that the data cannot carry, and data that make no sense."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotMeasurable:
    """In place of a number: why the data cannot tell it. The reason is a part of a sentence, without a full stop."""

    reason: str

    def __str__(self) -> str:
        return f"not measurable here: {self.reason}"


class CannotMeasure(ValueError):
    """The data contradict themselves or are not data (NaN, lengths that differ); the text says what and where."""
