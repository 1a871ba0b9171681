"""Statements: numbers in the words that they can carry."""

from __future__ import annotations

from overt.evaluation.intervals import LEVEL, Interval, Rate
from overt.evaluation.unmeasurable import NotMeasurable


def percent(share: float) -> str:
    """`0.37 %`: two significant digits, more near 100 %."""
    raise NotImplementedError


def one_in(share: float) -> str:
    """`1 in 270`. Rounded towards the worse: never rarer than it is."""
    raise NotImplementedError


def rate_in_words(rate: Rate, interval: Interval | None = None) -> str:
    """`95.1 % (93.2 to 96.6 %), 388 of 408`; with no error, `none in 812: at most 0.37 % at 95 %`."""
    raise NotImplementedError


def claim_in_words(rate: Rate, target: float, what: str, level: float = LEVEL) -> str:
    """Whether `what` (such as "FPIR") is at most `target` can be claimed from this sample, and if not, what could."""
    raise NotImplementedError


def value_in_words(value: float | NotMeasurable, digits: int = 3) -> str:
    """A number, or why there is none."""
    return str(value) if isinstance(value, NotMeasurable) else f"{value:.{digits}f}"
